"""Lets the tests import the plugins as Ansible does: modules and actions by name, what they share below ansible.module_utils."""

import sys
from pathlib import Path

import ansible.module_utils

PLUGINS = Path(__file__).resolve().parents[2] / "plugins"
ansible.module_utils.__path__.append(str(PLUGINS / "module_utils"))


def from_folder(name: str) -> None:
    sys.path.insert(0, str(PLUGINS / name))
