# SPDX-License-Identifier: GPL-3.0-or-later
"""Installs exactly the wanted package on a node, once, and holds it."""

from __future__ import annotations

DOCUMENTATION = r"""
module: node_package
short_description: Install and hold exactly one version of a package
description:
  - Finishes what a killed run left half installed, installs the package from a file on the node or from the node's
    repositories, asks which version came of it, and holds it, so that no upgrade of the system changes it.
  - A package file may hold anything, so its hash and what it says of itself are asked before it is installed. It is removed
    in the end, whatever came of it.
  - C(/etc/gitlab/skip-auto-reconfigure) keeps the package from reconfiguring by itself. Here only the role reconfigures,
    after it has brought the files.
author: refarch
options:
  who: {description: What a message calls the node., type: str, required: true}
  name: {description: The package., type: str, required: true}
  version: {description: Its exact version., type: str, required: true}
  source: {description: Path of the package file on the machine that runs refarch; the action plugin brings it., type: path}
  file: {description: Path on the node of the package file; absent where it comes from a repository., type: path}
  sha256: {description: The hash that the file has to have., type: str}
  lock_timeout_s: {description: How long to wait for another user of the package manager., type: int, default: 600}
"""

EXAMPLES = r"""
- name: Install GitLab
  node_package:
    who: demo-rails-1
    name: gitlab-ee
    version: 18.11.2-ee.0
"""

RETURN = r"""
installed:
  description: Whether the package was installed now.
  returned: success
  type: bool
"""

import os

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.refarch_node import ETC, Refused, must, read_package, remove_file, run, sha256, write_file

APT = ("apt-get", "--quiet", "--assume-yes", "--no-install-recommends", "--allow-change-held-packages")


def refuse_another(wanted):
    """Another hash or another content than was asked for."""
    found = sha256(wanted["file"])
    rc, out, err = run("dpkg-deb", "--showformat", "${Package} ${Version}", "--show", wanted["file"])
    says = out if rc == 0 else err.strip()
    if found != wanted["sha256"] or says != f"{wanted['name']} {wanted['version']}":
        raise Refused(
            f'the package file is "{says}" with sha256 {found}, and {wanted["name"]} {wanted["version"]} with sha256 '
            f"{wanted['sha256']} was asked for. Nothing was installed. Correct `gitlab.package` in the spec."
        )


def finish_half_installed():
    """A run that was killed in the middle of dpkg's work leaves what it names here."""
    if must("dpkg", "--audit"):
        must("dpkg", "--configure", "--pending", "--force-confold")
        return True
    return False


def install(wanted):
    options = (
        "-o", f"DPkg::Lock::Timeout={wanted['lock_timeout_s']}",
        "-o", "Dpkg::Options::=--force-confdef", "-o", "Dpkg::Options::=--force-confold",
    )  # fmt: skip
    if wanted["file"]:
        # The user of apt's sandbox couldn't read a file of root's, and would say so at length.
        must(*APT, *options, "-o", "APT::Sandbox::User=root", "install", wanted["file"])
    else:
        must("apt-get", "--quiet", *options, "update")
        must(*APT, *options, "install", f"{wanted['name']}={wanted['version']}")


def settle(wanted):
    """Whether anything was changed, and whether the package was installed now."""
    os.environ["DEBIAN_FRONTEND"] = "noninteractive"
    os.makedirs(ETC, mode=0o755, exist_ok=True)
    changed = write_file(f"{ETC}/skip-auto-reconfigure", b"", 0o644)
    changed = finish_half_installed() or changed
    missing = read_package(wanted["name"])["installed"] != wanted["version"]
    if missing:
        if wanted["file"]:
            refuse_another(wanted)
        install(wanted)
    found = read_package(wanted["name"])
    if found["installed"] != wanted["version"]:
        raise Refused(
            f"after the installation dpkg says {found['installed']} of {wanted['name']}, and {wanted['version']} was asked for. "
            "Read `dpkg --audit` on the node."
        )
    if not found["held"]:
        must("apt-mark", "hold", wanted["name"])
        changed = True
    return changed or missing, missing


def main():
    module = AnsibleModule(
        argument_spec={
            "who": {"type": "str", "required": True},
            "name": {"type": "str", "required": True},
            "version": {"type": "str", "required": True},
            "file": {"type": "path"},
            "sha256": {"type": "str"},
            "lock_timeout_s": {"type": "int", "default": 600},
        },
    )
    wanted = module.params
    try:
        changed, installed = settle(wanted)
    except (Refused, OSError) as problem:
        module.fail_json(msg=f"{wanted['who']}: {problem}")
    finally:
        if wanted["file"]:
            remove_file(wanted["file"])
    module.exit_json(changed=changed, installed=installed)


if __name__ == "__main__":
    main()
