# SPDX-License-Identifier: GPL-3.0-or-later
"""How modules ask the programs of a node: with a time limit, without a secret in an argument, and with a reason where nothing
answers."""

from __future__ import annotations

import json
import os
import pwd
import re
import signal
import subprocess
import urllib.error
import urllib.request

EMBEDDED = "/opt/gitlab/embedded/bin"
# How long one question may take, in seconds.
LIMIT = 15
# What a program says is kept up to so many characters, its end, since that is where a reason stands.
KEPT = 4000
ANSI = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")


class Unasked(Exception):
    """A question that has no answer; the message says why."""


def run(*argv, user=None, stdin="", limit=LIMIT, env=None):
    """Runs a program as a user, in a process group that ends with the limit, and returns its exit code and words."""
    account = pwd.getpwnam(user) if user else None
    identity = {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []} if account else {}
    home = {"HOME": account.pw_dir} if account else {}
    environment = {"PATH": f"/opt/gitlab/bin:{EMBEDDED}:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8", **home, **(env or {})}
    try:
        child = subprocess.Popen(
            argv, cwd="/", env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            start_new_session=True, **identity,
        )
    except FileNotFoundError:
        raise Unasked(f"there is no `{argv[0]}`") from None
    except PermissionError as error:
        raise Unasked(f"`{argv[0]}` can't be run: {error.strerror}") from None
    try:
        out, _ = child.communicate(stdin.encode(), timeout=limit)
    except subprocess.TimeoutExpired:
        os.killpg(child.pid, signal.SIGKILL)
        child.communicate()
        raise Unasked(f"`{os.path.basename(argv[0])}` gave no answer within {limit} s") from None
    return child.returncode, ANSI.sub("", out.decode("utf-8", "replace"))


def command(*argv, **options):
    """What a documented command said, for those whose words a check reads."""
    rc, out = run(*argv, **options)
    return {"rc": rc, "out": out[-KEPT:]}


def fetch(url, limit=LIMIT):
    """A JSON document over HTTP, straight and never through a proxy."""
    try:
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(url, timeout=limit) as answer:
            return json.loads(answer.read())
    except urllib.error.HTTPError as error:
        raise Unasked(f"{url} answers {error.code}") from None
    except (OSError, urllib.error.URLError) as error:
        raise Unasked(f"{url}: {getattr(error, 'reason', error)}") from None
    except ValueError:
        raise Unasked(f"{url} answers no JSON") from None


def read_text(path):
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except (FileNotFoundError, NotADirectoryError):
        raise Unasked(f"there is no {path}") from None


def last_line(out):
    lines = [line.strip() for line in out.splitlines() if line.strip()]
    return lines[-1] if lines else "it says nothing"
