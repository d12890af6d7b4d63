//! The real PgBouncer, and how it learns who leads PostgreSQL.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::{Map, Value, json};

use super::converge::{self, Owner};
use super::{Error, consul, program, runit};
use crate::site::{Account, Pgbouncer, Service, Site};
use crate::{leader, paths};

/// Where PgBouncer keeps its files.
pub const HOME: &str = "/var/opt/gitlab/pgbouncer";
/// What Consul's watch reads of the databases.
const DATABASES_JSON: &str = "/var/opt/gitlab/pgbouncer/databases.json";
/// The password file that `gitlab-ctl write-pgpass` makes for Consul's user.
pub const PGPASS: &str = "/var/opt/gitlab/consul/.pgpass";

/// How long a first leader may take to be known.
const PATIENCE: Duration = Duration::from_secs(30);

/// Where the databases stand: Consul's user writes them where it says who leads.
fn databases_ini(follows_consul: bool) -> String {
    let home = if follows_consul { consul::HOME } else { HOME };
    format!("{home}/databases.ini")
}

/// Writes the configuration.
pub fn prepare(site: &Site) -> Result<(), Error> {
    let (psql, pgbouncer) = (&site.accounts.psql, &site.pgbouncer);
    let owner = Owner::named(&psql.user, &psql.group)?;
    converge::directory(HOME, owner, 0o755)?;
    converge::directory(format!("{}/pgbouncer", paths::LOG), owner, 0o700)?;
    let ini = databases_ini(pgbouncer.follows_consul);
    let write = |name: &str, content: &str| {
        runit::file(&[Service::Pgbouncer], format!("{HOME}/{name}"), content, owner, 0o600)
    };
    write("pgbouncer.ini", &configuration(pgbouncer, &ini))?;
    write("pg_auth", &users(pgbouncer))?;
    let known = json!({
        "databases": pgbouncer.databases, "consul_port": site.consul.http_port, "port": pgbouncer.port,
    });
    let known = format!("{known:#}\n");
    let changed = !converge::holds(DATABASES_JSON, &known);
    if pgbouncer.follows_consul {
        if changed || !Path::new(&ini).exists() {
            let consul = &site.accounts.consul;
            let owner = Owner::named(&consul.user, &consul.group)?;
            // Until the leader is known, it leads to this host, where no database is.
            let text = Pgbouncer::databases_ini(&pgbouncer.databases, None);
            runit::file(&[Service::Pgbouncer], &ini, &text, owner, 0o644)?;
        }
    } else {
        let text = Pgbouncer::databases_ini(&pgbouncer.databases, None);
        runit::file(&[Service::Pgbouncer], &ini, &text, owner, 0o600)?;
    }
    converge::file(DATABASES_JSON, &known, owner, 0o644).map(|_| ())
}

/// pgbouncer.ini
#[must_use]
pub fn configuration(pgbouncer: &Pgbouncer, databases: &str) -> String {
    let lines: Vec<String> =
        pgbouncer.settings.iter().map(|(key, value)| format!("{key} = {value}\n")).collect();
    let lines = lines.concat();
    format!(
        "; Written by gitlab-ctl reconfigure: changes are lost.\n\
         %include {databases}\n\n[pgbouncer]\n{lines}\
         auth_file = {HOME}/pg_auth\nunix_socket_dir = {HOME}\nunix_socket_mode = 0777\n"
    )
}

/// The file of users and hashes.
#[must_use]
pub fn users(pgbouncer: &Pgbouncer) -> String {
    let quoted = |text: &str| text.replace('"', "\"\"");
    let line = |(user, hash): (&String, &String)| format!("\"{}\" \"{}\"\n", quoted(user), quoted(hash));
    pgbouncer.users.iter().map(line).collect()
}

/// Starts it and waits for its console, which the user of the same system account enters without a password.
pub fn start(site: &Site) -> Result<(), Error> {
    runit::settle(Service::Pgbouncer)?;
    let psql = &site.accounts.psql;
    let owner = Owner::named(&psql.user, &psql.group)?;
    runit::wait(Service::Pgbouncer, || {
        let mut command = program::as_user(&format!("{}/psql", paths::BIN), owner, HOME);
        command.args(["-X", "-q", "-h", HOME, "-p", &site.pgbouncer.port.to_string()]);
        command.args(["-U", "pgbouncer", "-d", "pgbouncer", "-c", "SHOW VERSION"]);
        program::finish("psql", &mut command).map(|_| ()).map_err(|error| error.to_string())
    })
}

/// Leads PgBouncer to the leader. The first time, Consul's user has no password for the console yet, and this
/// fails as it does for the package (omnibus-gitlab issue 4713): write-pgpass and a second run mend it.
pub fn follow_leader(site: &Site) -> Result<(), Error> {
    if !site.pgbouncer.follows_consul {
        return Ok(());
    }
    let failed = |output: String| Error::Program {
        program: "execute[generate databases.ini]".to_owned(),
        status: "1".to_owned(),
        output,
    };
    if !Path::new(PGPASS).exists() {
        return Err(failed(format!(
            "Error running command: RELOAD\nERROR: psql: there is no {PGPASS}: password authentication failed for the console of PgBouncer\n\
             Run `gitlab-ctl write-pgpass --host 127.0.0.1 --database pgbouncer --user pgbouncer --hostuser {}` and reconfigure again",
            site.accounts.consul.user
        )));
    }
    let deadline = Instant::now() + PATIENCE;
    let (host, port) = loop {
        match leader::of(site.consul.http_port) {
            Ok(leader) => break leader,
            Err(reason) if Instant::now() > deadline => return Err(failed(reason)),
            Err(_) => std::thread::sleep(Duration::from_millis(250)),
        }
    };
    let mut command = as_consul(&site.accounts.consul)?;
    command.args(["failover-pgbouncer", &host, &port.to_string()]);
    program::finish("execute[generate databases.ini]", &mut command).map(|_| ())
}

fn as_consul(account: &Account) -> Result<Command, Error> {
    let owner = Owner::named(&account.user, &account.group)?;
    Ok(program::as_user(&format!("{}/gitlab-standin", paths::BIN), owner, consul::HOME))
}

/// Writes databases.ini for another leader and has PgBouncer read it, as Consul's user. True when it changed.
pub fn lead_to(host: &str, port: u16) -> Result<bool, String> {
    let text = std::fs::read_to_string(DATABASES_JSON)
        .map_err(|error| format!("cannot read `{DATABASES_JSON}`: {error}; run `gitlab-ctl reconfigure`"))?;
    let known: Value = serde_json::from_str(&text).map_err(|error| format!("`{DATABASES_JSON}`: {error}"))?;
    let empty = Map::new();
    let databases = known["databases"].as_object().unwrap_or(&empty);
    let ini = databases_ini(true);
    let wanted = Pgbouncer::databases_ini(databases, Some((host, port)));
    let changed = !converge::holds(&ini, &wanted);
    if changed {
        let beside = format!("{ini}.new");
        let replace = || std::fs::write(&beside, &wanted).and_then(|()| std::fs::rename(&beside, &ini));
        replace().map_err(|error| format!("cannot write `{ini}`: {error}"))?;
    }
    let console = known["port"].as_u64().unwrap_or(6432).to_string();
    let output = Command::new(format!("{}/psql", paths::BIN))
        .args(["-X", "-q", "-w", "-h", "127.0.0.1", "-p", &console, "-U", "pgbouncer", "-d", "pgbouncer"])
        .args(["-c", "RELOAD"])
        .env("PGPASSFILE", PGPASS)
        .output()
        .map_err(|error| format!("psql: {error}"))?;
    if output.status.success() {
        Ok(changed)
    } else {
        let complaint = String::from_utf8_lossy(&output.stderr);
        Err(format!("Error running command: RELOAD\nERROR: {}", complaint.trim()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_are_quoted_and_the_databases_stand_in_their_own_file() {
        let users_of = [("a\"b".to_owned(), "md51".to_owned())];
        let pgbouncer = Pgbouncer {
            settings: vec![("listen_port".to_owned(), "6432".to_owned())],
            port: 6432,
            users: users_of.into_iter().collect(),
            databases: Map::new(),
            auth_user: "pgbouncer".to_owned(),
            follows_consul: true,
        };
        assert_eq!(users(&pgbouncer), "\"a\"\"b\" \"md51\"\n");
        let ini = configuration(&pgbouncer, "/x/databases.ini");
        assert!(ini.contains("%include /x/databases.ini\n\n[pgbouncer]\nlisten_port = 6432\n"), "{ini}");
    }
}
