//! Which keys gitlab.rb has, by version. The package refuses a first name that it doesn't know and silently ignores a
//! second one, so that a slip of the pen would show when a feature is missed.
//!
//! The data is omnibus-gitlab's, read at some versions: between two of them a key may have come or gone at any release,
//! and is taken for known.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use super::super::suggest::nearest;
use crate::spec::GitlabVersion;

const DATA: &str = include_str!("gitlab-rb-keys.txt");

/// x.y of a version.
type Minor = (u16, u16);

/// How a key stands to a version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// The version has it.
    Known,
    /// No version that was read has it.
    Unknown {
        /// What may be meant.
        meant: Option<String>,
    },
    /// It came later.
    Later {
        /// The first version that was seen to have it.
        since: Minor,
    },
    /// It went earlier.
    Gone {
        /// The first version that was seen not to have it.
        since: Minor,
    },
}

/// Names that the package still knows only to stop at them, and since when.
/// Source: omnibus-gitlab 19.3.0, its list of deprecations.
const STOPPED_AT: &[(&str, Minor)] = &[
    ("git_data_dir", (18, 0)),
    ("git_data_dirs", (18, 0)),
    ("mattermost", (19, 0)),
    ("mattermost_external_url", (19, 0)),
    ("mattermost_nginx", (19, 0)),
    ("repmgr", (18, 0)),
    ("repmgrd", (18, 0)),
    ("spamcheck", (19, 0)),
    ("unicorn", (18, 0)),
];

/// What to write instead of a name that is gone, by how its way begins.
const INSTEAD: &[(&str, &str)] = &[
    ("git_data_dir", "remove it: where repositories lie follows from `architecture`"),
    ("mattermost", "remove it: the package no longer contains Mattermost"),
    ("spamcheck", "remove it: the package no longer contains Spamcheck"),
    ("suggested_reviewers", "remove it: the feature is gone"),
    ("unicorn", "write it under `puma`"),
    ("repmgr", "remove it: the package no longer contains repmgr"),
    ("registry_nginx", "write it under `registry: {nginx: {…}}`"),
    ("pages_nginx", "write it under `gitlab_pages: {nginx: {…}}`"),
    ("gitlab_kas_nginx", "write it under `gitlab_kas: {nginx: {…}}`"),
    ("nginx.", "write it under `gitlab_rails: {nginx: {…}}`"),
];

/// What to write instead of a key that is gone.
#[must_use]
pub(super) fn instead(path: &str) -> Option<&'static str> {
    INSTEAD.iter().find(|(start, _)| path.starts_with(start)).map(|(_, instead)| *instead)
}

/// How the first one or two names of a way in gitlab.rb stand to a version.
#[must_use]
pub fn standing(path: &[String], version: GitlabVersion) -> Standing {
    let catalogue = catalogue();
    let Some((name, rest)) = path.split_first() else { return Standing::Known };
    let Some(section) = catalogue.sections.get(name.as_str()) else {
        let known: Vec<&str> = catalogue.sections.keys().copied().collect();
        let meant = nearest(name, &known).map(str::to_owned).or_else(|| catalogue.home_of(name));
        return Standing::Unknown { meant };
    };
    let Some(key) = rest.first() else { return catalogue.section(name, section, version) };
    match section.keys.get(key.as_str()) {
        Some(span) => catalogue.at(*span, version.minor()),
        None if section.keys.is_empty() => Standing::Known,
        None => {
            let known: Vec<&str> = section.keys.keys().copied().collect();
            let meant = nearest(key, &known).map(|key| format!("{name}.{key}"));
            Standing::Unknown { meant: meant.or_else(|| catalogue.home_of(key)) }
        }
    }
}

/// Whether a first name takes a value itself, where all others hold keys.
#[must_use]
pub(super) fn takes_value(name: &str) -> bool {
    name.ends_with("_external_url") || name == "runtime_dir"
}

struct Catalogue {
    read: Vec<Minor>,
    sections: BTreeMap<&'static str, Section>,
}

/// The first and the last version that were seen to have a name, as places in the list of those read.
type Span = (usize, usize);

struct Section {
    span: Span,
    keys: BTreeMap<&'static str, Span>,
}

impl Catalogue {
    fn section(&self, name: &str, section: &Section, version: GitlabVersion) -> Standing {
        match STOPPED_AT.iter().find(|(stopped, _)| *stopped == name) {
            Some((_, since)) if version.minor() >= *since => Standing::Gone { since: *since },
            _ => self.at(section.span, version.minor()),
        }
    }

    fn at(&self, (first, last): Span, minor: Minor) -> Standing {
        let before = first.checked_sub(1).and_then(|before| self.read.get(before));
        if before.is_some_and(|before| minor <= *before) {
            return Standing::Later { since: self.read[first] };
        }
        match self.read.get(last + 1) {
            Some(after) if minor >= *after => Standing::Gone { since: *after },
            _ => Standing::Known,
        }
    }

    /// The way to a key that stands in another section than where it was looked for.
    fn home_of(&self, key: &str) -> Option<String> {
        let mut homes = self.sections.iter().filter(|(_, section)| section.keys.contains_key(key));
        match (homes.next(), homes.next()) {
            (Some((section, _)), None) => Some(format!("{section}.{key}")),
            _ => None,
        }
    }
}

fn catalogue() -> &'static Catalogue {
    static CATALOGUE: OnceLock<Catalogue> = OnceLock::new();
    CATALOGUE.get_or_init(|| parse(DATA))
}

/// Reads the data: a line of versions, then each section with its keys, spans before the names that have one.
fn parse(text: &'static str) -> Catalogue {
    let mut catalogue = Catalogue { read: Vec::new(), sections: BTreeMap::new() };
    let mut section = "";
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        if let Some(versions) = line.strip_prefix("versions ") {
            catalogue.read = versions.split(' ').filter_map(minor).collect();
        } else if let Some(head) = line.strip_prefix('[') {
            let (name, span) = head.split_once(']').unwrap_or((head, ""));
            section = name;
            let span = catalogue.span(span.trim());
            catalogue.sections.insert(name, Section { span, keys: BTreeMap::new() });
        } else {
            let (span, names) = line.split_once(": ").unwrap_or(("", line));
            let span = catalogue.span(span.trim());
            if let Some(section) = catalogue.sections.get_mut(section) {
                section.keys.extend(names.split_whitespace().map(|name| (name, span)));
            }
        }
    }
    catalogue
}

impl Catalogue {
    /// `18.11..19.3` as places in the list of versions; all of them where nothing is said.
    fn span(&self, text: &str) -> Span {
        let place = |text: &str| self.read.iter().position(|read| Some(*read) == minor(text));
        let ends = text.split_once("..").and_then(|(first, last)| Some((place(first)?, place(last)?)));
        ends.unwrap_or((0, self.read.len().saturating_sub(1)))
    }
}

fn minor(text: &str) -> Option<Minor> {
    let (major, minor) = text.split_once('.')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::{Standing, catalogue, standing};
    use crate::spec::GitlabVersion;

    fn of(path: &str, version: &str) -> Standing {
        let path: Vec<String> = path.split('.').map(str::to_owned).collect();
        standing(&path, version.parse::<GitlabVersion>().expect("a version"))
    }

    #[test]
    fn the_data_is_read_whole() {
        let keys: usize = catalogue().sections.values().map(|section| section.keys.len()).sum();
        assert!(catalogue().sections.len() > 80 && keys > 1_700, "{} {keys}", catalogue().sections.len());
        assert_eq!(catalogue().read.last(), Some(&GitlabVersion::KNOWN_TO));
    }

    #[test]
    fn keys_follow_the_version() {
        assert_eq!(of("gitlab_rails.smtp_enable", "18.5.2"), Standing::Known);
        assert_eq!(of("gitlab_rails.nginx", "19.1.0"), Standing::Later { since: (19, 2) });
        assert_eq!(of("gitlab_rails.nginx", "19.2.1"), Standing::Known);
        assert_eq!(of("nginx.client_max_body_size", "18.11.2"), Standing::Known);
        assert_eq!(of("nginx.client_max_body_size", "19.3.0"), Standing::Gone { since: (19, 3) });
        assert_eq!(of("mattermost", "18.11.2"), Standing::Known);
        assert_eq!(of("mattermost", "19.0.2"), Standing::Gone { since: (19, 0) });
        assert_eq!(of("gitlab_rails.smtp_enable", "19.9.0"), Standing::Known);
        // Between two versions that were read, nobody knows when it came.
        assert_eq!(of("redis.backend", "18.5.2"), Standing::Later { since: (18, 11) });
        assert_eq!(of("redis.backend", "18.9.0"), Standing::Known);
    }

    #[test]
    fn what_is_misspelt_or_misplaced_is_recognised() {
        let meant = |meant: &str| Standing::Unknown { meant: Some(meant.to_owned()) };
        assert_eq!(of("gitlab_rails.smtp_enabel", "18.11.2"), meant("gitlab_rails.smtp_enable"));
        assert_eq!(of("gitlab_rail", "18.11.2"), meant("gitlab_rails"));
        assert_eq!(of("puma.smtp_enable", "18.11.2"), meant("gitlab_rails.smtp_enable"));
        assert_eq!(of("smtp_enable", "18.11.2"), meant("gitlab_rails.smtp_enable"));
        assert_eq!(of("gitlab_rails.colour_of_the_sky", "18.11.2"), Standing::Unknown { meant: None });
    }
}
