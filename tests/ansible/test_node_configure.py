"""How a node is configured: where files go, in which order steps run, and what counts as health."""

import io
import unittest
from unittest import mock

import plugins

plugins.from_folder("modules")
import node_files
import node_ready
import node_reconfigure
from ansible.module_utils import refarch_node

FQDN = "gitlab.refarch.invalid"
PUBLIC = {f"ssl/{FQDN}.crt": b"crt", f"ssl/{FQDN}.key": b"key", f"ssl/{FQDN}.ca.crt": b"ca"}


def wanted(component, **more):
    return {"component": component, "fqdn": FQDN, "tls": True, "trusted_ca": True, **more}


class Places(unittest.TestCase):
    def test_a_key_is_closed_and_comes_before_its_certificate(self):
        places = node_files.tls_places(wanted("rails"), PUBLIC)
        self.assertEqual(
            [(path, mode) for path, _, mode in places],
            [
                (f"/etc/gitlab/ssl/{FQDN}.ca.crt", 0o644),
                (f"/etc/gitlab/trusted-certs/{FQDN}.ca.crt", 0o644),
                (f"/etc/gitlab/ssl/{FQDN}.key", 0o600),
                (f"/etc/gitlab/ssl/{FQDN}.crt", 0o644),
            ],
        )

    def test_a_load_balancer_has_them_elsewhere_and_trusts_by_its_own_configuration(self):
        paths = [path for path, _, _ in node_files.tls_places(wanted("external_lb", trusted_ca=False), PUBLIC)]
        self.assertEqual(paths, [f"/etc/haproxy/ssl/{FQDN}{end}" for end in (".ca.crt", ".key", ".crt")])

    def test_what_makes_the_node_comes_last_and_is_closed(self):
        files = {"gitlab.rb": b"", "refarch-secrets.json": b"{}"}
        places = node_files.own_places(wanted("gitaly"), files)
        self.assertEqual(places[-1][0], "/etc/gitlab/gitlab.rb")
        self.assertEqual({mode for _, _, mode in places}, {0o600})
        places = node_files.own_places(wanted("object_storage"), {"object-storage.json": b"{}"})
        self.assertEqual(places, [("/etc/refarch/node.json", b"{}", 0o600)])

    def test_a_private_host_key_is_closed_and_its_public_half_is_not(self):
        files = {"ssh/ssh_host_ed25519_key": b"k", "ssh/ssh_host_ed25519_key.pub": b"p"}
        modes = {path: mode for path, _, mode in node_files.ssh_places(wanted("rails"), files)}
        self.assertEqual(modes["/etc/ssh/ssh_host_ed25519_key"], 0o600)
        self.assertEqual(modes["/etc/ssh/ssh_host_ed25519_key.pub"], 0o644)
        self.assertEqual(node_files.ssh_places(wanted("gitaly"), {}), [])

    def test_what_has_to_be_there(self):
        self.assertEqual(refarch_node.needed("internal_lb", FQDN, False), ["haproxy.json"])
        self.assertIn(f"ssl/{FQDN}.key", refarch_node.needed("rails", FQDN, True))


class Hosts(unittest.TestCase):
    BEFORE = "127.0.0.1 localhost\n# kept\n"
    ENTRY = {"address": "198.18.1.2", "names": ["a.invalid", "b.invalid"]}

    def test_the_block_is_written_once_and_replaced(self):
        once = node_files.hosts_with_block(self.BEFORE, [self.ENTRY])
        self.assertEqual(once, self.BEFORE + "# BEGIN refarch\n198.18.1.2 a.invalid b.invalid\n# END refarch\n")
        self.assertEqual(node_files.hosts_with_block(once, [self.ENTRY]), once)
        other = node_files.hosts_with_block(once, [{"address": "198.18.1.3", "names": ["a.invalid"]}])
        self.assertNotIn("198.18.1.2", other)

    def test_nothing_to_say_leaves_nothing(self):
        once = node_files.hosts_with_block(self.BEFORE, [self.ENTRY])
        self.assertEqual(node_files.hosts_with_block(once, []), self.BEFORE)


class Steps(unittest.TestCase):
    """The order of the steps, with programs that are only noted."""

    def steps(self, fails=(), migrated=False, configured=False, left_over=False, known=False, **component):
        asked = {"tls": False, "pgpass": False, "praefect_database": False, "patroni": False, "migrate": False, "primary": None}
        asked |= component
        work, noted = node_reconfigure.Work(asked, io.BytesIO()), []

        def step(*argv, stdin=None, environment=None, may_fail=False):
            # An empty database gets the password of `root` now or never, and never as an argument.
            self.assertEqual(environment, {"GITLAB_ROOT_PASSWORD": "root_password"} if argv[1] == "gitlab:db:configure" else None)
            noted.append(" ".join(argv[:2]))
            if noted[-1] in fails and not may_fail:
                raise node_reconfigure.StepFailed(noted[-1])
            return noted[-1] not in fails

        exists = {node_reconfigure.DATABASE_YML: configured, node_reconfigure.MIGRATE_FILE: left_over}
        with (
            mock.patch.object(work, "step", step),
            mock.patch.object(work, "is_migrated", lambda: noted.append("asked") or migrated),
            mock.patch.object(node_reconfigure, "secret", lambda name: name),
            mock.patch.object(node_reconfigure, "has_pgpass", lambda _: known),
            mock.patch.object(node_reconfigure, "write_file", lambda path, *_: noted.append(f"write {path}")),
            mock.patch.object(node_reconfigure, "remove_file", lambda path: noted.append(f"remove {path}")),
            mock.patch("os.path.exists", lambda path: exists.get(path, False)),
        ):
            work.all()
        return [note.replace("gitlab-ctl ", "").replace("/etc/gitlab/", "") for note in noted]

    def test_most_components_only_reconfigure(self):
        self.assertEqual(self.steps(), ["reconfigure"])

    def test_migrations_past_pgbouncer(self):
        sequence = ["write refarch-migrate.rb", "reconfigure", "gitlab-rake gitlab:db:configure", "remove refarch-migrate.rb",
                    "reconfigure"]  # fmt: skip
        node = {"migrate": True, "primary": "198.18.1.2:5432"}
        self.assertEqual(self.steps(**node), sequence)
        self.assertEqual(self.steps(configured=True, left_over=True, **node), sequence)
        self.assertEqual(self.steps(configured=True, **node), ["reconfigure", "asked", *sequence])
        self.assertEqual(self.steps(configured=True, migrated=True, **node), ["reconfigure", "asked"])

    def test_migrations_where_the_database_is_one_node(self):
        self.assertEqual(self.steps(migrate=True), ["reconfigure", "gitlab-rake gitlab:db:configure"])

    def test_pgbouncer_may_fail_once_and_only_before_its_password_file_is_there(self):
        self.assertEqual(self.steps(pgpass=True), ["reconfigure", "write-pgpass", "reconfigure"])
        self.assertEqual(self.steps(pgpass=True, known=True), ["reconfigure"])

    def test_praefects_database_comes_after_postgresql(self):
        self.assertEqual(self.steps(praefect_database=True), ["reconfigure", "gitlab-psql -d"])

    def test_a_leader_without_replicas_shortens_their_clones_and_may_fail_to(self):
        self.assertEqual(self.steps(patroni=True), ["reconfigure", "gitlab-psql -d"])
        self.assertEqual(self.steps(patroni=True, fails=("gitlab-psql -d",)), ["reconfigure", "gitlab-psql -d"])

    def test_a_failed_step_ends_the_sequence(self):
        with self.assertRaises(node_reconfigure.StepFailed):
            self.steps(fails=("gitlab-rake gitlab:db:configure",), migrate=True)


class Texts(unittest.TestCase):
    def test_what_a_database_says_of_its_migrations(self):
        up, down = "   up     20260101000000  A\n", "  down    20260101000001  B\n"
        self.assertTrue(node_reconfigure.is_all_up(0, f"\ndatabase: main\n\n Status   Migration ID\n-----\n{up}{up}"))
        self.assertFalse(node_reconfigure.is_all_up(0, up + down))
        self.assertFalse(node_reconfigure.is_all_up(1, up))
        self.assertFalse(node_reconfigure.is_all_up(0, ""))

    def test_the_way_past_pgbouncer_is_valid_ruby(self):
        text = node_reconfigure.past_pgbouncer("198.18.1.2:5432")
        self.assertIn("gitlab_rails['db_host'] = '198.18.1.2'\n", text)
        self.assertIn("gitlab_rails['db_port'] = 5432\n", text)

    def test_a_quote_in_a_password_ends_nothing(self):
        self.assertIn("PASSWORD 'a''b'", node_reconfigure.praefect_sql("a'b"))

    def test_a_long_output_is_cut_to_where_it_went_wrong_and_its_end(self):
        lines = [f"progress {n}" for n in range(100)] + ["FATAL: no"] + [f"after {n}" for n in range(100)]
        shown = node_reconfigure.excerpt(lines)
        self.assertEqual(shown[0], "FATAL: no")
        self.assertEqual(shown[-1], "after 99")
        self.assertLess(len(shown), 60)

    def test_listening_ports(self):
        head = "  sl  local_address rem_address   st\n"
        listens = "   0: 00000000:1F90 00000000:0000 0A 0\n"
        talks = "   1: 0100007F:0050 0100007F:C000 01 0\n"
        self.assertEqual(node_ready.parse_listening(head + listens + talks), {8080})


if __name__ == "__main__":
    unittest.main()
