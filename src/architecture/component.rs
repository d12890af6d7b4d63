//! What a node is for, in GitLab's terms.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a node is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Component {
    /// Everything on one node: the 1k architecture.
    AllInOne,
    /// The way in for users: ends TLS and spreads requests over the Rails nodes.
    ExternalLb,
    /// The way from GitLab's nodes to `PgBouncer`, Praefect and the internal API.
    InternalLb,
    /// Servers of the service discovery that Patroni decides by.
    Consul,
    /// GitLab's database; with several nodes, under Patroni.
    Postgres,
    /// Connection pools that lead to the database's leader.
    Pgbouncer,
    /// Redis for everything; with several nodes, under Sentinel.
    Redis,
    /// Redis for what can be lost.
    RedisCache,
    /// Redis for what must not be lost: queues and sessions.
    RedisPersistent,
    /// The database in which Praefect keeps which replica is current.
    PraefectPostgres,
    /// The router of a Gitaly Cluster.
    Praefect,
    /// The Git repositories.
    Gitaly,
    /// Background jobs.
    Sidekiq,
    /// The web interface, the API, and Git over HTTP and SSH.
    Rails,
    /// Prometheus.
    Monitor,
    /// The lab's stand-in for a managed object storage: a real S3-compatible server on a host of its own. No
    /// architecture counts it.
    ObjectStorage,
}

impl Component {
    /// All of them, in the order in which the documentation configures them.
    pub const ALL: [Self; 16] = [
        Self::AllInOne,
        Self::ExternalLb,
        Self::InternalLb,
        Self::Consul,
        Self::Postgres,
        Self::Pgbouncer,
        Self::Redis,
        Self::RedisCache,
        Self::RedisPersistent,
        Self::PraefectPostgres,
        Self::Praefect,
        Self::Gitaly,
        Self::Sidekiq,
        Self::Rails,
        Self::Monitor,
        Self::ObjectStorage,
    ];

    /// The name in specs, inventories and events.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::AllInOne => "all_in_one",
            Self::ExternalLb => "external_lb",
            Self::InternalLb => "internal_lb",
            Self::Consul => "consul",
            Self::Postgres => "postgres",
            Self::Pgbouncer => "pgbouncer",
            Self::Redis => "redis",
            Self::RedisCache => "redis_cache",
            Self::RedisPersistent => "redis_persistent",
            Self::PraefectPostgres => "praefect_postgres",
            Self::Praefect => "praefect",
            Self::Gitaly => "gitaly",
            Self::Sidekiq => "sidekiq",
            Self::Rails => "rails",
            Self::Monitor => "monitor",
            Self::ObjectStorage => "object_storage",
        }
    }

    /// What has to be configured before a node of this component can be configured.
    /// What it needs to *serve* is another question, which the checks ask.
    ///
    /// Source: the order of <https://docs.gitlab.com/administration/reference_architectures/10k_users/> (read
    /// 2026-08), less what only serving needs. Sidekiq and the monitoring come after Rails because the Rails deploy
    /// node migrates the database that Sidekiq starts with.
    #[must_use]
    pub const fn configure_needs(self) -> &'static [Self] {
        match self {
            Self::AllInOne
            | Self::ExternalLb
            | Self::InternalLb
            | Self::Consul
            | Self::Redis
            | Self::RedisCache
            | Self::RedisPersistent
            | Self::PraefectPostgres
            | Self::Gitaly
            | Self::ObjectStorage => &[],
            Self::Postgres => &[Self::Consul],
            Self::Pgbouncer => &[Self::Consul, Self::Postgres],
            Self::Praefect => &[Self::PraefectPostgres],
            Self::Rails => &[
                Self::ExternalLb,
                Self::InternalLb,
                Self::Postgres,
                Self::Pgbouncer,
                Self::Redis,
                Self::RedisCache,
                Self::RedisPersistent,
                Self::Praefect,
                Self::Gitaly,
                Self::ObjectStorage,
            ],
            Self::Sidekiq | Self::Monitor => &[Self::Rails],
        }
    }

    /// The services without which a node can't do what it is for, as `gitlab-ctl` names them; for nodes without the
    /// package, as systemd does. Exporters and agents are left out: nodes serve without them.
    ///
    /// Source: <https://docs.gitlab.com/omnibus/roles/> and <https://docs.gitlab.com/omnibus/maintenance/> "Get
    /// service status" (read 2026-11).
    #[must_use]
    pub const fn services(self) -> &'static [&'static str] {
        match self {
            Self::AllInOne => {
                &["gitaly", "gitlab-workhorse", "nginx", "postgresql", "puma", "redis", "sidekiq"]
            }
            Self::ExternalLb | Self::InternalLb => &["haproxy"],
            Self::Consul => &["consul"],
            // Whether Patroni stands over the database is the topology's to say, not the component's.
            Self::Postgres | Self::PraefectPostgres => &[],
            Self::Pgbouncer => &["consul", "pgbouncer"],
            Self::Redis | Self::RedisCache | Self::RedisPersistent => &["redis"],
            Self::Praefect => &["praefect"],
            Self::Gitaly => &["gitaly"],
            Self::Sidekiq => &["sidekiq"],
            Self::Rails => &["gitlab-workhorse", "nginx", "puma"],
            Self::Monitor => &["prometheus"],
            Self::ObjectStorage => &["versitygw"],
        }
    }

    /// Whether a node of this component carries the GitLab package.
    #[must_use]
    pub const fn has_package(self) -> bool {
        !matches!(self, Self::ExternalLb | Self::InternalLb | Self::ObjectStorage)
    }

    /// Where the data disk is mounted, for components that keep data.
    ///
    /// The Linux package keeps repositories, databases and uploads under `/var/opt/gitlab`.
    /// Source: <https://docs.gitlab.com/omnibus/settings/configuration/> (read 2026-08).
    #[must_use]
    pub const fn data_mount(self) -> Option<&'static str> {
        match self {
            Self::AllInOne
            | Self::Postgres
            | Self::Redis
            | Self::RedisCache
            | Self::RedisPersistent
            | Self::PraefectPostgres
            | Self::Gitaly
            | Self::Consul
            | Self::Monitor => Some("/var/opt/gitlab"),
            Self::ObjectStorage => Some("/var/lib/object-storage"),
            Self::ExternalLb
            | Self::InternalLb
            | Self::Pgbouncer
            | Self::Praefect
            | Self::Sidekiq
            | Self::Rails => None,
        }
    }

    /// Whether losing the data of a single node of this component, where it is the only one, loses customers' data.
    /// What Consul and Prometheus keep is made anew.
    #[must_use]
    pub const fn keeps_customer_data(self) -> bool {
        matches!(
            self,
            Self::AllInOne
                | Self::Postgres
                | Self::Redis
                | Self::RedisPersistent
                | Self::PraefectPostgres
                | Self::Gitaly
                | Self::ObjectStorage
        )
    }
}

impl fmt::Display for Component {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
