# SPDX-License-Identifier: GPL-3.0-or-later
"""Merges a delivered gitlab-secrets.json into the node's without replacing a key that the node already holds.

GitLab's data can't be read with other keys than it was written with, so a key that differs is never replaced. The package
adds keys of its own to the file, which is why keys are compared and not bytes, and why what only the node holds stays.
Names of keys may appear in a message, their values never.
"""

from __future__ import annotations

import json

# Written by the package for this node alone, or of no consequence between nodes.
NODE_LOCAL = (("letsencrypt",), ("postgresql", "internal_certificate"), ("postgresql", "internal_key"))


class Unusable(Exception):
    """Files that can't be merged; the message holds no content."""


def parse(text, name):
    """The object that a file holds."""
    try:
        value = json.loads(text)
    except ValueError:
        raise Unusable(f"{name} is not JSON; nothing was written. Restore it from a backup before going on.") from None
    if not isinstance(value, dict):
        raise Unusable(f"{name} is not a JSON object; nothing was written. Restore it from a backup before going on.")
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


def merged(path, current, incoming):
    """The bytes that the node's file should hold, or None where nothing has to be added.

    `current` is what the file holds, or None where there is none; `incoming` is what was delivered.
    """
    have = {} if current is None else parse(current, path)
    want = parse(incoming, f"the delivered {path}")
    differing, added = compare(have, want)
    if differing:
        raise Unusable(
            f"the node holds other keys in {path} than this deployment: {', '.join(sorted(differing))}. Nothing was "
            "written, since data written with the node's keys can't be read with others. Supply the node's file to "
            "refarch, or, if no data was ever written with its keys, remove it from the node."
        )
    if not added and current is not None:
        return None
    return (json.dumps(merge(have, want, added), indent=2) + "\n").encode()
