"""The playbooks against real hosts. The package is a fixture of these tests, which is neither GitLab nor the stand-in."""

from __future__ import annotations

import copy
import json
import os
import signal
import stat
import struct
import tempfile
from pathlib import Path

from deployment import FQDN, SECRETS, VERSION, Outcome, make_certificates, sha256
from nspawn import cache, run
from onahost import NODE, RECONFIGURES, OnAHost, main, wait_until
from repository import Server, publish

FOREIGN = "00000000-1111-2222-3333-444444444444"


class Disk(OnAHost):
    """What is on a data disk decides, and what isn't this deployment's is never written to."""

    def content(self) -> str:
        return run("sha256sum", self.host.folder / "disk.img").stdout

    def refuses_disk(self, given: dict, *words: str) -> None:
        before = self.content()
        self.refuses(self.deployment.play(given=given), *words)
        self.assertEqual(self.content(), before, "the disk was written to")

    def clear(self) -> None:
        run("wipefs", "--all", "--force", "--quiet", self.host.loop)

    def write_at(self, offset: int, data: bytes) -> None:
        with open(self.host.loop, "r+b") as disk:
            disk.seek(offset)
            disk.write(data)
            disk.flush()
            os.fsync(disk.fileno())

    def test_1_no_device(self):
        self.refuses_disk(self.deployment.with_disk(path="/dev/refarch/none"), "/dev/refarch/none", "no block device")
        self.refuses_disk(self.deployment.with_disk(path="/etc/hostname"), "/etc/hostname", "no block device")

    def test_2_another_size(self):
        self.refuses_disk(self.deployment.with_disk(size_gb=2), "1.0 GiB", "should have 2")

    def test_3_expected_and_empty(self):
        self.refuses_disk(self.deployment.with_disk(expected_uuid=FOREIGN), FOREIGN, "carries no file system", "snapshot")

    def test_4_a_foreign_file_system(self):
        self.addCleanup(self.clear)
        run("mkfs.ext4", "-q", "-U", FOREIGN, self.host.loop)
        self.refuses_disk(self.vars, "not empty", "ext4", FOREIGN, "without a marker", "wipefs")

    def test_5_a_partition_table(self):
        self.addCleanup(self.clear)
        # One Linux partition from sector 2048 on, in the form of a DOS partition table.
        self.write_at(446, struct.pack("<8B2I", 0, 0, 0, 0, 0x83, 0, 0, 0, 2048, 4096))
        self.write_at(510, b"\x55\xaa")
        self.refuses_disk(self.vars, "not empty", "dos")

    def test_6_two_signatures(self):
        self.addCleanup(self.clear)
        run("mkfs.ext4", "-q", self.host.loop)
        # The head of a squashfs, in the first kilobyte, which ext4 leaves alone.
        self.write_at(0, struct.pack("<4s24xH", b"hsqs", 4))
        self.refuses_disk(self.vars, "more than one signature")

    def test_7_of_another_deployment(self):
        self.addCleanup(self.clear)
        with tempfile.TemporaryDirectory() as folder:
            marker = {"version": 1, "deployment": "demo", "suffix": "zzzzzz", "component": "all_in_one", "disk": "data"}
            (Path(folder) / ".refarch.json").write_text(json.dumps({**marker, "uuid": FOREIGN, "built": True}))
            run("mkfs.ext4", "-q", "-U", FOREIGN, "-d", folder, self.host.loop)
        self.refuses_disk(self.vars, "not empty", "zzzzzz")
        self.refuses_disk(self.deployment.with_disk(expected_uuid=FOREIGN), "zzzzzz", FOREIGN)

    def test_8_files_below_the_mount_point(self):
        self.host.ssh("mkdir -p /var/opt/gitlab && touch /var/opt/gitlab/.precious")
        self.addCleanup(self.host.ssh, "rm -r /var/opt/gitlab")
        self.refuses_disk(self.vars, ".precious", "hide")


class Refusals(OnAHost):
    """What is refused before the node is touched."""

    def test_1_an_operating_system_without_a_package(self):
        release = self.host.root / "etc/os-release"
        before = release.read_text()
        release.unlink()
        self.addCleanup(release.write_text, before)
        release.write_text("ID=debian\nVERSION_ID=99\n")
        self.refuses(self.deployment.play(), "debian 99", "debian-12", "debian-13", "ubuntu-22.04", "ubuntu-24.04")

    def test_2_a_gitlab_older_than_its_support_for_the_system(self):
        self.vars["gitlab_node_package"]["version"] = "18.4.0-ee.0"
        self.refuses(self.deployment.play(given=self.vars), "18.5.0", "18.4.0-ee.0")

    def test_3_a_machine_that_is_too_small(self):
        self.vars["gitlab_node_machine"] = {"vcpu": 999, "memory_gb": 9999, "root_disk_gb": 1, "simulated": None}
        outcome = self.deployment.play(given=self.vars)
        self.assertEqual((outcome.code, outcome.changed), (2, []))
        self.assertRegex(outcome.failure, "999 wanted; .*9999 wanted")

    def test_4_a_package_file_with_another_hash_or_content(self):
        self.vars["gitlab_node_package"]["source"]["file"]["sha256"] = "0" * 64
        outcome = self.deployment.play(given=self.vars)
        self.assertEqual(outcome.code, 2)
        self.assertIn("0" * 64, outcome.failure)
        other = copy.deepcopy(self.deployment.vars)
        other["gitlab_node_package"]["version"] = "19.3.0-ee.0"
        outcome = self.deployment.play(given=other)
        self.assertEqual(outcome.code, 2)
        self.assertIn(f"gitlab-ee {VERSION}", outcome.failure)
        self.assertIsNone(self.deployment.state()["package"]["installed"])
        self.assertEqual(self.host.ssh("ls /var/cache/refarch-gitlab-ee.deb", check=False).returncode, 2)


class Build(OnAHost):
    """From an empty host to a stamped one, and everything that can befall it after."""

    def test_01_an_empty_node_is_read(self):
        state = self.deployment.state()
        self.assertEqual((state["version"], state["package"], state["stamp"]), (2, {"name": "gitlab-ee", "installed": None, "held": False}, None))
        self.assertEqual(state["services"], [])
        disk = state["data_disks"][0]
        self.assertEqual((disk["present"], disk["signature"], disk["mounted"]), (True, None, False))

    def test_02_the_first_run(self):
        outcome = self.succeeds(self.deployment.play())
        print(f"first run: {outcome.seconds:.1f} s, {len(outcome.changed)} changed tasks")
        skipped = [e for e in outcome.events if e["type"] == "host_skipped" and e.get("msg")]
        self.assertEqual([e["msg"] for e in skipped], ["size is simulated by a test"])
        state = self.deployment.state()
        self.assertEqual(state["package"], {"name": "gitlab-ee", "installed": VERSION, "held": True})
        disk = state["data_disks"][0]
        self.assertTrue(disk["mounted"])
        marker = {"deployment": "demo", "suffix": "a1b2c3", "component": "all_in_one", "uuid": self.uuid(), "built": False}
        self.assertEqual(disk["marker"], marker)
        stamp = {"version": 1, "deployment": "demo", "suffix": "a1b2c3", "component": "all_in_one", "package": VERSION}
        self.assertEqual(state["stamp"], {**stamp, **state["files"]})
        self.assertEqual([name for name, found in state["files"].items() if found is None], ["data", "rendered"])
        self.assertEqual(self.reconfigures(), 1)

    def test_03_modes_on_the_node(self):
        listing = self.host.ssh("cd /etc/gitlab && stat -c '%a %U %n' . * ssl/* /var/opt/gitlab/.refarch.json").stdout.split("\n")
        for line in ("755 root .", "600 root gitlab.rb", "600 root refarch-secrets.json", "600 root gitlab-secrets.json",
                     "755 root ssl", f"644 root ssl/{FQDN}.crt", f"600 root ssl/{FQDN}.key",
                     "600 root /var/opt/gitlab/.refarch.json"):  # fmt: skip
            self.assertIn(line, listing)
        left = self.host.ssh("ls -A /var/cache/refarch-gitlab-ee.deb /run/refarch/incoming /run/refarch-disk-data /root/.ansible/tmp /root/.ansible_async", check=False)
        self.assertEqual([line for line in left.stdout.splitlines() if line and not line.endswith(":")], [])
        self.assertEqual(self.host.ssh("ls -A /etc/gitlab | grep ^.refarch", check=False).stdout, "")

    def test_04_the_fetched_keys(self):
        fetched = json.loads(self.deployment.fetched.read_text())
        self.assertEqual(fetched["gitlab_rails"]["db_key_base"], SECRETS[1])
        self.assertIn("gitlab_workhorse", fetched)
        self.assertEqual(stat.S_IMODE(self.deployment.fetched.stat().st_mode), 0o600)
        self.assertEqual(stat.S_IMODE(self.deployment.fetched.parent.stat().st_mode), 0o700)

    def test_05_a_second_run_changes_nothing(self):
        before = self.pids()
        outcome = self.succeeds(self.deployment.play())
        print(f"second run: {outcome.seconds:.1f} s, {len(outcome.changed)} changed tasks")
        self.assertEqual(outcome.changed, [])
        self.assertEqual(outcome.events[-1]["stats"][NODE]["changed"], 0)
        self.assertEqual(self.pids(), before)
        self.assertEqual(self.reconfigures(), 1)
        known = self.deployment.with_disk(expected_uuid=self.uuid())
        self.assertEqual(self.succeeds(self.deployment.play(given=known)).changed, [])

    def test_06_the_probe_is_quick_and_changes_nothing(self):
        outcome = self.succeeds(self.deployment.play("probe.yml"))
        print(f"probe: {outcome.seconds:.1f} s")
        self.assertEqual(outcome.changed, [])
        state = next(event["state"] for event in outcome.events if "state" in event)
        self.assertEqual([(s["name"], s["state"]) for s in state["services"]], [("nginx", "run")])
        self.host.ssh("sv stop /opt/gitlab/service/nginx")
        self.addCleanup(self.host.ssh, "sv start /opt/gitlab/service/nginx")
        self.assertEqual(self.deployment.state()["services"][0]["state"], "down")

    def test_07_a_changed_gitlab_rb_is_configured_once(self):
        self.deployment.write("gitlab.rb", "# quiet\n# changed\n")
        outcome = self.succeeds(self.deployment.play())
        self.assertIn("gitlab_node : Bring the node's files", outcome.changed)
        self.assertEqual(self.reconfigures(), 2)

    def test_08_a_renewed_certificate_is_served(self):
        make_certificates(self.deployment.files / "ssl")
        self.succeeds(self.deployment.play())
        shown = self.host.ssh("openssl s_client -connect 127.0.0.1:443 </dev/null 2>/dev/null | openssl x509 -noout -serial").stdout
        wanted = run("openssl", "x509", "-noout", "-serial", "-in", self.deployment.files / "ssl" / f"{FQDN}.crt").stdout
        self.assertEqual(shown, wanted)

    def test_09_keys_of_the_node_are_kept(self):
        known = json.loads(self.deployment.fetched.read_text())
        known["gitlab_pages"] = {"api_secret_key": "from refarch"}
        self.deployment.write("gitlab-secrets.json", json.dumps({"gitlab_pages": known["gitlab_pages"]}))
        self.succeeds(self.deployment.play())
        self.assertEqual(json.loads(self.deployment.fetched.read_text()), known)

    def test_10_other_keys_are_refused(self):
        mine = (self.deployment.files / "gitlab-secrets.json").read_text()
        self.addCleanup(self.deployment.write, "gitlab-secrets.json", mine)
        before = self.deployment.state()["files"]
        self.deployment.write("gitlab-secrets.json", json.dumps({"gitlab_rails": {"db_key_base": SECRETS[2]}}))
        outcome = self.deployment.play()
        self.assertEqual((outcome.code, outcome.changed), (2, []))
        self.assertIn("gitlab_rails.db_key_base", outcome.failure)
        self.no_secret(outcome)
        self.assertEqual(self.deployment.state()["files"], before)

    def test_11_a_failing_reconfigure_says_why(self):
        self.deployment.write("gitlab.rb", "# fail\n")
        outcome = self.deployment.play()
        self.assertEqual(outcome.code, 2)
        for word in (NODE, "ended with 7", "/var/log/gitlab/refarch-reconfigure.log", "Error executing action", "fixture says no"):
            self.assertIn(word, outcome.failure)
        self.assertNotIn("progress 90", outcome.failure)
        self.assertIsNone(self.deployment.state()["stamp"])
        mode = self.host.ssh("stat -c %a /var/log/gitlab/refarch-reconfigure.log").stdout.strip()
        self.assertEqual(mode, "600")

    def test_12_a_node_that_does_not_get_healthy(self):
        self.deployment.write("gitlab.rb", "# sick\n")
        self.vars["gitlab_node_health_timeout_s"] = 3
        outcome = self.deployment.play(given=self.vars)
        self.assertEqual(outcome.code, 2)
        for word in (NODE, "503", "fixture is sick", "within 3 s"):
            self.assertIn(word, outcome.failure)
        self.assertIsNone(self.deployment.state()["stamp"])

    def test_13_a_service_that_does_not_run(self):
        self.deployment.write("gitlab.rb", "# down\n")
        outcome = self.deployment.play()
        self.assertEqual(outcome.code, 2)
        self.assertRegex(outcome.failure, "down: broken")
        self.assertIsNone(self.deployment.state()["stamp"])
        self.deployment.write("gitlab.rb", "# quiet\n")
        self.succeeds(self.deployment.play())
        self.assertIsNotNone(self.deployment.state()["stamp"])

    def test_14_a_run_killed_during_reconfigure(self):
        self.deployment.write("gitlab.rb", "# slow=20\n")
        before = self.reconfigures()
        child, _ = self.deployment.start()
        try:
            wait_until(lambda: self.reconfigures() > before, 180, "a reconfigure")
        finally:
            os.killpg(child.pid, signal.SIGKILL)
            child.wait()
        masters = run("pgrep", "-f", f"^ssh: {self.deployment.folder}/cp/", check=False).stdout.split()
        for master in masters:
            os.kill(int(master), signal.SIGKILL)
        self.assertEqual(self.host.ssh("pgrep -fc '[g]itlab-ctl reconfigure'").returncode, 0, "reconfigure ended with its run")
        self.assertIsNone(self.deployment.state()["stamp"])
        self.deployment.write("gitlab.rb", "# quiet\n")
        outcome = self.succeeds(self.deployment.play())
        waited = next(e for e in outcome.events if e["type"] == "host_changed" and "Bring the node's files" in e["task"])
        self.assertGreater(waited["duration_s"], 2)
        times = [int(line.split()[0]) for line in self.host.ssh(f"cat {RECONFIGURES}").stdout.splitlines()[before:]]
        self.assertEqual(len(times), 2)
        self.assertGreaterEqual(times[1] - times[0], 20, "two reconfigures ran at once")

    def test_15_another_version_is_refused(self):
        for version, word in (("18.11.1-ee.0", "downgraded"), ("19.3.0-ee.0", "not built yet")):
            self.vars["gitlab_node_package"]["version"] = version
            self.refuses(self.deployment.play(given=self.vars), VERSION, version, word)

    def test_16_another_disk_than_the_known_one_is_refused(self):
        self.refuses(self.deployment.play(given=self.deployment.with_disk(expected_uuid=FOREIGN)), FOREIGN, self.uuid())
        self.vars["gitlab_node_component"] = "gitaly"
        self.refuses(self.deployment.play(given=self.vars), "not empty", "all_in_one")

    def test_17_the_marker_becomes_built(self):
        self.succeeds(self.deployment.play("mark_built.yml"))
        marker = self.deployment.state()["data_disks"][0]["marker"]
        self.assertEqual((marker["built"], marker["uuid"]), (True, self.uuid()))
        self.assertEqual(self.succeeds(self.deployment.play("mark_built.yml")).changed, [])

    def test_18_a_reboot_brings_all_of_it_back(self):
        self.host.ssh("echo kept >/var/opt/gitlab/data-of-a-user")
        self.host.stop()
        self.host.boot()
        wait_until(lambda: self.pids() != "", 30, "a start of the services")
        self.assertEqual(self.succeeds(self.deployment.play()).changed, [])
        self.assertEqual(self.host.ssh("cat /var/opt/gitlab/data-of-a-user").stdout, "kept\n")

    def test_19_gitlab_does_not_start_without_its_data_disk(self):
        self.host.ssh("systemctl stop gitlab-runsvdir && systemctl stop var-opt-gitlab.mount")
        run("sh", "-c", f"sed -i s,/dev/refarch/data,/dev/refarch/gone, {self.host.root}/etc/systemd/system/var-opt-gitlab.mount")
        try:
            self.host.ssh("systemctl daemon-reload")
            self.assertNotEqual(self.host.ssh("systemctl start gitlab-runsvdir", check=False).returncode, 0)
        finally:
            run("sh", "-c", f"sed -i s,/dev/refarch/gone,/dev/refarch/data, {self.host.root}/etc/systemd/system/var-opt-gitlab.mount")
            self.host.ssh("systemctl daemon-reload; systemctl reset-failed; systemctl start gitlab-runsvdir")

    def test_20_a_new_host_takes_over_the_data_disk(self):
        uuid = self.uuid()
        self.host.replace()
        state = self.deployment.state()["data_disks"][0]
        self.assertEqual((state["mounted"], state["uuid"], state["marker"]["built"]), (False, uuid, True))
        known = self.deployment.with_disk(expected_uuid=uuid)
        keys = json.loads(self.deployment.fetched.read_text())
        self.deployment.write("gitlab-secrets.json", json.dumps(keys))
        self.succeeds(self.deployment.play(given=known))
        self.assertEqual(self.host.ssh("cat /var/opt/gitlab/data-of-a-user").stdout, "kept\n")
        self.assertEqual((self.uuid(), json.loads(self.deployment.fetched.read_text())), (uuid, keys))

    def test_21_a_package_left_half_installed(self):
        self.host.ssh(f"sed -i '/^Package: gitlab-ee$/,/^$/s/^Status: .*/Status: hold ok half-configured/' /var/lib/dpkg/status")
        self.assertIsNone(self.deployment.state()["package"]["installed"])
        self.succeeds(self.deployment.play())
        self.assertEqual(self.deployment.state()["package"], {"name": "gitlab-ee", "installed": VERSION, "held": True})


class Sources(OnAHost):
    """Where else a package can come from: a URL, and a repository that signs what it has."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.folder = Path(folder.name) / "served"
        cls.folder.mkdir()
        cls.deb = Path(cls.deployment.vars["gitlab_node_package"]["source"]["file"]["path"])
        cls.key = publish(cls.folder, cls.deb, "trixie", Path(folder.name) / "keys")
        cls.url = cls.enterClassContext(Server(cls.folder, cls.host.gateway)).url
        # The image's own sources can't be reached from a host.
        cls.host.ssh("rm -f /etc/apt/sources.list /etc/apt/sources.list.d/*")

    def from_source(self, **source) -> Outcome:
        self.vars["gitlab_node_package"]["source"] = source
        return self.deployment.play(given=self.vars)

    def remove(self) -> None:
        self.host.ssh("dpkg --purge --force-all gitlab-ee; rm -f /etc/gitlab/refarch-stamp.json")

    def test_1_a_url_with_another_hash(self):
        outcome = self.from_source(url={"url": f"{self.url}/pool/{self.deb.name}", "sha256": "0" * 64})
        self.assertEqual(outcome.code, 2)
        self.assertIn("checksum", outcome.failure)
        self.assertIsNone(self.deployment.state()["package"]["installed"])

    def test_2_a_url(self):
        self.addCleanup(self.remove)
        source = {"url": f"{self.url}/pool/{self.deb.name}", "sha256": sha256(self.deb)}
        self.succeeds(self.from_source(url=source))
        self.assertEqual(self.deployment.state()["package"], {"name": "gitlab-ee", "installed": VERSION, "held": True})
        self.assertEqual(self.succeeds(self.from_source(url=source)).changed, [])

    def repository(self, key: Path) -> dict:
        return {"url": self.url, "distribution": "trixie", "components": ["main"], "key_file": str(key)}

    def test_3_a_repository_that_another_key_signs(self):
        with tempfile.TemporaryDirectory() as folder:
            other = Path(folder) / "other.asc"
            other.write_text(self.key.read_text().replace("mDME", "mDMF"))
            outcome = self.from_source(repository=self.repository(other))
        self.assertEqual(outcome.code, 2)
        self.assertIsNone(self.deployment.state()["package"]["installed"])

    def test_4_a_repository(self):
        source = self.repository(self.key)
        self.succeeds(self.from_source(repository=source))
        self.assertEqual(self.deployment.state()["package"], {"name": "gitlab-ee", "installed": VERSION, "held": True})
        self.assertEqual(self.succeeds(self.from_source(repository=source)).changed, [])


GITLAB_RB = f"""require 'json'
secrets = JSON.parse(File.read('/etc/gitlab/refarch-secrets.json'))
external_url 'https://{FQDN}'
gitlab_rails['initial_root_password'] = secrets.fetch('root_password')
gitlab_rails['monitoring_whitelist'] = ['127.0.0.0/8', '::1/128']
letsencrypt['enable'] = false
nginx['ssl_certificate'] = '/etc/gitlab/ssl/{FQDN}.crt'
nginx['ssl_certificate_key'] = '/etc/gitlab/ssl/{FQDN}.key'
package['modify_kernel_parameters'] = false
"""


class StandIn(OnAHost):
    """The lab's stand-in package (not GitLab), with real services behind it.

    That a new host serves the kept data is proven with the driver, by `losses` in `tests/run end-to-end`.
    """

    @classmethod
    def package(cls) -> Path:
        path = cache() / "lab" / "packages" / f"gitlab-ee_{VERSION}_amd64.deb"
        if not path.exists():
            raise RuntimeError(f"no stand-in package at {path}: run `make lab`")
        return path

    def test_1_the_first_run(self):
        self.deployment.write("gitlab.rb", GITLAB_RB)
        self.vars["gitlab_node_health_timeout_s"] = 60
        outcome = self.succeeds(self.deployment.play(given=self.vars))
        print(f"stand-in, first run: {outcome.seconds:.1f} s, {len(outcome.changed)} changed tasks")
        state = self.deployment.state()
        self.assertGreater(len(state["services"]), 5)
        self.assertEqual({service["state"] for service in state["services"]}, {"run"})
        self.assertEqual(state["stamp"], {**state["stamp"], **state["files"], "package": VERSION})

    def test_2_a_second_run_changes_nothing(self):
        before = self.host.ssh("cat /opt/gitlab/service/*/supervise/pid").stdout
        outcome = self.succeeds(self.deployment.play())
        print(f"stand-in, second run: {outcome.seconds:.1f} s, {len(outcome.changed)} changed tasks")
        self.assertEqual(outcome.changed, [])
        self.assertEqual(self.host.ssh("cat /opt/gitlab/service/*/supervise/pid").stdout, before)

    def test_3_what_it_refuses_is_reported(self):
        self.deployment.write("gitlab.rb", GITLAB_RB + "no_such_thing['enable'] = true\n")
        outcome = self.deployment.play()
        self.assertEqual(outcome.code, 2)
        self.assertIn("no_such_thing", outcome.failure)
        self.no_secret(outcome)
        self.deployment.write("gitlab.rb", GITLAB_RB)
        self.succeeds(self.deployment.play())


if __name__ == "__main__":
    main()
