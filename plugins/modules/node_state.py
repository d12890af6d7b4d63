# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads what a node is now: package, files, services, stamp, disks, certificate and clock. It changes nothing."""

from __future__ import annotations

DOCUMENTATION = r"""
module: node_state
short_description: Read what a GitLab node is now
description:
  - Reads package, configuration hashes, services, the stamp that refarch wrote last, data disks, free space, the
    certificate that the node serves, its clock, OS and size.
  - It changes nothing, starts no service program and works on a node that has nothing installed.
  - The marker of a data disk that is not mounted is read through a read-only mount, without replay of the journal,
    in a mount namespace that ends with the program that made it.
author: refarch
options:
  package:
    description: Name of the GitLab package.
    type: str
    default: gitlab-ee
  component:
    description: What the node is for; on some, such as load balancers, there is no GitLab to ask about.
    type: str
    default: all_in_one
  fqdn:
    description: The name that the node's certificate is for, where it serves TLS.
    type: str
  data_disks:
    description:
      - The data disks that the node should have, as the role knows them. Of each its C(name), C(path) (the stable path of
        the device on the node) and C(mount) are read; what the deployment wants of it is not asked here.
    type: list
    elements: dict
    default: []
"""

EXAMPLES = r"""
- name: Ask the node
  node_state:
    package: gitlab-ee
    fqdn: gitlab.example.com
    data_disks:
      - {name: data, path: /dev/refarch/demo-all-in-one-1-data, mount: /var/opt/gitlab}
"""

RETURN = r"""
state:
  description:
    - What the node is; its C(version) is that of this format, and later fields may be unknown to a reader.
    - C(package) has C(name), C(installed) (a version, or null) and C(held). For load balancers it is the package haproxy; for the
      lab's object storage the hash of the server's program.
    - C(gitlabs) lists every GitLab package that is installed, with C(name) and C(version).
    - C(files) holds SHA-256 or null. GitLab's nodes have C(gitlab_rb), C(refarch_secrets), C(gitlab_secrets); the others
      C(data), which is what refarch delivered as /etc/refarch/node.json, and C(rendered), which is haproxy.cfg or the unit
      of systemd that the role made from it. C(certificate) is where TLS ends.
    - C(services) are those of runit, or the one of systemd that a node without GitLab is for.
    - C(stamp) is what refarch wrote last, after the node's health check, in /etc/gitlab/refarch-stamp.json or
      /etc/refarch/stamp.json. It has C(version) 1, C(deployment), C(suffix), C(component), C(package) and all of C(files).
    - C(data_disks) say, besides what they carry, how large they are (C(size_bytes)) and, where they aren't mounted, which
      files lie where they would be (C(covers), at most five names).
  returned: success
  type: dict
"""

import ctypes
import json
import os
import platform
import re
import ssl
import stat
import struct
import time

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.refarch_node import (
    certificate_path,
    read_component_package,
    read_component_services,
    read_files,
    read_stamp,
    run,
)

GITLABS = ("gitlab-ee", "gitlab-ce", "gitlab-fips")
MARKER = ".refarch.json"
MARKER_FIELDS = {"deployment": str, "suffix": str, "component": str, "uuid": str, "built": bool}
# Where GitLab writes: its own data, and the logs. Full, each of them stops it.
PLACES = ("/", "/var/opt/gitlab", "/var/log")
# The package's own, which is there wherever GitLab is installed, and the system's.
OPENSSL = ("/opt/gitlab/embedded/bin/openssl", "openssl")
# adjtimex(2): the fields up to the status, the size of the whole, and the bit that says that nobody keeps the clock right.
TIMEX = "@Illlli"
TIMEX_SIZE = 208
STA_UNSYNC = 0x0040
# Debian's names, because a package is named by them.
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


class Unreadable(Exception):
    """The node can't be read; the message says what and why."""


def parse_blkid(rc, out, listed):
    """Signature and UUID from `blkid -p -o export`, with what `wipefs` lists as the second opinion on an empty disk.

    A partition table counts, and so does what blkid can't decide. For that the manual promises exit code 8, but
    util-linux 2.41 gives 2, the code of an empty disk (measured on Debian 13), and an empty disk is formatted.
    """
    if rc == 8 or (rc == 2 and listed):
        return "ambivalent", None
    if rc == 2:
        return None, None
    if rc != 0:
        raise Unreadable(f"`blkid -p` ended with {rc}")
    found = dict(line.split("=", 1) for line in out.splitlines() if "=" in line)
    signature = "+".join(found[key] for key in ("TYPE", "PTTYPE") if key in found)
    return (signature or "unknown"), found.get("UUID")


def list_signatures(path):
    """Every signature that wipefs finds; without `--all` it only lists."""
    rc, out, err = run("wipefs", "--noheadings", "--output", "TYPE", path)
    if rc != 0:
        raise Unreadable(f"`wipefs` can't list what data disk {path} holds: {err.strip()}")
    return out.split()


def parse_marker(text):
    """The marker's fields, or None if the text is no marker of refarch."""
    try:
        value = json.loads(text)
    except ValueError:
        return None
    if not isinstance(value, dict) or value.get("version") != 1:
        return None
    if any(not isinstance(value.get(field), kind) for field, kind in MARKER_FIELDS.items()):
        return None
    return {field: value[field] for field in MARKER_FIELDS}


def parse_mountinfo(text, device, mount):
    """Whether the device (as major:minor) is what is mounted last at the mount point."""
    last = None
    for line in text.splitlines():
        fields = line.split(" ")
        if len(fields) > 4 and re.sub(r"\\([0-7]{3})", lambda m: chr(int(m.group(1), 8)), fields[4]) == mount:
            last = fields[2]
    return last == device


def read_unmounted_marker(path):
    """Looks at an ext4 disk without changing it; None if it can't be mounted or holds no marker."""
    script = (
        'mkdir -p /run/refarch-look && mount -t ext4 -o ro,noload,nosuid,nodev,noexec "$1" /run/refarch-look'
        f" && cat /run/refarch-look/{MARKER}"
    )
    rc, out, _ = run("unshare", "--mount", "sh", "-c", script, "sh", path)
    return parse_marker(out) if rc == 0 else None


def probe_readable(path):
    """blkid answers alike for an empty disk and one that can't be read, so reading is tried first."""
    try:
        with open(path, "rb") as device:
            device.read(4096)
    except OSError as error:
        raise Unreadable(f"data disk {path} can't be read: {error.strerror}") from error


def size_of(path):
    """The size of a block device in bytes: where its end is."""
    with open(path, "rb") as device:
        return device.seek(0, os.SEEK_END)


def covered(mount):
    """A few names of what a disk would hide if it were mounted there."""
    try:
        return sorted(os.listdir(mount))[:5]
    except (FileNotFoundError, NotADirectoryError):
        return []


def read_disk(disk):
    name, path, mount = disk["name"], disk["path"], disk["mount"].rstrip("/") or "/"
    state = {"name": name, "path": path, "present": False, "signature": None, "uuid": None}
    state.update(mounted=False, marker=None, size_bytes=None, covers=[])
    try:
        found = os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return state
    if not stat.S_ISBLK(found.st_mode):
        return state
    probe_readable(path)
    rc, out, _ = run("blkid", "-p", "-o", "export", path)
    signature, uuid = parse_blkid(rc, out, list_signatures(path))
    number = f"{os.major(found.st_rdev)}:{os.minor(found.st_rdev)}"
    with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as file:
        mounted = parse_mountinfo(file.read(), number, mount)
    state.update(present=True, signature=signature, uuid=uuid, mounted=mounted, size_bytes=size_of(path))
    if not mounted:
        state["covers"] = covered(mount)
    if mounted:
        try:
            with open(f"{mount}/{MARKER}", encoding="utf-8", errors="replace") as file:
                state["marker"] = parse_marker(file.read())
        except FileNotFoundError:
            pass
    elif signature == "ext4":
        state["marker"] = read_unmounted_marker(path)
    return state


def space_of(place):
    """How much the file system behind a folder can hold and has left; None where there is no such folder.

    As `df` counts: what is kept for root alone is neither held nor left.
    """
    try:
        found = os.statvfs(place)
    except (FileNotFoundError, NotADirectoryError):
        return None
    used, free = found.f_blocks - found.f_bfree, found.f_bavail
    used_inodes, free_inodes = found.f_files - found.f_ffree, found.f_favail
    return {
        "size_bytes": (used + free) * found.f_frsize,
        "free_bytes": free * found.f_frsize,
        "inodes": used_inodes + free_inodes,
        "free_inodes": free_inodes,
    }


def read_space(places=PLACES):
    """The file systems behind the folders, each once, under the first folder that leads to it."""
    found, seen = [], set()
    for place in places:
        space = space_of(place)
        if space is None:
            continue
        device = os.stat(place).st_dev
        if device not in seen:
            seen.add(device)
            found.append({"place": place, **space})
    return found


def parse_end(text):
    """Seconds since 1970 at which a certificate ends, from openssl's `notAfter=Dec 25 00:00:00 2027 GMT`."""
    name, _, end = text.strip().partition("=")
    try:
        return ssl.cert_time_to_seconds(end) if name == "notAfter" else None
    except ValueError:
        return None


def read_certificate(path, programs=OPENSSL):
    """When the node's certificate ends; None where there is no file.

    The certificate itself stays on the node: its public key is a part of the private one, so that whoever hides that
    one in what is said would hide pieces of the certificate.
    """
    if not os.path.exists(path):
        return None
    for program in programs:
        try:
            rc, out, _ = run(program, "x509", "-in", path, "-noout", "-enddate")
        except FileNotFoundError:
            continue
        return {"not_after_s": parse_end(out) if rc == 0 else None}
    raise Unreadable("there is no `openssl` to read the certificate with")


def parse_timex(record):
    """Whether the kernel says that somebody keeps the clock right."""
    return not struct.unpack_from(TIMEX, record)[5] & STA_UNSYNC


def read_synchronized():
    """The same, asked of the kernel; None where it doesn't tell, as in a host that shares its machine's clock."""
    record = ctypes.create_string_buffer(TIMEX_SIZE)
    try:
        answer = ctypes.CDLL(None).adjtimex(record)
    except (AttributeError, OSError):
        return None
    return None if answer < 0 else parse_timex(record.raw)


def read_clock():
    """Seconds since 1970 as the node counts them."""
    return {"epoch_s": time.time(), "synchronized": read_synchronized()}


def parse_os_release(text):
    """ID and VERSION_ID; a rolling release has no version."""
    found = {}
    for line in text.splitlines():
        key, _, value = line.partition("=")
        found[key] = value.strip().strip("\"'")
    return found.get("ID"), found.get("VERSION_ID")


def read_os():
    try:
        with open("/etc/os-release", encoding="utf-8") as file:
            name, version = parse_os_release(file.read())
    except FileNotFoundError:
        name, version = None, None
    machine = platform.machine()
    return {"id": name, "version": version, "architecture": ARCHITECTURES.get(machine, machine)}


def parse_memory(text):
    """Memory in GiB from /proc/meminfo."""
    found = re.search(r"^MemTotal:\s+(\d+) kB", text, re.MULTILINE)
    return round(int(found.group(1)) / 1024**2, 2) if found else None


def read_memory():
    with open("/proc/meminfo", encoding="utf-8") as file:
        return parse_memory(file.read())


def parse_gitlabs(text):
    """The GitLab packages that are there; those that are known only, or removed but for their configuration, are not."""
    lines = (line.split("\t") for line in text.splitlines())
    return [{"name": name, "version": version} for status, name, version in lines if status[1:2] not in ("n", "c")]


def read_gitlabs():
    form = "${db:Status-Abbrev}\t${Package}\t${Version}\n"
    try:
        _, out, _ = run("dpkg-query", "--show", "--showformat", form, *GITLABS)
    except FileNotFoundError:
        return []
    return parse_gitlabs(out)


def root_disk_gb():
    """The size of the root file system, in GiB."""
    root = os.statvfs("/")
    return round(root.f_blocks * root.f_frsize / 1024**3, 1)


def read_state(component, package, certificate, disks):
    return {
        "version": 2,
        "package": read_component_package(component, package),
        "gitlabs": read_gitlabs(),
        "files": read_files(component, certificate),
        "services": read_component_services(component),
        "stamp": read_stamp(component),
        "data_disks": [read_disk(disk) for disk in disks],
        "os": read_os(),
        "memory_gb": read_memory(),
        "vcpu": os.cpu_count(),
        "root_disk_gb": root_disk_gb(),
        "space": read_space(),
        "certificate": read_certificate(certificate) if certificate else None,
        # Last, because the one who asks takes the middle between asking and answer for the moment of reading.
        "clock": read_clock(),
    }


def main():
    module = AnsibleModule(
        argument_spec={
            "component": {"type": "str", "default": "all_in_one"},
            "package": {"type": "str", "default": "gitlab-ee"},
            "fqdn": {"type": "str"},
            "data_disks": {"type": "list", "elements": "dict", "default": []},
        },
        supports_check_mode=True,
    )
    wanted = module.params
    component, fqdn = wanted["component"], wanted["fqdn"]
    try:
        certificate = certificate_path(component, fqdn) if fqdn else None
        state = read_state(component, wanted["package"], certificate, wanted["data_disks"])
    except KeyError as key:
        module.fail_json(msg=f"a data disk lacks {key}: each needs name, path and mount")
    except (Unreadable, OSError) as error:
        module.fail_json(msg=f"the node's state can't be read: {error}; reading it needs root on the node")
    module.exit_json(changed=False, state=state)


if __name__ == "__main__":
    main()
