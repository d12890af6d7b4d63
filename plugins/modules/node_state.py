# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads what a node is now: package, files, services, stamp, disks, certificate and clock. It changes nothing."""

from __future__ import annotations

DOCUMENTATION = r"""
module: node_state
short_description: Read what a GitLab node is now
description:
  - Reads package, configuration hashes, services, the stamp that refarch wrote last, data disks, free space, the
    certificate that the node serves, its clock, OS and size.
  - It changes nothing, starts no service program and works on a node that has nothing installed.
  - The marker of a data disk that is not mounted is read through a read-only mount, without replay of the journal,
    in a mount namespace that ends with the program that made it.
author: refarch
options:
  package:
    description: Name of the GitLab package.
    type: str
    default: gitlab-ee
  component:
    description: What the node is for; on some, such as load balancers, there is no GitLab to ask about.
    type: str
    default: all_in_one
  fqdn:
    description: The name that the node's certificate is for, where it serves TLS.
    type: str
  data_disks:
    description:
      - The data disks that the node should have, as the role knows them. Of each its C(name), C(path) (the stable path of
        the device on the node) and C(mount) are read; what the deployment wants of it is not asked here.
    type: list
    elements: dict
    default: []
"""

EXAMPLES = r"""
- name: Ask the node
  node_state:
    package: gitlab-ee
    fqdn: gitlab.example.com
    data_disks:
      - {name: data, path: /dev/refarch/demo-all-in-one-1-data, mount: /var/opt/gitlab}
"""

RETURN = r"""
state:
  description:
    - What the node is; its C(version) is that of this format, and later fields may be unknown to a reader.
    - C(package) has C(name), C(installed) (a version, or null) and C(held). For load balancers it is the package haproxy; for the
      lab's object storage the hash of the server's program.
    - C(gitlabs) lists every GitLab package that is installed, with C(name) and C(version).
    - C(files) holds SHA-256 or null. GitLab's nodes have C(gitlab_rb), C(refarch_secrets), C(gitlab_secrets); the others
      C(data), which is what refarch delivered as /etc/refarch/node.json, and C(rendered), which is haproxy.cfg or the unit
      of systemd that the role made from it. C(certificate) is where TLS ends.
    - C(services) are those of runit, or the one of systemd that a node without GitLab is for.
    - C(stamp) is what refarch wrote last, after the node's health check, in /etc/gitlab/refarch-stamp.json or
      /etc/refarch/stamp.json. It has C(version) 1, C(deployment), C(suffix), C(component), C(package) and all of C(files).
    - C(data_disks) say, besides what they carry, how large they are (C(size_bytes)) and, where they aren't mounted, which
      files lie where they would be (C(covers), at most five names).
  returned: success
  type: dict
"""

import os
import ssl

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.refarch_host import (
    Unreadable,
    read_clock,
    read_disk,
    read_gitlabs,
    read_memory,
    read_os,
    space_of,
)
from ansible.module_utils.refarch_node import (
    certificate_path,
    read_component_package,
    read_component_services,
    read_files,
    read_stamp,
    run,
)

# Where GitLab writes: its own data, and the logs. Full, each of them stops it.
PLACES = ("/", "/var/opt/gitlab", "/var/log")
# The package's own, which is there wherever GitLab is installed, and the system's.
OPENSSL = ("/opt/gitlab/embedded/bin/openssl", "openssl")


def read_space(places=PLACES):
    """The file systems behind the folders, each once, under the first folder that leads to it."""
    found, seen = [], set()
    for place in places:
        space = space_of(place)
        if space is None:
            continue
        device = os.stat(place).st_dev
        if device not in seen:
            seen.add(device)
            found.append({"place": place, **space})
    return found


def parse_end(text):
    """Seconds since 1970 at which a certificate ends, from openssl's `notAfter=Dec 25 00:00:00 2027 GMT`."""
    name, _, end = text.strip().partition("=")
    try:
        return ssl.cert_time_to_seconds(end) if name == "notAfter" else None
    except ValueError:
        return None


def read_certificate(path, programs=OPENSSL):
    """When the node's certificate ends; None where there is no file.

    The certificate itself stays on the node: its public key is a part of the private one, so that whoever hides that
    one in what is said would hide pieces of the certificate.
    """
    if not os.path.exists(path):
        return None
    for program in programs:
        try:
            rc, out, _ = run(program, "x509", "-in", path, "-noout", "-enddate")
        except FileNotFoundError:
            continue
        return {"not_after_s": parse_end(out) if rc == 0 else None}
    raise Unreadable("there is no `openssl` to read the certificate with")


def root_disk_gb():
    """The size of the root file system, in GiB."""
    root = os.statvfs("/")
    return round(root.f_blocks * root.f_frsize / 1024**3, 1)


def read_state(component, package, certificate, disks):
    return {
        "version": 2,
        "package": read_component_package(component, package),
        "gitlabs": read_gitlabs(),
        "files": read_files(component, certificate),
        "services": read_component_services(component),
        "stamp": read_stamp(component),
        "data_disks": [read_disk(disk) for disk in disks],
        "os": read_os(),
        "memory_gb": read_memory(),
        "vcpu": os.cpu_count(),
        "root_disk_gb": root_disk_gb(),
        "space": read_space(),
        "certificate": read_certificate(certificate) if certificate else None,
        # Last, because the one who asks takes the middle between asking and answer for the moment of reading.
        "clock": read_clock(),
    }


def main():
    module = AnsibleModule(
        argument_spec={
            "component": {"type": "str", "default": "all_in_one"},
            "package": {"type": "str", "default": "gitlab-ee"},
            "fqdn": {"type": "str"},
            "data_disks": {"type": "list", "elements": "dict", "default": []},
        },
        supports_check_mode=True,
    )
    wanted = module.params
    component, fqdn = wanted["component"], wanted["fqdn"]
    try:
        certificate = certificate_path(component, fqdn) if fqdn else None
        state = read_state(component, wanted["package"], certificate, wanted["data_disks"])
    except KeyError as key:
        module.fail_json(msg=f"a data disk lacks {key}: each needs name, path and mount")
    except (Unreadable, OSError) as error:
        module.fail_json(msg=f"the node's state can't be read: {error}; reading it needs root on the node")
    module.exit_json(changed=False, state=state)


if __name__ == "__main__":
    main()
