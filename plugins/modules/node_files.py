# SPDX-License-Identifier: GPL-3.0-or-later
"""Puts the files of one node where they belong, all at once; the action plugin of the same name brings them there."""

from __future__ import annotations

DOCUMENTATION = r"""
module: node_files
short_description: Bring all files of a node to their places
description:
  - The action plugin packs the node's folder of the machine that runs refarch, and sends it over the connection into a
    file of root's in memory. So secrets are no arguments, and it is one task however many files there are.
  - On GitLab's nodes it brings gitlab.rb, refarch-secrets.json, gitlab-secrets.json (merged key by key; a key that the node
    holds is never replaced), certificate, key and certificate authority, SSH host keys, and the drop-in that lets sshd ask
    GitLab for a user's keys. On nodes without GitLab it brings certificate, key and authority, and the data of what the
    node is for as /etc/refarch/node.json.
  - It keeps a block of its own in /etc/hosts.
  - Everything is compared before anything is written, under the lock that a reconfigure holds too. Where something
    differs, the stamp goes first, so that a run that is killed in between is known to the next.
author: refarch
options:
  who:
    description: What a message calls the node.
    type: str
    required: true
  folder:
    description: The node's folder on the machine that runs refarch; the action plugin reads it.
    type: str
    required: true
  archive:
    description: The archive on the node; the action plugin sets it.
    type: path
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
    description: The name under which GitLab is reached, which names certificate, key and authority.
    type: str
    required: true
  tls:
    description: Whether the node serves TLS with that certificate.
    type: bool
    default: false
  trusted_ca:
    description: Whether GitLab on this node has to trust the deployment's own certificate authority.
    type: bool
    default: false
  hosts:
    description: What /etc/hosts has to say, each with C(address) and C(names).
    type: list
    elements: dict
    default: []
  lock_timeout_s:
    description: How long to wait for a reconfigure that an earlier run left behind.
    type: int
    default: 3600
"""

EXAMPLES = r"""
- name: Bring the node's files
  node_files:
    folder: files/demo-rails-1
    identity: {name: demo, suffix: a1b2c3}
    component: rails
    fqdn: gitlab.example.com
    tls: true
"""

RETURN = r"""
written:
  description: Paths that were written or removed.
  returned: success
  type: list
  elements: str
stamped:
  description: Whether the node carries the stamp of exactly these files, so that nothing has to be configured.
  returned: success
  type: bool
"""

import os
import tarfile

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.refarch_gitlab_secrets import Unusable, merged
from ansible.module_utils.refarch_node import (
    ETC,
    PLAIN_ETC,
    RECONFIGURE_LOG,
    Refused,
    acquire_lock,
    certificate_path,
    data_name,
    is_plain,
    needed,
    read_stamp,
    remove_file,
    run,
    stamp_path,
    wanted_stamp,
    write_file,
)

HOSTS = "/etc/hosts"
BEGIN = "# BEGIN refarch"
END = "# END refarch"
HOST_KEYS = tuple(f"ssh_host_{kind}_key" for kind in ("ecdsa", "ed25519", "rsa"))
# Users' keys are asked of GitLab, as several Rails nodes need it: GitLab's docs, "Fast lookup of authorized SSH keys".
SSHD_DROP_IN = "/etc/ssh/sshd_config.d/gitlab.conf"
SSHD_LOOKUP = """# Written by refarch.
Match User git
  AuthorizedKeysCommand /opt/gitlab/embedded/service/gitlab-shell/bin/gitlab-shell-authorized-keys-check git %u %k
  AuthorizedKeysCommandUser git
Match all
"""


def read_archive(path):
    """Names and contents; the archive is gone from then on."""
    with tarfile.open(path) as archive:
        files = {member.name: archive.extractfile(member).read() for member in archive if member.isfile()}
    remove_file(path)
    return files


def tls_places(wanted, files):
    """Where authority, key and certificate go, in the order in which they may be written."""
    if wanted["component"] == "object_storage":
        return []
    fqdn, component = wanted["fqdn"], wanted["component"]
    certificate = certificate_path(component, fqdn)
    base = certificate.removesuffix(".crt")
    authority = files.get(f"ssl/{fqdn}.ca.crt")
    places = [] if authority is None else [(f"{base}.ca.crt", authority, 0o644)]
    if authority is not None and wanted["trusted_ca"]:
        places.append((f"{ETC}/trusted-certs/{fqdn}.ca.crt", authority, 0o644))
    if wanted["tls"]:
        places.append((f"{base}.key", files[f"ssl/{fqdn}.key"], 0o600))
        places.append((certificate, files[f"ssl/{fqdn}.crt"], 0o644))
    return places


def ssh_places(wanted, files):
    """Where the host keys that several nodes share go."""
    places = []
    for name in HOST_KEYS:
        for suffix, mode in (("", 0o600), (".pub", 0o644)):
            if (key := files.get(f"ssh/{name}{suffix}")) is not None:
                places.append((f"/etc/ssh/{name}{suffix}", key, mode))
    if wanted["component"] == "rails":
        places.append((SSHD_DROP_IN, SSHD_LOOKUP.encode(), 0o644))
    return places


def own_places(wanted, files):
    """Where the files go that make the node what it is. gitlab.rb comes last: it refers to the others."""
    if is_plain(wanted["component"]):
        return [(f"{PLAIN_ETC}/node.json", files[data_name(wanted["component"])], 0o600)]
    places = []
    if (delivered := files.get("gitlab-secrets.json")) is not None:
        path = f"{ETC}/gitlab-secrets.json"
        content = merged(path, read_bytes(path), delivered)
        if content is not None:
            places.append((path, content, 0o600))
    places.append((f"{ETC}/refarch-secrets.json", files["refarch-secrets.json"], 0o600))
    places.append((f"{ETC}/gitlab.rb", files["gitlab.rb"], 0o600))
    return places


def read_bytes(path):
    try:
        with open(path, "rb") as file:
            return file.read()
    except FileNotFoundError:
        return None


def hosts_with_block(text, entries):
    """The text of /etc/hosts in which refarch's block says exactly these entries."""
    kept, inside = [], False
    for line in text.splitlines():
        if line in (BEGIN, END):
            inside = line == BEGIN
        elif not inside:
            kept.append(line)
    block = [f"{entry['address']} {' '.join(entry['names'])}" for entry in entries]
    lines = kept + ([BEGIN, *block, END] if block else [])
    return "".join(f"{line}\n" for line in lines)


def hosts_places(entries):
    """Nothing where the file is right already; a node without an entry keeps its file byte for byte."""
    text = (read_bytes(HOSTS) or b"").decode("utf-8", "surrogateescape")
    if not entries and BEGIN not in text.splitlines():
        return []
    return [(HOSTS, hosts_with_block(text, entries).encode("utf-8", "surrogateescape"), 0o644)]


def differs(path, data):
    return read_bytes(path) != data


def make_folders(wanted, places):
    """Symbolic modes are the package's own business: it sets 0775 on some of its folders, and that stays."""
    if not is_plain(wanted["component"]):
        os.makedirs("/var/log/gitlab", mode=0o755, exist_ok=True)
    for folder in {os.path.dirname(path) for path, _, _ in places}:
        os.makedirs(folder, mode=0o755, exist_ok=True)


def place(wanted, files):
    """Writes what differs, and says what that was."""
    ssh = ssh_places(wanted, files)
    own = tls_places(wanted, files) + own_places(wanted, files)
    places = hosts_places(wanted["hosts"]) + ssh + own
    make_folders(wanted, places)
    if any(differs(path, data) for path, data, _ in own):
        remove_file(stamp_path(wanted["component"]))
    written = [path for path, data, mode in places if write_file(path, data, mode)]
    if any(path in written for path, _, _ in ssh):
        reload_sshd()
    return written


def reload_sshd():
    """Reloaded and not restarted, so that the connection over which this runs lives on."""
    rc, _, err = run("systemctl", "reload", "ssh.service")
    if rc != 0:
        raise Refused(f"sshd can't be told to read its keys again: {err.strip()}. Read `systemctl status ssh` on the node.")


def is_stamped(wanted):
    """Whether the stamp says exactly what lies on the node now."""
    component, fqdn = wanted["component"], wanted["fqdn"]
    certificate = certificate_path(component, fqdn) if wanted["tls"] else None
    return read_stamp(component) == wanted_stamp(wanted["identity"], component, wanted["package"], certificate)


def bring(wanted):
    """The whole of it, under the lock."""
    files = read_archive(wanted["archive"])
    missing = [name for name in needed(wanted["component"], wanted["fqdn"], wanted["tls"]) if name not in files]
    if missing:
        raise Refused(
            f"{', '.join(missing)} missing in {wanted['folder']} on the machine that runs refarch. Run the phase `bind` again, "
            "which writes them."
        )
    lock = acquire_lock(wanted["lock_timeout_s"])
    if lock is None:
        raise Refused(
            f"a `gitlab-ctl reconfigure` that an earlier run started still runs after {wanted['lock_timeout_s']} s. "
            f"Read {RECONFIGURE_LOG} on the node, wait for it or end it, and run again."
        )
    with lock:
        return place(wanted, files), is_stamped(wanted)


def main():
    module = AnsibleModule(
        argument_spec={
            "who": {"type": "str", "required": True},
            "folder": {"type": "str", "required": True},
            "archive": {"type": "path", "required": True},
            "identity": {"type": "dict", "required": True},
            "component": {"type": "str", "required": True},
            "package": {"type": "str", "default": "gitlab-ee"},
            "fqdn": {"type": "str", "required": True},
            "tls": {"type": "bool", "default": False},
            "trusted_ca": {"type": "bool", "default": False},
            "hosts": {"type": "list", "elements": "dict", "default": []},
            "lock_timeout_s": {"type": "int", "default": 3600},
        },
    )
    try:
        written, stamped = bring(module.params)
    except (Refused, Unusable) as problem:
        module.fail_json(msg=f"{module.params['who']}: {problem}")
    except OSError as error:
        module.fail_json(msg=f"{module.params['who']}: the files can't be brought to their places: {error}")
    module.exit_json(changed=bool(written), written=written, stamped=stamped)


if __name__ == "__main__":
    main()
