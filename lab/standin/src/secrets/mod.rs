//! gitlab-secrets.json: read, filled with what is missing, and written back, as every reconfigure of the
//! package does. A value in gitlab.rb wins over the file; sections that this version doesn't know are
//! left out of what is written, with a warning.

mod catalogue;
mod generate;

use std::io::ErrorKind;
use std::path::Path;

use serde_json::{Map, Value};

pub use catalogue::Make;
use catalogue::entries;
pub use generate::{generate, password};

use crate::settings::Settings;

/// Why the secrets can't be had.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file can't be read.
    #[error("cannot read `{path}`: {source}")]
    Read {
        /// The file.
        path: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file is not JSON.
    #[error(
        "`{path}` is not a JSON object ({reason}); restore it from a backup, because other keys can't read this instance's data"
    )]
    Content {
        /// The file.
        path: String,
        /// What the parser said.
        reason: String,
    },
    /// A secret could not be made.
    #[error("cannot make a secret: {0}")]
    Generate(#[from] crate::settings::EvaluateError),
}

/// The secrets of a node, and what the operator should hear about them.
#[derive(Debug, PartialEq, Eq)]
pub struct Filled {
    /// What gitlab-secrets.json holds afterwards.
    pub secrets: Map<String, Value>,
    /// Sentences for the operator.
    pub warnings: Vec<String>,
}

/// Reads the file; a missing one holds nothing.
pub fn read(path: &Path) -> Result<Map<String, Value>, Error> {
    let shown = || path.display().to_string();
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Map::new()),
        Err(source) => return Err(Error::Read { path: shown(), source }),
    };
    serde_json::from_str(&text).map_err(|reason| Error::Content { path: shown(), reason: reason.to_string() })
}

/// Fills what is missing and makes the settings hold every secret.
///
/// `make` is asked once for all the missing ones, because the asymmetric ones are made by another program.
pub fn fill<E>(
    existing: &Map<String, Value>,
    settings: &mut Settings,
    make: impl FnOnce(&[Make]) -> Result<Vec<Value>, E>,
) -> Result<Filled, E> {
    let version = settings.version();
    let entries = entries(settings);
    let mut secrets = Map::new();
    let mut missing = Vec::new();
    for entry in &entries {
        let found = settings.at(entry.path).cloned().or_else(|| lookup(existing, entry.path));
        match found {
            Some(value) => place(&mut secrets, entry.path, value),
            None if matches!(entry.make, Make::Never | Make::SameAs(_)) => {}
            None => missing.push(entry),
        }
    }
    if settings.flag(&["package", "generate_default_secrets"]).unwrap_or(true) {
        let wanted: Vec<Make> = missing.iter().map(|entry| entry.make).collect();
        if !wanted.is_empty() {
            for (entry, value) in missing.iter().zip(make(&wanted)?) {
                if let Make::SelfSigned { key, .. } = entry.make {
                    place(&mut secrets, entry.path, value["certificate"].clone());
                    place(&mut secrets, key, value["key"].clone());
                } else {
                    place(&mut secrets, entry.path, value);
                }
            }
        }
        for entry in &entries {
            let Make::SameAs(other) = entry.make else { continue };
            if lookup(&secrets, entry.path).is_none()
                && let Some(value) = lookup(&secrets, other)
            {
                place(&mut secrets, entry.path, value);
            }
        }
    }
    for entry in &entries {
        if let Some(value) = lookup(&secrets, entry.path) {
            settings.set(entry.path, value);
        }
    }
    let unknown = existing.keys().filter(|section| !entries.iter().any(|entry| entry.path[0] == *section));
    let warnings = unknown
        .map(|section| {
            format!("gitlab-secrets.json: the section `{section}` is not one of GitLab {version}: ignored")
        })
        .collect();
    Ok(Filled { secrets, warnings })
}

/// What is written to gitlab-secrets.json.
#[must_use]
pub fn render(secrets: &Map<String, Value>) -> String {
    let mut text = serde_json::to_string_pretty(secrets).unwrap_or_default();
    text.push('\n');
    text
}

fn lookup(map: &Map<String, Value>, path: &[&str]) -> Option<Value> {
    let (first, rest) = path.split_first()?;
    rest.iter()
        .try_fold(map.get(*first)?, |value, key| value.get(key))
        .filter(|value| !value.is_null())
        .cloned()
}

fn place(map: &mut Map<String, Value>, path: &[&str], value: Value) {
    let Some((first, rest)) = path.split_first() else { return };
    if rest.is_empty() {
        map.insert((*first).to_owned(), value);
        return;
    }
    let slot = map.entry(*first).or_insert_with(|| Value::Object(Map::new()));
    if let Value::Object(inner) = slot {
        place(inner, rest, value);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::manifest::Version;

    fn settings(value: Value, version: Version) -> Settings {
        let Value::Object(map) = value else { panic!("not a hash") };
        Settings::new(map, version)
    }

    fn object(value: Value) -> Map<String, Value> {
        let Value::Object(map) = value else { panic!("not a hash") };
        map
    }

    #[expect(clippy::unnecessary_wraps, reason = "it stands in for a maker that can fail")]
    fn counted(wanted: &[Make]) -> Result<Vec<Value>, std::convert::Infallible> {
        Ok((0..wanted.len()).map(|n| json!(format!("made-{n}"))).collect())
    }

    #[test]
    fn gitlab_rb_wins_over_the_file_and_the_file_over_chance() {
        let existing = object(json!({"gitlab_rails": {"db_key_base": "file", "otp_key_base": "file"}}));
        let mut tree = settings(json!({"gitlab_rails": {"db_key_base": "rb"}}), Version::new(18, 11, 2));
        let filled = fill(&existing, &mut tree, counted).expect("made");
        assert_eq!(filled.secrets["gitlab_rails"]["db_key_base"], "rb");
        assert_eq!(filled.secrets["gitlab_rails"]["otp_key_base"], "file");
        assert!(filled.secrets["gitlab_rails"]["secret_key_base"].as_str().is_some());
        assert_eq!(tree.text(&["gitlab_rails", "otp_key_base"]).as_deref(), Some("file"));
    }

    #[test]
    fn gitaly_and_its_clients_hold_the_same_token() {
        let mut tree = settings(json!({}), Version::new(19, 3, 0));
        let filled = fill(&Map::new(), &mut tree, counted).expect("made");
        assert_eq!(
            filled.secrets["gitaly"]["configuration"]["auth"]["token"],
            filled.secrets["gitlab_rails"]["gitaly_token"]
        );
    }

    #[test]
    fn nothing_is_invented_when_told_not_to() {
        let set = json!({"package": {"generate_default_secrets": false}});
        let mut tree = settings(set, Version::new(18, 11, 2));
        let filled = fill(&Map::new(), &mut tree, |_| Err("asked")).expect("nothing made");
        assert!(filled.secrets.is_empty());
    }

    #[test]
    fn unknown_sections_are_left_out_with_a_warning() {
        let existing = object(json!({"mattermost": {"email_invite_salt": "x"}, "wild": {"a": 1}}));
        let mut old = settings(json!({}), Version::new(18, 11, 2));
        let filled = fill(&existing, &mut old, counted).expect("made");
        assert_eq!(filled.secrets["mattermost"]["email_invite_salt"], "x");
        assert_eq!(filled.warnings.len(), 1);
        let mut new = settings(json!({}), Version::new(19, 3, 0));
        let filled = fill(&existing, &mut new, counted).expect("made");
        assert!(!filled.secrets.contains_key("mattermost"));
        assert_eq!(filled.warnings.len(), 2);
    }

    #[test]
    fn a_second_fill_changes_nothing() {
        let mut tree = settings(json!({}), Version::new(19, 3, 0));
        let first = fill(&Map::new(), &mut tree, |wanted| {
            Ok::<_, std::convert::Infallible>(
                wanted.iter().map(|_| json!({"certificate": "c", "key": "k"})).collect(),
            )
        })
        .expect("made");
        let mut tree = settings(json!({}), Version::new(19, 3, 0));
        let second = fill(&first.secrets, &mut tree, |_| Err("asked")).expect("nothing made");
        assert_eq!(render(&first.secrets), render(&second.secrets));
    }
}
