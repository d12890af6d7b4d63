"""What refarch would render for one all-in-one node: inventory and files, and runs of the playbooks on them."""

from __future__ import annotations

import atexit
import copy
import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from nspawn import Host, run

HERE = Path(__file__).resolve().parent
PROJECT = HERE.parent.parent
FQDN = "gitlab.refarch.invalid"
VERSION = "18.11.2-ee.0"
# Stand for secrets: no event and no line of Ansible's output may hold one of them.
SECRETS = ["s3cret-of-refarch-file", "s3cret-db-key-base", "s3cret-that-node-holds"]


@dataclass
class Outcome:
    code: int
    output: str
    events: list[dict]
    seconds: float

    @property
    def changed(self) -> list[str]:
        return [event["task"] for event in self.events if event["type"] == "host_changed"]

    @property
    def failure(self) -> str:
        """The messages of what failed, and a hint at the output where nothing did."""
        failed = [e.get("msg", "") for e in self.events if e["type"] in ("host_failed", "host_unreachable")]
        return "\n".join(failed) or f"nothing failed; the end of the output: {self.output[-1500:]}"


class Deployment:
    """A work directory beside the host: what `bind` writes, by the same names."""

    def __init__(self, host: Host, package: Path, package_name: str = "gitlab-ee", version: str = VERSION):
        self.host = host
        self.folder = Path(tempfile.mkdtemp(prefix="refarch-work-"))
        atexit.register(self.close)
        self.files = self.folder / "files" / host.name
        (self.files / "ssl").mkdir(parents=True)
        self.fetched = self.folder / "fetched" / host.name / "gitlab-secrets.json"
        self.write("gitlab.rb", "# quiet\n")
        self.write("refarch-secrets.json", json.dumps({"root_password": SECRETS[0]}))
        self.write("gitlab-secrets.json", json.dumps({"gitlab_rails": {"db_key_base": SECRETS[1]}}))
        make_certificates(self.files / "ssl")
        self.vars = {
            "gitlab_node_deployment": {"name": "demo", "suffix": "a1b2c3"},
            "gitlab_node_component": "all_in_one",
            "gitlab_node_package": {
                "name": package_name,
                "version": version,
                "source": {"file": {"path": str(package), "sha256": sha256(package)}},
            },
            "gitlab_node_files": str(self.files),
            "gitlab_node_fetch_to": str(self.folder / "fetched"),
            "gitlab_node_fqdn": FQDN,
            "gitlab_node_tls": True,
            "gitlab_node_data_disks": [
                {"name": "data", "path": "/dev/refarch/data", "size_gb": 1, "mount": "/var/opt/gitlab", "expected_uuid": None}
            ],
            "gitlab_node_machine": {"vcpu": 8, "memory_gb": 16, "root_disk_gb": 50, "simulated": "size is simulated by a test"},
            "gitlab_node_health": {
                "url": f"https://{FQDN}/-/readiness?all=1",
                "resolve": f"{FQDN}:443:127.0.0.1",
                "ca": f"/etc/gitlab/ssl/{FQDN}.ca.crt",
            },
            "gitlab_node_health_timeout_s": 20,
        }

    def close(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)

    def write(self, name: str, text: str) -> None:
        path = self.files / name
        path.write_text(text)
        path.chmod(0o600)

    def with_disk(self, **changes) -> dict:
        """Variables in which the data disk differs."""
        changed = copy.deepcopy(self.vars)
        changed["gitlab_node_data_disks"][0].update(changes)
        return changed

    def prepare_run(self, playbook: str, given: dict | None) -> tuple[list[str], dict[str, str], Path]:
        names = dict(given or self.vars, ansible_user="root", ansible_python_interpreter="/usr/bin/python3")
        inventory = self.folder / "inventory.json"
        inventory.write_text(json.dumps({"all_in_one": {"hosts": {self.host.name: names}}}))
        events = self.folder / "events.jsonl"
        events.unlink(missing_ok=True)
        env = {key: os.environ[key] for key in ("PATH", "HOME") if key in os.environ}
        env |= {
            "LC_ALL": "C.UTF-8",
            "ANSIBLE_CONFIG": str(HERE / "ansible.cfg"),
            "ANSIBLE_HOME": str(self.folder / "ansible"),
            "ANSIBLE_SSH_ARGS": f"-F {self.host.ssh_config} -o ControlMaster=auto -o ControlPersist=30s",
            "ANSIBLE_SSH_CONTROL_PATH_DIR": str(self.folder / "cp"),
            "REFARCH_ANSIBLE_EVENTS": str(events),
        }
        argv = ["ansible-playbook", "--inventory", str(inventory), str(PROJECT / "playbooks" / playbook)]
        return argv, env, events

    def play(self, playbook: str = "site.yml", given: dict | None = None) -> Outcome:
        argv, env, events = self.prepare_run(playbook, given)
        began = time.monotonic()
        with open(self.folder / "output", "w+", encoding="utf-8") as output:
            child = subprocess.Popen(
                argv, env=env, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
            )
            try:
                child.wait()
            except BaseException:
                # On SIGINT Ansible ends its workers, which would else go on and write into a folder that is being removed.
                child.send_signal(signal.SIGINT)
                child.wait(60)
                raise
            seconds = time.monotonic() - began
            output.seek(0)
            return Outcome(child.returncode, output.read(), read_events(events), seconds)

    def start(self, given: dict | None = None) -> tuple[subprocess.Popen[bytes], Path]:
        """A run that the test goes on to kill; in a session of its own, as refarch starts it."""
        argv, env, events = self.prepare_run("site.yml", given)
        child = subprocess.Popen(
            argv, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
        )
        return child, events

    def state(self) -> dict:
        """What node_state reads, asked without a playbook, which takes several times as long. One test plays probe.yml."""
        given = [self.vars["gitlab_node_component"], "gitlab-ee", FQDN if self.vars["gitlab_node_tls"] else None]
        asked = {"plugins": node_state_source(), "given": [*given, self.vars["gitlab_node_data_disks"]]}
        found = run(
            "ssh", "-F", self.host.ssh_config, "-o", "BatchMode=yes", self.host.name, "python3 -", text_in=ASK + repr(asked) + ")"
        )  # fmt: skip
        return json.loads(found.stdout)


# Stands for what Ansible wraps around a module, for one that is only asked for its functions.
ASK = """
import json, sys, types
def ask(plugins, given):
    shared = ["ansible.module_utils.refarch_node", "ansible.module_utils.refarch_host", "node_state"]
    for name in ["ansible", "ansible.module_utils", "ansible.module_utils.basic", *shared]:
        sys.modules[name] = types.ModuleType(name)
    sys.modules["ansible.module_utils.basic"].AnsibleModule = None
    for name, source in zip(shared, plugins):
        exec(source, sys.modules[name].__dict__)
    component, package, fqdn, disks = given
    module = sys.modules["node_state"]
    certificate = module.certificate_path(component, fqdn) if fqdn else None
    print(json.dumps(module.read_state(component, package, certificate, disks)))
ask(**"""


def node_state_source() -> list[str]:
    names = ("module_utils/refarch_node.py", "module_utils/refarch_host.py", "modules/node_state.py")
    return [(PROJECT / "plugins" / name).read_text() for name in names]


def read_events(path: Path) -> list[dict]:
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text().splitlines()]


def sha256(path: Path) -> str:
    return run("sha256sum", path).stdout.split()[0]


def make_certificates(folder: Path) -> None:
    """A certificate authority and a certificate of it, as `tls: {private_ca}` gives them."""
    name = folder / FQDN
    ca_key, request = folder / "ca.key", folder / "request"
    run("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=test CA", "-keyout", ca_key,
        "-out", f"{name}.ca.crt")  # fmt: skip
    run("openssl", "req", "-new", "-newkey", "rsa:2048", "-nodes", "-subj", f"/CN={FQDN}", "-addext", f"subjectAltName=DNS:{FQDN}",
        "-keyout", f"{name}.key", "-out", request)  # fmt: skip
    run("openssl", "x509", "-req", "-in", request, "-CA", f"{name}.ca.crt", "-CAkey", ca_key, "-CAcreateserial", "-days", "2",
        "-copy_extensions", "copy", "-out", f"{name}.crt")  # fmt: skip
    for leftover in (ca_key, request, Path(f"{name}.ca.srl")):
        leftover.unlink(missing_ok=True)


def secrets_in(text: str) -> list[str]:
    return [secret for secret in SECRETS if re.search(re.escape(secret), text)]
