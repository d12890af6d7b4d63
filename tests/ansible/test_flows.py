"""How hosts try the connections between them."""

import concurrent.futures
import socket
import time
import unittest

import plugins  # noqa: F401 - lets the next line find what the plugins share
from ansible.module_utils.refarch_flows import exchange


def free_port(kind=socket.SOCK_STREAM):
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind(("", 0))
        return probe.getsockname()[1]


def flow(port, protocol="tcp", address="127.0.0.1"):
    return {"to": "other", "address": address, "port": port, "protocol": protocol}


class Flows(unittest.TestCase):
    def test_two_hosts_find_each_other_however_late_the_other_begins(self):
        ports = [(free_port(), "tcp"), (free_port(), "tcp"), (free_port(socket.SOCK_DGRAM), "udp")]
        listen = [{"port": port, "protocol": protocol, "expects": 1} for port, protocol in ports]
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            asking = pool.submit(exchange, [], [flow(port, protocol) for port, protocol in ports], "token", 20)
            time.sleep(0.4)
            began = time.monotonic()
            listening = pool.submit(exchange, listen, [], "token", 20).result()
            asked = asking.result()
        self.assertEqual((asked["count"], asked["closed"]), (3, []))
        self.assertEqual((listening["taken"], listening["unasked"]), ([], []))
        self.assertLess(time.monotonic() - began, 10, "it waited for nobody")

    def test_a_port_that_is_used_is_taken_and_probed_as_it_is(self):
        with socket.socket() as service:
            service.bind(("127.0.0.1", 0))
            service.listen()
            port = service.getsockname()[1]
            found = exchange([{"port": port, "protocol": "tcp", "expects": 1}], [flow(port)], "token", 5)
        self.assertEqual([taken["port"] for taken in found["taken"]], [port])
        self.assertEqual((found["count"], found["closed"], found["unasked"]), (1, [], []))

    def test_nobody_listens_is_refused_and_nobody_asks_is_told(self):
        port, other = free_port(), free_port()
        found = exchange([{"port": other, "protocol": "tcp", "expects": 1}], [flow(port)], "token", 0.6)
        self.assertEqual([(closed["port"], closed["why"]) for closed in found["closed"]], [(port, "refused")])
        self.assertEqual([(one["port"], one["asked_by"]) for one in found["unasked"]], [(other, [])])

    def test_silence_is_dropped(self):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
            silent.bind(("127.0.0.1", 0))
            found = exchange([], [flow(silent.getsockname()[1], "udp")], "token", 0.5)
        self.assertEqual([closed["why"] for closed in found["closed"]], ["dropped"])

    def test_nothing_listens_when_it_is_over(self):
        port = free_port()
        exchange([{"port": port, "protocol": "tcp", "expects": 1}], [], "token", 0.1)
        with self.assertRaises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port), timeout=2)


if __name__ == "__main__":
    unittest.main()
