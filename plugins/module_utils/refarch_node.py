# SPDX-License-Identifier: GPL-3.0-or-later
"""What the modules share about a node: which files make it what it is, its services, its stamp, and how it is written to."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
import subprocess
import tempfile
import time

ETC = "/etc/gitlab"
# Where nodes without GitLab keep what GitLab's nodes keep in its folder.
PLAIN_ETC = "/etc/refarch"
SERVICES = "/opt/gitlab/service"
STAMP = "refarch-stamp.json"
STAMP_VERSION = 1
# Held by whoever configures the node, and by a reconfigure for as long as it runs.
LOCK = "/run/refarch-reconfigure.lock"
RECONFIGURE_LOG = "/var/log/gitlab/refarch-reconfigure.log"
# The second of 1970-01-01 in the TAI64 labels that runit writes.
TAI64_EPOCH = 2**62 + 10
# Components whose nodes carry no GitLab: the program that serves there, its package and what refarch renders for it.
PLAIN = {
    "external_lb": {"service": "haproxy", "package": "haproxy", "rendered": "/etc/haproxy/haproxy.cfg"},
    "internal_lb": {"service": "haproxy", "package": "haproxy", "rendered": "/etc/haproxy/haproxy.cfg"},
    "object_storage": {"service": "versitygw", "program": "/usr/lib/refarch-lab/versitygw",
                       "rendered": "/etc/systemd/system/versitygw.service"},
}  # fmt: skip


# How much of a program's words an error shows; what is wrong stands at the end.
SHOWN = 2000


class Refused(Exception):
    """What stops the work on this node; the message says what and why, and holds no content of a file."""


def is_plain(component):
    """Whether a component's nodes carry no GitLab."""
    return component in PLAIN


def data_name(component):
    """The delivered file that says what a node without GitLab is for."""
    return "object-storage.json" if component == "object_storage" else "haproxy.json"


def needed(component, fqdn, tls):
    """Names of the delivered files without which a node can't be configured."""
    own = [data_name(component)] if is_plain(component) else ["gitlab.rb", "refarch-secrets.json"]
    return own + ([f"ssl/{fqdn}.crt", f"ssl/{fqdn}.key"] if tls else [])


def run(*argv, stdin=None):
    """Runs a program with a fixed locale and returns its exit code, output and error text."""
    env = dict(os.environ, LC_ALL="C")
    given = {"input": stdin.encode()} if stdin is not None else {"stdin": subprocess.DEVNULL}
    done = subprocess.run(argv, env=env, capture_output=True, check=False, **given)
    return done.returncode, done.stdout.decode("utf-8", "replace"), done.stderr.decode("utf-8", "replace")


def must(*argv):
    """Runs a program that has to end well, and returns its output."""
    rc, out, err = run(*argv)
    if rc != 0:
        raise Refused(f"`{' '.join(argv)}` ended with {rc}: {(err.strip() or out.strip())[-SHOWN:]}")
    return out.strip()


def sha256(path):
    """The hash of a file, or None where there is none."""
    digest = hashlib.sha256()
    try:
        with open(path, "rb") as file:
            for block in iter(lambda: file.read(1 << 20), b""):
                digest.update(block)
    except (FileNotFoundError, NotADirectoryError):
        return None
    return digest.hexdigest()


def read_json(path):
    """A JSON object from a file; None where there is no such file or it holds something else."""
    try:
        with open(path, encoding="utf-8") as file:
            value = json.load(file)
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return None
    return value if isinstance(value, dict) else None


def parse_package(rc, line):
    """What `dpkg-query` says of a package; only a fully installed one counts as installed."""
    status, _, version = line.strip().partition(" ")
    if rc != 0 or not status[1:2] == "i":
        return {"installed": None, "held": False}
    return {"installed": version.strip(), "held": status[0] == "h"}


def read_package(name):
    """A package of the system: which version is installed, and whether it is held."""
    try:
        rc, out, _ = run("dpkg-query", "--show", "--showformat", "${db:Status-Abbrev} ${Version}", name)
    except FileNotFoundError:
        return {"installed": None, "held": False}
    return parse_package(rc, re.sub(r"\s+", " ", out))


def read_component_package(component, package):
    """What a node runs: GitLab's package, the load balancer's, or a program that lies in the lab's image."""
    plain = PLAIN.get(component)
    if plain and "program" in plain:
        return {"name": plain["service"], "installed": sha256(plain["program"]), "held": False}
    name = plain["package"] if plain else package
    return {"name": name, **read_package(name)}


def certificate_path(component, fqdn):
    """Where a node's certificate lies; its key lies beside it."""
    return f"/etc/haproxy/ssl/{fqdn}.crt" if is_plain(component) else f"{ETC}/ssl/{fqdn}.crt"


def read_files(component, certificate):
    """Hashes of what refarch delivers and renders; None where a component has no such file."""
    plain = PLAIN.get(component)
    gitlab = None if plain else ETC
    return {
        "gitlab_rb": gitlab and sha256(f"{gitlab}/gitlab.rb"),
        "refarch_secrets": gitlab and sha256(f"{gitlab}/refarch-secrets.json"),
        "gitlab_secrets": gitlab and sha256(f"{gitlab}/gitlab-secrets.json"),
        "certificate": sha256(certificate) if certificate else None,
        "data": plain and sha256(f"{PLAIN_ETC}/node.json"),
        "rendered": plain and sha256(plain["rendered"]),
    }


def stamp_path(component):
    return f"{PLAIN_ETC}/stamp.json" if is_plain(component) else f"{ETC}/{STAMP}"


def read_stamp(component):
    return read_json(stamp_path(component))


def wanted_stamp(identity, component, package, certificate):
    """The stamp of a node that is configured as its files say."""
    return {
        "version": STAMP_VERSION,
        "deployment": identity["name"],
        "suffix": identity["suffix"],
        "component": component,
        "package": read_component_package(component, package)["installed"],
        **read_files(component, certificate),
    }


def parse_supervise(record, now):
    """State and age from the 20 bytes that runsv keeps of a service."""
    if len(record) != 20:
        return "down", None
    since = int.from_bytes(record[:8], "big") - TAI64_EPOCH
    return ("run" if record[19] == 1 else "down"), max(0, int(now - since))


def supervised(folder):
    """Whether a runsv stands behind the service: only then can the pipe be opened without waiting."""
    try:
        os.close(os.open(f"{folder}/supervise/ok", os.O_WRONLY | os.O_NONBLOCK))
    except OSError:
        return False
    return True


def read_service(name, now, services=SERVICES):
    """One service; what an ended runsv left behind says nothing about now."""
    folder = f"{services}/{name}"
    state, since = "down", None
    if supervised(folder):
        try:
            with open(f"{folder}/supervise/status", "rb") as file:
                state, since = parse_supervise(file.read(), now)
        except FileNotFoundError:
            pass
    return {"name": name, "state": state, "since_s": since}


def read_services(services=SERVICES):
    """The enabled services, asked from runit itself: `gitlab-ctl status` starts Ruby for the same answer."""
    try:
        names = sorted(name for name in os.listdir(services) if not name.startswith("."))
    except (FileNotFoundError, NotADirectoryError):
        return []
    now = time.time()
    return [read_service(name, now, services) for name in names]


def read_unit(name):
    """A service of systemd's, in the same form."""
    try:
        rc, out, _ = run("systemctl", "is-active", f"{name}.service")
    except FileNotFoundError:
        return {"name": name, "state": "down", "since_s": None}
    return {"name": name, "state": "run" if rc == 0 and out.strip() == "active" else "down", "since_s": None}


def read_component_services(component):
    """What serves on a node: runit's services on GitLab's nodes, one of systemd's on the others."""
    plain = PLAIN.get(component)
    return [read_unit(plain["service"])] if plain else read_services()


def write_file(path, data, mode, owner=0, group=0):
    """Replaces a file at once, so that no reader sees half of it; says whether anything changed."""
    try:
        with open(path, "rb") as file:
            same = file.read() == data
        found = os.stat(path)
        if same and (found.st_mode & 0o7777, found.st_uid, found.st_gid) == (mode, owner, group):
            return False
    except FileNotFoundError:
        pass
    handle, temporary = tempfile.mkstemp(dir=os.path.dirname(path), prefix=".refarch-")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fchown(file.fileno(), owner, group)
            os.fchmod(file.fileno(), mode)
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError:
        os.unlink(temporary)
        raise
    return True


def remove_file(path):
    """Removes a file if it is there; says whether it was."""
    try:
        os.unlink(path)
    except FileNotFoundError:
        return False
    return True


def write_stamp(component, stamp):
    """Says whether the stamp was another before."""
    path = stamp_path(component)
    os.makedirs(os.path.dirname(path), mode=0o755, exist_ok=True)
    return write_file(path, (json.dumps(stamp, indent=2) + "\n").encode(), 0o644)


def acquire_lock(seconds):
    """The open lock of a node's configuration, or None where another holds it for longer than so many seconds.

    Programs that are started while it is held don't inherit it, or a daemon would hold it for as long as it lives.
    """
    lock = open(LOCK, "a", encoding="utf-8")  # noqa: SIM115 - the caller holds it
    end = time.monotonic() + seconds
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return lock
        except BlockingIOError:
            if time.monotonic() >= end:
                lock.close()
                return None
            time.sleep(0.2)
