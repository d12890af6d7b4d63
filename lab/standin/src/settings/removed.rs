//! Settings that a version removed (reconfigure stops) or deprecated (reconfigure goes on and says so).

use super::Settings;
use crate::manifest::Version;

struct Removal {
    path: &'static [&'static str],
    shown: &'static str,
    since: (u32, u32),
    instead: &'static str,
}

const REMOVED: [Removal; 7] = [
    Removal {
        path: &["git_data_dirs"],
        shown: "git_data_dirs",
        since: (18, 0),
        instead: "use gitaly['configuration'][:storage]",
    },
    Removal {
        path: &["git_data_dir"],
        shown: "git_data_dir",
        since: (18, 0),
        instead: "use gitaly['configuration'][:storage]",
    },
    Removal {
        path: &["gitlab_shell", "migration"],
        shown: "gitlab_shell['migration']",
        since: (18, 0),
        instead: "remove it: it has had no effect for long",
    },
    Removal {
        path: &["mattermost"],
        shown: "mattermost",
        since: (19, 0),
        instead: "remove it: the package no longer contains Mattermost",
    },
    Removal {
        path: &["mattermost_external_url"],
        shown: "mattermost_external_url",
        since: (20, 0),
        instead: "remove it: the package no longer contains Mattermost",
    },
    Removal {
        path: &["mattermost_nginx"],
        shown: "mattermost_nginx",
        since: (19, 0),
        instead: "remove it: the package no longer contains Mattermost",
    },
    Removal {
        path: &["spamcheck"],
        shown: "spamcheck",
        since: (19, 0),
        instead: "remove it: the package no longer contains Spamcheck",
    },
];

/// The keys of the main web site that moved to `gitlab_rails['nginx']`.
const MOVED_TO_RAILS: [&str; 9] = [
    "listen_port",
    "listen_https",
    "listen_addresses",
    "redirect_http_to_https",
    "redirect_http_to_https_port",
    "ssl_certificate",
    "ssl_certificate_key",
    "client_max_body_size",
    "proxy_set_headers",
];

/// Settings that are set and that a version removed, as sentences.
#[must_use]
pub fn used(settings: &Settings, version: Version) -> Vec<String> {
    REMOVED
        .iter()
        .filter(|removal| version.at_least(removal.since.0, removal.since.1))
        .filter(|removal| settings.at(removal.path).is_some())
        .map(|removal| {
            let (major, minor) = removal.since;
            format!("{} was removed in GitLab {major}.{minor}: {}", removal.shown, removal.instead)
        })
        .collect()
}

/// The message that stops reconfigure.
#[must_use]
pub fn sentence(removed: &[String]) -> String {
    let list: Vec<String> = removed.iter().map(|one| format!("* {one}")).collect();
    format!("Removed configurations found in gitlab.rb. Aborting reconfigure.\n{}", list.join("\n"))
}

/// Deprecated settings that are set, as sentences.
#[must_use]
pub fn deprecated(settings: &Settings) -> Vec<String> {
    let mut sentences = Vec::new();
    if settings.version().at_least(19, 0) && settings.at(&["mattermost_external_url"]).is_some() {
        sentences.push("mattermost_external_url is deprecated since GitLab 19.0: remove it".to_owned());
    }
    if settings.version().at_least(19, 2) {
        let set = MOVED_TO_RAILS.iter().filter(|key| settings.at(&["nginx", key]).is_some());
        sentences.extend(set.map(|key| {
            format!("nginx['{key}'] is deprecated since GitLab 19.2: use gitlab_rails['nginx']['{key}']")
        }));
    }
    sentences
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::manifest::Version;

    fn settings(value: Value, version: Version) -> Settings {
        let Value::Object(map) = value else { panic!("not a hash") };
        Settings::new(map, version)
    }

    #[test]
    fn mattermost_stops_from_19_0() {
        let set = json!({"mattermost": {"enable": false}});
        assert!(used(&settings(set.clone(), Version::new(18, 11, 2)), Version::new(18, 11, 2)).is_empty());
        let stopped = used(&settings(set, Version::new(19, 3, 0)), Version::new(19, 3, 0));
        assert_eq!(stopped.len(), 1);
        assert!(stopped[0].contains("removed in GitLab 19.0"));
    }

    #[test]
    fn a_later_version_s_removals_are_known_before() {
        let set = settings(json!({"spamcheck": {"enable": true}}), Version::new(18, 11, 2));
        assert!(used(&set, set.version()).is_empty());
        assert_eq!(used(&set, Version::new(19, 0, 0)).len(), 1);
        let url = json!({"mattermost_external_url": "https://m.example.com"});
        let set = settings(url, Version::new(19, 0, 0));
        assert!(used(&set, set.version()).is_empty());
        assert_eq!(deprecated(&set).len(), 1);
        assert_eq!(used(&set, Version::new(20, 0, 0)).len(), 1);
    }

    #[test]
    fn git_data_dirs_stops_from_18_0() {
        let set = json!({"git_data_dirs": {"default": {"path": "/x"}}});
        assert_eq!(used(&settings(set, Version::new(18, 11, 2)), Version::new(18, 11, 2)).len(), 1);
        assert!(
            used(&settings(json!({"git_data_dirs": {}}), Version::new(18, 11, 2)), Version::new(18, 11, 2))
                .is_empty()
        );
    }

    #[test]
    fn the_old_nginx_keys_are_deprecated_from_19_2() {
        let set = json!({"nginx": {"listen_port": 80, "enable": true}});
        assert!(deprecated(&settings(set.clone(), Version::new(18, 11, 2))).is_empty());
        assert_eq!(deprecated(&settings(set, Version::new(19, 3, 0))).len(), 1);
    }
}
