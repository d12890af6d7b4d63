# SPDX-License-Identifier: GPL-3.0-or-later
"""Redis and Sentinel in their own protocol, with the password that the node's own configuration holds."""

from __future__ import annotations

import re
import socket

from ansible.module_utils.refarch_asking import Unasked, read_text

CONNECT_LIMIT = 3


def directives(text):
    """The lines of a redis.conf or sentinel.conf, by their first word; the last one of a name counts."""
    found = {}
    for line in text.splitlines():
        word, _, rest = line.strip().partition(" ")
        if word and not word.startswith("#"):
            found[word] = rest.strip().strip("\"'")
    return found


def resp(stream):
    """One answer in Redis' protocol. Source: https://redis.io/docs/latest/develop/reference/protocol-spec/ (read 2026-11)."""
    line = stream.readline().rstrip(b"\r\n").decode("utf-8", "replace")
    kind, rest = line[:1], line[1:]
    if kind == "-":
        raise Unasked(rest)
    if kind == "$":
        size = int(rest)
        return None if size < 0 else stream.read(size + 2)[:-2].decode("utf-8", "replace")
    if kind == "*":
        return [resp(stream) for _ in range(int(rest))]
    if kind not in "+:" or not kind:
        raise Unasked("the answer is not Redis' protocol")
    return rest


class Redis:
    """A connection to a Redis or a Sentinel, whose password goes over it and nowhere else."""

    def __init__(self, path, port):
        found = directives(read_text(path))
        if found.get("port") == "0":
            raise Unasked(f"{path} says that only TLS is spoken")
        bound = found.get("bind", "").split()
        host = bound[0].lstrip("-") if bound and bound[0] not in ("0.0.0.0", "*", "::") else "127.0.0.1"
        self.address = (host, int(found.get("port", port)))
        self.password = found.get("requirepass")

    def __enter__(self):
        try:
            self.socket = socket.create_connection(self.address, timeout=CONNECT_LIMIT)
        except OSError as error:
            raise Unasked(f"{self.address[0]}:{self.address[1]}: {error.strerror or error}") from None
        self.stream = self.socket.makefile("rb")
        if self.password:
            self.ask("AUTH", self.password)
        return self

    def __exit__(self, *_):
        self.socket.close()

    def ask(self, *words):
        parts = "".join(f"${len(word.encode())}\r\n{word}\r\n" for word in words)
        try:
            self.socket.sendall(f"*{len(words)}\r\n{parts}".encode())
            return resp(self.stream)
        except (OSError, ValueError) as error:
            raise Unasked(f"{self.address[0]}:{self.address[1]}: {error}") from None


def parse_replication(text):
    """`INFO replication`. Source: https://redis.io/docs/latest/commands/info/ (read 2026-11)."""
    found = dict(line.split(":", 1) for line in text.splitlines() if ":" in line)
    replicas = []
    for name, value in found.items():
        if re.fullmatch(r"slave\d+", name):
            fields = dict(part.split("=", 1) for part in value.split(",") if "=" in part)
            replicas.append({"address": fields.get("ip"), "state": fields.get("state")})
    return {
        "role": found.get("role"),
        "master": found.get("master_host"),
        "link": found.get("master_link_status"),
        "replicas": replicas,
    }


def pairs(flat):
    return dict(zip(flat[::2], flat[1::2]))


def parse_masters(listed):
    """`SENTINEL MASTERS`. Source: https://redis.io/docs/latest/operate/oss_and_stack/management/sentinel/ (read 2026-11)."""
    masters = []
    for flat in listed:
        master = pairs(flat)
        masters.append({
            "name": master.get("name"),
            "address": master.get("ip"),
            "flags": (master.get("flags") or "").split(","),
            "other_sentinels": int(master.get("num-other-sentinels") or 0),
            "replicas": int(master.get("num-slaves") or 0),
        })
    return masters
