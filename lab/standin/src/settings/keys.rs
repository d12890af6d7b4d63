//! Which gitlab.rb keys a version knows, from the recorded catalogue.
//!
//! A top-level name that isn't registered is refused by the package; a second-level one is ignored by
//! it silently, which the stand-in says aloud.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde_json::Value;

use super::Settings;
use crate::manifest::Version;

const RECORDED: &str = include_str!("../../data/gitlab-rb-keys.json");

/// Top-level names that take a value, where all others hold keys.
const SCALARS: [&str; 8] = [
    "external_url",
    "registry_external_url",
    "pages_external_url",
    "mattermost_external_url",
    "gitlab_kas_external_url",
    "runtime_dir",
    "git_data_dir",
    "roles",
];

#[derive(Debug, Default, Deserialize)]
struct Recorded {
    versions_read: Vec<String>,
    top_level: BTreeMap<String, (String, String)>,
    keys: BTreeMap<String, BTreeMap<String, (String, String)>>,
}

/// The names that one version of the package knows.
#[derive(Debug)]
pub struct Catalogue {
    sections: BTreeSet<String>,
    scalars: BTreeSet<String>,
    keys: BTreeMap<String, BTreeSet<String>>,
}

impl Catalogue {
    /// The names known to a version.
    #[must_use]
    pub fn for_version(version: Version) -> Self {
        // It is compiled in, and a test reads it.
        let recorded: Recorded = serde_json::from_str(RECORDED).unwrap_or_default();
        let newest = recorded.versions_read.iter().filter_map(|text| Version::parse(text)).max();
        let known = |(first, last): &(String, String)| spans(first, last, newest, version);
        let mut names: BTreeSet<String> =
            recorded.top_level.iter().filter(|(_, span)| known(span)).map(|(name, _)| name.clone()).collect();
        names.insert("roles".to_owned());
        let (scalars, sections) = names.into_iter().partition(|name| SCALARS.contains(&name.as_str()));
        let keys = recorded
            .keys
            .iter()
            .map(|(section, keys)| {
                let keys = keys.iter().filter(|(_, span)| known(span)).map(|(key, _)| key.clone());
                (section.clone(), keys.collect())
            })
            .collect();
        Self { sections, scalars, keys }
    }

    /// Top-level names that hold keys.
    #[must_use]
    pub fn sections(&self) -> &BTreeSet<String> {
        &self.sections
    }

    /// Top-level names that take a value.
    #[must_use]
    pub fn scalars(&self) -> &BTreeSet<String> {
        &self.scalars
    }

    /// A sentence for each second-level key that this version doesn't know.
    #[must_use]
    pub fn unknown_keys(&self, settings: &Settings) -> Vec<String> {
        let mut sentences = Vec::new();
        for (section, value) in settings.sections() {
            let (Value::Object(set), Some(known)) = (value, self.keys.get(section)) else { continue };
            if known.is_empty() {
                continue;
            }
            for key in set.keys().filter(|key| !known.contains(*key)) {
                sentences.push(format!(
                    "{section}['{key}'] is not a setting of GitLab {}: the package ignores it",
                    settings.version()
                ));
            }
        }
        sentences
    }
}

/// Whether a name that was seen from `first` to `last` is there in `version`. A name still there in the
/// newest version read is taken to be there in later ones.
fn spans(first: &str, last: &str, newest: Option<Version>, version: Version) -> bool {
    let (Some(first), Some(last)) = (Version::parse(first), Version::parse(last)) else { return false };
    let began = version.at_least(first.major, first.minor);
    let gone = version.at_least(last.major, last.minor)
        && (version.major, version.minor) != (last.major, last.minor);
    began && (!gone || Some(last) == newest)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const OLD: Version = Version::new(18, 11, 2);
    const NEW: Version = Version::new(19, 3, 0);

    #[test]
    fn the_catalogue_is_read() {
        let catalogue = Catalogue::for_version(NEW);
        assert!(catalogue.sections().contains("gitlab_rails"));
        assert!(catalogue.scalars().contains("external_url"));
        assert!(!catalogue.sections().contains("external_url"));
    }

    #[test]
    fn names_follow_the_version() {
        assert!(!Catalogue::for_version(OLD).sections().contains("suggested_reviewers"));
        assert!(Catalogue::for_version(Version::new(18, 5, 1)).sections().contains("suggested_reviewers"));
        assert!(Catalogue::for_version(OLD).sections().contains("spamcheck_role"));
        assert!(!Catalogue::for_version(NEW).sections().contains("spamcheck_role"));
        assert!(Catalogue::for_version(Version::new(19, 4, 0)).sections().contains("puma"));
    }

    #[test]
    fn unknown_second_level_keys_are_reported_by_version() {
        let tree = |version| {
            let values = json!({"gitlab_rails": {"nginx": {"listen_port": 80}, "auto_migrate": true}});
            let Value::Object(map) = values else { unreachable!() };
            Settings::new(map, version)
        };
        let old = Catalogue::for_version(OLD).unknown_keys(&tree(OLD));
        assert_eq!(old, ["gitlab_rails['nginx'] is not a setting of GitLab 18.11.2: the package ignores it"]);
        assert!(Catalogue::for_version(NEW).unknown_keys(&tree(NEW)).is_empty());
    }
}
