# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes and mounts the data disks of a node that was found to be the right one."""

from __future__ import annotations

DOCUMENTATION = r"""
module: node_disks
short_description: Make and mount a node's data disks
description:
  - Makes an ext4 file system on a disk that carries none (RV(node_state.state) says so, and it is asked here once more), and
    mounts every disk now and at every boot, by a mount unit of systemd that names the disk's stable path.
  - The marker is written by mkfs itself, so that a run that is killed leaves an empty disk or a marked one, and never a file
    system that the next run would have to take for someone else's.
  - With C(built), it only says on the disks that the deployment was built and verified.
author: refarch
options:
  who: {description: What a message calls the node., type: str, required: true}
  identity: {description: The deployment with name and suffix., type: dict, required: true}
  component: {description: What the node is for., type: str, required: true}
  data_disks: {description: The wanted data disks., type: list, elements: dict, required: true}
  built: {description: Whether to mark the disks as built., type: bool, default: false}
"""

EXAMPLES = r"""
- name: Make and mount the data disks
  node_disks:
    who: demo-gitaly-1
    identity: {name: demo, suffix: a1b2c3}
    component: gitaly
    data_disks:
      - {name: data, path: /dev/refarch/demo-gitaly-1-data, mount: /var/opt/gitlab, size_gb: 100}
"""

RETURN = r"""
done:
  description: What was made or changed.
  returned: success
  type: list
  elements: str
"""

import json
import os
import shutil
import uuid

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.refarch_node import Refused, is_plain, must, run, write_file

MARKER = ".refarch.json"
UNITS = "/etc/systemd/system"
MOUNT_UNIT = """# Written by refarch.
[Unit]
Description=Data disk {name}

[Mount]
What={path}
Where={mount}
Type=ext4

[Install]
# Wanted and not required: a node without its data disk still boots far enough to be reached.
WantedBy=local-fs.target
"""
SUPERVISOR_DROP_IN = """# Written by refarch: without its data disk GitLab must not start, or it would begin anew on the root disk.
[Unit]
RequiresMountsFor={mount}
"""


def is_empty(path):
    """Neither of the two that look for signatures finds one."""
    rc, _, _ = run("blkid", "-p", path)
    return rc == 2 and must("wipefs", "--noheadings", "--output", "TYPE", path) == ""


def marker(wanted, disk, file_system, built):
    fields = {"version": 1, "deployment": wanted["identity"]["name"], "suffix": wanted["identity"]["suffix"]}
    more = {"component": wanted["component"], "disk": disk["name"], "uuid": file_system, "built": built}
    return (json.dumps({**fields, **more}) + "\n").encode()


def format_disk(wanted, disk):
    """Makes the file system together with its marker."""
    file_system, folder = str(uuid.uuid4()), f"/run/refarch-disk-{disk['name']}"
    os.makedirs(folder, mode=0o755, exist_ok=True)
    try:
        write_file(f"{folder}/{MARKER}", marker(wanted, disk, file_system, False), 0o600)
        must("mkfs.ext4", "-q", "-U", file_system, "-d", folder, disk["path"])
    finally:
        shutil.rmtree(folder)


def write_units(wanted, disk):
    """The mount, and on GitLab's nodes what keeps its supervisor from starting without it; says what changed."""
    unit = must("systemd-escape", "--path", "--suffix=mount", disk["mount"])
    units = [(f"{UNITS}/{unit}", MOUNT_UNIT.format(**disk))]
    if not is_plain(wanted["component"]):
        drop_in = f"{UNITS}/gitlab-runsvdir.service.d/refarch-{disk['name']}.conf"
        os.makedirs(os.path.dirname(drop_in), mode=0o755, exist_ok=True)
        units.append((drop_in, SUPERVISOR_DROP_IN.format(**disk)))
    return unit, [path for path, text in units if write_file(path, text.encode(), 0o644)]


def mount(unit, changed):
    """Now and at every boot; says whether anything had to be done."""
    if changed:
        must("systemctl", "daemon-reload")
    if run("systemctl", "is-enabled", "--quiet", unit)[0] == 0 and run("systemctl", "is-active", "--quiet", unit)[0] == 0:
        return False
    must("systemctl", "enable", "--now", unit)
    return True


def make(wanted):
    done = []
    for disk in wanted["data_disks"]:
        if is_empty(disk["path"]):
            format_disk(wanted, disk)
            done.append(f"a file system on {disk['path']}")
        unit, changed = write_units(wanted, disk)
        if mount(unit, changed):
            changed.append(f"{disk['mount']} is mounted")
        done += changed
    return done


def mounted_file_system(disk):
    """The UUID of what is mounted there, if it is this disk."""
    if run("findmnt", "--noheadings", "--source", disk["path"], "--target", disk["mount"])[0] != 0:
        return None
    return must("blkid", "-p", "-o", "value", "-s", "UUID", disk["path"])


def mark_built(wanted):
    """A look at the disk after its host died doesn't replay the journal, so the marker has to stand where it belongs."""
    todo = []
    for disk in wanted["data_disks"]:
        path, file_system = f"{disk['mount']}/{MARKER}", mounted_file_system(disk)
        try:
            with open(path, "rb") as file:
                now = json.loads(file.read())
        except (FileNotFoundError, ValueError):
            now = None
        mine = [marker(wanted, disk, file_system, built) for built in (False, True)]
        if file_system is None or now not in [json.loads(text) for text in mine]:
            raise Refused(
                f"the data disk {disk['name']} is not mounted at {disk['mount']}, or it doesn't carry this deployment's marker. "
                "Nothing was written. Run the phase `configure` again."
            )
        todo.append((path, mine[1]))
    done = [path for path, text in todo if write_file(path, text, 0o600)]
    for path in done:
        must("sync", "--file-system", path)
    return done


def main():
    module = AnsibleModule(
        argument_spec={
            "who": {"type": "str", "required": True},
            "identity": {"type": "dict", "required": True},
            "component": {"type": "str", "required": True},
            "data_disks": {"type": "list", "elements": "dict", "required": True},
            "built": {"type": "bool", "default": False},
        },
    )
    wanted = module.params
    try:
        done = mark_built(wanted) if wanted["built"] else make(wanted)
    except (Refused, OSError) as problem:
        module.fail_json(msg=f"{wanted['who']}: {problem}")
    module.exit_json(changed=bool(done), done=done)


if __name__ == "__main__":
    main()
