//! Roles: which services each switches on, by the documentation
//! (<https://docs.gitlab.com/omnibus/roles/>). Without a role a node is a whole GitLab; with one, it is what its
//! roles say. A service's own `enable` wins over both.

use std::collections::BTreeSet;

use super::{Error, Exporter, Service};
use crate::settings::{Catalogue, Settings};

/// What the roles of a node switch on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Roles {
    /// None is named: a whole GitLab.
    None,
    /// These are.
    Named(BTreeSet<Role>),
}

/// A role that the stand-in knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Rails and what belongs to it; the docs switch its Gitaly and Sidekiq off by hand where they run elsewhere.
    Application,
    /// Gitaly.
    Gitaly,
    /// Sidekiq.
    Sidekiq,
    /// One PostgreSQL.
    Postgres,
    /// PostgreSQL under Patroni, with its Consul agent.
    Patroni,
    /// PgBouncer with its Consul agent.
    Pgbouncer,
    /// Consul.
    Consul,
    /// The Redis that is primary at first.
    RedisMaster,
    /// A Redis that replicates at first.
    RedisReplica,
    /// Sentinel.
    RedisSentinel,
    /// Prometheus and Alertmanager.
    Monitoring,
}

impl Role {
    const ALL: [Self; 11] = [
        Self::Application,
        Self::Gitaly,
        Self::Sidekiq,
        Self::Postgres,
        Self::Patroni,
        Self::Pgbouncer,
        Self::Consul,
        Self::RedisMaster,
        Self::RedisReplica,
        Self::RedisSentinel,
        Self::Monitoring,
    ];

    /// The name in gitlab.rb.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Application => "application_role",
            Self::Gitaly => "gitaly_role",
            Self::Sidekiq => "sidekiq_role",
            Self::Postgres => "postgres_role",
            Self::Patroni => "patroni_role",
            Self::Pgbouncer => "pgbouncer_role",
            Self::Consul => "consul_role",
            Self::RedisMaster => "redis_master_role",
            Self::RedisReplica => "redis_replica_role",
            Self::RedisSentinel => "redis_sentinel_role",
            Self::Monitoring => "monitoring_role",
        }
    }

    /// The sections of gitlab.rb whose services it switches on.
    const fn sections(self) -> &'static [&'static str] {
        match self {
            Self::Application => {
                &["gitaly", "puma", "gitlab_workhorse", "sidekiq", "nginx", "gitlab_exporter"]
            }
            Self::Gitaly => &["gitaly"],
            Self::Sidekiq => &["sidekiq"],
            Self::Postgres => &["postgresql"],
            Self::Patroni => &["postgresql", "patroni", "consul"],
            Self::Pgbouncer => &["pgbouncer", "consul"],
            Self::Consul => &["consul"],
            Self::RedisMaster | Self::RedisReplica => &["redis"],
            Self::RedisSentinel => &["sentinel"],
            Self::Monitoring => &["prometheus", "alertmanager"],
        }
    }
}

/// Sections that are on without any role; all others are off until a role or their own `enable` says so.
const WHOLE: [&str; 12] = [
    "gitaly",
    "puma",
    "gitlab_workhorse",
    "sidekiq",
    "nginx",
    "gitlab_exporter",
    "postgresql",
    "redis",
    "prometheus",
    "alertmanager",
    "gitlab_kas",
    "logrotate",
];

impl Roles {
    /// The roles that gitlab.rb names, by `roles` or one by one; one that the version doesn't have is refused as
    /// the package does, and one that nothing stands in for is refused, too.
    pub fn from_settings(settings: &Settings) -> Result<Self, Error> {
        let catalogue = Catalogue::for_version(settings.version());
        let known: Vec<&String> =
            catalogue.sections().iter().filter(|name| name.ends_with("_role")).collect();
        let switched = known.iter().filter(|role| settings.flag(&[role, "enable"]) == Some(true));
        let listed = settings.list(&["roles"]).unwrap_or_default();
        let mut named = BTreeSet::new();
        for name in listed.into_iter().chain(switched.map(|role| (*role).clone())) {
            if name == "default" {
                continue;
            }
            if !known.contains(&&name) {
                return Err(Error::UnknownRole(name));
            }
            let role = Role::ALL.into_iter().find(|role| role.name() == name);
            named.insert(role.ok_or_else(|| Error::NotStoodIn(format!("the role `{name}`")))?);
        }
        Ok(if named.is_empty() { Self::None } else { Self::Named(named) })
    }

    /// Whether a role is among them.
    #[must_use]
    pub fn has(&self, role: Role) -> bool {
        matches!(self, Self::Named(named) if named.contains(&role))
    }

    /// Whether a section's service is on: by its own word, else by the roles.
    #[must_use]
    pub fn switch_on(&self, settings: &Settings, section: &str) -> bool {
        settings.flag(&[section, "enable"]).unwrap_or_else(|| match self {
            Self::None => WHOLE.contains(&section),
            // Log rotation belongs to every node.
            Self::Named(_) if section == "logrotate" => true,
            Self::Named(named) => named.iter().any(|role| role.sections().contains(&section)),
        })
    }

    /// Whether this node holds Rails' configuration: a whole GitLab, the application and Sidekiq.
    #[must_use]
    pub fn hold_rails(&self, settings: &Settings) -> bool {
        let by_role = || matches!(self, Self::None) || self.has(Role::Application) || self.has(Role::Sidekiq);
        settings.flag(&["gitlab_rails", "enable"]).unwrap_or_else(by_role)
    }
}

/// The services that run on the node. PostgreSQL has no service of its own where Patroni runs it.
#[must_use]
pub fn enabled(settings: &Settings, roles: &Roles) -> BTreeSet<Service> {
    let exporters: Vec<Service> =
        Exporter::of_node(settings, roles).into_iter().map(|exporter| exporter.service).collect();
    let monitoring = settings.flag(&["prometheus_monitoring", "enable"]).unwrap_or(true);
    let asked = |section: &str| settings.flag(&[section, "enable"]);
    let on = |section: &str| roles.switch_on(settings, section);
    let runs = |service: &Service| match *service {
        Service::NodeExporter
        | Service::PostgresExporter
        | Service::RedisExporter
        | Service::PgbouncerExporter => exporters.contains(service),
        Service::Prometheus => asked("prometheus").unwrap_or(monitoring && on("prometheus")),
        Service::Postgresql => on("postgresql") && !on("patroni"),
        other => on(other.section()),
    };
    Service::ALL.into_iter().filter(runs).collect()
}

#[cfg(test)]
pub(super) mod testing {
    use serde_json::Value;

    use super::{Roles, Settings};
    use crate::manifest::Version;

    /// A node with these settings, and the roles that they name.
    pub fn node(value: Value) -> (Settings, Roles) {
        let Value::Object(map) = value else { panic!("not a hash") };
        let settings = Settings::new(map, Version::new(19, 3, 0));
        let roles = Roles::from_settings(&settings).expect("roles");
        (settings, roles)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::manifest::Version;

    fn settings(value: Value) -> Settings {
        let Value::Object(map) = value else { panic!("not a hash") };
        Settings::new(map, Version::new(18, 11, 2))
    }

    fn services(value: Value) -> Vec<&'static str> {
        let settings = settings(value);
        let roles = Roles::from_settings(&settings).expect("roles");
        enabled(&settings, &roles).into_iter().map(Service::name).collect()
    }

    #[test]
    fn without_a_role_the_node_is_a_whole_gitlab() {
        let all = services(json!({}));
        for name in ["postgresql", "redis", "gitaly", "puma", "gitlab-workhorse", "sidekiq", "nginx"] {
            assert!(all.contains(&name), "{name}");
        }
        assert!(!services(json!({"gitlab_workhorse": {"enable": false}})).contains(&"gitlab-workhorse"));
    }

    #[test]
    fn a_role_switches_on_what_it_is_documented_to_and_nothing_else() {
        let plain =
            |roles: Value| services(json!({"roles": roles, "prometheus_monitoring": {"enable": false}}));
        assert_eq!(plain(json!(["postgres_role"])), ["postgresql"]);
        assert_eq!(plain(json!(["sidekiq_role"])), ["sidekiq"]);
        assert_eq!(plain(json!(["patroni_role", "pgbouncer_role"])), ["consul", "patroni", "pgbouncer"]);
        assert_eq!(plain(json!(["redis_sentinel_role", "redis_replica_role"])), ["redis", "sentinel"]);
        let rails =
            json!({"roles": ["application_role"], "gitaly": {"enable": false}, "sidekiq": {"enable": false}});
        assert_eq!(services(rails), ["puma", "gitlab-workhorse", "nginx", "node-exporter"]);
        assert_eq!(services(json!({"gitaly_role": {"enable": true}})), ["gitaly", "node-exporter"]);
        assert_eq!(services(json!({"roles": ["monitoring_role"]})), ["node-exporter", "prometheus"]);
    }

    #[test]
    fn rails_belongs_to_the_application_and_to_sidekiq() {
        let holds = |value: Value| {
            let settings = settings(value);
            Roles::from_settings(&settings).expect("roles").hold_rails(&settings)
        };
        assert!(holds(json!({})) && holds(json!({"roles": ["sidekiq_role"]})));
        assert!(!holds(json!({"roles": ["gitaly_role"]})) && !holds(json!({"roles": ["postgres_role"]})));
    }

    #[test]
    fn roles_are_refused_by_kind() {
        let roles = |name: &str| Roles::from_settings(&settings(json!({"roles": [name]})));
        assert_eq!(roles("rails_role"), Err(Error::UnknownRole("rails_role".into())));
        assert!(matches!(roles("geo_primary_role"), Err(Error::NotStoodIn(_))));
        assert_eq!(roles("default"), Ok(Roles::None));
    }
}
