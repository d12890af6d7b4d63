//! The system users that reconfigure makes.

use crate::settings::Settings;

/// A system user and its group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// User name.
    pub user: String,
    /// Group name.
    pub group: String,
    /// Home directory.
    pub home: String,
    /// Login shell.
    pub shell: String,
    /// A fixed user id.
    pub uid: Option<u32>,
    /// A fixed group id.
    pub gid: Option<u32>,
}

/// All of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accounts {
    /// Rails, Workhorse, Sidekiq and Gitaly.
    pub git: Account,
    /// nginx's workers.
    pub web: Account,
    /// Redis.
    pub redis: Account,
    /// PostgreSQL.
    pub psql: Account,
    /// Consul, where it runs.
    pub consul: Account,
    /// Prometheus and the exporter of the host, where they run.
    pub prometheus: Account,
    /// Whether reconfigure may make them.
    pub managed: bool,
}

impl Accounts {
    /// The accounts that the settings name.
    #[must_use]
    pub fn from_settings(settings: &Settings) -> Self {
        let account = |section: &str, name: &str, home: &str, shell: &str| {
            let id = |key| settings.number(&[section, key]).and_then(|id| u32::try_from(id).ok());
            let user = settings.text_or(&[section, "username"], name);
            Account {
                group: settings.text_or(&[section, "group"], &user),
                home: settings.text_or(&[section, "home"], home),
                shell: settings.text_or(&[section, "shell"], shell),
                uid: id("uid"),
                gid: id("gid"),
                user,
            }
        };
        Self {
            git: account("user", "git", "/var/opt/gitlab", "/bin/sh"),
            web: account("web_server", "gitlab-www", "/var/opt/gitlab/nginx", "/bin/false"),
            redis: account("redis", "gitlab-redis", "/var/opt/gitlab/redis", "/bin/false"),
            psql: account("postgresql", "gitlab-psql", "/var/opt/gitlab/postgresql", "/bin/sh"),
            consul: account("consul", "gitlab-consul", "/var/opt/gitlab/consul", "/bin/sh"),
            prometheus: account("prometheus", "gitlab-prometheus", "/var/opt/gitlab/prometheus", "/bin/sh"),
            managed: settings.flag(&["manage_accounts", "enable"]).unwrap_or(true),
        }
    }
}
