//! The group inside which a verification makes, uses and removes things.

use std::fmt;
use std::str::FromStr;

/// The group that is made for it where nobody named another.
const OWN: &str = "refarch-verify";

/// A group's full path, and whose it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum GroupName {
    /// refarch's own: made when it is missing, and kept.
    #[default]
    Own,
    /// One that exists already.
    Existing(String),
}

impl GroupName {
    /// The full path.
    #[must_use]
    pub fn path(&self) -> &str {
        match self {
            Self::Own => OWN,
            Self::Existing(path) => path,
        }
    }
}

impl fmt::Display for GroupName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.path())
    }
}

/// A word that can't be the path of a group.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no path of a group; write it as in the group's URL, such as `team/probes`")]
pub struct NoGroupName(String);

impl FromStr for GroupName {
    type Err = NoGroupName;

    /// Takes letters, digits, `_`, `-` and `.` between slashes, and begins none with `-` or `.`.
    fn from_str(word: &str) -> Result<Self, Self::Err> {
        let segment = |segment: &str| {
            !segment.is_empty()
                && !segment.starts_with(['-', '.'])
                && segment.chars().all(|letter| letter.is_ascii_alphanumeric() || "_-.".contains(letter))
        };
        if !word.split('/').all(segment) {
            return Err(NoGroupName(word.to_owned()));
        }
        Ok(if word == OWN { Self::Own } else { Self::Existing(word.to_owned()) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_taken_and_nothing_else() {
        assert_eq!("refarch-verify".parse(), Ok(GroupName::Own));
        assert_eq!("team/probes_1.x".parse::<GroupName>().unwrap().path(), "team/probes_1.x");
        for word in ["", "/", "a//b", "a/", "-a", ".a", "a b", "a?b", "https://x"] {
            assert!(word.parse::<GroupName>().is_err(), "{word:?} was taken");
        }
    }
}
