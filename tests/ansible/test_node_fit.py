"""Which nodes are refused before anything is written to them."""

import copy
import unittest

import plugins

plugins.from_folder("action")
import node_fit

GIB = 1024**3
FACTS = {"title": "Debian 13", "first_gitlab": "18.5.0", "architectures": ["amd64", "arm64"]}
MARKER = {"deployment": "demo", "suffix": "a1b2c3", "component": "gitaly", "uuid": "u", "built": True}
EMPTY = {"name": "data", "present": True, "signature": None, "uuid": None, "mounted": False, "marker": None,
         "size_bytes": 100 * GIB, "covers": []}  # fmt: skip
OURS = {**EMPTY, "signature": "ext4", "uuid": "u", "marker": MARKER}


class Fit(unittest.TestCase):
    def setUp(self):
        self.wanted = {
            "found": {
                "os": {"id": "debian", "version": "13", "architecture": "amd64"},
                "package": {"name": "gitlab-ee", "installed": None, "held": False},
                "gitlabs": [],
                "data_disks": [copy.deepcopy(EMPTY)],
            },
            "who": "demo-gitaly-1",
            "node": "demo-gitaly-1",
            "identity": {"name": "demo", "suffix": "a1b2c3"},
            "component": "gitaly",
            "package": {"name": "gitlab-ee", "version": "18.11.2-ee.0"},
            "data_disks": [{"name": "data", "path": "/dev/x", "mount": "/var/opt/gitlab", "size_gb": 100, "expected_uuid": None}],
            "systems": str(plugins.PLUGINS.parent / "roles" / "gitlab_node" / "systems"),
        }

    def refused(self, facts=FACTS):
        return "\n".join(node_fit.refusals(self.wanted, facts))

    def disk(self, wanted=None, **found):
        self.wanted["found"]["data_disks"] = [{**EMPTY, **found}]
        self.wanted["data_disks"][0].update(wanted or {})
        return self.refused()

    def test_an_empty_node_and_this_deployments_own_are_taken(self):
        self.assertEqual(self.refused(), "")
        self.assertEqual(self.disk(**OURS), "")
        self.assertEqual(self.disk(wanted={"expected_uuid": "u"}, **OURS), "")

    def test_an_operating_system_without_support_names_those_that_have_it(self):
        self.assertIn("debian-12, debian-13, ubuntu-22.04, ubuntu-24.04", self.refused(facts=None))

    def test_a_gitlab_without_a_package_for_the_system(self):
        self.wanted["package"]["version"] = "18.4.9-ee.0"
        self.assertIn("from 18.5.0 on", self.refused())
        self.wanted["package"]["version"] = "18.5.0-ee.0"
        self.assertEqual(self.refused(), "")
        self.wanted["found"]["os"]["architecture"] = "riscv64"
        self.assertIn("riscv64", self.refused())

    def test_another_gitlab_than_the_wanted_one(self):
        for version, word in (("18.11.1-ee.0", "not built yet"), ("19.3.0-ee.0", "downgraded")):
            self.wanted["found"]["gitlabs"] = [{"name": "gitlab-ee", "version": version}]
            self.assertIn(word, self.refused())
        self.wanted["found"]["gitlabs"] = [{"name": "gitlab-ce", "version": "18.11.2-ce.0"}]
        self.assertIn("gitlab-ce", self.refused())
        self.wanted["found"]["gitlabs"] = [{"name": "gitlab-ee", "version": "18.11.2-ee.0"}]
        self.assertEqual(self.refused(), "")

    def test_a_node_without_gitlab_needs_no_package_of_it(self):
        self.wanted["found"]["package"]["name"] = "haproxy"
        self.wanted["package"]["version"] = "1.0.0-ee.0"
        self.assertEqual(self.refused(), "")

    def test_a_missing_disk_and_one_of_another_size(self):
        self.assertIn("no block device", self.disk(present=False))
        self.assertIn("should have 100", self.disk(size_bytes=98 * GIB))
        self.assertEqual(self.disk(size_bytes=int(99.5 * GIB)), "")

    def test_somebody_elses_data(self):
        self.assertIn("not empty", self.disk(signature="ext4", uuid="v"))
        self.assertIn("more than one signature", self.disk(signature="ambivalent"))
        for other in ({"deployment": "x"}, {"suffix": "x"}, {"component": "rails"}, {"uuid": "x"}):
            self.assertIn("not empty", self.disk(**{**OURS, "marker": {**MARKER, **other}}))

    def test_expected_data_that_is_gone(self):
        for found in ({}, {"signature": "ext4", "uuid": "v"}, {**OURS, "marker": None}):
            self.assertIn("--accept-data-loss demo-gitaly-1", self.disk(wanted={"expected_uuid": "u"}, **found))

    def test_files_that_a_disk_would_hide(self):
        self.assertIn(".precious", self.disk(covers=[".precious"]))


if __name__ == "__main__":
    unittest.main()
