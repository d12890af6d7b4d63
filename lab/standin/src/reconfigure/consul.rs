//! The real Consul: its configuration, the services it checks and what it runs when the leader changes.

use std::path::Path;

use serde_json::{Value, json};

use super::converge::{self, Owner};
use super::{Error, network, runit};
use crate::local_http;
use crate::paths;
use crate::site::{FAILOVER, Service, Site};
use crate::targets;

/// Where Consul keeps everything.
pub const HOME: &str = "/var/opt/gitlab/consul";

/// Writes the configuration.
pub fn prepare(site: &Site) -> Result<(), Error> {
    let account = &site.accounts.consul;
    let owner = Owner::named(&account.user, &account.group)?;
    converge::directory(HOME, owner, 0o755)?;
    for name in ["data", "config.d", "scripts"] {
        converge::directory(format!("{HOME}/{name}"), owner, 0o700)?;
    }
    converge::directory(targets::FOLDER, owner, 0o755)?;
    converge::directory(format!("{}/consul", paths::LOG), owner, 0o700)?;
    let mut configuration = site.consul.configuration.clone();
    if configuration.get("node_name").is_none() {
        configuration["node_name"] = json!(network::host_name());
    }
    let write = |path: String, content: &Value| {
        runit::file(&[Service::Consul], path, &format!("{content:#}\n"), owner, 0o600)
    };
    write(format!("{HOME}/config.json"), &configuration)?;
    for (name, content) in &site.consul.fragments {
        write(format!("{HOME}/config.d/{name}"), content)?;
    }
    forget_fragments(site)?;
    let script = format!("#!/bin/sh\nexec {}/gitlab-standin failover-pgbouncer\n", paths::BIN);
    if site.consul.watches_postgresql {
        converge::file(FAILOVER, &script, owner, 0o700)?;
    }
    Ok(())
}

/// Removes the services and watches that the settings no longer name.
fn forget_fragments(site: &Site) -> Result<(), Error> {
    let folder = format!("{HOME}/config.d");
    let entries = std::fs::read_dir(&folder).map_err(Error::file("read", &folder))?;
    for entry in entries.filter_map(Result::ok) {
        let name = entry.file_name().to_string_lossy().into_owned();
        let known = site.consul.fragments.contains_key(&name);
        if !known && Path::new(&name).extension().is_some_and(|kind| kind == "json") {
            runit::absent(&[Service::Consul], entry.path())?;
        }
    }
    Ok(())
}

/// Starts the agent and waits for its own API; whether there is a leader is a matter of the other servers.
pub fn start(site: &Site) -> Result<(), Error> {
    runit::settle(Service::Consul)?;
    runit::wait(Service::Consul, || {
        let answer = local_http::get(site.consul.http_port, "/v1/agent/self")?;
        if answer.status == 200 { Ok(()) } else { Err(format!("status {}", answer.status)) }
    })
}
