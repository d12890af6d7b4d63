"""The callback, by real runs of ansible-playbook on this machine."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
import tempfile
import unittest
from datetime import datetime
from pathlib import Path

HERE = Path(__file__).resolve().parent
SECRET = "s3cret-that-no-event-may-hold"


def play(inventory: dict, events: str | None, folder: str) -> subprocess.CompletedProcess[str]:
    path = Path(folder) / "inventory.json"
    path.write_text(json.dumps({"all": {"hosts": inventory}}))
    env = {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "HOME": folder,
        "LC_ALL": "C.UTF-8",
        "ANSIBLE_CONFIG": str(HERE / "ansible.cfg"),
        "ANSIBLE_HOME": f"{folder}/ansible",
        "TEST_SECRET": SECRET,
    }
    if events:
        env["REFARCH_ANSIBLE_EVENTS"] = events
    argv = ["ansible-playbook", "--inventory", str(path), str(HERE / "callback.yml")]
    return subprocess.run(argv, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)


LOCAL = {"node": {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}}
GONE = {"gone": {"ansible_host": "127.0.0.1", "ansible_port": 9, "ansible_python_interpreter": "/usr/bin/python3"}}


class Callback(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.path = Path(folder.name) / "events.jsonl"
        cls.done = play({**LOCAL, **GONE}, str(cls.path), folder.name)
        cls.raw = cls.path.read_text()
        cls.events = [json.loads(line) for line in cls.raw.splitlines()]

    def of(self, task: str, host: str = "node") -> dict:
        """The answer of a host to a task."""
        kinds = ("host_ok", "host_changed", "host_failed", "host_skipped", "host_unreachable")
        found = [e for e in self.events if e.get("task") == task and e.get("host") == host and e["type"] in kinds]
        self.assertEqual(len(found), 1, f"{task}: {found}\n{self.done.stdout}{self.done.stderr}")
        return found[0]

    def test_no_event_holds_a_secret(self):
        self.assertNotIn(SECRET, self.raw)

    def test_every_event_has_version_time_and_type(self):
        for event in self.events:
            self.assertEqual(event["v"], 1)
            self.assertIsNotNone(datetime.fromisoformat(event["time"]).tzinfo)
            self.assertTrue(event["time"].endswith("Z"))
        self.assertEqual(self.events[0]["type"], "playbook_start")
        self.assertEqual(self.events[1], {**self.events[1], "type": "play_start", "play": "First play"})
        self.assertEqual(self.events[-1]["type"], "stats")

    def test_ok_and_changed(self):
        changed = self.of("Change something")
        self.assertEqual(changed["type"], "host_changed")
        self.assertEqual(changed["play"], "First play")
        self.assertRegex(changed["path"], r"^callback\.yml:\d+$")
        self.assertGreaterEqual(changed["duration_s"], 0)
        self.assertEqual(self.of("Answer with a secret in the result")["type"], "host_ok")

    def test_a_task_and_its_hosts_are_tied_by_the_uuid(self):
        start = next(e for e in self.events if e["type"] == "task_start" and e["task"] == "Change something")
        began = next(e for e in self.events if e["type"] == "host_start" and e["host"] == "node" and e["uuid"] == start["uuid"])
        self.assertLess(self.events.index(start), self.events.index(began))
        self.assertEqual(self.of("Change something")["uuid"], start["uuid"])

    def test_a_skip_carries_its_reason_when_it_has_one(self):
        self.assertEqual(self.of("Skip with a reason")["msg"], "size is simulated by a test")
        self.assertNotIn("msg", self.of("Skip without a reason"))

    def test_failures(self):
        ignored = self.of("Fail and go on")
        self.assertEqual((ignored["type"], ignored["msg"], ignored["ignored"]), ("host_failed", "ignored failure", True))
        self.assertEqual(self.of("Fail with a secret under no_log and go on")["msg"], "hidden by no_log")
        self.assertEqual(self.of("Fail with a secret in a hidden loop and go on")["msg"], "hidden by no_log")
        self.assertIn("non-zero return code", self.of("Fail in a loop and go on")["msg"])

    def test_a_long_message_keeps_both_ends(self):
        failed = self.of("Fail at length")
        self.assertFalse(failed["ignored"])
        self.assertLess(len(failed["msg"]), 17 * 1024)
        self.assertTrue(failed["msg"].startswith("head x") and failed["msg"].endswith("x tail"))
        self.assertIn("characters left out", failed["msg"])

    def test_the_state_travels(self):
        self.assertEqual(self.of("Read the node's state")["state"]["version"], 2)
        self.assertEqual(sum("state" in event for event in self.events), 1)

    def test_unreachable(self):
        event = self.of("Change something", host="gone")
        self.assertEqual(event["type"], "host_unreachable")
        self.assertIn("127.0.0.1", event["msg"])

    def test_stats(self):
        stats = self.events[-1]["stats"]
        self.assertEqual((stats["node"]["failures"], stats["node"]["changed"], stats["node"]["skipped"]), (1, 1, 2))
        self.assertEqual(stats["gone"]["unreachable"], 1)

    def test_the_file_is_closed_to_others(self):
        self.assertEqual(stat.S_IMODE(self.path.stat().st_mode), 0o600)


class WithoutAFile(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name

    def test_nothing_is_written_where_none_is_named(self):
        run = play(LOCAL, None, self.folder)
        self.assertEqual(run.returncode, 2)
        self.assertNotIn("events", run.stderr)

    def test_a_file_that_can_not_be_written_is_reported_once_and_stops_nothing(self):
        run = play(LOCAL, f"{self.folder}/none/events.jsonl", self.folder)
        self.assertEqual(run.returncode, 2)
        self.assertEqual(run.stderr.count("events can't be written"), 1)
        self.assertIn("PLAY RECAP", run.stdout)

    def test_an_existing_file_is_appended_to(self):
        path = Path(self.folder) / "events.jsonl"
        path.write_text('{"v": 1, "type": "earlier"}\n')
        play(LOCAL, str(path), self.folder)
        lines = path.read_text().splitlines()
        self.assertEqual(json.loads(lines[0])["type"], "earlier")
        self.assertGreater(len(lines), 10)


if __name__ == "__main__":
    unittest.main()
