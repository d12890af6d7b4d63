"""What node_state makes of what the node's programs and files say."""

import json
import os
import struct
import subprocess
import tempfile
import threading
import time
import unittest
from pathlib import Path
from unittest import mock

import plugins

plugins.from_folder("modules")
import node_state
from ansible.module_utils import refarch_host
from ansible.module_utils import refarch_node

MARKER = {"version": 1, "deployment": "d", "suffix": "abc123", "component": "gitaly", "disk": "data", "uuid": "u", "built": True}


def supervise(state: int, since: int, pid: int = 42) -> bytes:
    return struct.pack(">QI", refarch_node.TAI64_EPOCH + since, 0) + struct.pack("<I", pid) + bytes([0, ord("u"), 0, state])


class Package(unittest.TestCase):
    def test_only_a_fully_installed_package_counts(self):
        for line, wanted in {
            "ii 18.11.2-ee.0": ("18.11.2-ee.0", False),
            "hi 18.11.2-ee.0": ("18.11.2-ee.0", True),
            "iU 18.11.2-ee.0": (None, False),
            "iF 18.11.2-ee.0": (None, False),
            "rc 18.11.2-ee.0": (None, False),
            "un ": (None, False),
        }.items():
            with self.subTest(line):
                self.assertEqual(refarch_node.parse_package(0, line), {"installed": wanted[0], "held": wanted[1]})

    def test_an_unknown_package_is_not_installed(self):
        self.assertEqual(refarch_node.parse_package(1, ""), {"installed": None, "held": False})


class Services(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.services = Path(folder.name)

    def service(self, name: str, record: bytes, alive: bool):
        place = self.services / name / "supervise"
        place.mkdir(parents=True)
        (place / "status").write_bytes(record)
        os.mkfifo(place / "ok")
        if alive:
            reader = os.open(place / "ok", os.O_RDONLY | os.O_NONBLOCK)
            self.addCleanup(os.close, reader)

    def test_state_and_age(self):
        self.assertEqual(refarch_node.parse_supervise(supervise(1, 100), 130), ("run", 30))
        self.assertEqual(refarch_node.parse_supervise(supervise(0, 100), 101), ("down", 1))
        self.assertEqual(refarch_node.parse_supervise(supervise(2, 100), 101), ("down", 1))
        self.assertEqual(refarch_node.parse_supervise(b"short", 1), ("down", None))

    def test_a_service_without_its_supervisor_is_down(self):
        self.service("puma", supervise(1, 0), alive=True)
        self.service("redis", supervise(1, 0), alive=False)
        found = {service["name"]: service["state"] for service in refarch_node.read_services(str(self.services))}
        self.assertEqual(found, {"puma": "run", "redis": "down"})

    def test_asking_never_waits(self):
        self.service("puma", supervise(1, 0), alive=False)
        asked = threading.Thread(target=refarch_node.read_services, args=(str(self.services),), daemon=True)
        asked.start()
        asked.join(10)
        self.assertFalse(asked.is_alive())

    def test_no_services_where_nothing_is_installed(self):
        self.assertEqual(refarch_node.read_services(str(self.services / "none")), [])


class Disks(unittest.TestCase):
    def test_blkid(self):
        out = "DEVNAME=/dev/x\nUUID=ab-cd\nTYPE=ext4\n"
        self.assertEqual(refarch_host.parse_blkid(0, out, ["ext4"]), ("ext4", "ab-cd"))
        self.assertEqual(refarch_host.parse_blkid(2, "", []), (None, None))
        self.assertEqual(refarch_host.parse_blkid(8, "", ["ext4", "squashfs"]), ("ambivalent", None))

    def test_nothing_found_is_believed_only_if_nothing_is_listed(self):
        self.assertEqual(refarch_host.parse_blkid(2, "", ["ext4", "squashfs"]), ("ambivalent", None))

    def test_a_partition_table_is_a_signature(self):
        self.assertEqual(refarch_host.parse_blkid(0, "DEVNAME=/dev/x\nPTTYPE=gpt\n", ["gpt"]), ("gpt", None))
        self.assertEqual(refarch_host.parse_blkid(0, "TYPE=ext4\nUUID=u\nPTTYPE=dos\n", []), ("ext4+dos", "u"))

    def test_an_answer_without_a_type_is_no_empty_disk(self):
        self.assertEqual(refarch_host.parse_blkid(0, "DEVNAME=/dev/x\n", []), ("unknown", None))

    def test_what_blkid_can_not_do_is_no_empty_disk(self):
        with self.assertRaises(node_state.Unreadable):
            refarch_host.parse_blkid(4, "", [])

    def test_mountinfo(self):
        text = "22 1 8:1 / / rw - ext4 /dev/sda1 rw\n30 22 7:0 / /var/opt/git\\040lab rw - ext4 /dev/x rw\n"
        self.assertTrue(refarch_host.parse_mountinfo(text, "7:0", "/var/opt/git lab"))
        self.assertFalse(refarch_host.parse_mountinfo(text, "7:0", "/var/opt"))
        self.assertFalse(refarch_host.parse_mountinfo(text, "7:1", "/var/opt/git lab"))

    def test_the_upper_of_two_mounts_counts(self):
        text = "30 22 7:0 / /data rw - ext4 a rw\n31 30 7:9 / /data rw - ext4 b rw\n"
        self.assertTrue(refarch_host.parse_mountinfo(text, "7:9", "/data"))
        self.assertFalse(refarch_host.parse_mountinfo(text, "7:0", "/data"))

    def test_a_disk_that_is_not_there(self):
        disk = {"name": "data", "path": "/nowhere/disk", "mount": "/data"}
        self.assertFalse(node_state.read_disk(disk)["present"])

    def test_a_file_is_no_disk(self):
        self.assertFalse(node_state.read_disk({"name": "data", "path": __file__, "mount": "/data"})["present"])

    def test_marker(self):
        found = refarch_host.parse_marker(json.dumps(MARKER))
        self.assertEqual(found, {key: MARKER[key] for key in ("deployment", "suffix", "component", "uuid", "built")})

    def test_anything_else_is_no_marker(self):
        wrong = ["", "[]", "{", json.dumps({**MARKER, "version": 2}), json.dumps({**MARKER, "built": "yes"})]
        wrong.append(json.dumps({key: value for key, value in MARKER.items() if key != "suffix"}))
        for text in wrong:
            with self.subTest(text):
                self.assertIsNone(refarch_host.parse_marker(text))


class Space(unittest.TestCase):
    def test_a_file_system_counts_once(self):
        with tempfile.TemporaryDirectory() as folder:
            inner = Path(folder) / "inner"
            inner.mkdir()
            found = node_state.read_space((folder, str(inner), f"{folder}/none", "/proc"))
        self.assertEqual([space["place"] for space in found], [folder, "/proc"])
        self.assertGreater(found[0]["size_bytes"], found[0]["free_bytes"])
        self.assertEqual(set(found[0]), {"place", "size_bytes", "free_bytes", "inodes", "free_inodes"})

    def test_what_only_root_may_use_is_neither_held_nor_left(self):
        # As df counts it: of 100 blocks 30 are used and 40 are kept for root.
        answer = os.statvfs_result((1024, 1024, 100, 70, 30, 50, 45, 40, 0, 255))
        with mock.patch.object(refarch_host.os, "statvfs", return_value=answer):
            found = node_state.space_of("/anywhere")
        wanted = {"size_bytes": 60 * 1024, "free_bytes": 30 * 1024, "inodes": 45, "free_inodes": 40}
        self.assertEqual(found, wanted)

    def test_no_folder_has_no_space(self):
        self.assertIsNone(node_state.space_of("/nowhere/at/all"))
        self.assertIsNone(node_state.space_of(f"{__file__}/below"))


class Certificate(unittest.TestCase):
    def test_the_end(self):
        self.assertEqual(node_state.parse_end("notAfter=Dec 25 00:00:00 2027 GMT\n"), 1829692800)
        self.assertIsNone(node_state.parse_end("notAfter=soon"))
        self.assertIsNone(node_state.parse_end("unable to load certificate"))

    def test_from_a_file(self):
        with tempfile.TemporaryDirectory() as folder:
            made = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=a"]
            files = ["-days", "3", "-keyout", f"{folder}/key", "-out", f"{folder}/crt"]
            subprocess.run(["openssl", *made, *files], check=True, capture_output=True)
            end = node_state.read_certificate(f"{folder}/crt")["not_after_s"]
            self.assertAlmostEqual(end, time.time() + 3 * 86400, delta=600)
            self.assertEqual(node_state.read_certificate(f"{folder}/key"), {"not_after_s": None})
            self.assertIsNone(node_state.read_certificate(f"{folder}/none"))

    def test_without_a_program_nothing_is_said(self):
        with self.assertRaises(node_state.Unreadable):
            node_state.read_certificate(__file__, ("/nowhere/openssl",))


class Clock(unittest.TestCase):
    def test_the_kernels_word(self):
        record = bytearray(refarch_host.TIMEX_SIZE)
        self.assertTrue(refarch_host.parse_timex(bytes(record)))
        struct.pack_into("@Illlli", record, 0, 0, 0, 0, 0, 0, 0x2001 | 0x40)
        self.assertFalse(refarch_host.parse_timex(bytes(record)))

    def test_reading_it(self):
        before = time.time()
        found = node_state.read_clock()
        self.assertTrue(before <= found["epoch_s"] <= time.time())
        self.assertIn(found["synchronized"], (True, False, None))


class Machine(unittest.TestCase):
    def test_os_release(self):
        self.assertEqual(refarch_host.parse_os_release('NAME="Debian"\nVERSION_ID="13"\nID=debian\n'), ("debian", "13"))
        self.assertEqual(refarch_host.parse_os_release("ID=arch\n"), ("arch", None))

    def test_memory(self):
        self.assertEqual(refarch_host.parse_memory("MemTotal:       16777216 kB\nMemFree: 1 kB\n"), 16.0)


if __name__ == "__main__":
    unittest.main()
