"""What a node's component adds to its configuration, and the nodes that carry no GitLab, on real hosts."""

from __future__ import annotations

import http.server
import json
import ssl
import threading

from deployment import FQDN, SECRETS, sha256
from nspawn import run
from onahost import NODE, OnAHost, main, wait_until

CALLS = "/var/log/gitlab/fixture-calls"
WRITE_PGPASS = "write-pgpass --host 127.0.0.1 --database pgbouncer --user pgbouncer --hostuser gitlab-consul"


class Steps(OnAHost):
    """What a component asks for around `gitlab-ctl reconfigure`, in its order, and again wherever it was ended."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.deployment.vars.update(gitlab_node_data_disks=[])

    def becomes(self, component: str, **more) -> list[str]:
        """Configures the node as another component, and says what was called for it."""
        self.host.ssh(f"rm -f {CALLS}")
        outcome = self.succeeds(self.deployment.play(given={**self.vars, "gitlab_node_component": component, **more}))
        print(f"as {component}: {outcome.seconds:.1f} s")
        return self.host.ssh(f"cat {CALLS}").stdout.splitlines()

    def as_deploy_node(self, **more) -> list[str]:
        return self.becomes("rails", gitlab_node_is_deploy_node=True, gitlab_node_migrate_from=NODE, **more)

    def test_1_the_deploy_node_migrates_past_pgbouncer(self):
        calls = self.as_deploy_node()
        self.assertEqual(calls, ["reconfigure past PgBouncer", "rake gitlab:db:configure", "reconfigure"])
        used = self.host.ssh("cat /var/opt/gitlab/fixture-migrated").stdout
        self.assertIn("gitlab_rails['db_host'] = '198.18.0.99'", used)
        self.assertIn("gitlab_rails['db_port'] = 5432", used)
        self.assertEqual(self.host.ssh("ls /etc/gitlab/refarch-migrate.rb", check=False).returncode, 2)
        self.assertEqual(self.deployment.state()["files"]["gitlab_rb"], sha256(self.deployment.files / "gitlab.rb"))

    def test_2_migrations_that_ran_are_asked_for_and_not_run_again(self):
        self.deployment.write("gitlab.rb", "# changed\n")
        self.assertEqual(self.as_deploy_node(), ["reconfigure", "rake db:migrate:status"])
        self.host.ssh("rm /var/opt/gitlab/fixture-migrated")
        self.deployment.write("gitlab.rb", "# changed again\n")
        again = ["reconfigure past PgBouncer", "rake gitlab:db:configure", "reconfigure"]
        self.assertEqual(self.as_deploy_node(), ["reconfigure", "rake db:migrate:status", *again])

    def test_3_a_sequence_that_was_ended_in_its_middle_is_run_again(self):
        self.host.ssh("touch /etc/gitlab/refarch-migrate.rb && rm /etc/gitlab/refarch-stamp.json")
        again = ["reconfigure past PgBouncer", "rake gitlab:db:configure", "reconfigure"]
        self.assertEqual(self.as_deploy_node(), again)

    def test_4_other_rails_nodes_migrate_nothing_and_share_host_keys(self):
        keys = self.deployment.files / "ssh"
        keys.mkdir()
        run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", keys / "ssh_host_ed25519_key")
        public = (keys / "ssh_host_ed25519_key.pub").read_text()
        with (self.host.folder / "known_hosts").open("a") as known:
            known.write(f"{self.host.address} {public}")
        hosts = [{"address": "198.18.0.1", "names": [FQDN, "other.invalid"]}]
        calls = self.becomes("rails", gitlab_node_hosts_entries=hosts, gitlab_node_trusted_ca=True)
        self.assertEqual(calls, ["reconfigure"])
        shown = run("ssh-keyscan", "-t", "ed25519", self.host.address).stdout
        self.assertIn(public.split()[1], shown)
        self.assertIn(f"198.18.0.1 {FQDN} other.invalid", self.host.ssh("cat /etc/hosts").stdout.splitlines())
        self.assertIn("authorized-keys-check git", self.host.ssh("sshd -T -C user=git,host=a,addr=198.18.0.1").stdout)
        trusted = self.host.ssh(f"cat /etc/gitlab/trusted-certs/{FQDN}.ca.crt").stdout
        self.assertEqual(trusted, (self.deployment.files / "ssl" / f"{FQDN}.ca.crt").read_text())
        self.assertEqual(self.host.ssh("stat -c %a /etc/ssh/ssh_host_ed25519_key").stdout, "600\n")

    def test_5_pgbouncer_gets_its_password_file_between_two_reconfigures(self):
        password = {"pgbouncer_password": SECRETS[0]}
        self.deployment.write("refarch-secrets.json", json.dumps(password))
        self.deployment.write("gitlab.rb", "# pgbouncer\n")
        ports = {"gitlab_node_pgpass": True, "gitlab_node_health": {"kind": "ports", "ports": [443]}}
        self.assertEqual(self.becomes("pgbouncer", **ports), ["reconfigure", WRITE_PGPASS, "reconfigure"])
        pgpass = self.host.ssh("cat /var/opt/gitlab/consul/.pgpass").stdout
        self.assertTrue(pgpass.endswith(f":pgbouncer:pgbouncer:{SECRETS[0]}\n"))
        self.deployment.write("gitlab.rb", "# pgbouncer\n# changed\n")
        self.assertEqual(self.becomes("pgbouncer", **ports), ["reconfigure"])
        self.assertNotIn(SECRETS[0], self.host.ssh("cat /var/log/gitlab/refarch-reconfigure.log").stdout)

    def test_6_praefects_database_is_made_by_its_hash(self):
        self.deployment.write("refarch-secrets.json", json.dumps({"praefect_sql_password_md5": SECRETS[1]}))
        calls = self.becomes("praefect_postgres", gitlab_node_praefect_database=True)
        self.assertEqual(calls, ["reconfigure", "psql -d template1 -X -q -v ON_ERROR_STOP=1"])
        self.assertIn(f"PASSWORD 'md5{SECRETS[1]}'", self.host.ssh("cat /var/log/gitlab/fixture-sql").stdout)

    def test_7_a_member_of_patroni_is_asked_for_a_checkpoint(self):
        calls = self.becomes("postgres")
        self.assertEqual(calls, ["reconfigure", "psql -d postgres -X -q -t -A"])
        self.assertIn("CHECKPOINT;", self.host.ssh("cat /var/log/gitlab/fixture-sql").stdout)

    def test_8_a_port_that_nothing_listens_on_is_not_healthy(self):
        health = {"kind": "ports", "ports": [443, 4242]}
        given = {**self.vars, "gitlab_node_component": "gitaly", "gitlab_node_health": health, "gitlab_node_health_timeout_s": 2}
        outcome = self.deployment.play(given=given)
        self.assertEqual(outcome.code, 2)
        self.assertRegex(outcome.failure, "nothing listens on port 4242")


class Upstream(http.server.BaseHTTPRequestHandler):
    """Stands for a Rails node: its readiness, and what it is told of the client."""

    ready = True

    def do_GET(self):
        readiness = self.path == "/-/readiness"
        self.send_response(200 if self.ready or not readiness else 503)
        self.end_headers()
        self.wfile.write(json.dumps({"from": self.headers["X-Forwarded-For"], "host": self.headers["Host"]}).encode())

    def log_message(self, *_):
        pass


class LoadBalancer(OnAHost):
    """The real HAProxy in front of a server that speaks TLS with the deployment's certificate."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.certificate = cls.deployment.files / "ssl" / FQDN
        cls.upstream = http.server.ThreadingHTTPServer((cls.host.gateway, 0), Upstream)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(f"{cls.certificate}.crt", f"{cls.certificate}.key")
        cls.upstream.socket = context.wrap_socket(cls.upstream.socket, server_side=True, do_handshake_on_connect=False)
        threading.Thread(target=cls.upstream.serve_forever, daemon=True).start()
        cls.addClassCleanup(cls.upstream.server_close)
        cls.addClassCleanup(cls.upstream.shutdown)
        cls.deployment.vars.update(
            gitlab_node_component="external_lb", gitlab_node_data_disks=[], gitlab_node_health={"kind": "ports", "ports": [80, 443]}
        )
        cls.write_config(cls.upstream.server_port)

    @classmethod
    def write_config(cls, port: int, balance: str = "leastconn") -> None:
        check = {"kind": "http", "path": "/-/readiness", "host": FQDN, "tls": True}
        servers = [{"name": "demo-rails-1", "address": cls.host.gateway, "port": port}]
        backend = {"mode": "http", "balance": balance, "options": [], "track": None, "tls": True, "inter_s": 1, "fall": 1, "rise": 1}
        tcp = {**backend, "name": "ssh", "mode": "tcp", "tls": False, "track": "rails", "check": {"kind": "tcp"}, "servers": servers}
        front = {"tls": False, "options": [], "redirect_to_https": False}
        config = {
            "frontends": [
                {**front, "name": "http", "mode": "http", "port": 80, "redirect_to_https": True, "backend": None},
                {**front, "name": "https", "mode": "http", "port": 443, "tls": True, "backend": "rails"},
                {**front, "name": "ssh", "mode": "tcp", "port": 2022, "options": ["clitcpka"], "backend": "ssh"},
            ],
            "backends": [{**backend, "name": "rails", "check": check, "servers": servers}, tcp],
            "stats_socket": "/run/haproxy/admin.sock",
        }
        cls.deployment.write("haproxy.json", json.dumps(config))

    def get(self, url: str) -> str:
        argv = ["curl", "--silent", "--show-error", "--max-time", "10", "--cacert", f"{self.certificate}.ca.crt"]
        argv += ["--resolve", f"{FQDN}:443:{self.host.address}", "--resolve", f"{FQDN}:80:{self.host.address}"]
        return run(*argv, "--write-out", "\n%{http_code} %{redirect_url}", url, check=False).stdout

    def main_process(self) -> str:
        return self.host.ssh("systemctl show --property MainPID --value haproxy").stdout

    def servers(self) -> list[str]:
        """Name and health of each server, as HAProxy's socket tells it."""
        script = "import socket; s = socket.socket(socket.AF_UNIX); s.connect('/run/haproxy/admin.sock'); "
        script += "s.sendall(b'show stat\\n'); print(s.makefile().read())"
        lines = [line.split(",") for line in self.host.ssh(f'python3 -c "{script}"').stdout.splitlines()]
        return [f"{line[0]}/{line[1]} {line[17]}" for line in lines if len(line) > 17 and line[1].startswith("demo-")]

    def test_1_it_ends_tls_and_speaks_it_again(self):
        outcome = self.succeeds(self.deployment.play())
        print(f"load balancer: {outcome.seconds:.1f} s")
        wait_until(lambda: "rails/demo-rails-1 UP" in self.servers(), 20, "a healthy backend")
        body, answer = self.get(f"https://{FQDN}/").rsplit("\n", 1)
        self.assertEqual(answer.strip(), "200")
        self.assertEqual(json.loads(body), {"from": self.host.gateway, "host": FQDN})
        self.assertIn(f"301 https://{FQDN}/a", self.get(f"http://{FQDN}/a"))
        state = self.deployment.state()
        self.assertEqual([(s["name"], s["state"]) for s in state["services"]], [("haproxy", "run")])
        self.assertEqual({key: state["stamp"][key] for key in state["files"]}, state["files"])
        self.assertEqual(state["files"]["data"], sha256(self.deployment.files / "haproxy.json"))
        self.assertEqual(self.host.ssh(f"stat -c %a /etc/haproxy/ssl/{FQDN}.key").stdout, "600\n")

    def test_2_a_second_run_changes_nothing(self):
        before = self.main_process()
        self.assertEqual(self.succeeds(self.deployment.play()).changed, [])
        self.assertEqual(self.main_process(), before)

    def test_3_what_is_unhealthy_is_out_in_every_backend(self):
        Upstream.ready = False
        self.addCleanup(setattr, Upstream, "ready", True)
        wait_until(lambda: self.servers()[0] == "rails/demo-rails-1 DOWN", 20, "an unhealthy backend")
        self.assertEqual(self.servers()[1], "ssh/demo-rails-1 DOWN")
        self.assertIn("503", self.get(f"https://{FQDN}/"))

    def test_4_a_wrong_configuration_takes_nobodys_place(self):
        self.write_config(self.upstream.server_port, balance="by-chance")
        outcome = self.deployment.play()
        self.assertEqual(outcome.code, 2)
        for word in (NODE, "goes on with the old one", "balance only supports"):
            self.assertIn(word, outcome.failure)
        self.assertIn("200", self.get(f"https://{FQDN}/"))
        self.assertIsNone(self.deployment.state()["stamp"])

    def test_5_a_changed_configuration_is_reloaded(self):
        before = self.main_process()
        self.write_config(self.upstream.server_port, balance="roundrobin")
        self.succeeds(self.deployment.play())
        self.assertEqual(self.main_process(), before)
        self.assertIn("balance roundrobin", self.host.ssh("cat /etc/haproxy/haproxy.cfg").stdout)


class ObjectStorage(OnAHost):
    """The lab's S3 server, with its buckets."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.deployment.vars.update(
            gitlab_node_component="object_storage", gitlab_node_tls=False, gitlab_node_health={"kind": "ports", "ports": [9000]}
        )
        cls.deployment.vars["gitlab_node_data_disks"][0]["mount"] = "/var/lib/refarch-object-storage"
        data = {"version": 1, "port": 9000, "access_key": "fixture", "secret_key": SECRETS[2], "buckets": ["demo-lfs", "demo-uploads"]}
        cls.deployment.write("object-storage.json", json.dumps(data))

    def curl(self, secret: str, *argv: str) -> str:
        """Signed as S3 wants it, by curl on the host itself."""
        given = ["curl", "--silent", "--aws-sigv4", "aws:amz:us-east-1:s3", "--user", f"fixture:{secret}", *argv]
        return self.host.ssh(" ".join(f"'{word}'" for word in given)).stdout

    def test_1_it_serves_the_buckets_to_whom_has_the_keys(self):
        self.succeeds(self.deployment.play())
        listed = self.curl(SECRETS[2], "http://127.0.0.1:9000/")
        self.assertIn("<Name>demo-lfs</Name>", listed)
        self.assertIn("<Name>demo-uploads</Name>", listed)
        self.curl(SECRETS[2], "-X", "PUT", "--data-binary", "kept", "http://127.0.0.1:9000/demo-lfs/a/b")
        self.assertEqual(self.curl(SECRETS[2], "http://127.0.0.1:9000/demo-lfs/a/b"), "kept")
        self.assertIn("SignatureDoesNotMatch", self.curl("another", "http://127.0.0.1:9000/demo-lfs/a/b"))
        self.assertEqual(self.host.ssh("stat -c %a /etc/refarch/object-storage.env /etc/refarch/node.json").stdout, "600\n600\n")

    def test_2_a_second_run_changes_nothing_and_keeps_the_objects(self):
        self.assertEqual(self.succeeds(self.deployment.play()).changed, [])
        self.assertEqual(self.curl(SECRETS[2], "http://127.0.0.1:9000/demo-lfs/a/b"), "kept")
        state = self.deployment.state()
        self.assertEqual([(s["name"], s["state"]) for s in state["services"]], [("versitygw", "run")])
        self.assertEqual({key: state["stamp"][key] for key in state["files"]}, state["files"])


if __name__ == "__main__":
    main()
