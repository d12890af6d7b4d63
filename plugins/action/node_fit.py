# SPDX-License-Identifier: GPL-3.0-or-later
"""Refuses a node that is not the one that was asked for, before anything is written to it."""

from __future__ import annotations

DOCUMENTATION = r"""
module: node_fit
short_description: Refuse a node that can't become what is wanted
description:
  - Judges what node_state found, on the machine that runs refarch, so that nothing has to be asked of the node again.
  - An operating system without support, a GitLab that has no package for it, another GitLab than the wanted one, and every
    data disk that is missing, of another size, somebody else's, or would hide files.
author: refarch
options:
  found: {description: What node_state found on the node., type: dict, required: true}
  who: {description: What a message calls the node., type: str, required: true}
  node: {description: The node's name., type: str, required: true}
  identity: {description: The deployment with name and suffix., type: dict, required: true}
  component: {description: What the node is for., type: str, required: true}
  package: {description: The wanted GitLab package with name and version., type: dict, required: true}
  data_disks: {description: The wanted data disks., type: list, elements: dict, required: true}
  systems: {description: Folder with one file of facts for each supported operating system., type: path, required: true}
"""

import os

from ansible.errors import AnsibleActionFail
from ansible.module_utils.compat.version import LooseVersion
from ansible.plugins.action import ActionBase

GIB = 1024**3
# Room for clouds and file formats that round.
SIZE_ROOM = 0.01


def has_gitlab(wanted):
    """Whether the node is one that runs GitLab's package: a load balancer runs another."""
    return wanted["found"]["package"]["name"] == wanted["package"]["name"]


def refuse_system(wanted, facts):
    """Why GitLab can't be installed on this operating system; None where it can."""
    found, package = wanted["found"]["os"], wanted["package"]
    if facts is None:
        systems = sorted(os.path.splitext(name)[0] for name in os.listdir(wanted["systems"]))
        return (
            f"it runs {found['id']} {found['version']}, for which refarch installs nothing. Supported are "
            f"{', '.join(systems)}: make the node from an image of one of them."
        )
    if not has_gitlab(wanted):
        return None
    known = found["architecture"] in facts["architectures"]
    if known and LooseVersion(package["version"]) >= LooseVersion(facts["first_gitlab"]):
        return None
    return (
        f"it runs {facts['title']} on {found['architecture']}. GitLab has packages for it from {facts['first_gitlab']} on, for "
        f"{' and '.join(facts['architectures'])}; {package['version']} was asked for. Choose a newer GitLab or another image."
    )


def refuse_installed(wanted):
    """Upgrades are not built yet, so another GitLab than the wanted one is refused."""
    package = wanted["package"]
    others = [
        gitlab
        for gitlab in wanted["found"]["gitlabs"]
        if (gitlab["name"], gitlab["version"]) != (package["name"], package["version"])
    ]
    if not has_gitlab(wanted) or not others:
        return None
    newer = LooseVersion(others[0]["version"]) > LooseVersion(package["version"])
    names = ", ".join(f"{gitlab['name']} {gitlab['version']}" for gitlab in others)
    return (
        f"{names} is installed, and {package['name']} {package['version']} was asked for. "
        f"{'GitLab can not be downgraded.' if newer else 'Upgrades are not built yet.'} "
        "Ask for the version that is installed, or build a new deployment."
    )


def holds(found):
    """What a data disk carries, to be read after `it`."""
    marker = found["marker"]
    if found["signature"] is None:
        return "carries no file system"
    if found["signature"] == "ambivalent":
        return "carries more than one signature (`blkid -p` can't tell which holds)"
    if marker:
        return (
            f"carries the {found['signature']} file system {found['uuid']}, marked for deployment {marker['deployment']} "
            f"({marker['suffix']}), component {marker['component']}, file system {marker['uuid']}"
        )
    uuid = f" {found['uuid']}" if found["uuid"] else ""
    return f"carries {found['signature']}{uuid} without a marker of refarch"


def is_ours(found, wanted):
    """Whether a data disk carries what refarch made for this component of this deployment."""
    marker, identity = found["marker"] or {}, wanted["identity"]
    ours = (identity["name"], identity["suffix"], wanted["component"], found["uuid"])
    theirs = tuple(marker.get(key) for key in ("deployment", "suffix", "component", "uuid"))
    return found["signature"] == "ext4" and theirs == ours


def refuse_disk(disk, found, wanted):
    """Everything that can be refused about a data disk; None where it is empty or this node's."""
    name, path, expected = disk["name"], disk["path"], disk.get("expected_uuid")
    if not found["present"]:
        return (
            f"no block device is at {path}, where its data disk {name} should be. Attach the disk, or let refarch make it "
            "again if it never held data."
        )
    size = found["size_bytes"] / GIB
    if abs(size / float(disk["size_gb"]) - 1) > SIZE_ROOM:
        return (
            f"the device at {path} has {round(size, 2)} GiB, and the data disk {name} should have {disk['size_gb']:g}. It may "
            "be another disk, so nothing was written. Attach the right one, or ask for the size that it has."
        )
    if expected and not (found["uuid"] == expected and is_ours(found, wanted)):
        return (
            f"the data disk {name} at {path} should carry the file system {expected} with this deployment's data, but it "
            f"{holds(found)}. Nothing was written. Attach the disk that has the data, or one restored from a snapshot of it; "
            f"if the data may be lost, `refarch up --accept-data-loss {wanted['node']}` gives it up."
        )
    if found["signature"] is not None and not is_ours(found, wanted):
        return (
            f"the data disk {name} at {path} is not empty: it {holds(found)}. Nothing was written. Attach an empty disk or the "
            f"one of this deployment; if nothing on it is needed, clear it with `wipefs --all {path}` on the node."
        )
    if found["covers"]:
        return (
            f"{disk['mount']} already holds files ({', '.join(found['covers'])}), and the data disk {name} is not mounted "
            "there. Mounting it would hide them. Move them away first."
        )
    return None


def refusals(wanted, facts):
    """Everything that stands against the node, at once."""
    found = {disk["name"]: disk for disk in wanted["found"]["data_disks"]}
    disks = [refuse_disk(disk, found[disk["name"]], wanted) for disk in wanted["data_disks"]]
    return [reason for reason in (refuse_system(wanted, facts), refuse_installed(wanted), *disks) if reason]


class ActionModule(ActionBase):
    """Decides on the controller, from what is known there."""

    _requires_connection = False

    def run(self, tmp=None, task_vars=None):
        super().run(tmp, task_vars)
        wanted = self._task.args
        system = wanted["found"]["os"]
        path = os.path.join(wanted["systems"], f"{system['id']}-{system['version']}.yml")
        facts = self._loader.load_from_file(path) if os.path.isfile(path) else None
        reasons = refusals(wanted, facts)
        if reasons:
            raise AnsibleActionFail("\n".join(f"{wanted['who']}: {reason}" for reason in reasons))
        return {"changed": False}
