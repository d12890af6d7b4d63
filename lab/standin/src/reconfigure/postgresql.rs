//! The real PostgreSQL: data directory, configuration, roles and database.

use std::path::Path;

use super::converge::{self, Owner};
use super::{Error, program, runit};
use crate::paths;
use crate::settings::Settings;
use crate::site::{Accounts, Postgresql, Service, Site, hash};

/// PostgreSQL's home, and the folder of its socket.
pub const HOME: &str = "/var/opt/gitlab/postgresql";
/// PostgreSQL's data.
pub const DATA: &str = "/var/opt/gitlab/postgresql/data";
const MAJOR: &str = "17";

/// Makes PostgreSQL's home.
pub fn home(site: &Site, settings: &Settings) -> Result<(), Error> {
    let accounts = &site.accounts;
    let owner = Owner::named(&accounts.psql.user, &accounts.psql.group)?;
    converge::directory(HOME, owner, 0o755)?;
    refuse_other_version()?;
    let readers: Vec<Service> =
        [Service::Postgresql, Service::Patroni].into_iter().filter(|service| site.runs(*service)).collect();
    for (name, key) in [("server.crt", "internal_certificate"), ("server.key", "internal_key")] {
        let pem = settings.text(&["postgresql", key]).unwrap_or_default();
        runit::file(&readers, format!("{HOME}/{name}"), &pem, owner, 0o600)?;
    }
    Ok(())
}

/// Data of another version is never touched.
fn refuse_other_version() -> Result<(), Error> {
    match std::fs::read_to_string(Path::new(DATA).join("PG_VERSION")) {
        Ok(found) if found.trim() != MAJOR => Err(Error::DataVersion {
            directory: DATA.to_owned(),
            found: found.trim().to_owned(),
            wanted: MAJOR.to_owned(),
        }),
        _ => Ok(()),
    }
}

/// Makes the data directory and writes the configuration.
pub fn prepare(site: &Site, settings: &Settings) -> Result<(), Error> {
    home(site, settings)?;
    let accounts = &site.accounts;
    let owner = Owner::named(&accounts.psql.user, &accounts.psql.group)?;
    converge::directory(format!("{}/postgresql", paths::LOG), owner, 0o700)?;
    if !Path::new(DATA).join("PG_VERSION").exists() {
        initialise(owner)?;
    }
    let write = |name: &str, content: &str| {
        runit::file(&[Service::Postgresql], format!("{DATA}/{name}"), content, owner, 0o600)
    };
    let tls = has_certificate(settings);
    for (name, content) in [
        ("postgresql.conf", configuration(&site.postgresql, tls)),
        ("pg_hba.conf", file(&access_lines(&site.postgresql, false))),
        ("pg_ident.conf", file(&identity_lines(accounts, &site.postgresql))),
    ] {
        write(name, &content)?;
    }
    Ok(())
}

/// Whether the server can speak TLS.
#[must_use]
pub fn has_certificate(settings: &Settings) -> bool {
    settings.text(&["postgresql", "internal_key"]).is_some()
}

fn file(lines: &[String]) -> String {
    format!("# Written by gitlab-ctl reconfigure: changes are lost.\n{}\n", lines.join("\n"))
}

/// `initdb` into a directory beside the real one, so that a kill in the middle leaves nothing half-made.
fn initialise(owner: Owner) -> Result<(), Error> {
    let fresh = format!("{DATA}.new");
    if Path::new(&fresh).exists() {
        std::fs::remove_dir_all(&fresh).map_err(Error::file("remove", &fresh))?;
    }
    let initdb = format!("{}/initdb", paths::BIN);
    let mut command = program::as_user(&initdb, owner, HOME);
    command.args(["-D", &fresh, "-E", "UTF8", "--locale=C.UTF-8", "--auth=peer", "--no-sync"]);
    program::finish("initdb", &mut command)?;
    if Path::new(DATA).is_dir() {
        // Only an empty directory can be replaced: rename refuses any other.
        std::fs::remove_dir(DATA).map_err(Error::file("replace", DATA))?;
    }
    std::fs::rename(&fresh, DATA).map_err(Error::file("replace", DATA))
}

/// postgresql.conf
#[must_use]
pub fn configuration(postgresql: &Postgresql, tls: bool) -> String {
    let Postgresql { listen, port, shared_buffers, max_connections, .. } = postgresql;
    let tls = if tls { "on" } else { "off" };
    format!(
        "# Written by gitlab-ctl reconfigure: changes are lost.\n\
         listen_addresses = '{listen}'\n\
         port = {port}\n\
         unix_socket_directories = '{HOME}'\n\
         max_connections = {max_connections}\n\
         shared_buffers = {shared_buffers}\n\
         ssl = {tls}\n\
         ssl_cert_file = '{HOME}/server.crt'\n\
         ssl_key_file = '{HOME}/server.key'\n\
         timezone = 'UTC'\n\
         log_line_prefix = ''\n"
    )
}

/// Lines of `pg_hba.conf`: exactly the networks that gitlab.rb names. Replicas come from the same ones.
#[must_use]
pub fn access_lines(postgresql: &Postgresql, replicated: bool) -> Vec<String> {
    let asked = if postgresql.tls_only { "hostssl" } else { "host" };
    let mut lines = vec!["local all all peer map=gitlab".to_owned()];
    let networks = postgresql
        .trusted
        .iter()
        .map(|net| ("host", net, "trust"))
        .chain(postgresql.with_password.iter().map(|net| (asked, net, "md5")));
    for (kind, net, method) in networks {
        lines.push(format!("{kind} all all {net} {method}"));
        if replicated {
            lines.push(format!("{kind} replication {} {net} {method}", postgresql.replication_user));
        }
    }
    lines
}

/// Lines of `pg_ident.conf`: who may be whom over the socket.
#[must_use]
pub fn identity_lines(accounts: &Accounts, postgresql: &Postgresql) -> Vec<String> {
    let (git, psql, role) = (&accounts.git.user, &accounts.psql.user, &postgresql.user);
    vec![format!("gitlab {git} {role}"), format!("gitlab {psql} {psql}"), format!("gitlab {psql} {role}")]
}

/// Starts the server and makes what the application needs.
pub fn start(site: &Site) -> Result<(), Error> {
    runit::settle(Service::Postgresql)?;
    objects(site, Service::Postgresql)
}

/// Makes roles, the application's database and its extensions, when the server answers.
pub fn objects(site: &Site, service: Service) -> Result<(), Error> {
    let accounts = &site.accounts;
    let owner = Owner::named(&accounts.psql.user, &accounts.psql.group)?;
    let asked = Psql { owner, port: site.postgresql.port };
    runit::wait(service, || {
        asked.run("postgres", "SELECT 1").map(|_| ()).map_err(|error| error.to_string())
    })?;
    asked.run("postgres", &roles(site)).map(|_| ())?;
    let database = &site.rails.database.name;
    let there =
        asked.run("postgres", &format!("SELECT 1 FROM pg_database WHERE datname = {}", text(database)))?;
    if there.trim() != "1" {
        let (name, role) = (identifier(database), identifier(&site.postgresql.user));
        asked.run("postgres", &format!("CREATE DATABASE {name} OWNER {role}"))?;
    }
    asked.run(database, EXTENSIONS)?;
    let (user, password) = &site.postgresql.pgbouncer;
    if password.is_some() {
        asked.run(database, &lookup(user))?;
    }
    Ok(())
}

const EXTENSIONS: &str = "SET client_min_messages = warning;\n\
    CREATE EXTENSION IF NOT EXISTS pg_trgm;\n\
    CREATE EXTENSION IF NOT EXISTS btree_gist;\n\
    CREATE EXTENSION IF NOT EXISTS amcheck;\n";

fn roles(site: &Site) -> String {
    let postgresql = &site.postgresql;
    let mut sql = role(&postgresql.user, "LOGIN CREATEDB", postgresql.user_password.as_deref());
    let (user, password) = &postgresql.pgbouncer;
    if password.is_some() {
        sql += &role(user, "LOGIN", password.as_deref());
    }
    if site.runs(Service::Patroni) {
        let password = postgresql.replication_password.as_deref();
        sql += &role(&postgresql.replication_user, "LOGIN REPLICATION", password);
    }
    sql
}

/// Makes a role, and gives it its password only where it has another one: a password is written to the log of
/// the server's changes, and an unchanged node changes nothing.
fn role(role: &str, attributes: &str, password: Option<&str>) -> String {
    let (name, quoted) = (identifier(role), text(role));
    let make = format!(
        "DO $$ BEGIN IF NOT EXISTS (SELECT 1 FROM pg_roles WHERE rolname = {quoted}) THEN \
         CREATE ROLE {name} {attributes}; END IF; END $$;\n"
    );
    let Some(password) = password else { return make };
    let hash = text(&hash(password));
    format!(
        "{make}DO $$ BEGIN IF NOT EXISTS (SELECT 1 FROM pg_authid WHERE rolname = {quoted} AND rolpassword = {hash}) \
         THEN ALTER ROLE {name} PASSWORD {hash}; END IF; END $$;\n"
    )
}

/// The function by which PgBouncer learns the hash of whoever logs in, and nobody else may ask.
fn lookup(user: &str) -> String {
    let user = identifier(user);
    format!(
        "CREATE OR REPLACE FUNCTION public.pg_shadow_lookup(name text, OUT username text, OUT password text)\n\
         RETURNS record LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog AS\n\
         'SELECT usename::text, passwd FROM pg_shadow WHERE usename = name';\n\
         REVOKE ALL ON FUNCTION public.pg_shadow_lookup(text) FROM PUBLIC;\n\
         GRANT EXECUTE ON FUNCTION public.pg_shadow_lookup(text) TO {user};\n"
    )
}

struct Psql {
    owner: Owner,
    port: u16,
}

impl Psql {
    fn run(&self, database: &str, sql: &str) -> Result<String, Error> {
        let mut command = program::as_user(&format!("{}/psql", paths::BIN), self.owner, HOME);
        command.args(["-X", "-q", "-t", "-A", "-v", "ON_ERROR_STOP=1", "-h", HOME, "-d", database]);
        command.args(["-p", &self.port.to_string(), "-f", "-"]);
        program::feed("psql", &mut command, sql)
    }
}

fn identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

fn text(value: &str) -> String {
    format!("'{}'", value.replace('\'', "''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn postgresql() -> Postgresql {
        Postgresql {
            listen: String::new(),
            port: 5432,
            user: "gitlab".into(),
            user_password: None,
            trusted: vec!["10.0.0.0/8".into()],
            with_password: vec!["0.0.0.0/0".into()],
            shared_buffers: "128MB".into(),
            max_connections: 500,
            tls_only: false,
            pgbouncer: ("pgbouncer".into(), None),
            replication_user: "gitlab_replicator".into(),
            replication_password: None,
        }
    }

    #[test]
    fn only_the_socket_is_open_by_default() {
        assert!(configuration(&postgresql(), true).contains("listen_addresses = ''\n"));
    }

    #[test]
    fn networks_are_trusted_or_asked() {
        let hba = access_lines(&postgresql(), false);
        let wanted =
            ["local all all peer map=gitlab", "host all all 10.0.0.0/8 trust", "host all all 0.0.0.0/0 md5"];
        assert_eq!(hba, wanted);
        let replicated = access_lines(&Postgresql { tls_only: true, ..postgresql() }, true);
        assert!(replicated.contains(&"host replication gitlab_replicator 10.0.0.0/8 trust".to_owned()));
        assert!(replicated.contains(&"hostssl all all 0.0.0.0/0 md5".to_owned()));
    }

    #[test]
    fn a_password_is_stored_as_the_hash_it_is() {
        let sql = role("gitlab", "LOGIN", Some("abc"));
        assert!(sql.contains("PASSWORD 'md5abc'") && sql.contains("rolpassword = 'md5abc'"), "{sql}");
        assert!(!role("gitlab", "LOGIN", None).contains("PASSWORD"));
    }

    #[test]
    fn names_are_quoted() {
        assert_eq!(identifier("a\"b"), "\"a\"\"b\"");
        assert_eq!(text("o'neil"), "'o''neil'");
    }
}
