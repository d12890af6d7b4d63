//! Which services run on the node, and which of the package's services nothing stands in for.

use super::Roles;
use crate::settings::Settings;

/// A service under runit, as `gitlab-ctl` names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Service {
    /// The real Consul.
    Consul,
    /// The real PostgreSQL, where no Patroni runs it.
    Postgresql,
    /// The real Patroni, which runs PostgreSQL.
    Patroni,
    /// The real PgBouncer.
    Pgbouncer,
    /// The real Redis (or Valkey).
    Redis,
    /// The real Sentinel.
    Sentinel,
    /// The stood-in Gitaly.
    Gitaly,
    /// The stood-in Praefect.
    Praefect,
    /// The stood-in Rails.
    Puma,
    /// The stood-in Workhorse.
    Workhorse,
    /// The stood-in Sidekiq.
    Sidekiq,
    /// The real nginx.
    Nginx,
    /// The real exporter of the host.
    NodeExporter,
    /// The real exporter of PostgreSQL.
    PostgresExporter,
    /// The real exporter of Redis.
    RedisExporter,
    /// The real exporter of PgBouncer.
    PgbouncerExporter,
    /// The real Prometheus.
    Prometheus,
}

impl Service {
    /// All of them, in the order in which they start.
    pub const ALL: [Self; 17] = [
        Self::Consul,
        Self::Postgresql,
        Self::Patroni,
        Self::Pgbouncer,
        Self::Redis,
        Self::Sentinel,
        Self::Gitaly,
        Self::Praefect,
        Self::Puma,
        Self::Workhorse,
        Self::Sidekiq,
        Self::Nginx,
        Self::NodeExporter,
        Self::PostgresExporter,
        Self::RedisExporter,
        Self::PgbouncerExporter,
        Self::Prometheus,
    ];

    /// The name of its service directory.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Consul => "consul",
            Self::Postgresql => "postgresql",
            Self::Patroni => "patroni",
            Self::Pgbouncer => "pgbouncer",
            Self::Redis => "redis",
            Self::Sentinel => "sentinel",
            Self::Gitaly => "gitaly",
            Self::Praefect => "praefect",
            Self::Puma => "puma",
            Self::Workhorse => "gitlab-workhorse",
            Self::Sidekiq => "sidekiq",
            Self::Nginx => "nginx",
            Self::NodeExporter => "node-exporter",
            Self::PostgresExporter => "postgres-exporter",
            Self::RedisExporter => "redis-exporter",
            Self::PgbouncerExporter => "pgbouncer-exporter",
            Self::Prometheus => "prometheus",
        }
    }

    /// Its section of gitlab.rb.
    #[must_use]
    pub const fn section(self) -> &'static str {
        match self {
            Self::Workhorse => "gitlab_workhorse",
            Self::NodeExporter => "node_exporter",
            Self::PostgresExporter => "postgres_exporter",
            Self::RedisExporter => "redis_exporter",
            Self::PgbouncerExporter => "pgbouncer_exporter",
            other => other.name(),
        }
    }
}

/// Run with monitoring, where their own section is on.
const MONITORING: [&str; 2] = ["alertmanager", "gitlab_exporter"];

/// The other services of the package.
const OTHERS: [&str; 5] = ["gitlab_kas", "logrotate", "gitlab_pages", "registry", "mattermost"];

/// Services that the real package would run with these settings and that nothing stands in for.
#[must_use]
pub fn not_stood_in(settings: &Settings, roles: &Roles) -> Vec<&'static str> {
    let monitoring = settings.flag(&["prometheus_monitoring", "enable"]).unwrap_or(true);
    let on = |section: &str| roles.switch_on(settings, section);
    let asked = |section: &str| settings.flag(&[section, "enable"]);
    let mut names: Vec<&str> = MONITORING
        .into_iter()
        .filter(|section| asked(section).unwrap_or(monitoring && on(section)))
        .chain(OTHERS.into_iter().filter(|section| on(section)))
        .map(shown)
        .collect();
    names.sort_unstable();
    names
}

/// A section's name, as gitlab-ctl writes it.
fn shown(section: &'static str) -> &'static str {
    match section {
        "gitlab_exporter" => "gitlab-exporter",
        "gitlab_kas" => "gitlab-kas",
        "gitlab_pages" => "gitlab-pages",
        other => other,
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

    fn of(settings: &Settings) -> Vec<&'static str> {
        let roles = Roles::from_settings(settings).expect("roles");
        not_stood_in(settings, &roles)
    }

    #[test]
    fn what_nothing_stands_in_for_is_named() {
        let all = of(&settings(json!({})));
        assert!(all.contains(&"alertmanager") && all.contains(&"gitlab-kas"));
        let quiet = json!({
            "prometheus_monitoring": {"enable": false},
            "gitlab_kas": {"enable": false},
            "logrotate": {"enable": false},
        });
        assert!(of(&settings(quiet)).is_empty());
        assert!(of(&settings(json!({"registry": {"enable": true}}))).contains(&"registry"));
    }
}
