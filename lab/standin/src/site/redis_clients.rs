//! How Rails reaches Redis: one instance for everything, or one for each role; each by its own address, or as the
//! primary that Sentinels name. <https://docs.gitlab.com/administration/redis/replication_and_failover/>

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Error;
use crate::settings::Settings;

/// The roles that Redis plays for Rails, each of which may have an instance of its own.
pub const REDIS_ROLES: [&str; 7] =
    ["cache", "queues", "shared_state", "trace_chunks", "rate_limiting", "sessions", "repository_cache"];

/// Where Sentinel listens when nothing is said.
const SENTINEL_PORT: u16 = 26379;

/// A connection to Redis.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Connection {
    /// `unix:PATH` or `redis://HOST:PORT`; with Sentinels, the host is the primary's name.
    pub url: String,
    /// Password, where the URL holds none.
    pub password: Option<String>,
    /// The Sentinels to ask for the primary; none where the URL leads to it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sentinels: Vec<Sentinel>,
    /// What the Sentinels ask for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sentinels_password: Option<String>,
}

/// A Sentinel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sentinel {
    /// Host name or address.
    pub host: String,
    /// TCP port.
    pub port: u16,
}

/// All connections by role; `resque` is the one that other roles fall back to.
pub fn connections(settings: &Settings) -> Result<BTreeMap<String, Connection>, Error> {
    let mut connections = BTreeMap::from([("resque".to_owned(), main(settings)?)]);
    for role in REDIS_ROLES {
        if let Some(connection) = of_role(settings, role)? {
            connections.insert(role.to_owned(), connection);
        }
    }
    Ok(connections)
}

fn main(settings: &Settings) -> Result<Connection, Error> {
    let rails = |key: &str| settings.text(&["gitlab_rails", key]);
    if settings.flag(&["gitlab_rails", "redis_ssl"]) == Some(true) {
        return Err(Error::NotStoodIn("gitlab_rails['redis_ssl']".to_owned()));
    }
    let sentinels = sentinels(settings, "redis_sentinels")?;
    let password = rails("redis_password").or_else(|| settings.text(&["redis", "password"]));
    if !sentinels.is_empty() {
        let name = settings.text_or(&["redis", "master_name"], "gitlab-redis");
        return Ok(Connection {
            url: format!("redis://{name}"),
            password: settings.text(&["redis", "master_password"]).or(password),
            sentinels,
            sentinels_password: rails("redis_sentinels_password"),
        });
    }
    let url = if let Some(host) = rails("redis_host") {
        format!("redis://{host}:{}", rails("redis_port").unwrap_or_else(|| "6379".to_owned()))
    } else {
        let socket = rails("redis_socket");
        format!("unix:{}", socket.unwrap_or_else(|| "/var/opt/gitlab/redis/redis.socket".to_owned()))
    };
    Ok(Connection { url, password, ..Connection::default() })
}

fn of_role(settings: &Settings, role: &str) -> Result<Option<Connection>, Error> {
    let rails = |key: String| settings.text(&["gitlab_rails", &key]);
    let sentinels = sentinels(settings, &format!("redis_{role}_sentinels"))?;
    let Some(url) = rails(format!("redis_{role}_instance")) else {
        return if sentinels.is_empty() {
            Ok(None)
        } else {
            Err(Error::Setting {
                setting: format!("gitlab_rails['redis_{role}_sentinels']"),
                reason: format!("without gitlab_rails['redis_{role}_instance'] there is no name to ask for"),
            })
        };
    };
    if !url.starts_with("redis://") && !url.starts_with("unix:") {
        return Err(Error::NotStoodIn(format!("gitlab_rails['redis_{role}_instance'] over TLS")));
    }
    Ok(Some(Connection {
        url,
        password: rails(format!("redis_{role}_password")),
        sentinels,
        sentinels_password: rails(format!("redis_{role}_sentinels_password")),
    }))
}

fn sentinels(settings: &Settings, key: &str) -> Result<Vec<Sentinel>, Error> {
    let Some(value) = settings.at(&["gitlab_rails", key]) else { return Ok(Vec::new()) };
    let wrong = |reason: &str| Error::Setting {
        setting: format!("gitlab_rails['{key}']"),
        reason: reason.to_owned(),
    };
    if settings.flag(&["gitlab_rails", &format!("{key}_ssl")]) == Some(true) {
        return Err(Error::NotStoodIn(format!("gitlab_rails['{key}_ssl']")));
    }
    let Value::Array(listed) = value else { return Err(wrong("it is not a list")) };
    let one = |item: &Value| {
        let host = item.get("host").and_then(Value::as_str).ok_or_else(|| wrong("a Sentinel has no host"))?;
        let port = match item.get("port") {
            None | Some(Value::Null) => Some(SENTINEL_PORT),
            Some(Value::String(text)) => text.parse().ok(),
            Some(number) => number.as_u64().and_then(|port| u16::try_from(port).ok()),
        };
        Ok(Sentinel { host: host.to_owned(), port: port.ok_or_else(|| wrong("a Sentinel's port is none"))? })
    };
    listed.iter().map(one).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::manifest::Version;

    fn read(value: Value) -> Result<BTreeMap<String, Connection>, Error> {
        let Value::Object(map) = value else { panic!("not a hash") };
        connections(&Settings::new(map, Version::new(19, 3, 0)))
    }

    #[test]
    fn the_socket_is_the_default() {
        let plain = read(json!({})).expect("connections");
        assert_eq!(plain["resque"].url, "unix:/var/opt/gitlab/redis/redis.socket");
        assert_eq!(plain.len(), 1);
    }

    #[test]
    fn sentinels_name_the_primary() {
        let set = json!({
            "redis": {"master_name": "gitlab-redis-persistent", "master_password": "p"},
            "gitlab_rails": {
                "redis_sentinels": [{"host": "198.18.0.1", "port": 26379}],
                "redis_cache_instance": "redis://:c@gitlab-redis-cache",
                "redis_cache_sentinels": [{"host": "198.18.0.2"}],
            },
        });
        let found = read(set).expect("connections");
        assert_eq!(found["resque"].url, "redis://gitlab-redis-persistent");
        assert_eq!(found["resque"].password.as_deref(), Some("p"));
        assert_eq!(found["cache"].sentinels[0], Sentinel { host: "198.18.0.2".into(), port: 26379 });
    }

    #[test]
    fn sentinels_without_a_name_and_without_a_host_are_refused() {
        let nameless = json!({"gitlab_rails": {"redis_cache_sentinels": [{"host": "x"}]}});
        assert!(matches!(read(nameless), Err(Error::Setting { .. })));
        let nowhere = json!({"gitlab_rails": {"redis_sentinels": [{"port": 1}]}});
        assert!(matches!(read(nowhere), Err(Error::Setting { .. })));
    }
}
