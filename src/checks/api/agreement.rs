//! Version, metadata and GraphQL have to say the same, and what the spec says where there is one.

use crate::checks::catalogue::Check;
use crate::checks::question::{Miss, Question};
use crate::checks::target::WantedVersion;
use crate::events::Finding;

/// A question that was asked, and what it saw before that was compared with anything.
pub(super) struct Seen {
    pub(super) question: Question,
    pub(super) answer: Result<Said, Answered>,
}

/// A question that needs no comparing, because it has no answer.
pub(super) enum Answered {
    Miss(Miss),
    Obstructed(super::Obstacle),
}

/// What the instance says of its version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Said {
    pub(super) version: String,
    /// Whether it calls itself the Enterprise Edition besides, where it says so.
    pub(super) enterprise: Option<bool>,
    /// What else is worth telling.
    pub(super) besides: String,
}

/// What the version is compared with.
pub(super) enum Reference {
    Spec(WantedVersion),
    Version(String),
    Unknown,
}

impl Reference {
    /// For the version itself: what the spec says. Where nobody said, any version will do.
    pub(super) fn of_version(wanted: Option<&WantedVersion>, version: Option<&Seen>) -> Self {
        wanted.map_or_else(|| Self::said(version), |wanted| Self::Spec(wanted.clone()))
    }

    /// For what has to agree with the version: a wrong one is told once, by the version itself.
    pub(super) fn of_others(wanted: Option<&WantedVersion>, version: Option<&Seen>) -> Self {
        match (Self::said(version), wanted) {
            (Self::Unknown, Some(wanted)) => Self::Spec(wanted.clone()),
            (said, _) => said,
        }
    }

    fn said(version: Option<&Seen>) -> Self {
        let said = version.and_then(|seen| seen.answer.as_ref().ok());
        said.map_or(Self::Unknown, |said| Self::Version(said.version.clone()))
    }

    pub(super) fn judge(&self, seen: Seen) -> Finding {
        let Seen { question, answer } = seen;
        match answer {
            Ok(said) => match self.compare(&said) {
                Some(judged) => question.answer(judged),
                None => question.blocked(Check::Version),
            },
            Err(Answered::Miss(miss)) => question.answer(Err(miss)),
            Err(Answered::Obstructed(obstacle)) => question.obstructed(&obstacle),
        }
    }

    /// Nothing where there is nothing to compare with.
    fn compare(&self, said: &Said) -> Option<Result<String, Miss>> {
        let Said { version, enterprise, besides } = said;
        let saw = format!("{version}{besides}");
        if enterprise.is_some_and(|enterprise| enterprise != is_enterprise(version)) {
            return Some(Err(Miss::fail(
                format!("{saw}, but `enterprise` says the other edition"),
                "see which package is installed on the nodes: `dpkg -l 'gitlab-*'`",
            )));
        }
        let (same, remedy) = match self {
            Self::Spec(wanted) => (matches(version, wanted), SPEC),
            Self::Version(reference) => (version == reference, DISAGREE),
            Self::Unknown => return None,
        };
        let against = match self {
            Self::Spec(wanted) => format!("not {}", spoken(wanted)),
            Self::Version(reference) => format!("while `version` says {reference}"),
            Self::Unknown => String::new(),
        };
        Some(if same { Ok(saw) } else { Err(Miss::fail(format!("{saw}, {against}"), remedy)) })
    }
}

const SPEC: &str = "compare `gitlab.version` in the spec with `dpkg -l 'gitlab-*'` on the nodes, and finish with `refarch up`";
const DISAGREE: &str = "nodes of different versions answer: finish the upgrade on each, or take the old ones out of the load balancer";

/// GitLab's Enterprise Edition ends its version in `-ee` (docs.gitlab.com, api/version).
fn is_enterprise(version: &str) -> bool {
    version.split_once('-').is_some_and(|(_, edition)| edition.starts_with("ee"))
}

fn matches(version: &str, wanted: &WantedVersion) -> bool {
    version.split('-').next() == Some(&wanted.version) && is_enterprise(version) == wanted.enterprise
}

/// A version as the instance itself would say it.
pub(super) fn spoken(wanted: &WantedVersion) -> String {
    if wanted.enterprise { format!("{}-ee", wanted.version) } else { wanted.version.clone() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(version: &str, enterprise: Option<bool>) -> Said {
        Said { version: version.into(), enterprise, besides: String::new() }
    }

    fn passes(reference: &Reference, said: &Said) -> Option<bool> {
        reference.compare(said).map(|judged| judged.is_ok())
    }

    #[test]
    fn the_version_and_the_edition_are_compared() {
        let wanted = WantedVersion { version: "18.11.2".into(), enterprise: true };
        let spec = Reference::Spec(wanted);
        assert_eq!(passes(&spec, &said("18.11.2-ee", Some(true))), Some(true));
        for other in ["18.11.1-ee", "18.11.20-ee", "18.11.2", "18.11.2-ce"] {
            assert_eq!(passes(&spec, &said(other, None)), Some(false), "{other}");
        }
        assert_eq!(passes(&spec, &said("18.11.2-ee", Some(false))), Some(false));
        let version = Reference::Version("18.11.2".into());
        assert_eq!(passes(&version, &said("18.11.2", Some(false))), Some(true));
        assert_eq!(passes(&version, &said("18.11.1", None)), Some(false));
        assert_eq!(passes(&Reference::Unknown, &said("18.11.2", None)), None);
    }
}
