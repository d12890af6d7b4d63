//! The Consul of this node, as server or agent.
//! <https://docs.gitlab.com/administration/consul/>

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::monitoring::{DISCOVERED, discoverable, service_name};
use super::{Error, Roles, Service};
use crate::paths;
use crate::settings::Settings;

/// Where Consul keeps everything.
pub const HOME: &str = "/var/opt/gitlab/consul";
/// What Consul runs when the leader of PostgreSQL changes.
pub const FAILOVER: &str = "/var/opt/gitlab/consul/scripts/failover_pgbouncer";

/// The Consul of this node.
#[derive(Debug, Clone, PartialEq)]
pub struct Consul {
    /// config.json, but for the node's name, which is the host's unless it is set.
    pub configuration: Value,
    /// Files of config.d by name: services and watches.
    pub fragments: BTreeMap<String, Value>,
    /// The port of the API.
    pub http_port: u16,
    /// Whether a change of the leader is to reach PgBouncer.
    pub watches_postgresql: bool,
    /// The address that the other nodes reach this one by, where gitlab.rb says it.
    pub bind_address: Option<String>,
    /// The servers and agents to join.
    pub join: Vec<String>,
}

impl Consul {
    /// The Consul that the settings describe.
    pub fn from_settings(settings: &Settings, roles: &Roles) -> Result<Self, Error> {
        if settings.flag(&["consul", "use_tls"]) == Some(true) {
            return Err(Error::NotStoodIn("consul['use_tls']".to_owned()));
        }
        let given = |key: &str| settings.at(&["consul", "configuration", key]);
        let watches = settings.list(&["consul", "watchers"]).unwrap_or_default();
        if let Some(other) = watches.iter().find(|name| *name != "postgresql") {
            return Err(Error::NotStoodIn(format!("consul['watchers'] with `{other}`")));
        }
        let bind_address = ["advertise_addr", "bind_addr"]
            .into_iter()
            .filter_map(|key| given(key).and_then(Value::as_str))
            .find(|address| *address != "0.0.0.0")
            .map(str::to_owned);
        let port = settings.number(&["consul", "http_port"]).and_then(|port| u16::try_from(port).ok());
        Ok(Self {
            configuration: configuration(settings),
            fragments: fragments(settings, roles, &watches)?,
            http_port: port.unwrap_or(8500),
            watches_postgresql: !watches.is_empty(),
            bind_address,
            join: settings.list(&["consul", "configuration", "retry_join"]).unwrap_or_default(),
        })
    }
}

/// config.json: the package's own settings, and over them what gitlab.rb says.
fn configuration(settings: &Settings) -> Value {
    let server = settings.flag(&["consul", "configuration", "server"]).unwrap_or(false);
    let mut configuration = json!({
        "datacenter": "gitlab_consul",
        "data_dir": format!("{HOME}/data"),
        "disable_update_check": true,
        "enable_local_script_checks": true,
        "log_level": "INFO",
        "rejoin_after_leave": true,
        "server": server,
    });
    if let Some(name) = settings.text(&["consul", "node_name"]) {
        configuration["node_name"] = json!(name);
    }
    if let Some(key) = settings.text(&["consul", "encryption_key"]) {
        configuration["encrypt"] = json!(key);
    }
    if server {
        // The third server elects the leader.
        configuration["bootstrap_expect"] = json!(3);
    }
    if let Some(port) = settings.number(&["consul", "http_port"]) {
        configuration["ports"] = json!({"http": port});
    }
    if let Some(Value::Object(given)) = settings.at(&["consul", "configuration"]) {
        for (key, value) in given.iter().filter(|(_, value)| !value.is_null()) {
            configuration[key] = value.clone();
        }
    }
    configuration
}

fn fragments(
    settings: &Settings,
    roles: &Roles,
    watches: &[String],
) -> Result<BTreeMap<String, Value>, Error> {
    let mut fragments = BTreeMap::new();
    for service in settings.list(&["consul", "services"]).unwrap_or_default() {
        if service != "postgresql" {
            return Err(Error::NotStoodIn(format!("consul['services'] with `{service}`")));
        }
        fragments.insert("postgresql_service.json".to_owned(), postgresql(settings));
    }
    for watched in watches {
        let watch = json!({"watches": [{
            "type": "service", "service": watched, "passingonly": true,
            "handler_type": "script", "args": [FAILOVER],
        }]});
        fragments.insert(format!("watcher_{watched}.json"), watch);
    }
    if settings.flag(&["consul", "monitoring_service_discovery"]) == Some(true) {
        monitored(settings, roles, &mut fragments);
    }
    Ok(fragments)
}

/// Registers what tells of itself on this node, and where Prometheus runs, has the targets of all nodes written for it.
fn monitored(settings: &Settings, roles: &Roles, fragments: &mut BTreeMap<String, Value>) {
    for (service, port) in discoverable(settings, roles) {
        let name = service_name(settings, service);
        let meta = settings.at(&[service.section(), "consul_service_meta"]).cloned();
        let entry = json!({"service": {"name": name, "port": port, "meta": meta.unwrap_or(json!({}))}});
        fragments.insert(format!("{}-service.json", service.name()), entry);
    }
    if roles.switch_on(settings, "prometheus") {
        let watch = |service: Service| {
            let name = service_name(settings, service);
            let program = format!("{}/gitlab-standin", paths::BIN);
            json!({
                "type": "service", "service": name, "handler_type": "script",
                "args": [program, "prometheus-targets", name],
            })
        };
        let watches: Vec<Value> = DISCOVERED.into_iter().map(watch).collect();
        fragments.insert("watcher_prometheus.json".to_owned(), json!({"watches": watches}));
    }
}

/// The service whose check only the leader passes, which is how everybody finds the leader.
fn postgresql(settings: &Settings) -> Value {
    let port = settings.number(&["postgresql", "port"]).unwrap_or(5432);
    let api = settings.number(&["patroni", "port"]).unwrap_or(8008);
    let interval = settings.text_or(&["postgresql", "service_check_interval"], "10s");
    json!({"service": {
        "name": "postgresql",
        "port": port,
        "check": {
            "id": "service:postgresql",
            "name": "PostgreSQL leader",
            "http": format!("http://127.0.0.1:{api}/leader"),
            "interval": interval,
            "timeout": "5s",
        },
    }})
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::site::roles::testing::node;

    fn consul(value: Value) -> Result<Consul, Error> {
        let (settings, roles) = node(value);
        Consul::from_settings(&settings, &roles)
    }

    #[test]
    fn gitlab_rb_wins_over_the_package_s_own_settings() {
        let set = json!({"roles": ["consul_role"], "consul": {
            "node_name": "a", "configuration": {"server": true, "retry_join": ["198.18.0.1"], "bind_addr": "198.18.0.2"},
        }});
        let one = consul(set).expect("settings");
        assert_eq!(one.configuration["datacenter"], "gitlab_consul");
        assert_eq!(one.configuration["bootstrap_expect"], 3);
        assert_eq!(one.configuration["retry_join"], json!(["198.18.0.1"]));
        assert_eq!(one.bind_address.as_deref(), Some("198.18.0.2"));
        let five = json!({"consul": {"configuration": {"server": true, "bootstrap_expect": 5}}});
        assert_eq!(consul(five).expect("settings").configuration["bootstrap_expect"], 5);
    }

    #[test]
    fn an_agent_expects_nobody() {
        let agent = consul(json!({"roles": ["consul_role"]})).expect("settings");
        assert_eq!(agent.configuration["server"], false);
        assert!(agent.configuration.get("bootstrap_expect").is_none());
        assert!(agent.fragments.is_empty());
    }

    #[test]
    fn exporters_are_registered_where_monitoring_asks_for_it() {
        let set = json!({"roles": ["postgres_role", "consul_role"],
            "consul": {"monitoring_service_discovery": true, "services": ["postgresql"]},
            "node_exporter": {"listen_address": "0.0.0.0:9100"},
            "postgres_exporter": {"listen_address": "0.0.0.0:9187"}});
        let names: Vec<String> = consul(set).expect("settings").fragments.into_keys().collect();
        assert_eq!(
            names,
            ["node-exporter-service.json", "postgres-exporter-service.json", "postgresql_service.json"]
        );
    }

    #[test]
    fn what_nothing_watches_is_refused() {
        assert!(matches!(consul(json!({"consul": {"watchers": ["redis"]}})), Err(Error::NotStoodIn(_))));
        assert!(
            consul(json!({"consul": {"watchers": ["postgresql"]}})).expect("settings").watches_postgresql
        );
    }
}
