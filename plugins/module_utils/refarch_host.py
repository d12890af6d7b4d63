# SPDX-License-Identifier: GPL-3.0-or-later
"""What can be read of any host, whether GitLab is on it or not: its disks, its size, its clock and what is installed. Nothing
of it changes the host."""

from __future__ import annotations

import ctypes
import json
import os
import platform
import re
import stat
import struct
import time

from ansible.module_utils.refarch_node import run

GITLABS = ("gitlab-ee", "gitlab-ce", "gitlab-fips")
MARKER = ".refarch.json"
MARKER_FIELDS = {"deployment": str, "suffix": str, "component": str, "uuid": str, "built": bool}
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
