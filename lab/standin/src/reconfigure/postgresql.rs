//! The real PostgreSQL: data directory, configuration, roles and database.

use std::path::Path;

use super::converge::{self, Owner};
use super::{Error, program, runit};
use crate::paths;
use crate::settings::Settings;
use crate::site::{Accounts, Postgresql, Service, Site};

const HOME: &str = "/var/opt/gitlab/postgresql";
const DATA: &str = "/var/opt/gitlab/postgresql/data";
const MAJOR: &str = "17";

/// Makes the data directory and writes the configuration.
pub fn prepare(site: &Site, settings: &Settings) -> Result<(), Error> {
    let accounts = &site.accounts;
    let owner = Owner::named(&accounts.psql.user, &accounts.psql.group)?;
    converge::directory(HOME, owner, 0o755)?;
    converge::directory(format!("{}/postgresql", paths::LOG), owner, 0o700)?;
    match std::fs::read_to_string(Path::new(DATA).join("PG_VERSION")) {
        Ok(found) if found.trim() == MAJOR => {}
        Ok(found) => {
            return Err(Error::DataVersion {
                directory: DATA.to_owned(),
                found: found.trim().to_owned(),
                wanted: MAJOR.to_owned(),
            });
        }
        Err(_) => initialise(owner)?,
    }
    let write = |name: &str, content: &str| {
        runit::file(&[Service::Postgresql], format!("{DATA}/{name}"), content, owner, 0o600)
    };
    for (name, key) in [("server.crt", "internal_certificate"), ("server.key", "internal_key")] {
        let pem = settings.text(&["postgresql", key]).unwrap_or_default();
        write(name, &pem)?;
    }
    let tls = settings.text(&["postgresql", "internal_key"]).is_some();
    for (name, content) in [
        ("postgresql.conf", configuration(&site.postgresql, tls)),
        ("pg_hba.conf", access(&site.postgresql, tls)),
        ("pg_ident.conf", identities(accounts, &site.postgresql)),
    ] {
        write(name, &content)?;
    }
    Ok(())
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
         ssl_cert_file = 'server.crt'\n\
         ssl_key_file = 'server.key'\n\
         timezone = 'UTC'\n\
         log_line_prefix = ''\n"
    )
}

/// `pg_hba.conf`
#[must_use]
pub fn access(postgresql: &Postgresql, tls: bool) -> String {
    let host = if tls { "hostssl" } else { "host" };
    let trusted = postgresql.trusted.iter().map(|net| format!("host all all {net} trust\n"));
    let asked = postgresql.with_password.iter().map(|net| format!("{host} all all {net} md5\n"));
    let lines: String = trusted.chain(asked).collect();
    format!("# Written by gitlab-ctl reconfigure: changes are lost.\nlocal all all peer map=gitlab\n{lines}")
}

/// `pg_ident.conf`: who may be whom over the socket.
#[must_use]
pub fn identities(accounts: &Accounts, postgresql: &Postgresql) -> String {
    let (git, psql, role) = (&accounts.git.user, &accounts.psql.user, &postgresql.user);
    format!(
        "# Written by gitlab-ctl reconfigure: changes are lost.\n\
         gitlab {git} {role}\n\
         gitlab {psql} {psql}\n\
         gitlab {psql} {role}\n"
    )
}

/// Starts the server and makes the application's role and database.
pub fn start(site: &Site) -> Result<(), Error> {
    let accounts = &site.accounts;
    let owner = Owner::named(&accounts.psql.user, &accounts.psql.group)?;
    runit::settle(Service::Postgresql)?;
    let asked = Psql { owner, port: site.postgresql.port };
    runit::wait(Service::Postgresql, || {
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
    let extensions = "SET client_min_messages = warning;\n\
        CREATE EXTENSION IF NOT EXISTS pg_trgm;\n\
        CREATE EXTENSION IF NOT EXISTS btree_gist;\n\
        CREATE EXTENSION IF NOT EXISTS amcheck;\n";
    asked.run(database, extensions).map(|_| ())
}

fn roles(site: &Site) -> String {
    let role = &site.postgresql.user;
    let (name, quoted) = (identifier(role), text(role));
    let make = format!(
        "DO $$ BEGIN IF NOT EXISTS (SELECT 1 FROM pg_roles WHERE rolname = {quoted}) THEN \
         CREATE ROLE {name} LOGIN CREATEDB; END IF; END $$;\n"
    );
    let Some(password) = &site.postgresql.user_password else { return make };
    let hash = if password.starts_with("md5") { password.clone() } else { format!("md5{password}") };
    format!("{make}ALTER ROLE {name} PASSWORD {};\n", text(&hash))
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
        }
    }

    #[test]
    fn only_the_socket_is_open_by_default() {
        assert!(configuration(&postgresql(), true).contains("listen_addresses = ''\n"));
    }

    #[test]
    fn networks_are_trusted_or_asked() {
        let hba = access(&postgresql(), true);
        assert!(hba.contains("local all all peer map=gitlab\n"));
        assert!(hba.contains("host all all 10.0.0.0/8 trust\n"));
        assert!(hba.contains("hostssl all all 0.0.0.0/0 md5\n"));
    }

    #[test]
    fn names_are_quoted() {
        assert_eq!(identifier("a\"b"), "\"a\"\"b\"");
        assert_eq!(text("o'neil"), "'o''neil'");
    }
}
