//! The Gitaly of this node.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Error;
use crate::settings::Settings;

/// Where Gitaly listens when nothing is said.
pub const SOCKET: &str = "/var/opt/gitlab/gitaly/gitaly.socket";
const STORAGE: &str = "/var/opt/gitlab/git-data/repositories";

/// Gitaly's configuration, which is its config.toml.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gitaly {
    /// UNIX socket.
    pub socket_path: String,
    /// TCP address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub listen_addr: Option<String>,
    /// Where it tells of itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prometheus_listen_addr: Option<String>,
    /// Who may ask.
    pub auth: Auth,
    /// Whom its hooks ask.
    pub gitlab: Gitlab,
    /// Storages.
    pub storage: Vec<Storage>,
}

/// Authentication.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Auth {
    /// The shared token; empty asks for none.
    pub token: String,
}

/// The internal API.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gitlab {
    /// Where it is.
    pub url: String,
    /// The secret with which requests are signed.
    pub secret: String,
}

/// A place for repositories.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Storage {
    /// Its name.
    pub name: String,
    /// Its directory.
    pub path: String,
}

impl Gitaly {
    /// The Gitaly that `gitaly['configuration']` describes.
    pub fn from_settings(settings: &Settings) -> Result<Self, Error> {
        let text = |path: &[&str]| {
            let full: Vec<&str> = ["gitaly", "configuration"].iter().chain(path).copied().collect();
            settings.text(&full)
        };
        Ok(Self {
            socket_path: text(&["socket_path"]).unwrap_or_else(|| SOCKET.to_owned()),
            listen_addr: text(&["listen_addr"]),
            prometheus_listen_addr: text(&["prometheus_listen_addr"])
                .or_else(|| Some("localhost:9236".to_owned()))
                .filter(|place| !place.is_empty()),
            auth: Auth { token: text(&["auth", "token"]).unwrap_or_default() },
            gitlab: Gitlab {
                url: text(&["gitlab", "url"]).unwrap_or_else(|| super::shell::internal_api_url(settings)),
                secret: settings
                    .text(&["gitaly", "gitlab_secret"])
                    .or_else(|| settings.text(&["gitlab_shell", "secret_token"]))
                    .unwrap_or_default(),
            },
            storage: storages(settings)?,
        })
    }
}

fn storages(settings: &Settings) -> Result<Vec<Storage>, Error> {
    let Some(value) = settings.at(&["gitaly", "configuration", "storage"]) else {
        return Ok(vec![Storage { name: "default".to_owned(), path: STORAGE.to_owned() }]);
    };
    let wrong = |reason: &str| Error::Setting {
        setting: "gitaly['configuration'][:storage]".to_owned(),
        reason: reason.to_owned(),
    };
    let Value::Array(items) = value else { return Err(wrong("it is not a list")) };
    let mut seen = BTreeMap::new();
    for item in items {
        let field = |key: &str| item.get(key).and_then(Value::as_str).map(str::to_owned);
        let name = field("name").ok_or_else(|| wrong("a storage has no name"))?;
        let path = field("path").ok_or_else(|| wrong("a storage has no path"))?;
        if seen.insert(name.clone(), path).is_some() {
            return Err(wrong(&format!("`{name}` is there twice")));
        }
    }
    Ok(seen.into_iter().map(|(name, path)| Storage { name, path }).collect())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::manifest::Version;

    fn gitaly(value: Value) -> Result<Gitaly, Error> {
        let Value::Object(map) = value else { panic!("not a hash") };
        Gitaly::from_settings(&Settings::new(map, Version::new(19, 3, 0)))
    }

    #[test]
    fn has_a_default_storage() {
        let plain = gitaly(json!({})).expect("settings");
        assert_eq!(plain.storage[0].name, "default");
        assert_eq!(plain.socket_path, SOCKET);
        assert!(plain.gitlab.url.starts_with("http+unix://"));
    }

    #[test]
    fn its_own_secret_comes_before_the_shell_s() {
        let both = gitaly(json!({"gitaly": {"gitlab_secret": "a"}, "gitlab_shell": {"secret_token": "b"}}));
        assert_eq!(both.expect("settings").gitlab.secret, "a");
        let one = gitaly(json!({"gitlab_shell": {"secret_token": "b"}}));
        assert_eq!(one.expect("settings").gitlab.secret, "b");
    }

    #[test]
    fn a_storage_needs_name_and_path() {
        let storage = json!({"gitaly": {"configuration": {"storage": [{"name": "default"}]}}});
        assert!(matches!(gitaly(storage), Err(Error::Setting { .. })));
    }
}
