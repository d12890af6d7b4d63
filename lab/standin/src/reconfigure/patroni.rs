//! The real Patroni, which makes the cluster, clones the replicas and runs PostgreSQL.

use std::time::Duration;

use serde_json::{Value, json};

use super::converge::{self, Owner};
use super::{Error, network, postgresql, runit};
use crate::local_http;
use crate::paths;
use crate::settings::Settings;
use crate::site::{Member, Service, Site};

/// Where patroni.yaml is.
pub const HOME: &str = "/var/opt/gitlab/patroni";

/// A cluster that is being made waits for Consul's leader, and a replica for the clone.
const PATIENCE: Duration = Duration::from_mins(3);

/// Writes the configuration.
pub fn prepare(site: &Site, settings: &Settings) -> Result<(), Error> {
    let psql = &site.accounts.psql;
    let owner = Owner::named(&psql.user, &psql.group)?;
    converge::directory(HOME, owner, 0o700)?;
    converge::directory(format!("{}/patroni", paths::LOG), owner, 0o700)?;
    postgresql::home(site, settings)?;
    let address = network::own_address(site);
    let (bin, name) = (format!("{}/../postgresql/17/bin", paths::BIN), network::host_name());
    let member = Member {
        name: &name,
        address: &address,
        data: postgresql::DATA,
        home: postgresql::HOME,
        bin: &bin,
        parameters: parameters(site, settings),
        access: postgresql::access_lines(&site.postgresql, true),
        identities: postgresql::identity_lines(&site.accounts, &site.postgresql),
    };
    let yaml = site.patroni.configuration(&member, &site.postgresql, &site.accounts);
    let text = format!("{yaml:#}\n");
    runit::file(&[Service::Patroni], format!("{HOME}/patroni.yaml"), &text, owner, 0o600)
}

fn parameters(site: &Site, settings: &Settings) -> Value {
    let mut parameters = json!({
        "unix_socket_directories": postgresql::HOME,
        "shared_buffers": site.postgresql.shared_buffers,
        "timezone": "UTC",
        "log_line_prefix": "",
    });
    if postgresql::has_certificate(settings) {
        parameters["ssl"] = json!("on");
        parameters["ssl_cert_file"] = json!(format!("{}/server.crt", postgresql::HOME));
        parameters["ssl_key_file"] = json!(format!("{}/server.key", postgresql::HOME));
    }
    parameters
}

/// Starts the member and waits until it has its place; the leader then has what the application needs.
pub fn start(site: &Site) -> Result<(), Error> {
    runit::settle(Service::Patroni)?;
    let mut leads = false;
    runit::wait_long(Service::Patroni, PATIENCE, || {
        leads = place(site.patroni.port)?;
        Ok(())
    })?;
    if !leads {
        return Ok(());
    }
    agree(site)?;
    postgresql::objects(site, Service::Patroni)
}

/// Whether the member leads, by its own word. While the cluster is made, the first member's PostgreSQL runs for a
/// moment before it holds the leader's lock: then it is neither, and has to be asked again.
fn place(port: u16) -> Result<bool, String> {
    if local_http::get(port, "/leader")?.status == 200 {
        return Ok(true);
    }
    let replica = local_http::get(port, "/replica")?;
    if replica.status == 200 {
        return Ok(false);
    }
    let state = serde_json::from_str::<Value>(&replica.body).unwrap_or_default();
    Err(format!("PostgreSQL is `{}`", state["state"].as_str().unwrap_or("unknown")))
}

/// What all members agree on, brought to what gitlab.rb says.
fn agree(site: &Site) -> Result<(), Error> {
    let failed = |reason: String| Error::Service {
        service: Service::Patroni.name(),
        reason: format!("the cluster's configuration can't be changed: {reason}"),
        log: format!("{}/patroni/current", paths::LOG),
    };
    let patroni = &site.patroni;
    let found = local_http::get_json(patroni.port, "/config").map_err(failed)?;
    if contains(&found, &patroni.dynamic) {
        return Ok(());
    }
    crate::terminal::say("  * patroni[dynamic configuration] changed");
    let credentials = patroni.credentials.as_ref();
    let answer = local_http::patch(patroni.port, "/config", &patroni.dynamic, credentials).map_err(failed)?;
    if answer.status == 200 { Ok(()) } else { Err(failed(format!("status {}", answer.status))) }
}

/// Whether one tree holds all that another says.
fn contains(found: &Value, wanted: &Value) -> bool {
    match (found, wanted) {
        (Value::Object(found), Value::Object(wanted)) => {
            wanted.iter().all(|(key, value)| found.get(key).is_some_and(|inner| contains(inner, value)))
        }
        (found, wanted) => found == wanted,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_than_what_is_wanted_is_no_change() {
        let found = json!({"ttl": 30, "postgresql": {"parameters": {"a": 1, "b": 2}}});
        assert!(contains(&found, &json!({"postgresql": {"parameters": {"a": 1}}})));
        assert!(!contains(&found, &json!({"postgresql": {"parameters": {"a": 3}}})));
        assert!(!contains(&found, &json!({"loop_wait": 10})));
    }
}
