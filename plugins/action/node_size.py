# SPDX-License-Identifier: GPL-3.0-or-later
"""Asks whether a node is as large as its deployment wants; no assertion, because that can't skip with a reason."""

from __future__ import annotations

DOCUMENTATION = r"""
module: node_size
short_description: Ask whether a node is as large as wanted
description:
  - Compares memory, vCPUs and the file system of the root disk with what is wanted, and names all that fall short at once.
  - A kernel keeps some of the memory for itself, and partitions and file system take some of a disk, so 90 % of the
    wanted memory and root disk is enough. vCPUs are not rounded.
  - Where the size is simulated, it skips with that reason as its message.
author: refarch
options:
  found:
    description: What node_state found on the node.
    type: dict
    required: true
  wanted:
    description: What the deployment wants; memory and disk in GiB.
    type: dict
    required: true
    options:
      vcpu: {description: Number of vCPUs., type: float, required: true}
      memory_gb: {description: Memory., type: float, required: true}
      root_disk_gb: {description: Size of the root disk., type: float, required: true}
      simulated: {description: Why the size means nothing here; absent where it does., type: str}
"""

EXAMPLES = r"""
- name: Ask for the wanted size
  node_size:
    found: "{{ node.state }}"
    wanted: {vcpu: 8, memory_gb: 16, root_disk_gb: 50}
"""

RETURN = r"""
msg:
  description: What was found.
  returned: always
  type: str
"""

from ansible.plugins.action import ActionBase

ENOUGH = 0.9


def shortfalls(found, wanted):
    """A sentence for each measure that falls short."""
    short = []
    if (found["vcpu"] or 0) < wanted["vcpu"]:
        short.append(f"{found['vcpu']} vCPU found, {wanted['vcpu']:g} wanted")
    if (found["memory_gb"] or 0) < ENOUGH * wanted["memory_gb"]:
        short.append(f"{found['memory_gb']} GiB of memory found, {wanted['memory_gb']:g} wanted")
    if found["root_disk_gb"] < ENOUGH * wanted["root_disk_gb"]:
        short.append(f"{found['root_disk_gb']} GiB of root disk found, {wanted['root_disk_gb']:g} wanted")
    return short


class ActionModule(ActionBase):
    """Compares on the controller: what was found is known there already."""

    _requires_connection = False

    def run(self, tmp=None, task_vars=None):
        super().run(tmp, task_vars)
        found, wanted = self._task.args["found"], self._task.args["wanted"]
        if wanted.get("simulated"):
            return {"changed": False, "skipped": True, "msg": wanted["simulated"]}
        short = shortfalls(found, wanted)
        if short:
            advice = "Give it the size that its architecture asks for."
            return {"failed": True, "msg": f"the node is too small: {'; '.join(short)}. {advice}"}
        return {"changed": False, "msg": "the node is as large as wanted"}
