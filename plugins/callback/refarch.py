# SPDX-License-Identifier: GPL-3.0-or-later
"""Appends what happens in a playbook to a file, one JSON object a line, for the program that drives it.

It never carries a module's result: of that only the message of a failure or a skip, and the state that `node_state` or
`cluster_state` read. What it can't write it reports once on stderr; the playbook goes on.
"""

from __future__ import annotations

DOCUMENTATION = r"""
name: refarch
type: aggregate
short_description: JSON lines for refarch
description:
  - Appends one JSON object a line to the file that E(REFARCH_ANSIBLE_EVENTS) names, and does nothing without it.
requirements:
  - enabled in the configuration (C(callbacks_enabled = refarch))
options: {}
"""

import json
import os
import re
import sys
import time
from datetime import datetime, timezone

from ansible.plugins.callback import CallbackBase

VERSION = 1
# A line stays short enough to be one write, whatever a module says.
MESSAGE_HEAD = 12 * 1024
MESSAGE_TAIL = 4 * 1024
STATE_ACTIONS = ("node_state", "cluster_state", "host_state")
COUNTS = ("ok", "changed", "unreachable", "failures", "skipped", "rescued", "ignored")


def bounded(text):
    """The beginning and the end of a long message, since either may hold the cause."""
    left_out = len(text) - MESSAGE_HEAD - MESSAGE_TAIL
    if left_out <= 0:
        return text
    return f"{text[:MESSAGE_HEAD]}\n[{left_out} characters left out]\n{text[-MESSAGE_TAIL:]}"


def parts(outcome):
    """Result, host and task: by the public contract of ansible-core 2.19, or as older ones name them."""
    if hasattr(outcome, "result"):
        return outcome.result, outcome.host, outcome.task
    return outcome._result, outcome._host, outcome._task


def is_censored(result, task):
    return "censored" in result or task.no_log is True


def item_messages(result, wanted):
    """What the items of a loop say that failed (or were skipped); hidden ones stay hidden."""
    items = [item for item in result.get("results") or [] if isinstance(item, dict) and item.get(wanted)]
    texts = ["hidden by no_log" if "censored" in item else str(item.get("msg") or "") for item in items]
    return list(dict.fromkeys(text for text in texts if text))


def message(result, task, wanted):
    """The message to pass on, or None. The result's other fields may hold anything, so none is looked at."""
    if is_censored(result, task):
        return "hidden by no_log"
    texts = item_messages(result, wanted)
    if not texts and result.get("msg"):
        texts = [str(result["msg"])]
    return bounded("\n".join(texts)) if texts else None


def place(path):
    """`roles/x/tasks/main.yml:12`, or the playbook's own name and line."""
    if not path:
        return None
    text = str(path)
    in_role = re.search(r"/(roles/[^/]+/(?:tasks|handlers)/.+)$", text)
    return in_role.group(1) if in_role else os.path.basename(text)


def now():
    return datetime.now(timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class CallbackModule(CallbackBase):
    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "refarch"
    CALLBACK_NEEDS_ENABLED = True

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.path = os.environ.get("REFARCH_ANSIBLE_EVENTS")
        self.disabled = not self.path
        self.file = None
        self.complained = False
        self.play = None
        self.started = {}

    def complain(self, error):
        """Says once that events are lost: a broken record is no reason to stop work on a node."""
        if self.complained:
            return
        self.complained = True
        try:
            sys.stderr.write(f"refarch: events can't be written to {self.path}: {error}; the playbook goes on\n")
        except (OSError, ValueError):
            pass

    def emit(self, kind, **fields):
        event = {"v": VERSION, "time": now(), "type": kind}
        event.update((key, value) for key, value in fields.items() if value is not None)
        try:
            line = json.dumps(event, default=str).encode("utf-8") + b"\n"
            if self.file is None:
                self.file = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
            if os.write(self.file, line) != len(line):
                raise OSError("the line was cut short")
        except Exception as error:  # noqa: BLE001 - nothing here may reach Ansible
            self.complain(error)

    def about(self, task):
        return {"play": self.play, "task": task.get_name(), "uuid": str(task._uuid), "path": place(task.get_path())}

    def report(self, kind, outcome, wanted=None, **more):
        """One host's answer to one task; `wanted` names the flag whose message is passed on."""
        try:
            result, host, task = parts(outcome)
            began = self.started.pop((str(task._uuid), host.get_name()), None)
            more["duration_s"] = None if began is None else round(time.monotonic() - began, 3)
            if wanted:
                more["msg"] = message(result, task, wanted)
            if kind in ("host_ok", "host_changed") and self.is_state(task) and not is_censored(result, task):
                more["state"] = result.get("state")
            fields = {**self.about(task), "host": host.get_name(), **more}
        except Exception as error:  # noqa: BLE001 - nothing here may reach Ansible
            self.complain(error)
            return
        self.emit(kind, **fields)

    @staticmethod
    def is_state(task):
        return task.action.rpartition(".")[2] in STATE_ACTIONS

    def v2_playbook_on_start(self, playbook):
        self.emit("playbook_start", path=place(getattr(playbook, "_file_name", None)))

    def v2_playbook_on_play_start(self, play):
        self.play = play.get_name().strip()
        self.emit("play_start", play=self.play, uuid=str(play._uuid))

    def v2_playbook_on_task_start(self, task, is_conditional):
        self.emit("task_start", **self.about(task))

    def v2_playbook_on_handler_task_start(self, task):
        self.emit("handler_start", **self.about(task))

    def v2_runner_on_start(self, host, task):
        self.started[(str(task._uuid), host.get_name())] = time.monotonic()
        self.emit("host_start", **self.about(task), host=host.get_name())

    def v2_runner_on_ok(self, result):
        changed = bool(parts(result)[0].get("changed"))
        self.report("host_changed" if changed else "host_ok", result)

    def v2_runner_on_failed(self, result, ignore_errors=False):
        self.report("host_failed", result, wanted="failed", ignored=bool(ignore_errors))

    def v2_runner_on_skipped(self, result):
        self.report("host_skipped", result, wanted="skipped")

    def v2_runner_on_unreachable(self, result):
        self.report("host_unreachable", result, wanted="unreachable", ignored=bool(parts(result)[2].ignore_unreachable))

    def v2_playbook_on_stats(self, stats):
        hosts = {}
        for host in sorted(stats.processed):
            summary = stats.summarize(host)
            hosts[host] = {count: summary.get(count, 0) for count in COUNTS}
        self.emit("stats", stats=hosts)
