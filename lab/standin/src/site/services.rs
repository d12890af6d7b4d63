//! Which services run on the node, and which of the package's services nothing stands in for.

use std::collections::BTreeSet;

use super::Error;
use crate::settings::{Catalogue, Settings};

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

    const fn section(self) -> &'static str {
        match self {
            Self::Workhorse => "gitlab_workhorse",
            other => other.name(),
        }
    }
}

/// The services that run on the node: all, but for those that the settings switch off.
#[must_use]
pub fn enabled(settings: &Settings) -> BTreeSet<Service> {
    let wanted = |service: &Service| settings.flag(&[service.section(), "enable"]).unwrap_or(true);
    Service::ALL.into_iter().filter(wanted).collect()
}

/// Run with monitoring, unless switched off one by one.
const MONITORING: [(&str, &str); 6] = [
    ("alertmanager", "alertmanager"),
    ("gitlab_exporter", "gitlab-exporter"),
    ("node_exporter", "node-exporter"),
    ("postgres_exporter", "postgres-exporter"),
    ("prometheus", "prometheus"),
    ("redis_exporter", "redis-exporter"),
];

/// Run only where switched on.
const OPTIONAL: [(&str, &str); 8] = [
    ("gitlab_pages", "gitlab-pages"),
    ("registry", "registry"),
    ("mattermost", "mattermost"),
    ("patroni", "patroni"),
    ("pgbouncer", "pgbouncer"),
    ("consul", "consul"),
    ("praefect", "praefect"),
    ("sentinel", "sentinel"),
];

/// Services that the real package would run with these settings and that nothing stands in for.
#[must_use]
pub fn not_stood_in(settings: &Settings) -> Vec<&'static str> {
    let monitoring = settings.flag(&["prometheus_monitoring", "enable"]).unwrap_or(true);
    let mut names: Vec<&str> = MONITORING
        .iter()
        .filter(|(section, _)| settings.flag(&[section, "enable"]).unwrap_or(monitoring))
        .map(|(_, name)| *name)
        .collect();
    for (section, name) in [("gitlab_kas", "gitlab-kas"), ("logrotate", "logrotate")] {
        if settings.flag(&[section, "enable"]).unwrap_or(true) {
            names.push(name);
        }
    }
    for (section, name) in OPTIONAL {
        if settings.flag(&[section, "enable"]) == Some(true) {
            names.push(name);
        }
    }
    names.sort_unstable();
    names
}

/// Refuses roles: those that the version doesn't have as the package does, the others because nothing stands
/// in for a node that is less than a whole GitLab.
pub fn check_roles(settings: &Settings) -> Result<(), Error> {
    let catalogue = Catalogue::for_version(settings.version());
    let known: Vec<&String> = catalogue.sections().iter().filter(|name| name.ends_with("_role")).collect();
    let switched = known.iter().filter(|role| settings.flag(&[role, "enable"]) == Some(true));
    let listed = settings.list(&["roles"]).unwrap_or_default();
    for role in listed.into_iter().chain(switched.map(|role| (*role).clone())) {
        if role == "default" {
            continue;
        }
        return Err(if known.contains(&&role) {
            Error::NotStoodIn(format!("the role `{role}`"))
        } else {
            Error::UnknownRole(role)
        });
    }
    Ok(())
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

    #[test]
    fn everything_runs_unless_switched_off() {
        assert_eq!(enabled(&settings(json!({}))).len(), Service::ALL.len());
        let without = enabled(&settings(json!({"gitlab_workhorse": {"enable": false}})));
        assert!(!without.contains(&Service::Workhorse));
    }

    #[test]
    fn what_nothing_stands_in_for_is_named() {
        let all = not_stood_in(&settings(json!({})));
        assert!(all.contains(&"prometheus") && all.contains(&"gitlab-kas"));
        let quiet = json!({
            "prometheus_monitoring": {"enable": false},
            "gitlab_kas": {"enable": false},
            "logrotate": {"enable": false},
        });
        assert!(not_stood_in(&settings(quiet)).is_empty());
        assert!(not_stood_in(&settings(json!({"registry": {"enable": true}}))).contains(&"registry"));
    }

    #[test]
    fn roles_are_refused_by_kind() {
        let roles = |name: &str| check_roles(&settings(json!({"roles": [name]})));
        assert_eq!(roles("rails_role"), Err(Error::UnknownRole("rails_role".into())));
        assert!(matches!(roles("gitaly_role"), Err(Error::NotStoodIn(_))));
        let switched = settings(json!({"application_role": {"enable": true}}));
        assert!(matches!(check_roles(&switched), Err(Error::NotStoodIn(_))));
    }
}
