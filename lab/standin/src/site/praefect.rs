//! The Praefect of this node: what stands between GitLab and the Gitalys of a cluster.
//! <https://docs.gitlab.com/administration/gitaly/praefect/configure/>

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::gitaly::Auth;
use super::{Database, Error, StorageAddress};
use crate::settings::Settings;

/// Praefect's configuration, which is its config.toml.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Praefect {
    /// Where it listens.
    pub listen_addr: String,
    /// Where it tells of itself.
    pub prometheus_listen_addr: String,
    /// How often outdated replicas are looked for, in seconds; 0 is never.
    pub reconciliation_interval: u64,
    /// Who may ask.
    pub auth: Auth,
    /// Where it keeps what it knows of repositories.
    pub database: Database,
    /// What looks like one storage to GitLab.
    pub virtual_storage: Vec<VirtualStorage>,
}

/// A storage that several Gitalys hold together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VirtualStorage {
    /// The name that GitLab knows.
    pub name: String,
    /// The Gitalys.
    pub node: Vec<Node>,
}

/// A Gitaly behind Praefect.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Node {
    /// The name that the Gitaly itself gives its storage.
    pub storage: String,
    /// `tcp://HOST:PORT`.
    pub address: String,
    /// That Gitaly's token.
    pub token: String,
}

impl Node {
    /// How it is reached.
    #[must_use]
    pub fn reached(&self) -> StorageAddress {
        StorageAddress { gitaly_address: self.address.clone(), gitaly_token: self.token.clone() }
    }
}

impl Praefect {
    /// The Praefect that `praefect['configuration']` describes.
    pub fn from_settings(settings: &Settings) -> Result<Self, Error> {
        let path = |path: &[&'static str]| -> Vec<&'static str> {
            ["praefect", "configuration"].iter().chain(path).copied().collect()
        };
        let text = |keys: &[&'static str]| settings.text(&path(keys));
        if text(&["tls_listen_addr"]).is_some() {
            return Err(Error::NotStoodIn("praefect['configuration'][:tls_listen_addr]".to_owned()));
        }
        let port = settings.number(&path(&["database", "port"])).unwrap_or(5432);
        let of_database = |key: &'static str| text(&["database", key]);
        let interval = text(&["reconciliation", "scheduling_interval"]);
        Ok(Self {
            listen_addr: text(&["listen_addr"]).unwrap_or_else(|| "localhost:2305".to_owned()),
            prometheus_listen_addr: text(&["prometheus_listen_addr"])
                .unwrap_or_else(|| "localhost:9652".to_owned()),
            reconciliation_interval: interval.map_or(Ok(RECONCILED_EVERY), |text| seconds(&text))?,
            auth: Auth { token: text(&["auth", "token"]).unwrap_or_default() },
            database: Database {
                host: of_database("host").unwrap_or_else(|| "/var/opt/gitlab/postgresql".to_owned()),
                port: u16::try_from(port).map_err(|_| wrong("database", "its port is none"))?,
                username: of_database("user").unwrap_or_else(|| "praefect".to_owned()),
                password: of_database("password"),
                name: of_database("dbname").unwrap_or_else(|| "praefect_production".to_owned()),
            },
            virtual_storage: virtual_storages(settings.at(&path(&["virtual_storage"])))?,
        })
    }
}

/// The real one looks every five minutes; a lab has no such patience.
const RECONCILED_EVERY: u64 = 5;

fn wrong(key: &str, reason: &str) -> Error {
    Error::Setting { setting: format!("praefect['configuration'][:{key}]"), reason: reason.to_owned() }
}

/// Seconds from a duration such as `30s` or `5m`.
fn seconds(text: &str) -> Result<u64, Error> {
    let read = |digits: &str, unit: u64| digits.parse::<u64>().ok().map(|number| number * unit);
    let found = match text.chars().last() {
        Some('s') => read(&text[..text.len() - 1], 1),
        Some('m') => read(&text[..text.len() - 1], 60),
        Some('h') => read(&text[..text.len() - 1], 3600),
        _ => text.parse().ok().filter(|number| *number == 0),
    };
    found.ok_or_else(|| wrong("reconciliation", &format!("`{text}` is no duration such as 30s")))
}

fn virtual_storages(value: Option<&Value>) -> Result<Vec<VirtualStorage>, Error> {
    let wrong = |reason: String| wrong("virtual_storage", &reason);
    let Some(Value::Array(listed)) = value else {
        return Err(wrong("virtual storages must have at least one gitaly node configured".to_owned()));
    };
    let mut names = BTreeSet::new();
    let mut storages = Vec::new();
    for item in listed {
        let name = field(item, "name").ok_or_else(|| wrong("a virtual storage has no name".to_owned()))?;
        if !names.insert(name.clone()) {
            return Err(wrong(format!("`{name}` is there twice")));
        }
        let nodes = item.get("node").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        if nodes.is_empty() {
            return Err(wrong(format!("`{name}` must have at least one gitaly node configured")));
        }
        let mut known = BTreeSet::new();
        let mut node = Vec::new();
        for one in nodes {
            let storage =
                field(one, "storage").ok_or_else(|| wrong(format!("`{name}`: a node has no storage")))?;
            let address =
                field(one, "address").ok_or_else(|| wrong(format!("`{name}`: {storage} has no address")))?;
            if !known.insert(storage.clone()) {
                return Err(wrong(format!("`{name}`: {storage} is there twice")));
            }
            node.push(Node { storage, address, token: field(one, "token").unwrap_or_default() });
        }
        storages.push(VirtualStorage { name, node });
    }
    Ok(storages)
}

fn field(item: &Value, key: &str) -> Option<String> {
    item.get(key).and_then(Value::as_str).filter(|text| !text.is_empty()).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::manifest::Version;

    fn read(configuration: &Value) -> Result<Praefect, Error> {
        let Value::Object(map) = json!({"praefect": {"configuration": configuration}}) else {
            unreachable!()
        };
        Praefect::from_settings(&Settings::new(map, Version::new(19, 3, 0)))
    }

    fn node(name: &str) -> Value {
        json!({"storage": name, "address": "tcp://198.18.0.1:8075", "token": "internal"})
    }

    #[test]
    fn a_cluster_is_read_and_written_back() {
        let nodes = json!([node("gitaly-1"), node("gitaly-2"), node("gitaly-3")]);
        let praefect = read(&json!({
            "listen_addr": "0.0.0.0:2305",
            "auth": {"token": "external"},
            "database": {"host": "198.18.0.2", "port": 5432, "user": "praefect", "password": "p"},
            "virtual_storage": [{"name": "default", "node": nodes}],
        }))
        .expect("settings");
        assert_eq!(praefect.virtual_storage[0].node[2].storage, "gitaly-3");
        let text = toml::to_string(&praefect).expect("toml");
        assert_eq!(toml::from_str::<Praefect>(&text).expect("the same"), praefect);
    }

    #[test]
    fn a_storage_without_nodes_and_a_node_twice_are_refused() {
        for nodes in [json!([]), json!([node("a"), node("a")]), json!([{"storage": "a"}])] {
            let storages = json!([{"name": "default", "node": nodes}]);
            assert!(matches!(read(&json!({"virtual_storage": storages})), Err(Error::Setting { .. })));
        }
        assert!(read(&json!({})).is_err());
    }

    #[test]
    fn durations_are_go_s() {
        assert_eq!((seconds("30s"), seconds("5m"), seconds("0")), (Ok(30), Ok(300), Ok(0)));
        assert!(seconds("soon").is_err());
    }
}
