# SPDX-License-Identifier: GPL-3.0-or-later
"""Asks a node what it sees of the cluster that it is a part of. It changes nothing and tells no secret."""

from __future__ import annotations

DOCUMENTATION = r"""
module: cluster_state
short_description: Ask a node what it sees of its cluster
description:
  - Asks Consul, Patroni, PgBouncer, Redis, Sentinel, Praefect, Gitaly, HAProxy, Prometheus and GitLab's own commands on the
    node what they see, each with a timeout of its own and all at once.
  - It changes nothing. Of secrets it tells only hashes that are salted with a salt of this run, and passwords go to the
    programs that need them by their environment or their connection, never as an argument.
author: refarch
options:
  ask:
    description:
      - What to ask, by name; an absent name is not asked. C(secrets), C(host_keys), C(consul), C(patroni), C(pgbouncer),
        C(redis), C(sentinel), C(praefect), C(gitaly), C(storages), C(database), C(redis_clients), C(object_storage) and
        C(prometheus) are true or false.
      - C(load_balancer) is the path of HAProxy's socket.
      - C(flows) is a list of C({to, address, port, protocol}), connections that the node must be able to open. Over UDP an
        answer of Consul's gossip is waited for; where that is encrypted, nothing over UDP is tried.
    type: dict
    required: true
  salt:
    description: Hex digits that are made anew for every run and go into every hash.
    type: str
    required: true
"""

EXAMPLES = r"""
- name: Ask the node
  cluster_state:
    ask: {consul: true, redis: true, sentinel: true, secrets: true}
    salt: 6f1c9a
"""

RETURN = r"""
state:
  description:
    - C(version) is that of this format. Every other name is one that was asked for, and holds either C(told), an object
      with the answer, or C(unasked), the reason why there is none.
  returned: success
  type: dict
  sample:
    version: 1
    consul: {told: {leader: "198.18.4.5:8300", members: []}}
    redis: {unasked: "nothing listens on 127.0.0.1:6379"}
"""

import base64
import concurrent.futures
import csv
import glob
import hashlib
import hmac
import io
import json
import re
import socket
import urllib.parse

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.refarch_asking import EMBEDDED, LIMIT, Unasked, command, fetch, last_line, read_text, run
from ansible.module_utils.refarch_gitlab_secrets import leaves
from ansible.module_utils.refarch_objects import ask_bucket
from ansible.module_utils.refarch_redis import CONNECT_LIMIT, Redis, parse_masters, parse_replication

VERSION = 1
SECRETS = "/etc/gitlab/gitlab-secrets.json"
DATA = "/var/opt/gitlab"
# GitLab's rake tasks load all of Rails before they answer.
RAKE_LIMIT = 180
# Consul's names for what it thinks of a member.
# Source: https://developer.hashicorp.com/consul/api-docs/agent#list-members (read 2026-11).
MEMBER_STATUS = {0: "none", 1: "alive", 2: "leaving", 3: "left", 4: "failed"}

# The gossip's message 0, a ping, with its number and no name: in MessagePack {"SeqNo": 1, "Node": ""}. Whoever gets it answers
# to where it came from. Source: https://pkg.go.dev/github.com/hashicorp/memberlist and its net.go, v0.5 (read 2026-11).
GOSSIP_PING = b"\x00\x82\xa5SeqNo\x01\xa4Node\xa0"
GOSSIP_TRIES = 3


# --- what the nodes must agree on


def salted(salt, value):
    text = json.dumps(value, sort_keys=True).encode()
    return hmac.new(salt.encode(), text, hashlib.sha256).hexdigest()[:16]


def hash_secrets(text, salt):
    """The keys of gitlab-secrets.json, each with the salted hash of its value."""
    try:
        value = json.loads(text)
    except ValueError:
        raise Unasked(f"{SECRETS} is not JSON") from None
    if not isinstance(value, dict):
        raise Unasked(f"{SECRETS} is not a JSON object")
    return {"keys": {".".join(path): salted(salt, leaf) for path, leaf in leaves(value).items()}}


def fingerprint(line):
    """`SHA256:...` as OpenSSH shows it, from a line of a public key."""
    kind, blob = line.split()[:2]
    digest = hashlib.sha256(base64.b64decode(blob)).digest()
    return kind, "SHA256:" + base64.b64encode(digest).decode().rstrip("=")


def read_host_keys(pattern="/etc/ssh/ssh_host_*_key.pub"):
    return {"keys": dict(fingerprint(read_text(path)) for path in sorted(glob.glob(pattern)))}


# --- Consul and Patroni


def parse_members(listed):
    """Consul's list of members: a server is one whose tag `role` is `consul`."""
    return [
        {
            "name": member["Name"],
            "address": member["Addr"],
            "status": MEMBER_STATUS.get(member.get("Status"), "unknown"),
            "server": member.get("Tags", {}).get("role") == "consul",
        }
        for member in listed
    ]


def ask_consul(base="http://127.0.0.1:8500"):
    """Sources: https://developer.hashicorp.com/consul/api-docs/agent and .../api-docs/status (read 2026-11)."""
    return {"leader": fetch(f"{base}/v1/status/leader"), "members": parse_members(fetch(f"{base}/v1/agent/members"))}


def parse_patroni(cluster):
    """Patroni's GET /cluster. Source: https://patroni.readthedocs.io/en/latest/rest_api.html (read 2026-11)."""
    members = [
        {
            "name": member["name"],
            "address": member.get("host"),
            "port": member.get("port"),
            "role": member.get("role"),
            "state": member.get("state"),
            "timeline": member.get("timeline"),
            # In bytes, or the word `unknown`.
            "lag": member["lag"] if isinstance(member.get("lag"), int) else None,
            "pending_restart": bool(member.get("pending_restart")),
        }
        for member in cluster.get("members", [])
    ]
    return {"members": members, "paused": bool(cluster.get("pause"))}


def patroni_address(text):
    """Where Patroni's REST API listens, from patroni.yaml; its address on all interfaces is asked on loopback."""
    found = re.search(r"^restapi:\s*\n(?:[ \t]+.*\n)*?[ \t]+listen:[ \t]*[\"']?([^\s\"']*):(\d+)", text, re.MULTILINE)
    host, port = found.groups() if found else ("", "8008")
    return "127.0.0.1" if host in ("", "0.0.0.0", "*", "::", "[::]") else host, port


def ask_patroni():
    try:
        host, port = patroni_address(read_text(f"{DATA}/patroni/patroni.yaml"))
    except Unasked:
        host, port = "127.0.0.1", "8008"
    return parse_patroni(fetch(f"http://{host}:{port}/cluster"))


# --- PgBouncer


def parse_table(out, first):
    """psql's aligned table whose header begins with the column `first`, as a list of objects."""
    lines = iter(out.splitlines())
    header = next((line for line in lines if line.split("|")[0].strip() == first), None)
    if header is None:
        return None
    names = [name.strip() for name in header.split("|")]
    rows = []
    for line in lines:
        cells = [cell.strip() for cell in line.split("|")]
        if len(cells) != len(names):
            if set(line.strip()) <= set("-+"):
                continue
            break
        rows.append(dict(zip(names, cells)))
    return rows


def parse_databases(rc, out):
    rows = parse_table(out, "name")
    if rows is None:
        raise Unasked(f"`gitlab-ctl pgb-console` ended with {rc}: {last_line(out)}")
    kept = ("name", "host", "port", "paused", "disabled")
    return {"databases": [{key: row.get(key, "") for key in kept} for row in rows]}


def ask_pgbouncer():
    """Source: https://docs.gitlab.com/administration/postgresql/pgbouncer/ "PgBouncer console" (read 2026-11)."""
    # The console asks for the password of `pgbouncer`, which `gitlab-ctl write-pgpass` left with Consul's user.
    env = {"PGPASSFILE": f"{DATA}/consul/.pgpass"}
    return parse_databases(*run("gitlab-ctl", "pgb-console", stdin="show databases;\n", env=env))


# --- Redis and Sentinel


def ask_redis():
    with Redis(f"{DATA}/redis/redis.conf", 6379) as redis:
        return parse_replication(redis.ask("INFO", "replication"))


def ask_sentinel():
    with Redis(f"{DATA}/sentinel/sentinel.conf", 26379) as sentinel:
        masters = parse_masters(sentinel.ask("SENTINEL", "MASTERS"))
        for master in masters:
            try:
                master.update(quorum=True, quorum_words=sentinel.ask("SENTINEL", "CKQUORUM", master["name"]))
            except Unasked as refused:
                master.update(quorum=False, quorum_words=str(refused))
        return {"masters": masters}


# --- Praefect and Gitaly


def ask_praefect():
    """Sources: https://docs.gitlab.com/administration/gitaly/praefect/configure/ and .../gitaly/praefect/recovery/
    (read 2026-11). `dial-nodes` authenticates to every Gitaly and compares the names of their storages."""

    def praefect(*words):
        config = f"{DATA}/praefect/config.toml"
        return command(f"{EMBEDDED}/praefect", "-config", config, *words, user="git", env={"SSL_CERT_DIR": "/etc/gitlab/trusted-certs"})

    # The one that tells of repositories waits for the database, so that it needn't when that one can't be reached.
    found = {"sql_ping": praefect("sql-ping"), "dial_nodes": praefect("dial-nodes")}
    if found["sql_ping"]["rc"] == 0:
        found["migrations"] = praefect("sql-migrate-status")
        found["dataloss"] = praefect("dataloss", "-partially-unavailable")
        # Short whatever happens: with a Gitaly down, the one above lists every repository, and only its end is kept.
        found["unavailable"] = praefect("dataloss")
    return found


def ask_gitaly():
    """Source: https://docs.gitlab.com/administration/gitaly/configure_gitaly/ (read 2026-11)."""
    return command(f"{EMBEDDED}/gitaly", "check", f"{DATA}/gitaly/config.toml", user="git")


def ask_storages():
    """Source: https://docs.gitlab.com/administration/raketasks/maintenance/ (read 2026-11)."""
    return command("gitlab-rake", "gitlab:gitaly:check", limit=RAKE_LIMIT)


# --- what Rails and Sidekiq were configured with

# One Ruby reads all of Rails' files, because a node's own Python need not know YAML. Nothing of what it prints leaves the
# node but what the functions below take out of it.
TO_JSON = (
    "puts JSON.dump(ARGV.select { |path| File.exist?(path) }.to_h { |path| "
    "[File.basename(path), YAML.safe_load(File.read(path), aliases: true, permitted_classes: [Symbol, Date, Time])] })"
)


def rails_files(*names):
    paths = [f"{DATA}/gitlab-rails/etc/{name}" for name in names]
    rc, out = run(f"{EMBEDDED}/ruby", "-ryaml", "-rjson", "-rdate", "-e", TO_JSON, *paths)
    try:
        found = json.loads(out)
    except ValueError:
        raise Unasked(f"Rails' files in {DATA}/gitlab-rails/etc can't be read ({rc})") from None
    return {name: value.get("production", {}) for name, value in found.items() if isinstance(value, dict)}


def primary_database(production):
    """database.yml names several databases since GitLab 16; `main` is the one that all others share tables with."""
    return production.get("main", production)


def parse_recovery(rc, out):
    word = out.strip()
    if rc != 0 or word not in ("t", "f"):
        return {"in_recovery": None, "error": last_line(out)}
    return {"in_recovery": word == "t", "error": None}


def ask_database():
    """Asks the server behind Rails' own connection whether it is a primary."""
    database = primary_database(rails_files("database.yml").get("database.yml", {}))
    host, port = database.get("host"), database.get("port") or 5432
    if not host:
        raise Unasked("database.yml names no host")
    options = {"PGPASSWORD": str(database.get("password") or ""), "PGCONNECT_TIMEOUT": "5"}
    rc, out = run(
        f"{EMBEDDED}/psql", "--no-psqlrc", "--no-password", "--tuples-only", "--no-align", "--host", str(host), "--port", str(port),
        "--username", str(database.get("username") or "gitlab"), "--dbname", str(database.get("database") or "gitlabhq_production"),
        "--command", "select pg_is_in_recovery()", env=options,
    )
    return {"host": str(host), "port": int(port), **parse_recovery(rc, out)}


def parse_redis_client(settings):
    """Where one Redis of Rails is: behind Sentinels, the host in the URL is the name of the group."""
    url = urllib.parse.urlsplit(str(settings.get("url", "")))
    sentinels = [f"{one.get('host')}:{one.get('port', 26379)}" for one in settings.get("sentinels") or []]
    return {"host": url.hostname, "sentinels": sorted(sentinels)}


def ask_redis_clients():
    roles = ("cache", "queues", "shared_state", "trace_chunks", "rate_limiting", "sessions", "repository_cache", "actioncable")
    files = rails_files("resque.yml", *(f"redis.{role}.yml" for role in roles))
    if not files:
        raise Unasked(f"there is no resque.yml in {DATA}/gitlab-rails/etc")
    return {"clients": {name.removesuffix(".yml"): parse_redis_client(settings) for name, settings in files.items()}}


# --- object storage


def ask_object_storage():
    """Uses every bucket that Rails' own configuration names, with its own credentials.

    Source: https://docs.gitlab.com/administration/object_storage/ "Consolidated form" (read 2026-11).
    """
    store = rails_files("gitlab.yml").get("gitlab.yml", {}).get("object_store") or {}
    if not store.get("enabled"):
        raise Unasked("object storage is not switched on in gitlab.yml")
    connection = store.get("connection") or {}
    if str(connection.get("provider", "")).upper() != "AWS" or connection.get("use_iam_profile"):
        raise Unasked(f"a connection of provider {connection.get('provider')} without keys of its own can't be tried from outside of Rails")
    objects = store.get("objects") or {}
    buckets = sorted({one["bucket"] for one in objects.values() if isinstance(one, dict) and one.get("bucket")})
    return {"buckets": {bucket: ask_bucket(connection, bucket) for bucket in buckets}}


# --- load balancers, monitoring and the network


def parse_stat(text):
    """HAProxy's `show stat`. Source: https://docs.haproxy.org/3.0/management.html#9.1 (read 2026-11)."""
    backends = {}
    rows = csv.DictReader(io.StringIO(text.lstrip("# ")))
    for row in rows:
        if row.get("svname") == "FRONTEND":
            continue
        backend = backends.setdefault(row["pxname"], {"name": row["pxname"], "algorithm": None, "servers": []})
        if row["svname"] == "BACKEND":
            backend["algorithm"] = row.get("algo")
            continue
        code = row.get("check_code") or ""
        backend["servers"].append({
            "name": row["svname"],
            "address": row.get("addr"),
            "status": row.get("status"),
            "check": row.get("check_status") or None,
            "code": int(code) if code.isdigit() else None,
            "reason": row.get("last_chk") or None,
        })
    return {"backends": [backend for backend in backends.values() if backend["servers"]]}


def ask_load_balancer(path):
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as haproxy:
            haproxy.settimeout(LIMIT)
            haproxy.connect(path)
            haproxy.sendall(b"show stat\n")
            return parse_stat(b"".join(iter(lambda: haproxy.recv(65536), b"")).decode("utf-8", "replace"))
    except OSError as error:
        raise Unasked(f"HAProxy's socket {path}: {error.strerror or error}") from None


def parse_targets(answer):
    """Prometheus' /api/v1/targets. Source: https://prometheus.io/docs/prometheus/latest/querying/api/#targets (read 2026-11)."""
    up, down = [], []
    for target in answer.get("data", {}).get("activeTargets", []):
        labels = target.get("labels", {})
        job, instance = labels.get("job"), labels.get("instance")
        # The address that is asked; the label may be a name that was given to it.
        asked = urllib.parse.urlsplit(target.get("scrapeUrl", "")).netloc
        if target.get("health") == "up":
            up.append(asked)
        else:
            down.append({"job": job, "instance": instance, "asked": asked, "health": target.get("health"), "error": target.get("lastError")})
    return {"up": sorted(up), "down": down}


def ask_prometheus():
    return parse_targets(fetch("http://127.0.0.1:9090/api/v1/targets?state=active"))


def connect(flow):
    """Opens a connection and closes it."""
    socket.create_connection((flow["address"], flow["port"]), timeout=CONNECT_LIMIT).close()


def ping_gossip(flow):
    """Asks a Consul agent over UDP whether it lives: whatever comes back has come through. A packet may be lost, so it is
    sent again. From a port of its own: from that of the agent, answers could pass a firewall that remembers the agent's own
    packets."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        asking.settimeout(CONNECT_LIMIT / GOSSIP_TRIES)
        asking.connect((flow["address"], flow["port"]))
        for left in reversed(range(GOSSIP_TRIES)):
            asking.send(GOSSIP_PING)
            try:
                return asking.recv(65536)
            except TimeoutError:
                if not left:
                    raise


def try_flow(flow):
    """What stands in the way; None where nothing does."""
    try:
        (ping_gossip if flow["protocol"] == "udp" else connect)(flow)
    except TimeoutError:
        return {**flow, "error": "no answer, as from a firewall"}
    except OSError as error:
        return {**flow, "error": error.strerror or str(error)}
    return None


def gossip_is_open(path=f"{DATA}/consul/config.json"):
    """Whether the agents understand whoever speaks to them: with a key of their own they answer nobody else.
    Source: https://developer.hashicorp.com/consul/docs/reference/agent/configuration-file/encryption (read 2026-11)."""
    try:
        return not json.loads(read_text(path)).get("encrypt")
    except (Unasked, ValueError):
        return True


def ask_flows(flows):
    if not gossip_is_open():
        flows = [flow for flow in flows if flow["protocol"] != "udp"]
    with concurrent.futures.ThreadPoolExecutor(max(1, min(64, len(flows)))) as pool:
        return {"count": len(flows), "closed": [closed for closed in pool.map(try_flow, flows) if closed]}


def questions(ask, salt):
    """What was asked for, each as the function that answers it."""
    known = {
        "secrets": lambda _: hash_secrets(read_text(SECRETS), salt),
        "host_keys": lambda _: read_host_keys(),
        "consul": lambda _: ask_consul(),
        "patroni": lambda _: ask_patroni(),
        "pgbouncer": lambda _: ask_pgbouncer(),
        "redis": lambda _: ask_redis(),
        "sentinel": lambda _: ask_sentinel(),
        "praefect": lambda _: ask_praefect(),
        "gitaly": lambda _: ask_gitaly(),
        "storages": lambda _: ask_storages(),
        "database": lambda _: ask_database(),
        "redis_clients": lambda _: ask_redis_clients(),
        "object_storage": lambda _: ask_object_storage(),
        "prometheus": lambda _: ask_prometheus(),
        "load_balancer": ask_load_balancer,
        "flows": ask_flows,
    }
    unknown = sorted(set(ask) - set(known))
    if unknown:
        raise KeyError(", ".join(unknown))
    return {name: (known[name], what) for name, what in ask.items() if what}


def answer(question, what):
    try:
        return {"told": question(what)}
    except Unasked as why:
        return {"unasked": str(why)}
    except Exception as error:  # noqa: BLE001 - one odd answer must not hide those to the other questions
        return {"unasked": f"the answer is not what is documented: {type(error).__name__}: {error}"}


def main():
    module = AnsibleModule(
        argument_spec={"ask": {"type": "dict", "required": True}, "salt": {"type": "str", "required": True, "no_log": False}},
        supports_check_mode=True,
    )
    try:
        asked = questions(module.params["ask"], module.params["salt"])
    except KeyError as unknown:
        module.fail_json(msg=f"it is not known how to ask for {unknown.args[0]}")
    with concurrent.futures.ThreadPoolExecutor(max(1, len(asked))) as pool:
        answers = {name: pool.submit(answer, question, what) for name, (question, what) in asked.items()}
        state = {"version": VERSION, **{name: one.result() for name, one in answers.items()}}
    module.exit_json(changed=False, state=state)


if __name__ == "__main__":
    main()
