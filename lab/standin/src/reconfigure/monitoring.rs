//! The real Prometheus and the real exporters.

use std::path::Path;

use super::converge::{self, Owner};
use super::{Error, pgbouncer, postgresql, runit};
use crate::local_http;
use crate::paths;
use crate::site::{Exporter, Prometheus, Service, Site};

const HOME: &str = "/var/opt/gitlab/prometheus";

/// Where a service's environment stands, one file a variable, because arguments are for all to see.
#[must_use]
pub fn environment(service: Service) -> String {
    format!("{}/{}/env", paths::ETC, service.name())
}

/// The account that runs an exporter: one that may read what it looks at.
#[must_use]
pub fn account(service: Service, site: &Site) -> (&str, &str) {
    let accounts = &site.accounts;
    match service {
        Service::PostgresExporter | Service::PgbouncerExporter => (&accounts.psql.user, &accounts.psql.group),
        Service::RedisExporter => (&accounts.redis.user, &accounts.git.group),
        _ => (&accounts.prometheus.user, &accounts.prometheus.group),
    }
}

/// The program and arguments of an exporter.
#[must_use]
pub fn command(exporter: &Exporter) -> String {
    let bin = paths::BIN;
    let listen = if let Some(port) = exporter.listen.strip_prefix("localhost:") {
        format!("127.0.0.1:{port}")
    } else {
        exporter.listen.clone()
    };
    let program = match exporter.service {
        Service::PostgresExporter => "postgres_exporter",
        Service::RedisExporter => "redis_exporter",
        Service::PgbouncerExporter => "pgbouncer_exporter",
        _ => "node_exporter",
    };
    format!("{bin}/{program} --web.listen-address={listen}{}", flags(&exporter.flags))
}

fn flags(pairs: &[(String, String)]) -> String {
    let flags: Vec<String> =
        pairs.iter().map(|(name, value)| format!(" --{name}={}", quoted(value))).collect();
    flags.concat()
}

/// A value as one word of the shell that starts the service.
fn quoted(value: &str) -> String {
    format!("'{}'", value.replace('\'', "'\\''"))
}

/// The program and arguments of Prometheus.
#[must_use]
pub fn prometheus_command(prometheus: &Prometheus) -> String {
    let flags = flags(&prometheus.flags);
    format!(
        "{}/prometheus --config.file={HOME}/prometheus.yml --storage.tsdb.path={HOME}/data \
         --web.listen-address={}{flags}",
        paths::BIN,
        prometheus.listen
    )
}

/// Writes what the exporters need to look.
pub fn prepare_exporters(site: &Site) -> Result<(), Error> {
    for exporter in site.exporters.iter().filter(|exporter| site.runs(exporter.service)) {
        let service = exporter.service;
        let (user, group) = account(service, site);
        let owner = Owner::named(user, group)?;
        converge::directory(format!("{}/{}", paths::LOG, service.name()), owner, 0o700)?;
        let folder = environment(service);
        converge::directory(Path::new(&folder).parent().unwrap_or(Path::new("/")), Owner::ROOT, 0o755)?;
        converge::directory(&folder, Owner::ROOT, 0o700)?;
        let given = exporter.variables.iter().map(|(name, value)| (name.as_str(), Some(value.clone())));
        let own = variables(service, site);
        let own = own.into_iter().filter(|(name, _)| !exporter.variables.iter().any(|(one, _)| one == name));
        for (name, value) in own.chain(given) {
            let path = format!("{folder}/{name}");
            match value {
                Some(value) => runit::file(&[service], path, &value, Owner::ROOT, 0o600)?,
                None => runit::absent(&[service], path)?,
            }
        }
    }
    Ok(())
}

fn variables(service: Service, site: &Site) -> Vec<(&'static str, Option<String>)> {
    match service {
        Service::PostgresExporter => {
            let (port, user) = (site.postgresql.port, &site.accounts.psql.user);
            let source = format!("user={user} host={} port={port} dbname=postgres", postgresql::HOME);
            vec![("DATA_SOURCE_NAME", Some(source))]
        }
        Service::RedisExporter => vec![
            ("REDIS_ADDR", Some("unix:///var/opt/gitlab/redis/redis.socket".to_owned())),
            ("REDIS_PASSWORD", site.redis.password.clone()),
        ],
        Service::PgbouncerExporter => {
            let (home, port) = (pgbouncer::HOME, site.pgbouncer.port);
            let source =
                format!("postgres:///pgbouncer?host={home}&port={port}&user=pgbouncer&sslmode=disable");
            vec![("PGBOUNCER_EXPORTER_CONNECTION_STRING", Some(source))]
        }
        _ => Vec::new(),
    }
}

/// Writes the configuration of Prometheus.
pub fn prepare_prometheus(site: &Site) -> Result<(), Error> {
    let account = &site.accounts.prometheus;
    let owner = Owner::named(&account.user, &account.group)?;
    converge::directory(HOME, owner, 0o750)?;
    converge::directory(format!("{HOME}/data"), owner, 0o700)?;
    converge::directory(format!("{}/prometheus", paths::LOG), owner, 0o700)?;
    // JSON is YAML.
    let text = format!("{:#}\n", site.prometheus.configuration);
    runit::file(&[Service::Prometheus], format!("{HOME}/prometheus.yml"), &text, owner, 0o600)
}

/// Starts an exporter or Prometheus; a configuration that Prometheus doesn't take is found out here.
pub fn start(service: Service, site: &Site) -> Result<(), Error> {
    runit::settle(service)?;
    let port = site.prometheus.listen.rsplit_once(':').and_then(|(_, port)| port.parse().ok());
    let (Service::Prometheus, Some(port)) = (service, port) else { return Ok(()) };
    runit::wait(service, || {
        let answer = local_http::get(port, "/-/healthy")?;
        if answer.status == 200 { Ok(()) } else { Err(format!("status {}", answer.status)) }
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_exporter_listens_where_it_is_told() {
        let exporter = |service, listen: &str| {
            let (flags, variables) = (vec![("a".to_owned(), "b c".to_owned())], Vec::new());
            command(&Exporter { service, listen: listen.to_owned(), flags, variables })
        };
        let node = exporter(Service::NodeExporter, "0.0.0.0:9100");
        assert!(node.ends_with("--web.listen-address=0.0.0.0:9100 --a='b c'"), "{node}");
        assert!(exporter(Service::RedisExporter, "localhost:9121").contains("=127.0.0.1:9121 "));
    }

    #[test]
    fn prometheus_takes_flags() {
        let prometheus = Prometheus {
            listen: "0.0.0.0:9090".into(),
            configuration: json!({}),
            flags: vec![("storage.tsdb.retention.time".into(), "1d".into())],
        };
        assert!(prometheus_command(&prometheus).ends_with("0.0.0.0:9090 --storage.tsdb.retention.time='1d'"));
    }
}
