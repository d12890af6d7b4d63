# SPDX-License-Identifier: GPL-3.0-or-later
"""Brings a package file to the node where it is installed from one, and lets the module of the same name install it."""

from __future__ import annotations

import os

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase


class ActionModule(ActionBase):
    """One transfer into the folder of this task, where the general way asks and copies on the node as well."""

    _supports_check_mode = False

    def run(self, tmp=None, task_vars=None):
        super().run(tmp, task_vars)
        arguments = dict(self._task.args)
        source = arguments.pop("source", None)
        if source:
            arguments["file"] = self.bring(source, f"{arguments['name']}.deb")
        return self._execute_module("node_package", module_args=arguments, task_vars=task_vars)

    def bring(self, source, name):
        """The path on the node. The folder is closed to others, and goes with this task."""
        if not os.path.isfile(source):
            raise AnsibleActionFail(f"the package file {source} is not on the machine that runs refarch")
        return self._transfer_file(source, self._connection._shell.join_path(self._make_tmp_path(), name))
