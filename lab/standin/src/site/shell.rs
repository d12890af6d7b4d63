//! GitLab Shell, and where it and Gitaly's hooks find the internal API.

use serde::{Deserialize, Serialize};

use crate::paths;
use crate::settings::Settings;

/// GitLab Shell's configuration, which is its config.yml.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shell {
    /// The system user whom people name in `git@host`.
    pub user: String,
    /// The internal API: `http://…`, `https://…` or `http+unix://` with an encoded socket.
    pub gitlab_url: String,
    /// The file in which sshd looks for keys.
    pub auth_file: String,
    /// The file that holds the secret with which requests are signed.
    pub secret_file: String,
}

/// What Rails and Workhorse know of the secrets that sign internal requests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signing {
    /// GitLab Shell's and Gitaly's.
    pub shell: String,
    /// Workhorse's.
    pub workhorse: String,
}

impl Shell {
    /// The GitLab Shell that the settings describe.
    #[must_use]
    pub fn from_settings(settings: &Settings) -> Self {
        let home = settings.text_or(&["user", "home"], paths::DATA);
        let keys = format!("{home}/.ssh/authorized_keys");
        Self {
            user: settings.text_or(&["user", "username"], "git"),
            gitlab_url: internal_api_url(settings),
            auth_file: settings.text_or(&["gitlab_shell", "auth_file"], &keys),
            secret_file: paths::SHELL_SECRET.to_owned(),
        }
    }
}

impl Signing {
    /// The secrets in the settings.
    #[must_use]
    pub fn from_settings(settings: &Settings) -> Self {
        Self {
            shell: settings.text_or(&["gitlab_shell", "secret_token"], ""),
            workhorse: settings.text_or(&["gitlab_workhorse", "secret_token"], ""),
        }
    }
}

/// Where the internal API is: what gitlab.rb says, or this node's Workhorse.
#[must_use]
pub fn internal_api_url(settings: &Settings) -> String {
    let here = || format!("http+unix://{}", paths::WORKHORSE_SOCKET.replace('/', "%2F"));
    settings.text(&["gitlab_rails", "internal_api_url"]).unwrap_or_else(here)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::manifest::Version;

    fn shell(value: Value) -> Shell {
        let Value::Object(map) = value else { panic!("not a hash") };
        Shell::from_settings(&Settings::new(map, Version::new(19, 3, 0)))
    }

    #[test]
    fn by_itself_it_asks_this_node() {
        let plain = shell(json!({}));
        assert!(plain.gitlab_url.starts_with("http+unix://%2Fvar%2Fopt%2Fgitlab%2Fgitlab-workhorse"));
        assert_eq!(plain.auth_file, "/var/opt/gitlab/.ssh/authorized_keys");
    }

    #[test]
    fn a_gitaly_node_asks_elsewhere() {
        let url = "https://gitlab.example.com";
        assert_eq!(shell(json!({"gitlab_rails": {"internal_api_url": url}})).gitlab_url, url);
    }
}
