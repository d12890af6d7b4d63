"""What every test of the roles on a real host has: the host, a deployment's files beside it, and what it asks of a run."""

from __future__ import annotations

import copy
import json
import signal
import tempfile
import time
import unittest
from pathlib import Path

from deployment import HERE, VERSION, Deployment, Outcome, secrets_in
from nspawn import Host, rootfs, run

NODE = "demo-all-in-one-1"
RECONFIGURES = "/var/log/gitlab/fixture-reconfigures"


def wait_until(holds, seconds: float, what: str) -> None:
    end = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > end:
            raise AssertionError(f"{what} did not happen within {seconds} s")
        time.sleep(0.1)


class OnAHost(unittest.TestCase):
    """One host and one deployment a class: tests run in the order of their names and build on each other."""

    @classmethod
    def package(cls) -> Path:
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        run(HERE / "fixture" / "build", folder.name, VERSION)
        return Path(folder.name) / f"gitlab-ee_{VERSION}_all.deb"

    @classmethod
    def setUpClass(cls):
        if not (rootfs() / "usr").is_dir():
            raise RuntimeError(f"no image of the lab at {rootfs()}: run `make lab`")
        package = cls.package()
        cls.host = cls.enterClassContext(Host(NODE))
        cls.deployment = Deployment(cls.host, package)
        cls.addClassCleanup(cls.deployment.close)

    def setUp(self):
        self.vars = copy.deepcopy(self.deployment.vars)

    def succeeds(self, outcome: Outcome) -> Outcome:
        self.assertEqual(outcome.code, 0, outcome.failure)
        self.no_secret(outcome)
        return outcome

    def refuses(self, outcome: Outcome, *words: str) -> Outcome:
        """It fails with a message that says where and why, and before it changed anything."""
        self.assertEqual(outcome.code, 2, outcome.output[-2000:])
        for word in (NODE, "demo", *words):
            self.assertIn(word, outcome.failure)
        self.assertEqual(outcome.changed, [])
        self.no_secret(outcome)
        return outcome

    def no_secret(self, outcome: Outcome) -> None:
        self.assertEqual(secrets_in(outcome.output + json.dumps(outcome.events)), [])

    def pids(self) -> str:
        return self.host.ssh("pgrep -f '[r]unsv|[e]mbedded/bin' | sort").stdout

    def reconfigures(self) -> int:
        return len(self.host.ssh(f"cat {RECONFIGURES}").stdout.splitlines())

    def uuid(self) -> str:
        return run("blkid", "-p", "-o", "value", "-s", "UUID", self.host.loop).stdout.strip()


def main() -> None:
    """Runs the tests of the calling file, and ends them in order when they are terminated.

    Terminated is as interrupted, which unittest does not take for the failure of one test. Both are set, since a shell lets a
    program in the background ignore interrupts, and Ansible would inherit that.
    """
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    unittest.main(verbosity=2)
