//! The Rails family's configuration files, read back by the processes that use them.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;
use serde::de::DeserializeOwned;
#[cfg(test)]
use serde_json::json;

use crate::paths;
use crate::site::{
    Application, Connection, Database, Gitaly, Praefect, REDIS_ROLES, Secrets, Shell, Signing,
};

/// Why a configuration can't be read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file can't be read.
    #[error("cannot read `{path}`: {source}; run `gitlab-ctl reconfigure`")]
    Read {
        /// The file.
        path: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file is not what reconfigure writes.
    #[error("`{path}` is not what reconfigure writes ({reason}); run `gitlab-ctl reconfigure`")]
    Content {
        /// The file.
        path: String,
        /// What the parser said.
        reason: String,
    },
}

/// What puma, Sidekiq and rake know.
#[derive(Debug, Clone)]
pub struct Config {
    /// gitlab.yml
    pub application: Application,
    /// database.yml
    pub database: Database,
    /// secrets.yml
    pub secrets: Secrets,
    /// What signs internal requests.
    pub signing: Signing,
    redis: BTreeMap<String, Connection>,
}

#[derive(Deserialize)]
struct Production<T> {
    production: T,
}

#[derive(Deserialize)]
struct Databases {
    main: Database,
}

impl Config {
    /// Reads what reconfigure wrote.
    pub fn read() -> Result<Self, Error> {
        let mut redis = BTreeMap::from([("resque".to_owned(), load("resque.yml")?)]);
        for role in REDIS_ROLES {
            let name = format!("redis.{role}.yml");
            if Path::new(paths::RAILS_ETC).join(&name).exists() {
                redis.insert(role.to_owned(), load(&name)?);
            }
        }
        Ok(Self {
            application: load("gitlab.yml")?,
            database: load::<Databases>("database.yml")?.main,
            secrets: load("secrets.yml")?,
            signing: Signing {
                shell: secret(paths::SHELL_SECRET)?,
                workhorse: secret(paths::WORKHORSE_SECRET)?,
            },
            redis,
        })
    }

    /// A configuration whose services are nowhere, for tests.
    #[cfg(test)]
    pub fn nowhere() -> Self {
        let nowhere = json!({"production": {
            "version": "19.3.0", "host": "localhost", "origin": "http://localhost", "ssh_host": "localhost", "ssh_port": 22,
            "monitoring_whitelist": [],
            "trusted_proxies": [], "storages": {}, "puma_listen": "", "sidekiq_health": null,
            "sidekiq_concurrency": 1, "object_store": null, "load_balancing_hosts": [], "puma_exporter": null,
            "sidekiq_metrics": null, "sidekiq_queue_groups": ["*"]
        }});
        let application: Production<Application> = serde_json::from_value(nowhere).expect("a configuration");
        let database = Database {
            host: "/nowhere".into(),
            port: 5432,
            username: "x".into(),
            password: None,
            name: "x".into(),
        };
        let secrets = Secrets { db_key_base: "x".into() };
        let signing = Signing { shell: "x".into(), workhorse: "x".into() };
        Self { application: application.production, database, secrets, signing, redis: BTreeMap::new() }
    }

    /// The connection that a role uses: its own, or the one that all share.
    #[must_use]
    pub fn redis(&self, role: &str) -> Option<&Connection> {
        self.redis.get(role).or_else(|| self.redis.get("resque"))
    }
}

fn load<T: DeserializeOwned>(name: &str) -> Result<T, Error> {
    let path = Path::new(paths::RAILS_ETC).join(name);
    let text = text(&path)?;
    serde_json::from_str::<Production<T>>(&text)
        .map(|file| file.production)
        .map_err(|reason| Error::Content { path: path.display().to_string(), reason: reason.to_string() })
}

/// Gitaly's config.toml.
pub fn gitaly() -> Result<Gitaly, Error> {
    gitaly_at(&Path::new(paths::DATA).join("gitaly/config.toml"))
}

/// A Gitaly's configuration that lies there.
pub fn gitaly_at(path: &Path) -> Result<Gitaly, Error> {
    toml::from_str(&text(path)?)
        .map_err(|reason| Error::Content { path: path.display().to_string(), reason: reason.to_string() })
}

/// Where Workhorse tells of itself, which is all that its config.toml holds.
pub fn workhorse_metrics() -> Result<String, Error> {
    secret(paths::WORKHORSE_CONFIG)
        .map(|line| line.trim_start_matches("prometheus_listen_addr = ").trim_matches('"').to_owned())
}

/// Praefect's config.toml.
pub fn praefect() -> Result<Praefect, Error> {
    praefect_at(&Path::new(paths::DATA).join("praefect/config.toml"))
}

/// A Praefect's configuration that lies there.
pub fn praefect_at(path: &Path) -> Result<Praefect, Error> {
    toml::from_str(&text(path)?)
        .map_err(|reason| Error::Content { path: path.display().to_string(), reason: reason.to_string() })
}

/// GitLab Shell's config.yml.
pub fn shell() -> Result<Shell, Error> {
    let path = Path::new(paths::SHELL_CONFIG);
    serde_json::from_str(&text(path)?)
        .map_err(|reason| Error::Content { path: path.display().to_string(), reason: reason.to_string() })
}

/// A secret that stands alone in its file.
pub fn secret(path: &str) -> Result<String, Error> {
    text(Path::new(path)).map(|secret| secret.trim().to_owned())
}

fn text(path: &Path) -> Result<String, Error> {
    std::fs::read_to_string(path).map_err(|source| Error::Read { path: path.display().to_string(), source })
}
