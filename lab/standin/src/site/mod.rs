//! What the settings mean for this node: pure, from the settings tree to typed values, with the
//! package's defaults filled in. Nothing here touches the machine.

mod accounts;
mod address;
mod consul;
mod gitaly;
mod monitoring;
mod objects;
mod patroni;
mod pgbouncer;
mod praefect;
mod rails;
mod redis;
mod redis_clients;
mod roles;
mod servers;
mod services;
mod shell;
mod web;

pub use accounts::{Account, Accounts};
pub use address::ExternalUrl;
pub use consul::{Consul, FAILOVER};
pub use gitaly::Gitaly;
pub use monitoring::{Exporter, Prometheus};
pub use objects::{ObjectStore, Place};
pub use patroni::{Member, Patroni};
pub use pgbouncer::{Pgbouncer, hash};
pub use praefect::{Node, Praefect, VirtualStorage};
pub use rails::{Application, Database, Rails, Secrets, StorageAddress};
#[cfg(test)]
pub use redis::Master;
pub use redis::{Redis, SentinelServer, Standing};
pub use redis_clients::{Connection, REDIS_ROLES, Sentinel};
pub use roles::{Roles, enabled};
pub use servers::Postgresql;
pub use services::{Service, not_stood_in};
pub use shell::{Shell, Signing};
pub use web::{LetsEncrypt, Status, Web};

use std::collections::BTreeSet;

use crate::manifest::Version;
use crate::settings::Settings;

/// Why the settings make no node.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The address of the instance is not one.
    #[error(
        "external_url is `{0}`: GitLab external URL must include a schema and FQDN, e.g. http://gitlab.example.com/"
    )]
    Url(String),
    /// The address of the instance is missing.
    #[error("external_url is not set: write external_url 'https://gitlab.example.com' in gitlab.rb")]
    NoUrl,
    /// The address has a scheme that is no web address.
    #[error("external_url: Unsupported scheme: {0}")]
    Scheme(String),
    /// A role that doesn't exist.
    #[error("roles: `{0}` is not a role of the package")]
    UnknownRole(String),
    /// Something the real package does and this stand-in doesn't.
    #[error("{0}: this is a {notice}, and it does not stand in for that", notice = crate::paths::NOTICE)]
    NotStoodIn(String),
    /// A setting of the wrong kind.
    #[error("{setting} is wrong: {reason}")]
    Setting {
        /// The setting.
        setting: String,
        /// Why.
        reason: String,
    },
}

/// What speaks for the instance has to know its address.
const NEED_URL: [Service; 4] = [Service::Puma, Service::Workhorse, Service::Sidekiq, Service::Nginx];

/// The node that the settings describe.
#[derive(Debug, Clone)]
pub struct Site {
    /// The package's version.
    pub version: Version,
    /// Who runs what.
    pub accounts: Accounts,
    /// The services that run here.
    pub services: BTreeSet<Service>,
    /// The node's roles.
    pub roles: Roles,
    /// Whether Rails' configuration belongs here.
    pub holds_rails: bool,
    /// nginx and TLS.
    pub web: Web,
    /// Rails and what it connects to.
    pub rails: Rails,
    /// The Consul of this node.
    pub consul: Consul,
    /// The PostgreSQL of this node.
    pub postgresql: Postgresql,
    /// The Patroni of this node.
    pub patroni: Patroni,
    /// The PgBouncer of this node.
    pub pgbouncer: Pgbouncer,
    /// The Redis of this node.
    pub redis: Redis,
    /// The Sentinel of this node, where one runs.
    pub sentinel: Option<SentinelServer>,
    /// The exporters of this node.
    pub exporters: Vec<Exporter>,
    /// The Prometheus of this node.
    pub prometheus: Prometheus,
    /// The Gitaly of this node.
    pub gitaly: Gitaly,
    /// The GitLab Shell of this node.
    pub shell: Shell,
    /// What signs internal requests.
    pub signing: Signing,
}

impl Site {
    /// The node that the settings describe.
    pub fn from_settings(settings: &Settings) -> Result<Self, Error> {
        let roles = Roles::from_settings(settings)?;
        let services = enabled(settings, &roles);
        let url = if services.iter().any(|service| NEED_URL.contains(service)) {
            ExternalUrl::from_settings(settings)?
        } else {
            ExternalUrl::if_set(settings)?
        };
        let consul = Consul::from_settings(settings, &roles)?;
        let watched = services.contains(&Service::Sentinel);
        if services.contains(&Service::Praefect) {
            Praefect::from_settings(settings)?;
        }
        Ok(Self {
            version: settings.version(),
            accounts: Accounts::from_settings(settings),
            services,
            holds_rails: roles.hold_rails(settings),
            web: Web::from_settings(settings, &url)?,
            rails: Rails::from_settings(settings, &url)?,
            postgresql: Postgresql::from_settings(settings),
            patroni: Patroni::from_settings(settings, consul.http_port),
            pgbouncer: Pgbouncer::from_settings(settings)?,
            redis: Redis::from_settings(settings, &roles)?,
            sentinel: if watched { Some(SentinelServer::from_settings(settings)?) } else { None },
            exporters: Exporter::of_node(settings, &roles),
            prometheus: Prometheus::from_settings(settings, &roles),
            consul,
            gitaly: Gitaly::from_settings(settings)?,
            shell: Shell::from_settings(settings),
            signing: Signing::from_settings(settings),
            roles,
        })
    }

    /// Whether a service runs here.
    #[must_use]
    pub fn runs(&self, service: Service) -> bool {
        self.services.contains(&service)
    }
}
