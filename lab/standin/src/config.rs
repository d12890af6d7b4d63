//! The Rails family's configuration files, read back by the processes that use them.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::paths;
use crate::site::{Application, Connection, Database, Gitaly, REDIS_ROLES, Secrets};

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
            redis,
        })
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
    let path = Path::new(paths::DATA).join("gitaly/config.toml");
    toml::from_str(&text(&path)?)
        .map_err(|reason| Error::Content { path: path.display().to_string(), reason: reason.to_string() })
}

fn text(path: &Path) -> Result<String, Error> {
    std::fs::read_to_string(path).map_err(|source| Error::Read { path: path.display().to_string(), source })
}
