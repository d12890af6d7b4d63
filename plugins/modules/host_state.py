# SPDX-License-Identifier: GPL-3.0-or-later
"""Asks a host what it is before anything is made on it, and which connections it can open. It changes nothing."""

from __future__ import annotations

DOCUMENTATION = r"""
module: host_state
short_description: Ask a host whether a node can be made of it
description:
  - Reads operating system, size, disks, clock, locale, time zone, swap, access control, firewall, umask, mounts, what listens on
    the node's ports and what an earlier GitLab left, each question with a time limit and all of them at once.
  - Listens on ports that nothing listens on yet, and tries the connections to the other hosts, all in its own process. What
    listens ends with it, and the file whose writing is measured is removed at once.
author: refarch
options:
  ask:
    description:
      - What the host is to be. C(component) is what the node is for, C(data_disks) the disks that it should have, and C(ports)
        those on which its services will listen.
      - C(sources) are addresses that packages are fetched from; C(measure) says whether to measure how fast a disk writes.
      - C(listen) lists C({port, protocol, expects}), where C(expects) other hosts will ask; C(flows) lists
        C({to, address, port, protocol}), connections to open, where any are to be tried; C(window) is for how many seconds other hosts are waited for, and
        C(token) what a probe by UDP says and hears.
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: Ask the host
  host_state:
    ask:
      component: gitaly
      ports: [8075]
      listen: [{port: 8075, protocol: tcp, expects: 3}]
      flows: [{to: demo-praefect-1, address: 198.18.0.9, port: 2305, protocol: tcp}]
"""

RETURN = r"""
state:
  description:
    - C(version) is that of this format. Every other name holds either C(told), an object with the answer, or C(unasked), the
      reason why there is none.
  returned: success
  type: dict
  sample:
    version: 1
    swap: {told: {kib: 0}}
    locale: {unasked: "there is no `locale`"}
"""

import concurrent.futures
import os
import platform
import shutil
import tempfile
import time

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.refarch_asking import Unasked, read_text, run
from ansible.module_utils.refarch_flows import exchange
from ansible.module_utils.refarch_host import (
    Unreadable,
    read_clock,
    read_disk,
    read_gitlabs,
    read_memory,
    read_os,
    space_of,
)
from ansible.module_utils.refarch_node import read_stamp

VERSION = 1
PLACES = ("/", "/opt", "/var/opt", "/var/log", "/tmp", "/var/tmp")
# Where GitLab keeps programs and data: what is there before was left by another one.
LEFT = ("/etc/gitlab", "/opt/gitlab", "/var/opt/gitlab", "/var/log/gitlab")
# What refarch delivers first.
BEGUN = "/etc/gitlab/refarch-secrets.json"
FIREWALLS = ("firewalld", "ufw", "nftables")
WRITES, WRITE_SIZE, WRITE_LIMIT = 64, 8192, 2.0
TCP_LISTEN = "0A"


def ask_system():
    found = read_os()
    return {**found, "python": platform.python_version(), "uid": os.geteuid()}


def ask_size():
    return {"vcpu": os.cpu_count(), "memory_gb": read_memory()}


def mount_of(path, mounts):
    """The mount that a path lies on: the last one of those that reach the deepest."""
    best = None
    for point, options in mounts:
        inside = path == point or path.startswith(point.rstrip("/") + "/") or point == "/"
        if inside and (best is None or len(point) >= len(best[0])):
            best = (point, options)
    return best


def parse_mounts(text):
    """Where and how file systems are mounted, from /proc/self/mounts."""
    rows = (line.split(" ") for line in text.splitlines())
    return [(row[1].replace("\\040", " "), row[3].split(",")) for row in rows if len(row) > 3]


def ask_places():
    mounts = parse_mounts(read_text("/proc/self/mounts"))
    places = []
    for place in PLACES:
        space, mount = space_of(place), mount_of(place, mounts)
        if space and mount:
            places.append({
                "place": place,
                "mount": mount[0],
                "size_gb": round(space["size_bytes"] / 1024**3, 1),
                "free_gb": round(space["free_bytes"] / 1024**3, 1),
                "noexec": "noexec" in mount[1],
                "read_only": "ro" in mount[1],
            })
    return {"places": places}


def ask_disks(disks):
    try:
        return {"disks": [read_disk(disk) for disk in disks]}
    except Unreadable as why:
        raise Unasked(str(why)) from None


def ask_speed(folder=None):
    """How many small writes a second reach the disk, one after the other; the file is gone before it is written."""
    folder = folder or next((place for place in ("/var/opt", "/var", "/") if os.path.isdir(place)), "/")
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            began, count = time.monotonic(), 0
            while count < WRITES and time.monotonic() - began < WRITE_LIMIT:
                os.pwrite(file.fileno(), os.urandom(WRITE_SIZE), count * WRITE_SIZE)
                os.fsync(file.fileno())
                count += 1
            return {"folder": folder, "writes_per_s": round(count / max(time.monotonic() - began, 1e-6), 1)}
    except OSError as error:
        raise Unasked(f"nothing can be written in {folder}: {error.strerror}") from None


def parse_locales(out):
    return sorted({line.strip() for line in out.splitlines() if line.strip()})


def ask_locale():
    rc, out = run("locale", "-a")
    if rc != 0:
        raise Unasked(f"`locale -a` ended with {rc}")
    utf8 = [name for name in parse_locales(out) if name.lower().replace("-", "").endswith("utf8")]
    return {"utf8": utf8[:5]}


def ask_time_zone(path="/etc/localtime"):
    try:
        target = os.path.realpath(path)
    except OSError as error:
        raise Unasked(f"{path}: {error.strerror}") from None
    _, marker, name = target.partition("/zoneinfo/")
    return {"name": name if marker else "UTC" if not os.path.exists(path) else "unknown"}


def parse_swaps(text):
    return sum(int(row[2]) for row in (line.split() for line in text.splitlines()[1:]) if len(row) > 2)


def ask_swap():
    return {"kib": parse_swaps(read_text("/proc/swaps"))}


def ask_access_control():
    def flag(path):
        try:
            return read_text(path).strip()
        except Unasked:
            return None

    selinux, apparmor = flag("/sys/fs/selinux/enforce"), flag("/sys/module/apparmor/parameters/enabled")
    tools = [name for name in ("semodule", "restorecon") if not shutil.which(name, path="/usr/sbin:/sbin:/usr/bin:/bin")]
    return {
        "selinux": {"1": "enforcing", "0": "permissive"}.get(selinux or "", "disabled"),
        "apparmor": apparmor == "Y",
        "missing_tools": tools,
    }


def ask_firewall():
    _, out = run("systemctl", "is-active", *FIREWALLS)
    return {"active": [name for name, state in zip(FIREWALLS, out.split()) if state == "active"]}


def ask_umask():
    mask = os.umask(0o077)
    os.umask(mask)
    return {"mask": mask}


def parse_listeners(text):
    """Port and inode of what listens, from /proc/net/tcp or tcp6."""
    rows = (line.split() for line in text.splitlines()[1:])
    return [(int(row[1].rpartition(":")[2], 16), row[9]) for row in rows if len(row) > 9 and row[3] == TCP_LISTEN]


def owners(inodes):
    """The program behind each socket; one that can't be looked into is left out."""
    found = {}
    for process in filter(str.isdigit, os.listdir("/proc")):
        try:
            for descriptor in os.listdir(f"/proc/{process}/fd"):
                link = os.readlink(f"/proc/{process}/fd/{descriptor}")
                inode = link[8:-1] if link.startswith("socket:[") else None
                if inode in inodes:
                    found[inode] = os.readlink(f"/proc/{process}/exe")
        except OSError:
            continue
    return found


def ask_ports(ports):
    listening = []
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        try:
            listening += parse_listeners(read_text(table))
        except Unasked:
            continue
    listening = [(port, inode) for port, inode in listening if port in ports]
    programs = owners({inode for _, inode in listening})
    used = sorted({(port, programs.get(inode, "an unknown program")) for port, inode in listening})
    return {"used": [{"port": port, "program": program} for port, program in used]}


def is_empty(path):
    try:
        return not [name for name in os.listdir(path) if name not in ("lost+found", ".refarch.json")]
    except (FileNotFoundError, NotADirectoryError):
        return True


def ask_leftovers(component):
    packages = [f"{one['name']} {one['version']}" for one in read_gitlabs()]
    if not packages and shutil.which("rpm"):
        rc, out = run("rpm", "--query", "gitlab-ee", "gitlab-ce", "gitlab-fips")
        packages = [line for line in out.splitlines() if line.startswith("gitlab-") and "not installed" not in line] if rc != 127 else []
    stamp = read_stamp(component)
    return {
        "packages": packages,
        "folders": [path for path in LEFT if not is_empty(path)],
        "begun": os.path.exists(BEGUN),
        "stamp": {key: stamp.get(key) for key in ("deployment", "suffix", "component")} if stamp else None,
    }


def reach(url):
    """What a server answers to the question whether there is such a file; a proxy of the host's own is used."""
    import urllib.error
    import urllib.request

    try:
        with urllib.request.urlopen(urllib.request.Request(url, method="HEAD"), timeout=10) as answer:
            return {"url": url, "status": answer.status, "error": None}
    except urllib.error.HTTPError as error:
        return {"url": url, "status": error.code, "error": None}
    except (OSError, ValueError) as error:
        return {"url": url, "status": None, "error": str(getattr(error, "reason", error))}


def ask_sources(urls):
    return {"sources": [reach(url) for url in urls]}


def answer(question):
    try:
        return {"told": question()}
    except Unasked as why:
        return {"unasked": str(why)}
    except Exception as error:  # noqa: BLE001 - one odd answer must not hide those to the other questions
        return {"unasked": f"the answer is not what is known: {type(error).__name__}: {error}"}


def questions(asked):
    found = {
        "system": ask_system,
        "size": ask_size,
        "places": ask_places,
        "data_disks": lambda: ask_disks(asked["data_disks"]),
        "locale": ask_locale,
        "time_zone": ask_time_zone,
        "swap": ask_swap,
        "access_control": ask_access_control,
        "firewall": ask_firewall,
        "leftovers": lambda: ask_leftovers(asked["component"]),
    }
    if asked["flows"] is not None:
        found["flows"] = lambda: exchange(asked["listen"], asked["flows"], asked["token"], asked["window"])
    if asked["measure"]:
        found["speed"] = ask_speed
    if asked["sources"]:
        found["sources"] = lambda: ask_sources(asked["sources"])
    return found


DEFAULTS = {
    "data_disks": [], "ports": [], "sources": [], "measure": True, "listen": [], "flows": None, "token": "refarch", "window": 10,
}  # fmt: skip


def main():
    module = AnsibleModule(argument_spec={"ask": {"type": "dict", "required": True}}, supports_check_mode=True)
    asked = {**DEFAULTS, **module.params["ask"]}
    unknown = sorted(set(asked) - set(DEFAULTS) - {"component"})
    if unknown or "component" not in asked:
        module.fail_json(msg=f"it is not known how to ask for {', '.join(unknown) or 'a host without a component'}")
    # Before anything of its own listens; and the umask belongs to the whole process.
    ports = answer(lambda: ask_ports(set(asked["ports"])))
    state = {"version": VERSION, "ports": ports, "umask": answer(ask_umask), "clock": answer(read_clock)}
    wanted = questions(asked)
    with concurrent.futures.ThreadPoolExecutor(len(wanted)) as pool:
        asking = {name: pool.submit(answer, question) for name, question in wanted.items()}
        state.update((name, one.result()) for name, one in asking.items())
    module.exit_json(changed=False, state=state)


if __name__ == "__main__":
    main()
