//! The Patroni of this node, whose configuration is patroni.yaml.
//! <https://docs.gitlab.com/administration/postgresql/replication_and_failover/>

use serde_json::{Map, Value, json};

use super::{Accounts, Postgresql};
use crate::settings::Settings;

/// The Patroni of this node.
#[derive(Debug, Clone, PartialEq)]
pub struct Patroni {
    /// Name of the cluster.
    pub scope: String,
    /// Name of the member, where gitlab.rb says it.
    pub name: Option<String>,
    /// The address by which others reach the member, where gitlab.rb says it.
    pub connect_address: Option<String>,
    /// Where its API listens.
    pub listen: String,
    /// The port of its API.
    pub port: u16,
    /// Name and password of the API's unsafe endpoints.
    pub credentials: Option<(String, String)>,
    /// What the cluster's members agree on.
    pub dynamic: Value,
    /// The rest of patroni.yaml.
    rest: Rest,
}

#[derive(Debug, Clone, PartialEq)]
struct Rest {
    allowlist: Option<Vec<String>>,
    include_members: Option<bool>,
    replication_password: Option<String>,
    log_level: String,
    consul: Map<String, Value>,
    tags: Value,
    remove_on_rewind_failure: bool,
    remove_on_diverged: bool,
}

/// PostgreSQL's parameters that Patroni keeps equal on all members, with the package's values, and whether
/// `postgresql[...]` counts: what controls replication is `patroni['postgresql'][...]` alone.
const PARAMETERS: [(&str, u64, bool); 8] = [
    ("max_connections", 500, true),
    ("max_locks_per_transaction", 128, true),
    ("max_prepared_transactions", 0, false),
    ("max_replication_slots", 5, false),
    ("max_wal_senders", 5, false),
    ("max_worker_processes", 8, true),
    ("wal_keep_segments", 10, false),
    ("checkpoint_timeout", 30, false),
];

impl Patroni {
    /// The Patroni that the settings describe.
    #[must_use]
    pub fn from_settings(settings: &Settings, http_port: u16) -> Self {
        let text = |key: &'static str| settings.text(&["patroni", key]);
        let port = settings.number(&["patroni", "port"]).and_then(|port| u16::try_from(port).ok());
        let mut consul = Map::new();
        consul.insert("url".to_owned(), json!(format!("http://127.0.0.1:{http_port}")));
        consul.insert("register_service".to_owned(), json!(true));
        consul.insert("service_check_interval".to_owned(), json!("10s"));
        consul.insert("checks".to_owned(), json!([]));
        if let Some(Value::Object(given)) = settings.at(&["patroni", "consul"]) {
            consul.extend(given.clone());
        }
        Self {
            scope: settings.text_or(&["patroni", "scope"], "postgresql-ha"),
            name: text("name"),
            connect_address: text("connect_address"),
            listen: settings.text_or(&["patroni", "listen_address"], "0.0.0.0"),
            port: port.unwrap_or(8008),
            credentials: text("username").zip(text("password")),
            dynamic: dynamic(settings),
            rest: Rest {
                allowlist: settings.list(&["patroni", "allowlist"]),
                include_members: settings.flag(&["patroni", "allowlist_include_members"]),
                replication_password: text("replication_password"),
                log_level: settings.text_or(&["patroni", "log_level"], "INFO"),
                consul,
                tags: settings.at(&["patroni", "tags"]).cloned().unwrap_or(json!({})),
                remove_on_rewind_failure: flag(settings, "remove_data_directory_on_rewind_failure", false),
                remove_on_diverged: flag(settings, "remove_data_directory_on_diverged_timelines", false),
            },
        }
    }

    /// patroni.yaml of a member that others reach at an address.
    #[must_use]
    pub fn configuration(&self, member: &Member<'_>, postgresql: &Postgresql, accounts: &Accounts) -> Value {
        let Member { name, address, data, home, bin, parameters, access, identities } = member;
        let rest = &self.rest;
        let mut restapi = json!({
            "listen": format!("{}:{}", self.listen, self.port),
            "connect_address": format!("{address}:{}", self.port),
        });
        if let Some((username, password)) = &self.credentials {
            restapi["authentication"] = json!({"username": username, "password": password});
        }
        if let Some(allowlist) = &rest.allowlist {
            restapi["allowlist"] = json!(allowlist);
        }
        if let Some(include) = rest.include_members {
            restapi["allowlist_include_members"] = json!(include);
        }
        let mut replication = json!({"username": postgresql.replication_user});
        if let Some(password) = &rest.replication_password {
            replication["password"] = json!(password);
        }
        let listen = if postgresql.listen.is_empty() { "127.0.0.1" } else { postgresql.listen.as_str() };
        json!({
            "scope": self.scope,
            "name": self.name.as_deref().unwrap_or(name),
            "log": {"level": rest.log_level},
            "consul": rest.consul,
            "restapi": restapi,
            "bootstrap": {
                "dcs": self.dynamic,
                "initdb": [{"encoding": "UTF8"}, {"locale": "C.UTF-8"}, {"auth": "peer"}, "no-sync"],
            },
            "postgresql": {
                "bin_dir": bin,
                "data_dir": data,
                "listen": format!("{listen}:{}", postgresql.port),
                "connect_address": format!("{address}:{}", postgresql.port),
                "use_unix_socket": true,
                "pgpass": format!("{home}/.pgpass-patroni"),
                "parameters": parameters,
                "pg_hba": access,
                "pg_ident": identities,
                "authentication": {
                    "superuser": {"username": accounts.psql.user},
                    "replication": replication,
                },
                "basebackup": ["no-password"],
                "remove_data_directory_on_rewind_failure": rest.remove_on_rewind_failure,
                "remove_data_directory_on_diverged_timelines": rest.remove_on_diverged,
            },
            "tags": rest.tags,
        })
    }
}

/// What only the machine knows of a member.
#[derive(Debug)]
pub struct Member<'a> {
    /// The host's name.
    pub name: &'a str,
    /// The address by which others reach it.
    pub address: &'a str,
    /// PostgreSQL's data directory.
    pub data: &'a str,
    /// PostgreSQL's home.
    pub home: &'a str,
    /// Where PostgreSQL's programs are.
    pub bin: &'a str,
    /// PostgreSQL's parameters that are this node's own.
    pub parameters: Value,
    /// Lines of `pg_hba.conf`.
    pub access: Vec<String>,
    /// Lines of `pg_ident.conf`.
    pub identities: Vec<String>,
}

fn flag(settings: &Settings, key: &str, usual: bool) -> bool {
    settings.flag(&["patroni", key]).unwrap_or(usual)
}

/// What the members agree on, written when the cluster is made and patched by the leader's reconfigure.
fn dynamic(settings: &Settings) -> Value {
    let number = |key: &str, usual: u64| settings.number(&["patroni", key]).unwrap_or(usual);
    let mut parameters = Map::new();
    parameters.insert("wal_level".to_owned(), json!("replica"));
    parameters.insert("hot_standby".to_owned(), json!("on"));
    parameters.insert("wal_log_hints".to_owned(), json!("on"));
    for (key, usual, inherits) in PARAMETERS {
        let inherited = || if inherits { settings.number(&["postgresql", key]) } else { None };
        let value = settings.number(&["patroni", "postgresql", key]).or_else(inherited).unwrap_or(usual);
        match key {
            // PostgreSQL counts it in megabytes since 13.
            "wal_keep_segments" => {
                parameters.insert("wal_keep_size".to_owned(), json!(format!("{}MB", value * 16)))
            }
            key => parameters.insert(key.to_owned(), json!(value)),
        };
    }
    if let Some(Value::Object(given)) = settings.at(&["patroni", "postgresql"]) {
        let others = given.iter().filter(|(key, _)| !PARAMETERS.iter().any(|(known, ..)| known == key));
        parameters.extend(others.map(|(key, value)| (key.clone(), value.clone())));
    }
    let mut dynamic = json!({
        "loop_wait": number("loop_wait", 10),
        "ttl": number("ttl", 30),
        "retry_timeout": number("retry_timeout", 10),
        "maximum_lag_on_failover": number("maximum_lag_on_failover", 1_048_576),
        "max_timelines_history": number("max_timelines_history", 0),
        "primary_start_timeout": number("master_start_timeout", 300),
        "postgresql": {
            "use_pg_rewind": flag(settings, "use_pg_rewind", true),
            "use_slots": flag(settings, "use_slots", true),
            "parameters": parameters,
        },
    });
    if let Some(slots) = settings.at(&["patroni", "replication_slots"]) {
        dynamic["slots"] = slots.clone();
    }
    dynamic
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::Version;

    fn settings(value: Value) -> Settings {
        let Value::Object(map) = value else { panic!("not a hash") };
        Settings::new(map, Version::new(19, 3, 0))
    }

    fn configuration(settings: &Settings) -> Value {
        let member = Member {
            name: "a",
            address: "198.18.0.7",
            data: "/d",
            home: "/h",
            bin: "/b",
            parameters: json!({}),
            access: vec!["local all all peer".to_owned()],
            identities: Vec::new(),
        };
        let (postgresql, accounts) = (Postgresql::from_settings(settings), Accounts::from_settings(settings));
        Patroni::from_settings(settings, 8500).configuration(&member, &postgresql, &accounts)
    }

    #[test]
    fn the_documented_values_stand_without_a_word() {
        let yaml = configuration(&settings(json!({})));
        assert_eq!((&yaml["scope"], &yaml["name"]), (&json!("postgresql-ha"), &json!("a")));
        let dcs = &yaml["bootstrap"]["dcs"];
        assert_eq!((&dcs["ttl"], &dcs["loop_wait"]), (&json!(30), &json!(10)));
        assert_eq!(yaml["restapi"]["connect_address"], "198.18.0.7:8008");
        assert!(yaml["restapi"].get("authentication").is_none());
        assert_eq!(yaml["consul"]["url"], "http://127.0.0.1:8500");
    }

    #[test]
    fn gitlab_rb_sets_slots_senders_and_the_api_s_password() {
        let yaml = configuration(&settings(json!({
            "patroni": {"username": "u", "password": "p", "replication_password": "r", "allowlist": ["198.18.0.0/24"],
                "postgresql": {"max_replication_slots": 6, "max_wal_senders": 7}},
            "postgresql": {"listen_address": "0.0.0.0"},
        })));
        let parameters = &yaml["bootstrap"]["dcs"]["postgresql"]["parameters"];
        assert_eq!(
            (&parameters["max_replication_slots"], &parameters["max_wal_senders"]),
            (&json!(6), &json!(7))
        );
        assert_eq!(parameters["wal_keep_size"], "160MB");
        assert_eq!(yaml["restapi"]["authentication"], json!({"username": "u", "password": "p"}));
        assert_eq!(yaml["restapi"]["allowlist"], json!(["198.18.0.0/24"]));
        assert_eq!(yaml["postgresql"]["listen"], "0.0.0.0:5432");
        assert_eq!(yaml["postgresql"]["authentication"]["replication"]["password"], "r");
    }
}
