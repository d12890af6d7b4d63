//! PostgreSQL and Redis of this node.

use serde_json::Value;

use super::Error;
use crate::settings::Settings;

/// The PostgreSQL of this node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Postgresql {
    /// TCP addresses; none by default.
    pub listen: String,
    /// Port, which also names the socket.
    pub port: u16,
    /// Role of the application.
    pub user: String,
    /// md5 of the application's password, if it has one.
    pub user_password: Option<String>,
    /// Networks that need no password.
    pub trusted: Vec<String>,
    /// Networks that need a password.
    pub with_password: Vec<String>,
    /// Memory for shared buffers.
    pub shared_buffers: String,
    /// Connections.
    pub max_connections: u64,
}

impl Postgresql {
    /// The PostgreSQL that the settings describe.
    #[must_use]
    pub fn from_settings(settings: &Settings) -> Self {
        let port = settings.number(&["postgresql", "port"]).and_then(|port| u16::try_from(port).ok());
        let list = |key: &str| settings.list(&["postgresql", key]).unwrap_or_default();
        Self {
            listen: list("listen_address").join(","),
            port: port.unwrap_or(5432),
            user: settings.text_or(&["postgresql", "sql_user"], "gitlab"),
            user_password: settings.text(&["postgresql", "sql_user_password"]),
            trusted: list("trust_auth_cidr_addresses"),
            with_password: list("md5_auth_cidr_addresses"),
            shared_buffers: settings.text_or(&["postgresql", "shared_buffers"], "128MB"),
            max_connections: settings.number(&["postgresql", "max_connections"]).unwrap_or(500),
        }
    }
}

/// The Redis of this node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Redis {
    /// TCP port; 0 is none.
    pub port: u16,
    /// TCP address.
    pub bind: String,
    /// Password.
    pub password: Option<String>,
    /// Most memory; 0 is any.
    pub maxmemory: String,
    /// What to drop when it is full.
    pub maxmemory_policy: String,
    /// When to write to disk.
    pub save: Vec<String>,
}

impl Redis {
    /// The Redis that the settings describe.
    pub fn from_settings(settings: &Settings) -> Result<Self, Error> {
        let backend = settings.text_or(&["redis", "backend"], "redis");
        if !matches!(backend.as_str(), "redis" | "valkey") {
            return Err(Error::Setting {
                setting: "redis['backend']".to_owned(),
                reason: format!("`{backend}` is neither `redis` nor `valkey`"),
            });
        }
        let save = match settings.at(&["redis", "save"]) {
            Some(Value::Array(_)) => settings.list(&["redis", "save"]).unwrap_or_default(),
            _ => ["900 1", "300 10", "60 10000"].map(str::to_owned).to_vec(),
        };
        let port = settings.number(&["redis", "port"]).and_then(|port| u16::try_from(port).ok());
        Ok(Self {
            port: port.unwrap_or(0),
            bind: settings.text_or(&["redis", "bind"], "127.0.0.1"),
            password: settings.text(&["redis", "password"]),
            maxmemory: settings.text_or(&["redis", "maxmemory"], "0"),
            maxmemory_policy: settings.text_or(&["redis", "maxmemory_policy"], "noeviction"),
            save,
        })
    }
}
