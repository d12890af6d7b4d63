# SPDX-License-Identifier: GPL-3.0-or-later
"""Asks whether a node is as large as its deployment wants; a module, because only one can skip with a reason."""

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
    description: What was measured on the node (RV(node_state.state)).
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

import os

from ansible.module_utils.basic import AnsibleModule

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


def root_disk_gb():
    """The size of the root file system, in GiB."""
    root = os.statvfs("/")
    return round(root.f_blocks * root.f_frsize / 1024**3, 1)


def main():
    measure = {"type": "float", "required": True}
    options = {"vcpu": measure, "memory_gb": measure, "root_disk_gb": measure, "simulated": {"type": "str"}}
    module = AnsibleModule(
        argument_spec={
            "found": {"type": "dict", "required": True},
            "wanted": {"type": "dict", "required": True, "options": options},
        },
        supports_check_mode=True,
    )
    wanted = module.params["wanted"]
    if wanted["simulated"]:
        module.exit_json(changed=False, skipped=True, msg=wanted["simulated"])
    found = dict(module.params["found"], root_disk_gb=root_disk_gb())
    short = shortfalls(found, wanted)
    if short:
        module.fail_json(msg="the node is too small: " + "; ".join(short) + ". Give it the size that its architecture asks for.")
    module.exit_json(changed=False, msg="the node is as large as wanted")


if __name__ == "__main__":
    main()
