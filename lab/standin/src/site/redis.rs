//! Redis and Sentinel of this node.
//! <https://docs.gitlab.com/administration/redis/replication_and_failover/>

use serde_json::Value;

use super::roles::Role;
use super::{Error, Roles};
use crate::settings::Settings;

/// The Redis of this node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Redis {
    /// TCP port; 0 is none.
    pub port: u16,
    /// TCP addresses.
    pub bind: String,
    /// Password.
    pub password: Option<String>,
    /// Password of the primary, which replicas need.
    pub master_password: Option<String>,
    /// What it is at first; afterwards, Sentinel decides.
    pub standing: Standing,
    /// Whether Sentinel may change its configuration.
    pub replicated: bool,
    /// Most memory; 0 is any.
    pub maxmemory: String,
    /// What to drop when it is full.
    pub maxmemory_policy: String,
    /// Among how many to choose what to drop.
    pub maxmemory_samples: u64,
    /// When to write to disk.
    pub save: Vec<String>,
    /// The address and port that it tells others, where they differ from its own.
    pub announce: (Option<String>, Option<u64>),
}

/// What a Redis is at first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// Nobody's replica.
    Primary,
    /// The replica of an address and port.
    Replica(String, u16),
}

/// The Sentinel of this node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SentinelServer {
    /// TCP addresses.
    pub bind: String,
    /// TCP port.
    pub port: u16,
    /// Password of Sentinel itself.
    pub password: Option<String>,
    /// How many Sentinels have to agree that a primary is gone.
    pub quorum: u64,
    /// After how many milliseconds a silent Redis counts as down.
    pub down_after: u64,
    /// Milliseconds that a failover may take.
    pub failover_timeout: u64,
    /// The identity, where gitlab.rb says it; otherwise Sentinel makes its own.
    pub my_id: Option<String>,
    /// The address and port that it tells others.
    pub announce: (Option<String>, Option<u64>),
    /// Whether names stand for addresses.
    pub use_hostnames: bool,
    /// Name, address, port and password of the primary.
    pub master: Master,
}

/// The primary that Sentinel watches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Master {
    /// Its name, by which clients ask for it.
    pub name: String,
    /// Its address at first.
    pub address: String,
    /// Its port.
    pub port: u16,
    /// Its password.
    pub password: Option<String>,
}

fn port(settings: &Settings, path: &[&str]) -> Option<u16> {
    settings.number(path).and_then(|port| u16::try_from(port).ok())
}

fn missing(setting: &str, why: &str) -> Error {
    Error::Setting { setting: setting.to_owned(), reason: why.to_owned() }
}

impl Redis {
    /// The Redis that the settings describe.
    pub fn from_settings(settings: &Settings, roles: &Roles) -> Result<Self, Error> {
        let backend = settings.text_or(&["redis", "backend"], "redis");
        if !matches!(backend.as_str(), "redis" | "valkey") {
            return Err(missing("redis['backend']", &format!("`{backend}` is neither `redis` nor `valkey`")));
        }
        if settings.number(&["redis", "tls_port"]).is_some() {
            return Err(Error::NotStoodIn("redis['tls_port']".to_owned()));
        }
        let save = match settings.at(&["redis", "save"]) {
            Some(Value::Array(_)) => settings.list(&["redis", "save"]).unwrap_or_default(),
            _ => ["900 1", "300 10", "60 10000"].map(str::to_owned).to_vec(),
        };
        let password = settings.text(&["redis", "password"]);
        let replica = roles.has(Role::RedisReplica) || settings.flag(&["redis", "master"]) == Some(false);
        let standing = if replica {
            let address = settings
                .text(&["redis", "master_ip"])
                .ok_or_else(|| missing("redis['master_ip']", "a replica has to know its primary"))?;
            Standing::Replica(address, port(settings, &["redis", "master_port"]).unwrap_or(6379))
        } else {
            Standing::Primary
        };
        Ok(Self {
            port: port(settings, &["redis", "port"]).unwrap_or(0),
            bind: settings.text_or(&["redis", "bind"], "127.0.0.1"),
            master_password: settings.text(&["redis", "master_password"]).or_else(|| password.clone()),
            password,
            replicated: replica || roles.has(Role::RedisSentinel),
            standing,
            maxmemory: settings.text_or(&["redis", "maxmemory"], "0"),
            maxmemory_policy: settings.text_or(&["redis", "maxmemory_policy"], "noeviction"),
            maxmemory_samples: settings.number(&["redis", "maxmemory_samples"]).unwrap_or(5),
            save,
            announce: (
                settings.text(&["redis", "announce_ip"]),
                settings.number(&["redis", "announce_port"]),
            ),
        })
    }
}

impl SentinelServer {
    /// The Sentinel that the settings describe; it is looked at only where one runs.
    pub fn from_settings(settings: &Settings) -> Result<Self, Error> {
        let address = settings
            .text(&["redis", "master_ip"])
            .ok_or_else(|| missing("redis['master_ip']", "Sentinel has to know the primary"))?;
        let password = settings
            .text(&["redis", "master_password"])
            .or_else(|| settings.text(&["redis", "password"]))
            .ok_or_else(|| missing("redis['master_password']", "Redis with Sentinel needs a password"))?;
        let number = |key: &str, usual: u64| settings.number(&["sentinel", key]).unwrap_or(usual);
        Ok(Self {
            bind: settings.text_or(&["sentinel", "bind"], "0.0.0.0"),
            port: port(settings, &["sentinel", "port"]).unwrap_or(26379),
            password: settings.text(&["sentinel", "password"]),
            quorum: number("quorum", 1),
            down_after: number("down_after_milliseconds", 10_000),
            failover_timeout: number("failover_timeout", 60_000),
            my_id: settings.text(&["sentinel", "myid"]),
            announce: (
                settings.text(&["sentinel", "announce_ip"]),
                settings.number(&["sentinel", "announce_port"]),
            ),
            use_hostnames: settings.flag(&["sentinel", "use_hostnames"]).unwrap_or(false),
            master: Master {
                name: settings.text_or(&["redis", "master_name"], "gitlab-redis"),
                address,
                port: port(settings, &["redis", "master_port"]).unwrap_or(6379),
                password: Some(password),
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::site::roles::testing::node;

    #[test]
    fn a_replica_has_to_know_its_primary() {
        let (settings, roles) = node(json!({"roles": ["redis_replica_role"]}));
        assert!(matches!(Redis::from_settings(&settings, &roles), Err(Error::Setting { .. })));
        let (settings, roles) = node(
            json!({"roles": ["redis_replica_role"], "redis": {"master_ip": "198.18.0.1", "password": "p"}}),
        );
        let redis = Redis::from_settings(&settings, &roles).expect("settings");
        assert_eq!(redis.standing, Standing::Replica("198.18.0.1".into(), 6379));
        assert_eq!(redis.master_password.as_deref(), Some("p"));
        assert!(redis.replicated);
    }

    #[test]
    fn a_lone_primary_belongs_to_nobody() {
        let (settings, roles) = node(json!({"roles": ["redis_master_role"]}));
        let redis = Redis::from_settings(&settings, &roles).expect("settings");
        assert!(redis.standing == Standing::Primary && !redis.replicated);
    }

    #[test]
    fn sentinel_needs_the_primary_and_a_password() {
        let (settings, _) = node(json!({"redis": {"master_ip": "198.18.0.1"}}));
        assert!(matches!(SentinelServer::from_settings(&settings), Err(Error::Setting { .. })));
        let set = json!({"redis": {"master_ip": "198.18.0.1", "master_password": "p", "master_name": "gitlab-redis-cache"},
            "sentinel": {"quorum": 2}});
        let sentinel = SentinelServer::from_settings(&node(set).0).expect("settings");
        assert_eq!((sentinel.quorum, sentinel.port), (2, 26379));
        assert_eq!(sentinel.master.name, "gitlab-redis-cache");
    }
}
