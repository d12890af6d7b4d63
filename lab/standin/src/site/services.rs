//! Which services run on the node, and which of the package's services nothing stands in for.

use super::Roles;
use crate::settings::Settings;

/// A service under runit, as `gitlab-ctl` names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Service {
    /// The real PostgreSQL.
    Postgresql,
    /// The real Redis (or Valkey).
    Redis,
    /// The stood-in Gitaly.
    Gitaly,
    /// The stood-in Rails.
    Puma,
    /// The stood-in Workhorse.
    Workhorse,
    /// The stood-in Sidekiq.
    Sidekiq,
    /// The real nginx.
    Nginx,
}

impl Service {
    /// All of them, in the order in which they start.
    pub const ALL: [Self; 7] = [
        Self::Postgresql,
        Self::Redis,
        Self::Gitaly,
        Self::Puma,
        Self::Workhorse,
        Self::Sidekiq,
        Self::Nginx,
    ];

    /// The name of its service directory.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Postgresql => "postgresql",
            Self::Redis => "redis",
            Self::Gitaly => "gitaly",
            Self::Puma => "puma",
            Self::Workhorse => "gitlab-workhorse",
            Self::Sidekiq => "sidekiq",
            Self::Nginx => "nginx",
        }
    }

    /// Its section of gitlab.rb.
    #[must_use]
    pub const fn section(self) -> &'static str {
        match self {
            Self::Workhorse => "gitlab_workhorse",
            other => other.name(),
        }
    }
}

/// Run with monitoring, each where the section beside it is on, unless switched off one by one.
const MONITORING: [(&str, Option<&str>); 6] = [
    ("alertmanager", Some("alertmanager")),
    ("gitlab_exporter", Some("gitlab_exporter")),
    ("node_exporter", None),
    ("postgres_exporter", Some("postgresql")),
    ("prometheus", Some("prometheus")),
    ("redis_exporter", Some("redis")),
];

/// The other services of the package.
const OTHERS: [&str; 10] = [
    "gitlab_kas",
    "logrotate",
    "gitlab_pages",
    "registry",
    "mattermost",
    "patroni",
    "pgbouncer",
    "consul",
    "praefect",
    "sentinel",
];

/// Services that the real package would run with these settings and that nothing stands in for.
#[must_use]
pub fn not_stood_in(settings: &Settings, roles: &Roles) -> Vec<&'static str> {
    let monitoring = settings.flag(&["prometheus_monitoring", "enable"]).unwrap_or(true);
    let on = |section: &str| roles.switch_on(settings, section);
    let asked = |section: &str| settings.flag(&[section, "enable"]);
    let mut names: Vec<&str> = MONITORING
        .iter()
        .filter(|(section, of)| asked(section).unwrap_or(monitoring && of.is_none_or(&on)))
        .map(|(section, _)| *section)
        .chain(OTHERS.into_iter().filter(|section| on(section)))
        .map(|section| shown(section))
        .collect();
    names.sort_unstable();
    names
}

/// A section's name, as gitlab-ctl writes it.
fn shown(section: &'static str) -> &'static str {
    match section {
        "gitlab_exporter" => "gitlab-exporter",
        "node_exporter" => "node-exporter",
        "postgres_exporter" => "postgres-exporter",
        "redis_exporter" => "redis-exporter",
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
        assert!(all.contains(&"prometheus") && all.contains(&"gitlab-kas"));
        let quiet = json!({
            "prometheus_monitoring": {"enable": false},
            "gitlab_kas": {"enable": false},
            "logrotate": {"enable": false},
        });
        assert!(of(&settings(quiet)).is_empty());
        assert!(of(&settings(json!({"registry": {"enable": true}}))).contains(&"registry"));
    }
}
