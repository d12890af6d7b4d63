# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes a host of the lab serve the buckets that refarch delivered the names and the keys of."""

from __future__ import annotations

DOCUMENTATION = r"""
module: lab_object_storage
short_description: Run the lab's object storage
description:
  - Reads /etc/refarch/node.json, which refarch delivered, on the node itself, so that the keys are no arguments.
  - versitygw (Apache-2.0) keeps objects as files; a folder of its data is a bucket (C(versitygw posix --help)). It is given
    its keys by an environment file of root's (0600).
author: refarch
options:
  who: {description: What a message calls the node., type: str, required: true}
  folder: {description: Where objects are kept., type: path, required: true}
"""

EXAMPLES = r"""
- name: Serve the buckets
  lab_object_storage:
    who: demo-object-storage-1
    folder: /var/lib/refarch-object-storage
"""

RETURN = r"""
done:
  description: What was made or changed.
  returned: success
  type: list
  elements: str
"""

import os

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.refarch_node import PLAIN, PLAIN_ETC, Refused, must, read_json, run, write_file

SERVER = PLAIN["object_storage"]
ENVIRONMENT = f"{PLAIN_ETC}/object-storage.env"
KEYS = ("access_key", "secret_key", "port", "buckets")
UNIT = """# Written by refarch.
[Unit]
Description=Object storage of the lab
RequiresMountsFor={folder}

[Service]
EnvironmentFile={environment}
ExecStart={program} --port :{port} --quiet posix {folder}
Restart=always

[Install]
WantedBy=multi-user.target
"""


def serve(folder):
    """Says what was made or changed. A bucket that is there stays, whatever it holds."""
    wanted = read_json(f"{PLAIN_ETC}/node.json") or {}
    if missing := [key for key in KEYS if key not in wanted]:
        raise Refused(f"{PLAIN_ETC}/node.json lacks {', '.join(missing)}. Run the phase `bind` again, which writes it.")
    buckets = [f"{folder}/{bucket}" for bucket in wanted["buckets"]]
    made = [bucket for bucket in buckets if not os.path.isdir(bucket)]
    for bucket in made:
        os.makedirs(bucket, mode=0o755)
    environment = f"ROOT_ACCESS_KEY={wanted['access_key']}\nROOT_SECRET_KEY={wanted['secret_key']}\n"
    unit = UNIT.format(folder=folder, environment=ENVIRONMENT, program=SERVER["program"], port=wanted["port"])
    written = [
        path
        for path, text, mode in ((ENVIRONMENT, environment, 0o600), (SERVER["rendered"], unit, 0o644))
        if write_file(path, text.encode(), mode)
    ]
    service = f"{SERVER['service']}.service"
    if written:
        must("systemctl", "daemon-reload")
    if written or run("systemctl", "is-active", "--quiet", service)[0] != 0:
        must("systemctl", "enable", "--quiet", service)
        must("systemctl", "restart", service)
        written.append(f"{service} is started")
    return made + written


def main():
    module = AnsibleModule(argument_spec={"who": {"type": "str", "required": True}, "folder": {"type": "path", "required": True}})
    try:
        done = serve(module.params["folder"].rstrip("/"))
    except (Refused, OSError) as problem:
        module.fail_json(msg=f"{module.params['who']}: {problem}")
    module.exit_json(changed=bool(done), done=done)


if __name__ == "__main__":
    main()
