//! How deep a verification looks.

use std::fmt;
use std::str::FromStr;

use super::catalogue::Check;

/// How deep a verification looks; each level holds the ones before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Level {
    /// The deployment can be reached: DNS, TCP, TLS.
    Reach,
    /// It says of itself that it is healthy.
    #[default]
    Health,
    /// Its API knows who asks, and says which GitLab this is.
    Api,
    /// It does what people use it for: things are made, used and removed.
    Function,
    /// Its nodes see each other as they should.
    Cluster,
    /// What runs is what the architecture says.
    Conformance,
}

impl Level {
    /// All levels, the shallowest first.
    pub const ALL: [Self; 6] =
        [Self::Reach, Self::Health, Self::Api, Self::Function, Self::Cluster, Self::Conformance];

    /// The shallowest level that holds all of these checks; absent where there are none.
    pub fn holding<'a>(checks: impl IntoIterator<Item = &'a Check>) -> Option<Self> {
        checks.into_iter().map(|check| check.level()).max()
    }

    /// Its name on the command line and in reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Reach => "reach",
            Self::Health => "health",
            Self::Api => "api",
            Self::Function => "function",
            Self::Cluster => "cluster",
            Self::Conformance => "conformance",
        }
    }
}

impl fmt::Display for Level {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

/// A word that names no level.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no level; the levels are {levels}", levels = quoted(Level::ALL.map(Level::name)))]
pub struct UnknownLevel(String);

impl FromStr for Level {
    type Err = UnknownLevel;

    fn from_str(word: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|level| level.name() == word).ok_or_else(|| UnknownLevel(word.to_owned()))
    }
}

/// Names, as a message lists them.
pub(super) fn quoted<const N: usize>(names: [&str; N]) -> String {
    names.map(|name| format!("`{name}`")).join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_read_by_name() {
        for level in Level::ALL {
            assert_eq!(level.to_string().parse(), Ok(level));
        }
        let unknown = "apis".parse::<Level>().unwrap_err().to_string();
        assert!(unknown.starts_with("`apis` is no level; the levels are `reach`, `health`"), "{unknown}");
        assert!(Level::Reach < Level::Health);
    }
}
