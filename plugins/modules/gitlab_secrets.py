# SPDX-License-Identifier: GPL-3.0-or-later
"""Brings a delivered gitlab-secrets.json to its place without replacing a key that the node already holds."""

from __future__ import annotations

DOCUMENTATION = r"""
module: gitlab_secrets
short_description: Merge a delivered gitlab-secrets.json into the node's
description:
  - GitLab's data can't be read with other keys than it was written with, so a key that differs is never replaced.
  - The package adds keys of its own to the file, which is why keys are compared and not bytes, and why what only the
    node holds stays.
  - Names of keys may appear in the result, their values never.
author: refarch
options:
  incoming:
    description: Path on the node of the delivered file.
    type: path
    required: true
  path:
    description: Path of the node's own file.
    type: path
    default: /etc/gitlab/gitlab-secrets.json
"""

EXAMPLES = r"""
- name: Merge the delivered keys
  gitlab_secrets:
    incoming: /etc/gitlab/.refarch-gitlab-secrets.json
"""

RETURN = r"""
added:
  description: Names of the keys that the node didn't hold.
  returned: success
  type: list
  elements: str
"""

import json
import os
import tempfile

from ansible.module_utils.basic import AnsibleModule

# Written by the package for this node alone, or of no consequence between nodes.
NODE_LOCAL = (("letsencrypt",), ("postgresql", "internal_certificate"), ("postgresql", "internal_key"))


class Unusable(Exception):
    """A file that can't be compared; the message holds no content."""


def load(path):
    """The object in a file, or None where there is no file."""
    try:
        with open(path, encoding="utf-8") as file:
            value = json.load(file)
    except FileNotFoundError:
        return None
    except ValueError:
        raise Unusable(f"{path} is not JSON") from None
    if not isinstance(value, dict):
        raise Unusable(f"{path} is not a JSON object")
    return value


def leaves(value, at=()):
    """Every value that is not an object, by its path."""
    if not isinstance(value, dict):
        return {at: value}
    return {path: leaf for key, inner in value.items() for path, leaf in leaves(inner, (*at, key)).items()}


def is_node_local(path):
    return any(path[: len(prefix)] == prefix for prefix in NODE_LOCAL)


def compare(current, incoming):
    """Names of the keys that differ, and paths of those that only the delivered file holds."""
    have, want = leaves(current), leaves(incoming)
    names = set(have)
    differing, added = [], []
    for path, value in want.items():
        inner = any(other != path and other[: len(path)] == path for other in names)
        outer = any(path[:end] in names for end in range(1, len(path)))
        if is_node_local(path) and path in have:
            continue
        if inner or outer or (path in have and have[path] != value):
            differing.append(".".join(path))
        elif path not in have:
            added.append(path)
    return differing, added


def merge(current, incoming, added):
    """The node's object with the added keys in it."""
    merged = json.loads(json.dumps(current))
    want = leaves(incoming)
    for path in added:
        place = merged
        for key in path[:-1]:
            place = place.setdefault(key, {})
        place[path[-1]] = want[path]
    return merged


def write(path, value):
    """Replaces the file at once, so that no reader sees half of it."""
    handle, temporary = tempfile.mkstemp(dir=os.path.dirname(path), prefix=".refarch-")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump(value, file, indent=2)
            file.write("\n")
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError:
        os.unlink(temporary)
        raise


def main():
    module = AnsibleModule(
        argument_spec={
            "incoming": {"type": "path", "required": True},
            "path": {"type": "path", "default": "/etc/gitlab/gitlab-secrets.json"},
        },
        supports_check_mode=True,
    )
    path = module.params["path"]
    try:
        incoming, current = load(module.params["incoming"]), load(path)
    except Unusable as problem:
        module.fail_json(msg=f"{problem}; nothing was written. Restore it from a backup before going on.")
    if incoming is None:
        module.fail_json(msg=f"{module.params['incoming']} is not on the node; nothing was written")
    differing, added = compare(current or {}, incoming)
    if differing:
        module.fail_json(
            msg=f"the node holds other keys in {path} than this deployment: {', '.join(sorted(differing))}. Nothing was "
            "written, since data written with the node's keys can't be read with others. Supply the node's file to "
            "refarch, or, if no data was ever written with its keys, remove it from the node."
        )
    if added and not module.check_mode:
        write(path, merge(current or {}, incoming, added))
    module.exit_json(changed=bool(added), added=[".".join(key) for key in added])


if __name__ == "__main__":
    main()
