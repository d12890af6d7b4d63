# SPDX-License-Identifier: GPL-3.0-or-later
"""Gives HAProxy a configuration that it was asked about first."""

from __future__ import annotations

DOCUMENTATION = r"""
module: node_haproxy
short_description: Configure HAProxy
description:
  - Validates a configuration with C(haproxy -c) beside the one in use, so that a wrong one stops nothing, puts it in its place
    and reloads HAProxy, so that connections live on. Where HAProxy doesn't run, it is started.
author: refarch
options:
  who: {description: What a message calls the node., type: str, required: true}
  config: {description: The whole configuration. It holds no secret., type: str, required: true}
  reload: {description: Whether files that it refers to have changed., type: bool, default: false}
"""

EXAMPLES = r"""
- name: Configure HAProxy
  node_haproxy:
    who: demo-external-lb-1
    config: "{{ lookup('ansible.builtin.template', 'haproxy.cfg.j2') }}"
"""

RETURN = r"""
written:
  description: Whether the configuration is another than before.
  returned: success
  type: bool
"""

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.refarch_node import PLAIN, Refused, remove_file, run, write_file

PATH = PLAIN["external_lb"]["rendered"]
SHOWN = 2000


def validate(config):
    """HAProxy's own word on it, with the lines that it complains of."""
    candidate = f"{PATH}.refarch"
    write_file(candidate, config, 0o644)
    try:
        rc, out, err = run("haproxy", "-c", "-f", candidate)
    finally:
        remove_file(candidate)
    if rc != 0:
        raise Refused(f"HAProxy refuses its new configuration, and goes on with the old one: {(err or out).strip()[:SHOWN]}")


def take_effect():
    """Reloads what runs, and starts what doesn't, now and at every boot."""
    for argv in (("enable", "--quiet", "haproxy.service"), ("reload-or-restart", "haproxy.service")):
        rc, out, err = run("systemctl", *argv)
        if rc != 0:
            raise Refused(f"`systemctl {' '.join(argv)}` ended with {rc}: {(err or out).strip()}")


def configure(config, reload):
    """Whether the configuration is another than before, and whether HAProxy was told of anything."""
    validate(config)
    written = write_file(PATH, config, 0o644)
    told = written or reload or run("systemctl", "is-active", "--quiet", "haproxy.service")[0] != 0
    if told:
        take_effect()
    return written, told


def main():
    module = AnsibleModule(
        argument_spec={
            "who": {"type": "str", "required": True},
            "config": {"type": "str", "required": True},
            "reload": {"type": "bool", "default": False},
        },
    )
    try:
        written, told = configure(module.params["config"].encode(), module.params["reload"])
    except (Refused, OSError) as problem:
        module.fail_json(msg=f"{module.params['who']}: {problem}")
    module.exit_json(changed=told, written=written)


if __name__ == "__main__":
    main()
