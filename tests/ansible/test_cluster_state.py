"""What cluster_state makes of what the programs on a node say."""

import json
import os
import socket
import tempfile
import threading
import time
import unittest
from pathlib import Path
from unittest import mock

import plugins

plugins.from_folder("modules")
import cluster_state
from ansible.module_utils import refarch_objects, refarch_redis
from ansible.module_utils.refarch_asking import Unasked, run


class Answers(unittest.TestCase):
    def test_an_answer_is_told_or_says_why_not(self):
        def refused(_):
            raise Unasked("nothing listens")

        def odd(_):
            return {}["missing"]

        self.assertEqual(cluster_state.answer(lambda what: {"is": what}, 1), {"told": {"is": 1}})
        self.assertEqual(cluster_state.answer(refused, True), {"unasked": "nothing listens"})
        self.assertIn("KeyError", cluster_state.answer(odd, True)["unasked"])

    def test_only_what_was_asked_for_is_asked_and_the_unknown_is_refused(self):
        asked = cluster_state.questions({"redis": True, "consul": False, "flows": []}, "salt")
        self.assertEqual(list(asked), ["redis"])
        with self.assertRaises(KeyError):
            cluster_state.questions({"everything": True}, "salt")


class Programs(unittest.TestCase):
    def test_exit_code_and_words_come_back_and_the_password_by_the_environment(self):
        rc, out = run("/bin/sh", "-c", "echo $WORD >&2; cat; exit 3", stdin="in", env={"WORD": "out"})
        self.assertEqual((rc, out), (3, "out\nin"))

    def test_colours_are_taken_out(self):
        self.assertEqual(run("/usr/bin/printf", r"\033[32mOK\033[0m")[1], "OK")

    def test_one_that_hangs_ends_with_all_that_it_started(self):
        began = time.monotonic()
        with self.assertRaisesRegex(Unasked, "gave no answer within 0.3 s"):
            run("/bin/sh", "-c", "sleep 30 & sleep 30", limit=0.3)
        self.assertLess(time.monotonic() - began, 10)

    def test_one_that_is_not_there_says_so(self):
        with self.assertRaisesRegex(Unasked, "there is no `/nonexistent`"):
            run("/nonexistent")


class Secrets(unittest.TestCase):
    TEXT = json.dumps({"gitlab_rails": {"db_key_base": "very-secret", "keys": ["a", "b"]}, "gitaly": {"auth": {"token": "t"}}})

    def test_every_key_has_a_hash_and_no_value_is_told(self):
        keys = cluster_state.hash_secrets(self.TEXT, "one")["keys"]
        self.assertEqual(sorted(keys), ["gitaly.auth.token", "gitlab_rails.db_key_base", "gitlab_rails.keys"])
        self.assertNotIn("very-secret", json.dumps(keys))

    def test_equal_values_are_equal_under_one_salt_only(self):
        one, same, other = (cluster_state.hash_secrets(self.TEXT, salt) for salt in ("one", "one", "two"))
        self.assertEqual(one, same)
        self.assertNotEqual(one, other)

    def test_what_is_no_object_is_not_told(self):
        for text in ("[]", "{", ""):
            with self.assertRaises(Unasked):
                cluster_state.hash_secrets(text, "salt")

    def test_a_fingerprint_is_what_openssh_shows(self):
        line = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIMxlTDhkBJuqxGVDGkc8gJXjFDHqlFz6cJzD4zRZ3Y1m root@host"
        kind, print_ = cluster_state.fingerprint(line)
        self.assertEqual(kind, "ssh-ed25519")
        self.assertRegex(print_, r"^SHA256:[A-Za-z0-9+/]{43}$")


class Shapes(unittest.TestCase):
    def test_consul_members(self):
        listed = [
            {"Name": "a", "Addr": "10.0.0.1", "Status": 1, "Tags": {"role": "consul"}},
            {"Name": "b", "Addr": "10.0.0.2", "Status": 4, "Tags": {"role": "node"}},
        ]
        told = cluster_state.parse_members(listed)
        self.assertEqual(told[0], {"name": "a", "address": "10.0.0.1", "status": "alive", "server": True})
        self.assertEqual((told[1]["status"], told[1]["server"]), ("failed", False))

    def test_patroni_s_cluster(self):
        member = {"name": "a", "role": "replica", "state": "streaming", "host": "10.0.0.1", "port": 5432, "timeline": 2}
        told = cluster_state.parse_patroni({"members": [{**member, "lag": 7}, {**member, "lag": "unknown", "pending_restart": True}]})
        self.assertEqual([one["lag"] for one in told["members"]], [7, None])
        self.assertEqual([one["pending_restart"] for one in told["members"]], [False, True])
        self.assertFalse(told["paused"])
        self.assertTrue(cluster_state.parse_patroni({"members": [], "pause": True})["paused"])

    def test_where_patroni_listens(self):
        for text, wanted in {
            "restapi:\n  listen: 10.0.0.5:8008\n  connect_address: 10.0.0.6:8008\n": ("10.0.0.5", "8008"),
            "restapi:\n  connect_address: 10.0.0.6:8009\n  listen: :8009\n": ("127.0.0.1", "8009"),
            'scope: x\nrestapi:\n  listen: "0.0.0.0:8010"\n': ("127.0.0.1", "8010"),
            "scope: x\n": ("127.0.0.1", "8008"),
        }.items():
            with self.subTest(text):
                self.assertEqual(cluster_state.patroni_address(text), wanted)

    def test_pgbouncer_s_console(self):
        out = (
            "        name         |    host    | port |      database       | paused | disabled \n"
            "---------------------+------------+------+---------------------+--------+----------\n"
            " gitlabhq_production | 10.0.0.11  | 5432 | gitlabhq_production |      0 |        0\n"
            " pgbouncer           |            | 6432 | pgbouncer           |      0 |        0\n"
            "(2 rows)\n"
        )
        told = cluster_state.parse_databases(0, out)["databases"]
        self.assertEqual(told[0], {"name": "gitlabhq_production", "host": "10.0.0.11", "port": "5432", "paused": "0", "disabled": "0"})
        self.assertEqual(len(told), 2)
        with self.assertRaisesRegex(Unasked, "ended with 2: psql: connection refused"):
            cluster_state.parse_databases(2, "psql: connection refused\n")

    def test_haproxy_s_statistics(self):
        out = (
            "# pxname,svname,status,check_status,check_code,last_chk,addr,algo,\n"
            "https,FRONTEND,OPEN,,,,,,\n"
            "rails,acme-rails-1,UP,L7OK,200,OK,10.0.0.7:443,,\n"
            "rails,acme-rails-2,DOWN,L7STS,404,Not Found,10.0.0.8:443,,\n"
            "rails,BACKEND,UP,,,,,leastconn,\n\n"
        )
        told = cluster_state.parse_stat(out)["backends"]
        self.assertEqual([(one["name"], one["algorithm"]) for one in told], [("rails", "leastconn")])
        server = told[0]["servers"][1]
        self.assertEqual((server["status"], server["check"], server["code"], server["address"]), ("DOWN", "L7STS", 404, "10.0.0.8:443"))

    def test_prometheus_targets(self):
        def target(health, url):
            return {"health": health, "scrapeUrl": url, "labels": {"job": "node", "instance": "x"}, "lastError": "refused"}

        answer = {"data": {"activeTargets": [target("up", "http://10.0.0.1:9100/metrics"), target("down", "http://10.0.0.2:9100/metrics")]}}
        told = cluster_state.parse_targets(answer)
        self.assertEqual(told["up"], ["10.0.0.1:9100"])
        self.assertEqual((told["down"][0]["asked"], told["down"][0]["error"]), ("10.0.0.2:9100", "refused"))

    def test_rails_redis(self):
        told = cluster_state.parse_redis_client(
            {"url": "redis://:pw@gitlab-redis/", "sentinels": [{"host": "10.0.0.2", "port": 26379}, {"host": "10.0.0.1", "port": 26379}]}
        )
        self.assertEqual(told, {"host": "gitlab-redis", "sentinels": ["10.0.0.1:26379", "10.0.0.2:26379"]})

    def test_a_server_in_recovery(self):
        self.assertEqual(cluster_state.parse_recovery(0, "t\n")["in_recovery"], True)
        self.assertEqual(cluster_state.parse_recovery(0, "f\n")["in_recovery"], False)
        self.assertEqual(cluster_state.parse_recovery(2, "psql: error: refused\n"), {"in_recovery": None, "error": "psql: error: refused"})


class RedisServer(threading.Thread):
    """Answers one connection from a list, and keeps what it was sent."""

    def __init__(self, answers):
        super().__init__(daemon=True)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.answers, self.got = answers, []
        self.start()

    def run(self):
        connection, _ = self.listener.accept()
        with connection:
            for answer in self.answers:
                self.got.append(connection.recv(4096).decode())
                connection.sendall(answer)
        self.listener.close()


class Redis(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.conf = os.path.join(folder.name, "redis.conf")

    def configure(self, text):
        Path(self.conf).write_text(text, encoding="utf-8")

    def test_the_password_goes_over_the_connection(self):
        words = "role:slave\r\nmaster_host:10.0.0.1\r\nmaster_link_status:down\r\n"
        server = RedisServer([b"+OK\r\n", f"${len(words)}\r\n{words}\r\n".encode()])
        self.configure(f"bind 127.0.0.1\nport {server.port}\nrequirepass 'pw'\n")
        with refarch_redis.Redis(self.conf, 6379) as redis:
            told = refarch_redis.parse_replication(redis.ask("INFO", "replication"))
        self.assertEqual((told["role"], told["master"], told["link"]), ("slave", "10.0.0.1", "down"))
        self.assertIn("AUTH", server.got[0])

    def test_a_primary_names_its_replicas(self):
        told = refarch_redis.parse_replication("role:master\r\nslave0:ip=10.0.0.2,port=6379,state=online,offset=1,lag=0\r\n")
        self.assertEqual(told["replicas"], [{"address": "10.0.0.2", "state": "online"}])

    def test_sentinel_s_masters_and_quorum(self):
        flat = b"*4\r\n$4\r\nname\r\n$12\r\ngitlab-redis\r\n$2\r\nip\r\n$8\r\n10.0.0.1\r\n"
        server = RedisServer([b"*1\r\n" + flat, b"-NOQUORUM 1 usable\r\n"])
        self.configure(f"bind 127.0.0.1\nport {server.port}\n")
        with mock.patch.object(cluster_state, "DATA", os.path.dirname(self.conf)):
            os.mkdir(os.path.join(os.path.dirname(self.conf), "sentinel"))
            os.rename(self.conf, os.path.join(os.path.dirname(self.conf), "sentinel", "sentinel.conf"))
            master = cluster_state.ask_sentinel()["masters"][0]
        self.assertEqual((master["name"], master["address"]), ("gitlab-redis", "10.0.0.1"))
        self.assertEqual((master["quorum"], master["quorum_words"]), (False, "NOQUORUM 1 usable"))

    def test_one_that_does_not_listen_says_so(self):
        self.configure("port 1\nbind 127.0.0.1\n")
        with self.assertRaisesRegex(Unasked, "127.0.0.1:1: "):
            with refarch_redis.Redis(self.conf, 6379):
                pass
        self.configure("port 0\ntls-port 6380\n")
        with self.assertRaisesRegex(Unasked, "only TLS"):
            refarch_redis.Redis(self.conf, 6379)


class Storage(unittest.TestCase):
    CONNECTION = {
        "region": "us-east-1",
        "aws_access_key_id": "AKIAIOSFODNN7EXAMPLE",
        "aws_secret_access_key": "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
    }

    def test_the_signature_is_the_one_of_the_documentation(self):
        # "Example: GET Bucket Lifecycle" of
        # https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html
        url = "https://examplebucket.s3.amazonaws.com/?lifecycle="
        headers = refarch_objects.sign("GET", url, self.CONNECTION, time.strptime("20130524T000000Z", "%Y%m%dT%H%M%SZ"))
        signature = "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543"
        self.assertTrue(headers["authorization"].endswith(f"Signature={signature}"), headers)

    def test_where_a_bucket_is(self):
        endpoint = {**self.CONNECTION, "endpoint": "http://198.18.4.30:9000"}
        self.assertEqual(refarch_objects.bucket_url({**endpoint, "path_style": True}, "b"), "http://198.18.4.30:9000/b")
        self.assertEqual(refarch_objects.bucket_url(self.CONNECTION, "b"), "https://b.s3.us-east-1.amazonaws.com/")

    def test_the_word_of_a_refusal(self):
        body = b'<?xml version="1.0"?><Error><Code>SignatureDoesNotMatch</Code></Error>'
        self.assertEqual(refarch_objects.s3_code(body), "SignatureDoesNotMatch")
        self.assertEqual(refarch_objects.s3_code(b"no"), "")


class Flows(unittest.TestCase):
    def test_a_closed_port_is_named_and_an_open_one_is_not(self):
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port = listener.getsockname()[1]
            with socket.socket() as other:
                other.bind(("127.0.0.1", 0))
                closed = other.getsockname()[1]
                flows = [{"to": to, "address": "127.0.0.1", "port": at, "protocol": "tcp"} for to, at in (("a", port), ("b", closed))]
                told = cluster_state.ask_flows(flows)
        self.assertEqual(told["count"], 2)
        self.assertEqual([(one["to"], one["error"]) for one in told["closed"]], [("b", "Connection refused")])

    def test_over_udp_an_answer_is_waited_for(self):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as agent, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
            for one in (agent, silent):
                one.bind(("127.0.0.1", 0))
            got = []

            def answer():
                # The first packet is lost.
                agent.recvfrom(4096)
                packet, whence = agent.recvfrom(4096)
                got.append(packet)
                agent.sendto(b"\x02alive", whence)

            thread = threading.Thread(target=answer)
            thread.start()
            flows = [{"to": to, "address": "127.0.0.1", "port": one.getsockname()[1], "protocol": "udp"} for to, one in (("a", agent), ("b", silent))]
            with mock.patch.object(cluster_state, "CONNECT_LIMIT", 0.6):
                told = cluster_state.ask_flows(flows)
            thread.join()
        self.assertEqual(got, [cluster_state.GOSSIP_PING])
        self.assertEqual([(one["to"], one["error"]) for one in told["closed"]], [("b", "no answer, as from a firewall")])

    def test_gossip_with_a_key_answers_no_stranger_and_is_not_tried(self):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "config.json")
            for text, is_open in (('{"encrypt": "a2V5"}', False), ('{"server": true}', True), ("{", True)):
                path.write_text(text)
                self.assertEqual(cluster_state.gossip_is_open(str(path)), is_open, text)
            self.assertTrue(cluster_state.gossip_is_open(str(Path(folder, "missing"))))
        flow = {"to": "a", "address": "127.0.0.1", "port": 9, "protocol": "udp"}
        with mock.patch.object(cluster_state, "gossip_is_open", return_value=False):
            self.assertEqual(cluster_state.ask_flows([flow]), {"count": 0, "closed": []})


class RailsFiles(unittest.TestCase):
    def test_each_file_s_production_is_read(self):
        with tempfile.TemporaryDirectory() as folder:
            files = json.dumps({"database.yml": {"production": {"main": {"host": "h"}}}, "gitlab.yml": {"test": {}}})
            with mock.patch.object(cluster_state, "DATA", folder), mock.patch.object(cluster_state, "run", return_value=(0, files)):
                told = cluster_state.rails_files("database.yml", "gitlab.yml")
        self.assertEqual(told, {"database.yml": {"main": {"host": "h"}}, "gitlab.yml": {}})
        self.assertEqual(cluster_state.primary_database(told["database.yml"]), {"host": "h"})
        self.assertEqual(cluster_state.primary_database({"host": "old"}), {"host": "old"})


if __name__ == "__main__":
    unittest.main()
