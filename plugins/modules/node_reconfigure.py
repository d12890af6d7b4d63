# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs what makes GitLab's files effective on a node, in a process that outlives the connection and the run."""

from __future__ import annotations

DOCUMENTATION = r"""
module: node_reconfigure
short_description: Reconfigure a GitLab node, with what belongs to its component
description:
  - Removes the stamp and runs C(gitlab-ctl reconfigure) with what a component asks for around it, in a process of its own
    that holds the lock of the node's configuration. A lost connection or a killed run doesn't end it; the next run waits.
  - All output stays on the node, in /var/log/gitlab/refarch-reconfigure.log (0600). A failure tells its end.
  - On a PgBouncer node, the first reconfigure may fail, since its user's .pgpass needs what that reconfigure makes (GitLab's
    docs, "Configure PgBouncer"). The file is written by C(gitlab-ctl write-pgpass), and GitLab is reconfigured once more.
  - On the deploy node, the migrations run as GitLab's docs have it ("GitLab Rails post-configuration"), past PgBouncer where
    there is one. The way past it is a file that gitlab.rb reads if it is there, so that gitlab.rb never changes.
  - On Praefect's database, the role and the database of Praefect are made.
  - On a member of Patroni that leads and has no replica yet, what is in memory is written to disk at once. A replica's clone
    begins with a checkpoint, which PostgreSQL spreads over most of C(checkpoint_timeout) while there is much to write
    (PostgreSQL's docs, C(pg_basebackup --checkpoint)); gitlab.rb knows no key for a fast one.
  - Every step asks what is, so that all of it may be run again, wherever it was ended.
  - The action plugin of the same name fetches gitlab-secrets.json afterwards, since the package adds keys to it.
author: refarch
options:
  who:
    description: What a message calls the node.
    type: str
    required: true
  token:
    description: Names this attempt; the action plugin sets it. The same attempt, sent again after a lost connection, is
      not made twice.
    type: str
  fetch_to:
    description: The folder of the machine that runs refarch that gets gitlab-secrets.json; the action plugin reads it.
    type: path
  tls:
    description: Whether the node serves TLS, so that nginx has to read its certificate again.
    type: bool
    default: false
  pgpass:
    description: Whether the node is a PgBouncer node.
    type: bool
    default: false
  praefect_database:
    description: Whether the node is Praefect's database.
    type: bool
    default: false
  patroni:
    description: Whether the node is a member of Patroni.
    type: bool
    default: false
  migrate:
    description: Whether the node is the one that runs the migrations.
    type: bool
    default: false
  primary:
    description: HOST:PORT of the database's leader, where migrations have to go past PgBouncer.
    type: str
  timeout_s:
    description: How long to wait for the end of all of it.
    type: int
    default: 3600
"""

EXAMPLES = r"""
- name: Run gitlab-ctl reconfigure
  node_reconfigure:
    fetch_to: fetched/demo-rails-1
    tls: true
"""

RETURN = r"""
steps:
  description: What was run, in order.
  returned: success
  type: list
  elements: str
"""

import json
import os
import pwd
import re
import subprocess
import time

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.refarch_node import (
    ETC,
    RECONFIGURE_LOG,
    SERVICES,
    Refused,
    acquire_lock,
    read_json,
    remove_file,
    run,
    stamp_path,
    write_file,
)

RUN = "/run/refarch"
MIGRATE_FILE = f"{ETC}/refarch-migrate.rb"
# What the first reconfigure of a Rails node writes.
DATABASE_YML = "/var/opt/gitlab/gitlab-rails/etc/database.yml"
PGPASS_USER = "gitlab-consul"
# A checkpoint of a database that serves would disturb it: only a leader that has no replica yet makes one.
CHECKPOINT_ALONE = """SELECT NOT pg_is_in_recovery() AND NOT EXISTS (SELECT FROM pg_stat_replication WHERE state = 'streaming') AS alone \\gset
\\if :alone
CHECKPOINT;
\\endif
"""
FATAL = re.compile(r"FATAL|Error executing action|There was an error running")


class StepFailed(Exception):
    """A step ended otherwise than it should; the message begins with the step."""


def secret(name):
    """One of the secrets that gitlab.rb refers to. It stays in this process."""
    found = read_json(f"{ETC}/refarch-secrets.json") or {}
    if name not in found:
        raise Refused(f"{ETC}/refarch-secrets.json lacks `{name}`. Run the phase `bind` again, which writes it.")
    return found[name]


def excerpt(lines):
    """The end of a long output, and before it the place where it first went wrong."""
    lines = [line[:300] for line in lines]
    tail = max(0, len(lines) - 20)
    first = next((at for at, line in enumerate(lines) if FATAL.search(line)), None)
    if first is None or first >= tail:
        return lines[tail:]
    return [*lines[first : min(tail, first + 30)], "[...]", *lines[tail:]]


class Work:
    """The steps of one reconfigure, and the log that they write to."""

    def __init__(self, wanted, log):
        self.wanted, self.log, self.steps = wanted, log, []

    def step(self, *argv, stdin=None, environment=None, may_fail=False):
        """Runs a program into the log; says whether it ended well."""
        title = " ".join(argv)
        self.steps.append(title)
        self.log.write(f"\n# {title}\n".encode())
        given = {"input": stdin.encode()} if stdin is not None else {"stdin": subprocess.DEVNULL}
        environment = {**os.environ, **environment} if environment else None
        rc = subprocess.run(
            argv, stdout=self.log, stderr=subprocess.STDOUT, env=environment, check=False, **given
        ).returncode
        if rc != 0 and not may_fail:
            raise StepFailed(f"`{title}` ended with {rc}")
        return rc == 0

    def reconfigure(self, may_fail=False):
        return self.step("gitlab-ctl", "reconfigure", may_fail=may_fail)

    def all(self):
        """The steps that the node's component asks for."""
        if self.wanted["pgpass"]:
            self.with_pgpass()
        elif self.wanted["migrate"]:
            self.with_migrations()
        else:
            self.reconfigure()
        if self.wanted["praefect_database"]:
            self.make_praefect_database()
        if self.wanted["patroni"]:
            # It only makes others faster, so that nothing is wrong where it can't be done.
            self.step("gitlab-psql", "-d", "postgres", "-X", "-q", "-t", "-A", stdin=CHECKPOINT_ALONE, may_fail=True)
        # nginx reads its certificate only when told to, and reconfigure tells it only of its own files. Whether it
        # serves is the health check's question.
        if self.wanted["tls"] and os.path.isdir(f"{SERVICES}/nginx"):
            self.step("gitlab-ctl", "hup", "nginx", may_fail=True)

    def with_pgpass(self):
        password = secret("pgbouncer_password")
        if not has_pgpass(password):
            self.reconfigure(may_fail=True)
            # It asks twice, so that a typist notices an error.
            self.step(
                "gitlab-ctl", "write-pgpass", "--host", "127.0.0.1", "--database", "pgbouncer", "--user", "pgbouncer",
                "--hostuser", PGPASS_USER, stdin=f"{password}\n{password}\n",
            )  # fmt: skip
        self.reconfigure()

    def with_migrations(self):
        """`gitlab:db:configure` asks the database itself, and does only what is left."""
        primary = self.wanted["primary"]
        if not primary:
            self.reconfigure()
            self.seed()
            return
        if os.path.exists(DATABASE_YML) and not os.path.exists(MIGRATE_FILE):
            self.reconfigure()
            if self.is_migrated():
                return
        write_file(MIGRATE_FILE, past_pgbouncer(primary).encode(), 0o600)
        self.reconfigure()
        self.seed()
        remove_file(MIGRATE_FILE)
        self.reconfigure()

    def seed(self):
        """An empty database gets `root` now, and the password in gitlab.rb counts only where a reconfigure seeds (GitLab's
        docs, "Set up the initial account"): the task takes it from its environment, which only root can read."""
        self.step("gitlab-rake", "gitlab:db:configure", environment={"GITLAB_ROOT_PASSWORD": secret("root_password")})

    def is_migrated(self):
        """Whether the database says that no migration is left."""
        self.steps.append("gitlab-rake db:migrate:status")
        rc, out, _ = run("gitlab-rake", "db:migrate:status")
        return is_all_up(rc, out)

    def make_praefect_database(self):
        self.step("gitlab-psql", "-d", "template1", "-X", "-q", "-v", "ON_ERROR_STOP=1", stdin=praefect_sql(praefect_password()))


def is_all_up(rc, text):
    """What `db:migrate:status` says: one line for each migration, which begins with `up` or `down`."""
    states = [line.split()[0] for line in text.splitlines() if re.match(r"\s*(up|down)\s", line)]
    return rc == 0 and bool(states) and "down" not in states


def past_pgbouncer(primary):
    """What gitlab.rb reads last while the migrations run: the database's leader, and none of its replicas."""
    host, _, port = primary.rpartition(":")
    return (
        "# Written by refarch for as long as the migrations run.\n"
        f"gitlab_rails['db_host'] = '{host}'\n"
        f"gitlab_rails['db_port'] = {int(port)}\n"
        "gitlab_rails['db_load_balancing'] = { 'hosts' => [] }\n"
    )


def has_pgpass(password):
    """Whether the user that reloads PgBouncer has the password already."""
    # As libpq reads it: PostgreSQL's docs, "The Password File".
    escaped = password.replace("\\", "\\\\").replace(":", "\\:")
    try:
        path = f"{pwd.getpwnam(PGPASS_USER).pw_dir}/.pgpass"
        with open(path, encoding="utf-8") as file:
            return any(line.rstrip("\n").endswith(f":pgbouncer:pgbouncer:{escaped}") for line in file)
    except (KeyError, FileNotFoundError):
        return False


def praefect_password():
    """PostgreSQL takes the hash as it is, so that the password itself needn't be on this node."""
    return "md5" + secret("praefect_sql_password_md5").removeprefix("md5")


def praefect_sql(password):
    """Makes what is missing, and sets the password whatever it was."""
    quoted = password.replace("'", "''")
    return f"""SELECT 'CREATE ROLE praefect' WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'praefect') \\gexec
ALTER ROLE praefect WITH LOGIN CREATEDB PASSWORD '{quoted}';
SELECT 'CREATE DATABASE praefect_production WITH OWNER praefect ENCODING ''UTF8'''
  WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = 'praefect_production') \\gexec
"""


def open_log():
    """Its output can be long and may hold what nobody should read, so it is closed to others before it is written."""
    os.makedirs(os.path.dirname(RECONFIGURE_LOG), mode=0o755, exist_ok=True)
    handle = os.open(RECONFIGURE_LOG, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o600)
    os.fchmod(handle, 0o600)
    return os.fdopen(handle, "wb", buffering=0)


def work(wanted):
    """All steps under the lock; the outcome as what the waiting module reads."""
    lock = acquire_lock(wanted["timeout_s"])
    if lock is None:
        return {"failed": f"another reconfigure still runs after {wanted['timeout_s']} s", "why": []}
    with lock, open_log() as log:
        remove_file(stamp_path("rails"))
        todo = Work(wanted, log)
        try:
            todo.all()
        except (StepFailed, Refused) as problem:
            return {"failed": str(problem), "why": read_log()}
        return {"steps": todo.steps}


def read_log():
    with open(RECONFIGURE_LOG, encoding="utf-8", errors="replace") as file:
        return excerpt(file.read().splitlines())


def outcome_path(token):
    return f"{RUN}/reconfigure-{token}.json"


def begin(wanted):
    """Starts the work in a session of its own, unless this attempt was started before; its process id."""
    os.makedirs(RUN, mode=0o700, exist_ok=True)
    started = f"{RUN}/reconfigure-{wanted['token']}.pid"
    if not os.path.exists(started):
        for name in os.listdir(RUN):
            if name.startswith("reconfigure-"):
                remove_file(f"{RUN}/{name}")
        child = os.fork()
        if child == 0:
            in_the_background(wanted, started)
        os.waitpid(child, 0)
    with open(started, encoding="utf-8") as file:
        return int(file.read())


def in_the_background(wanted, started):
    """Never returns. Nothing of the connection may stay open here, or it would not end before the work does."""
    os.setsid()
    worker = os.fork()
    if worker:
        write_file(started, str(worker).encode(), 0o600)
        os._exit(0)
    null = os.open(os.devnull, os.O_RDWR)
    for descriptor in range(3):
        os.dup2(null, descriptor)
    try:
        outcome = work(wanted)
    except Exception as error:  # noqa: BLE001 - whatever it was, somebody waits for an answer
        outcome = {"failed": f"it could not be run: {error}", "why": []}
    try:
        write_file(outcome_path(wanted["token"]), json.dumps(outcome).encode(), 0o600)
    finally:
        os._exit(0)


def await_outcome(wanted):
    """What came of the work, as soon as it ends."""
    pid, end = begin(wanted), time.monotonic() + wanted["timeout_s"]
    pause = 0.1
    while time.monotonic() < end:
        if (outcome := read_json(outcome_path(wanted["token"]))) is not None:
            return outcome
        if not os.path.isdir(f"/proc/{pid}"):
            # It may have ended between the two questions.
            lost = {"failed": "it did not end: its process was killed", "why": read_log()}
            return read_json(outcome_path(wanted["token"])) or lost
        time.sleep(pause)
        pause = min(1.0, pause * 1.5)
    return {"failed": f"it still runs after {wanted['timeout_s']} s, and goes on", "why": read_log()}


def main():
    module = AnsibleModule(
        argument_spec={
            "who": {"type": "str", "required": True},
            "token": {"type": "str", "required": True, "no_log": False},
            "tls": {"type": "bool", "default": False},
            "pgpass": {"type": "bool", "default": False},
            "praefect_database": {"type": "bool", "default": False},
            "patroni": {"type": "bool", "default": False},
            "migrate": {"type": "bool", "default": False},
            "primary": {"type": "str"},
            "timeout_s": {"type": "int", "default": 3600},
        },
    )
    try:
        outcome = await_outcome(module.params)
    except OSError as error:
        module.fail_json(msg=f"{module.params['who']}: `gitlab-ctl reconfigure` can't be started: {error}")
    if "failed" in outcome:
        end = "\n".join(outcome["why"]) or "(no output)"
        module.fail_json(
            msg=f"{module.params['who']}: reconfiguring GitLab failed: {outcome['failed']}.\nIts whole output is in {RECONFIGURE_LOG} on the node. "
            f"Correct the cause and run again. It ends with:\n{end}"
        )
    module.exit_json(changed=True, steps=outcome["steps"])


if __name__ == "__main__":
    main()
