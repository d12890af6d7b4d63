"""What host_state makes of what a host and its programs say."""

import os
import socket
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path
from unittest import mock

import plugins

plugins.from_folder("modules")
import host_state
from ansible.module_utils.refarch_asking import Unasked


class Questions(unittest.TestCase):
    ASKED = {**host_state.DEFAULTS, "component": "gitaly"}

    def test_what_needs_no_asking_is_not_asked(self):
        all_of_it = host_state.questions({**self.ASKED, "flows": [], "sources": ["http://127.0.0.1:9/x"]})
        self.assertLessEqual({"speed", "sources", "flows"}, set(all_of_it))
        asked = host_state.questions({**self.ASKED, "measure": False})
        self.assertFalse({"speed", "sources", "flows"} & set(asked))

    def test_an_answer_is_told_or_says_why_not(self):
        def refused():
            raise Unasked("nobody knows")

        self.assertEqual(host_state.answer(refused), {"unasked": "nobody knows"})
        self.assertIn("ZeroDivisionError", host_state.answer(lambda: 1 / 0)["unasked"])
        self.assertEqual(host_state.answer(lambda: {"kib": 0}), {"told": {"kib": 0}})


class Answers(unittest.TestCase):
    def test_the_deepest_mount_decides_and_the_last_one_hides_those_before(self):
        mounts = host_state.parse_mounts(
            "/dev/a / ext4 rw,relatime 0 0\ntmpfs /tmp tmpfs rw 0 0\ntmpfs /tmp tmpfs rw,noexec 0 0\n/dev/b /my\\040data ext4 ro 0 0\n"
        )
        self.assertEqual(host_state.mount_of("/tmp", mounts), ("/tmp", ["rw", "noexec"]))
        self.assertEqual(host_state.mount_of("/tmpfiles", mounts)[0], "/")
        self.assertEqual(host_state.mount_of("/my data/x", mounts), ("/my data", ["ro"]))

    def test_swap_is_added_up(self):
        header = "Filename\tType\tSize\tUsed\tPriority\n"
        self.assertEqual(host_state.parse_swaps(header), 0)
        self.assertEqual(host_state.parse_swaps(header + "/dev/dm-1 partition 1048572 0 -2\n/swap file 1024 0 -3\n"), 1049596)

    def test_only_what_listens_counts(self):
        text = (
            "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
            "   0: 0100007F:1538 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 4242 1\n"
            "   1: 0100007F:1539 0100007F:1538 01 00000000:00000000 00:00000000 00000000  1000        0 4243 1\n"
        )
        self.assertEqual(host_state.parse_listeners(text), [(5432, "4242")])

    def test_a_port_in_use_names_the_program(self):
        with socket.socket() as service:
            service.bind(("127.0.0.1", 0))
            service.listen()
            port = service.getsockname()[1]
            found = host_state.ask_ports({port})
        self.assertEqual(found, {"used": [{"port": port, "program": os.path.realpath(sys.executable)}]})
        self.assertEqual(host_state.ask_ports({port}), {"used": []})

    def test_locales_are_those_of_utf8(self):
        with mock.patch.object(host_state, "run", return_value=(0, "C\nC.utf8\nPOSIX\nen_US.UTF-8\nde_DE@euro\n")):
            self.assertEqual(host_state.ask_locale(), {"utf8": ["C.utf8", "en_US.UTF-8"]})
        with mock.patch.object(host_state, "run", return_value=(1, "")), self.assertRaises(Unasked):
            host_state.ask_locale()

    def test_firewalls_that_run_are_named(self):
        with mock.patch.object(host_state, "run", return_value=(3, "inactive\nactive\ninactive\n")):
            self.assertEqual(host_state.ask_firewall(), {"active": ["ufw"]})

    def test_the_umask_is_told_and_stays(self):
        before = os.umask(0o027)
        try:
            self.assertEqual(host_state.ask_umask(), {"mask": 0o027})
            self.assertEqual(os.umask(0o027), 0o027)
        finally:
            os.umask(before)

    def test_a_time_zone_is_the_name_of_its_file(self):
        with tempfile.TemporaryDirectory() as folder:
            zone = Path(folder, "zoneinfo/Europe/Berlin")
            zone.parent.mkdir(parents=True)
            zone.write_text("")
            link = Path(folder, "localtime")
            link.symlink_to(zone)
            self.assertEqual(host_state.ask_time_zone(str(link)), {"name": "Europe/Berlin"})
            self.assertEqual(host_state.ask_time_zone(f"{folder}/none"), {"name": "UTC"})

    def test_writing_is_measured_and_leaves_nothing(self):
        with tempfile.TemporaryDirectory() as folder:
            self.assertGreater(host_state.ask_speed(folder)["writes_per_s"], 0)
            self.assertEqual(os.listdir(folder), [])
        with self.assertRaises(Unasked):
            host_state.ask_speed("/nowhere")

    def test_a_folder_with_a_marker_alone_is_empty(self):
        with tempfile.TemporaryDirectory() as folder:
            Path(folder, ".refarch.json").write_text("{}")
            self.assertTrue(host_state.is_empty(folder) and host_state.is_empty(f"{folder}/none"))
            Path(folder, "gitlab.rb").write_text("")
            self.assertFalse(host_state.is_empty(folder))

    def test_a_source_that_is_not_there_is_told_with_its_reason(self):
        found = host_state.reach("http://127.0.0.1:9/x")
        self.assertIsNone(found["status"])
        self.assertIn("refused", found["error"])

    def test_a_host_answers_all_of_it(self):
        program = "import plugins; plugins.from_folder('modules'); import host_state as h; "
        program += "print(all('told' in h.answer(q) or print(n, h.answer(q)) for n, q in h.questions({**h.DEFAULTS, 'component': 'gitaly', "
        program += "'flows': [], 'window': 0.1}).items() if n not in ('firewall', 'locale')))"
        out = subprocess.run([sys.executable, "-c", program], cwd=Path(__file__).parent, capture_output=True, text=True, check=False)
        self.assertEqual(out.stdout.strip().splitlines()[-1:], ["True"], out.stdout + out.stderr)


if __name__ == "__main__":
    unittest.main()
