//! PostgreSQL of this node.

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
    /// Whether whoever is asked for a password has to use TLS.
    pub tls_only: bool,
    /// The role by which PgBouncer looks up the passwords of others, and its md5, if it has one.
    pub pgbouncer: (String, Option<String>),
    /// Role of the replicas.
    pub replication_user: String,
    /// md5 of the replicas' password, if they have one.
    pub replication_password: Option<String>,
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
            tls_only: settings.flag(&["postgresql", "hostssl"]).unwrap_or(false),
            pgbouncer: (
                settings.text_or(&["postgresql", "pgbouncer_user"], "pgbouncer"),
                settings.text(&["postgresql", "pgbouncer_user_password"]),
            ),
            replication_user: settings.text_or(&["postgresql", "sql_replication_user"], "gitlab_replicator"),
            replication_password: settings.text(&["postgresql", "sql_replication_password"]),
        }
    }
}
