# SPDX-License-Identifier: GPL-3.0-or-later
"""Waits until a node does what it is for, and writes the stamp that says so."""

from __future__ import annotations

DOCUMENTATION = r"""
module: node_ready
short_description: Wait for a node's health and write its stamp
description:
  - Asks on the node, every half second, for a URL that answers 200 or for ports that something listens on, and for every
    service to run.
  - The stamp is written last, with the hashes of what lies on the node then, so that it proves what it names.
author: refarch
options:
  who:
    description: What a message calls the node.
    type: str
    required: true
  identity:
    description: The deployment, with C(name) and C(suffix).
    type: dict
    required: true
  component:
    description: What the node is for.
    type: str
    required: true
  package:
    description: Name of the GitLab package.
    type: str
    default: gitlab-ee
  fqdn:
    description: The name that the node's certificate is for.
    type: str
    required: true
  tls:
    description: Whether the node serves TLS with that certificate.
    type: bool
    default: false
  health:
    description:
      - What is asked. Either C(url), with C(resolve) (NAME:PORT:ADDRESS, so that it works before DNS does) and C(ca) (path of
        the certificate authority on the node), or C(ports), a list of TCP ports.
    type: dict
    required: true
  timeout_s:
    description: How long it may take.
    type: int
    default: 300
"""

EXAMPLES = r"""
- name: Wait for health
  node_ready:
    identity: {name: demo, suffix: a1b2c3}
    component: redis
    fqdn: gitlab.example.com
    health: {ports: [6379]}
"""

RETURN = r"""
msg:
  description: What the node answered.
  returned: always
  type: str
"""

import http.client
import socket
import ssl
import time
import urllib.parse

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.refarch_node import (
    certificate_path,
    read_component_services,
    wanted_stamp,
    write_stamp,
)

PAUSE_S = 0.5
ANSWER_S = 10
SHOWN = 2000
LISTEN = "0A"


def address_of(url, resolve):
    """Host and port to connect to: those of the URL, unless they are to be resolved otherwise."""
    host, port = url.hostname, url.port or (443 if url.scheme == "https" else 80)
    if resolve:
        name, resolved_port, address = resolve.split(":", 2)
        if (name, int(resolved_port)) == (host, port):
            return address.strip("[]"), port
    return host, port


def connect(url, resolve, authority):
    """A connection that verifies the URL's name, whatever address it goes to."""
    raw = socket.create_connection(address_of(url, resolve), timeout=ANSWER_S)
    if url.scheme != "https":
        return raw
    context = ssl.create_default_context(cafile=authority)
    # Python 3.13 asks more of an authority's certificate than other clients do, and it is they who come to the node.
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    try:
        return context.wrap_socket(raw, server_hostname=url.hostname)
    except (OSError, ssl.SSLError):
        raw.close()
        raise


def ask_url(health):
    """None where the URL answers 200, otherwise what it does instead."""
    text = health["url"]
    url = urllib.parse.urlsplit(text)
    target = (url.path or "/") + (f"?{url.query}" if url.query else "")
    try:
        connection = http.client.HTTPConnection(url.hostname, url.port or (443 if url.scheme == "https" else 80))
        connection.sock = connect(url, health.get("resolve"), health.get("ca") or None)
        try:
            connection.request("GET", target, headers={"Connection": "close"})
            answer = connection.getresponse()
            body = answer.read(SHOWN).decode("utf-8", "replace")
        finally:
            connection.close()
    except (OSError, http.client.HTTPException) as error:
        return f"{text} gives no answer: {error}"
    return None if answer.status == 200 else f"{text} answers {answer.status}: {body}"


def parse_listening(text):
    """The local ports of the lines of /proc/net/tcp and tcp6 that stand for a listening socket."""
    lines = (line.split() for line in text.splitlines()[1:])
    return {int(fields[1].rpartition(":")[2], 16) for fields in lines if len(fields) > 3 and fields[3] == LISTEN}


def listening():
    ports = set()
    for name in ("tcp", "tcp6"):
        try:
            with open(f"/proc/net/{name}", encoding="ascii") as file:
                ports |= parse_listening(file.read())
        except FileNotFoundError:
            pass
    return ports


def ask_ports(health):
    """None where something listens on every port, otherwise which ones it doesn't."""
    closed = sorted(set(health["ports"]) - listening())
    return f"nothing listens on port {', '.join(map(str, closed))}" if closed else None


def ask_services(component):
    """None where every service runs, otherwise those that don't."""
    services = read_component_services(component)
    down = [service["name"] for service in services if service["state"] != "run"]
    if down:
        return "not every service runs: " + ", ".join(f"down: {name}" for name in down)
    return None if services else "no service is there"


def ask(component, health):
    """None where all is well, otherwise the first thing that isn't."""
    problem = ask_url(health) if health.get("url") else None
    return problem or (ask_ports(health) if health.get("ports") else None) or ask_services(component)


def wait(component, health, seconds):
    """The last problem, or None as soon as there is none."""
    end = time.monotonic() + seconds
    while True:
        problem = ask(component, health)
        if problem is None or time.monotonic() >= end:
            return problem
        time.sleep(PAUSE_S)


def main():
    module = AnsibleModule(
        argument_spec={
            "who": {"type": "str", "required": True},
            "identity": {"type": "dict", "required": True},
            "component": {"type": "str", "required": True},
            "package": {"type": "str", "default": "gitlab-ee"},
            "fqdn": {"type": "str", "required": True},
            "tls": {"type": "bool", "default": False},
            "health": {"type": "dict", "required": True},
            "timeout_s": {"type": "int", "default": 300},
        },
    )
    wanted = module.params
    component = wanted["component"]
    problem = wait(component, wanted["health"], wanted["timeout_s"])
    if problem:
        module.fail_json(
            msg=f"{wanted['who']}: not healthy within {wanted['timeout_s']} s: {problem}\nRead `gitlab-ctl status` and `gitlab-ctl tail` on the "
            "node (`systemctl status` where there is no GitLab), correct the cause and run again."
        )
    certificate = certificate_path(component, wanted["fqdn"]) if wanted["tls"] else None
    stamp = wanted_stamp(wanted["identity"], component, wanted["package"], certificate)
    changed = write_stamp(component, stamp)
    module.exit_json(changed=changed, msg="the node does what it is for, and every service runs")


if __name__ == "__main__":
    main()
