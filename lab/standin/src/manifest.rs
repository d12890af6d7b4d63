//! Which version of the package is installed: read from the version manifest, so that one binary serves
//! every version that the package is built for.

use std::fmt;
use std::path::Path;

use crate::paths;

/// A GitLab version, such as 18.11.2.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    /// Major.
    pub major: u32,
    /// Minor.
    pub minor: u32,
    /// Patch.
    pub patch: u32,
}

impl Version {
    /// A version from its three numbers.
    #[must_use]
    pub const fn new(major: u32, minor: u32, patch: u32) -> Self {
        Self { major, minor, patch }
    }

    /// Reads `x.y.z`, with or without the package's suffix (`-ee.0`).
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let plain = text.split_once('-').map_or(text, |(version, _)| version);
        let mut numbers = plain.split('.').map(str::parse::<u32>);
        let version = Self::new(numbers.next()?.ok()?, numbers.next()?.ok()?, numbers.next()?.ok()?);
        numbers.next().is_none().then_some(version)
    }

    /// Whether this version is of the given minor release or a later one.
    #[must_use]
    pub const fn at_least(self, major: u32, minor: u32) -> bool {
        self.major > major || (self.major == major && self.minor >= minor)
    }
}

impl fmt::Display for Version {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

/// Why the version can't be told.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The manifest is missing or unreadable.
    #[error("cannot read `{path}`: {source}")]
    Read {
        /// The manifest.
        path: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// The manifest is not what the package ships.
    #[error("`{path}` holds no version; install the package again")]
    Content {
        /// The manifest.
        path: String,
    },
}

/// The installed version.
pub fn version() -> Result<Version, Error> {
    version_in(Path::new(paths::MANIFEST))
}

fn version_in(path: &Path) -> Result<Version, Error> {
    let shown = path.display().to_string();
    let text = std::fs::read_to_string(path).map_err(|source| Error::Read { path: shown.clone(), source })?;
    serde_json::from_str::<serde_json::Value>(&text)
        .ok()
        .and_then(|manifest| Version::parse(manifest.get("build_version")?.as_str()?))
        .ok_or(Error::Content { path: shown })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_versions_of_packages() {
        assert_eq!(Version::parse("18.11.2-ee.0"), Some(Version::new(18, 11, 2)));
        assert_eq!(Version::parse("19.3.0"), Some(Version::new(19, 3, 0)));
        assert_eq!(Version::parse("19.3"), None);
        assert_eq!(Version::parse("19.3.0.1"), None);
    }

    #[test]
    fn compares_by_release() {
        assert!(Version::new(18, 11, 2).at_least(18, 4));
        assert!(!Version::new(18, 11, 2).at_least(19, 2));
        assert!(Version::new(19, 2, 0).at_least(19, 2));
    }
}
