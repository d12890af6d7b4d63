# SPDX-License-Identifier: GPL-3.0-or-later
"""Lets the module of the same name reconfigure a node, and fetches the keys that the package made there."""

from __future__ import annotations

import base64
import os
import tempfile
import uuid

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

SECRETS = "/etc/gitlab/gitlab-secrets.json"


class ActionModule(ActionBase):
    """The keys are fetched before anyone asks for health, since data is written with them from now on."""

    _supports_check_mode = False

    def run(self, tmp=None, task_vars=None):
        super().run(tmp, task_vars)
        arguments = dict(self._task.args)
        folder = arguments.pop("fetch_to")
        result = self._execute_module(
            "node_reconfigure", module_args={**arguments, "token": uuid.uuid4().hex}, task_vars=task_vars
        )
        if not result.get("failed"):
            self.fetch(folder)
        return result

    def fetch(self, folder):
        """From memory into a file that is closed to others; the result of the task holds nothing of it."""
        # A terminal between the two, which a login by sudo may bring, would change line ends.
        found = self._low_level_execute_command(f"base64 -w 0 {SECRETS}")
        if found["rc"] != 0:
            raise AnsibleActionFail(f"{SECRETS} can't be read: {found['stderr'].strip()}")
        os.makedirs(folder, mode=0o700, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=folder, prefix=".gitlab-secrets-")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(base64.b64decode(found["stdout"]))
            os.replace(temporary, os.path.join(folder, "gitlab-secrets.json"))
        except OSError:
            os.unlink(temporary)
            raise
