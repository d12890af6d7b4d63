#!/usr/bin/env python3
"""All tools of a run at once, over nodes that are files: what a run did to them outlives the run, as real nodes would.

Terraform has nothing to do; Ansible prepares and configures nodes, one small act at a time, and notes each in `log`. A
node adds a key of its own to gitlab-secrets.json if nobody gave it that key, as the package does.
"""

import hashlib
import json
import os
import random
import sys
import time
from datetime import datetime, timezone
from pathlib import Path

BIN = Path(sys.argv[0]).parent
WORLD = BIN / "world"
RECORDINGS = Path((BIN / "recordings").read_text())
PAUSE = 0.002


def recorded(play):
    sys.stdout.write((RECORDINGS / play / "stdout").read_text())


def sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.exists() else None


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    other = path.with_name(f".{path.name}.{os.getpid()}")
    other.write_text(text)
    os.chmod(other, 0o600)
    other.replace(path)


def inventory(folder):
    found = {}
    tree = json.loads((folder / "inventory.json").read_text())["all"]
    for group in tree["children"].values():
        for name, own in group["hosts"].items():
            found[name] = {**tree["vars"], **own}
    return found


def note(what, node):
    with open(WORLD / "log", "a", encoding="utf-8") as log:
        log.write(f"{what} {node}\n")


class Node:
    """A node: what was done to it lies in its folder."""

    def __init__(self, folder, name, own):
        self.name, self.own, self.files = name, own, folder / "files" / name
        self.fetched = folder / "fetched" / name / "gitlab-secrets.json"
        self.here = WORLD / name
        self.secrets = self.here / "gitlab-secrets.json"
        self.is_plain = own["gitlab_node_component"] in ("external_lb", "internal_lb", "object_storage")

    def hashes(self):
        """What a configuration with the files of now would leave on the node."""
        host = self.own["gitlab_node_fqdn"]
        certificate = sha256(self.files / "ssl" / f"{host}.crt") if self.own["gitlab_node_tls"] else None
        if self.is_plain:
            kind = "object-storage" if self.own["gitlab_node_component"] == "object_storage" else "haproxy"
            return {"data": sha256(self.files / f"{kind}.json"), "rendered": "made", "certificate": certificate}
        return {
            "gitlab_rb": sha256(self.files / "gitlab.rb"),
            "refarch_secrets": sha256(self.files / "refarch-secrets.json"),
            "certificate": certificate,
        }

    def prepare(self):
        write(self.here / "prepared", "")

    def configure(self):
        assert (self.here / "prepared").exists(), f"{self.name} was not prepared"
        (self.here / "stamp").unlink(missing_ok=True)
        yield
        found = self.hashes()
        if not self.is_plain:
            self.merge()
            yield
            write(self.fetched, self.secrets.read_text())
            found["gitlab_secrets"] = sha256(self.secrets)
        if (self.files / "ssh").is_dir():
            write(self.here / "host-key", (self.files / "ssh" / "ssh_host_ed25519_key.pub").read_text())
        yield
        write(self.here / "stamp", json.dumps(found))

    def merge(self):
        own = json.loads(self.secrets.read_text()) if self.secrets.exists() else {}
        brought = self.files / "gitlab-secrets.json"
        for section, keys in (json.loads(brought.read_text()) if brought.exists() else {}).items():
            for key, value in keys.items():
                assert own.setdefault(section, {}).setdefault(key, value) == value, f"{section}.{key} differs"
        own.setdefault("package", {}).setdefault("added", f"{random.getrandbits(128):032x}")
        own.setdefault("letsencrypt", {})["auto_enabled"] = True
        write(self.secrets, json.dumps(own))

    def state(self):
        stamp = self.here / "stamp"
        files = json.loads(stamp.read_text()) if stamp.exists() else {}
        if self.secrets.exists():
            files["gitlab_secrets"] = sha256(self.secrets)
        is_there = (self.here / "prepared").exists()
        version = "3.0" if self.is_plain else self.own["gitlab_node_package"]["version"]
        suffix = self.own["gitlab_node_deployment"]["suffix"]
        identity = {"deployment": self.own["gitlab_node_deployment"]["name"], "suffix": suffix}
        uuid = f"uuid-of-{self.name}"
        return {
            "version": 2,
            "package": {"installed": version if is_there else None, "held": is_there},
            "files": files,
            "services": [{"name": "service", "state": "run", "since_s": 60}] if stamp.exists() else [],
            "stamp": {**identity, "package": version, **files} if stamp.exists() else None,
            "data_disks": [
                {
                    "name": disk["name"],
                    "present": True,
                    "signature": "ext4" if is_there else None,
                    "uuid": uuid if is_there else None,
                    "mounted": is_there,
                    "marker": {**identity, "uuid": uuid, "built": False} if is_there else None,
                }
                for disk in self.own["gitlab_node_data_disks"]
            ],
            "os": {"id": "debian", "version": "13", "architecture": "amd64"},
            "memory_gb": 8.0,
            "vcpu": 2,
            "space": [],
            "certificate": None,
            "clock": {"epoch_s": time.time(), "synchronized": None},
        }


def emit(kind, **fields):
    now = datetime.now(timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    with open(os.environ["REFARCH_ANSIBLE_EVENTS"], "a", encoding="utf-8") as events:
        events.write(json.dumps({"v": 1, "time": now, "type": kind, **fields}) + "\n")
    time.sleep(PAUSE)


def play(playbook, limit):
    folder = Path.cwd()
    hosts = inventory(folder)
    nodes = [Node(folder, name, own) for name, own in hosts.items() if limit is None or name in limit]
    about = {"play": playbook, "task": playbook, "uuid": "1", "path": f"{playbook}:1"}
    emit("playbook_start", path=playbook)
    emit("play_start", play=playbook, uuid="0")
    emit("task_start", **about)
    for node in nodes:
        emit("host_start", host=node.name, **about)
    dying = WORLD / "dying"
    dead = dying.read_text() if dying.exists() and playbook == "configure.yml" else None
    if any(node.name == dead for node in nodes):
        emit("host_unreachable", host=dead, duration_s=0.01, msg="it went away", **about)
        nodes = [node for node in nodes if node.name != dead]
    # Each act is one of all nodes, so that a kill meets every one of them half done.
    acts = {node.name: node.configure() for node in nodes} if playbook == "configure.yml" else {}
    while acts:
        for name in list(acts):
            try:
                next(acts[name])
                time.sleep(PAUSE / 4)
            except StopIteration:
                del acts[name]
                note("configure", name)
    for node in nodes:
        more = {}
        if playbook == "probe.yml":
            more["state"] = node.state()
        elif playbook == "prepare.yml":
            node.prepare()
            note("prepare", node.name)
        elif playbook == "fetch_secrets.yml":
            write(node.fetched, node.secrets.read_text())
        emit("host_ok", host=node.name, duration_s=0.01, **about, **more)
    counts = dict.fromkeys(("changed", "unreachable", "failures", "skipped", "rescued", "ignored"), 0)
    stats = {node.name: {"ok": 1, **counts} for node in nodes}
    is_hit = dead is not None and (limit is None or dead in limit)
    emit("stats", stats={**stats, dead: {"ok": 0, **counts, "unreachable": 1}} if is_hit else stats)
    sys.exit(4 if is_hit else 0)


def terraform(command):
    if command == "plan":
        Path("refarch.tfplan").write_text("a plan")
    if command != "output":
        return recorded(f"terraform/{command}" + ("-nothing" if command in ("plan", "show") else ""))
    nodes = json.loads((WORLD / "nodes.json").read_text())
    address = {name: f"198.18.9.{10 + number}" for number, name in enumerate(nodes)}
    access = {
        name: {"host": address[name], "port": 2222 if "external-lb" in name else 22, "user": "root", "proxy_command": None}
        for name in nodes
    }
    made = {
        name: {
            "provider_id": name,
            "zone": "0",
            "private_address": address[name],
            "public_address": None,
            "data_disks": {"data": {"provider_id": f"{name}-data", "path": f"/dev/{name}-data", "size_gb": 50}},
        }
        for name in nodes
    }
    front = next(address[name] for name in nodes if "external-lb" in name)
    outputs = {
        "access": access,
        "nodes": made,
        "endpoints": {"external": {"address": front, "health_checks_from": []}, "internal": None},
        "managed_services": {},
        "object_storage": None,
        "cidrs": {"network": "198.18.9.0/24"},
    }
    print(json.dumps({name: {"sensitive": False, "type": "dynamic", "value": value} for name, value in outputs.items()}))


def scan(addresses):
    nodes = json.loads((WORLD / "nodes.json").read_text())
    for address in addresses:
        name = nodes[int(address.rsplit(".", 1)[1]) - 10]
        key = WORLD / name / "host-key"
        words = key.read_text().split()[:2] if key.exists() else ["ssh-ed25519", f"FIRST{name}"]
        print(address, *words)


def main():
    tool, arguments = Path(sys.argv[0]).name, sys.argv[1:]
    with open(BIN / "calls.jsonl", "a", encoding="utf-8") as calls:
        command = next((word for word in arguments if not word.startswith("-")), arguments[0].lstrip("-"))
        calls.write(json.dumps({"command": tool if tool == "ssh-keyscan" else command}) + "\n")
    if tool == "refarch-lab":
        recorded("lab/inspect-nothing")
    elif tool == "ssh-keyscan":
        scan(word for word in arguments if word.startswith("198."))
    elif tool == "terraform":
        terraform(command)
    elif arguments == ["--version"]:
        recorded("ansible/version")
    else:
        play(arguments[0], arguments[2].split(",") if arguments[1:2] == ["--limit"] else None)


main()
