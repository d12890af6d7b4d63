# SPDX-License-Identifier: GPL-3.0-or-later
"""Sends a node's folder to the node in one piece, and lets the module of the same name put its files in their places."""

from __future__ import annotations

import io
import os
import shlex
import tarfile

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

# In memory, for root alone: what is left there by a run that was killed is gone with the next boot or the next run.
INCOMING = "/run/refarch/incoming"


def pack(folder):
    """Every file of the folder, by its name within it."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for place, _, names in sorted(os.walk(folder)):
            for name in sorted(names):
                path = os.path.join(place, name)
                archive.add(path, arcname=os.path.relpath(path, folder), recursive=False)
    return buffer.getvalue()


class ActionModule(ActionBase):
    """Two exchanges with the node: the archive on the standard input of `cat`, and the module."""

    _supports_check_mode = False

    def run(self, tmp=None, task_vars=None):
        super().run(tmp, task_vars)
        arguments = dict(self._task.args)
        self.send(pack(arguments["folder"]))
        return self._execute_module("node_files", module_args={**arguments, "archive": INCOMING}, task_vars=task_vars)

    def send(self, data):
        """The file is closed to others before it holds anything."""
        path = shlex.quote(INCOMING)
        command = f"umask 077 && mkdir -p {shlex.quote(os.path.dirname(INCOMING))} && rm -f {path} && cat >{path}"
        done = self._low_level_execute_command(command, in_data=data)
        if done["rc"] != 0:
            raise AnsibleActionFail(f"the files can't be sent to the node: {done['stderr'].strip() or done['stdout'].strip()}")
