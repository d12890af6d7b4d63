//! What all findings together say.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::Timestamp;

use super::catalogue::Check;
use super::level::Level;
use super::preflight::Waiver;
use crate::events::{Finding, Status};

/// What a verification came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// No check failed, and every level was looked at.
    Pass,
    /// A check failed.
    Fail,
    /// No check failed, but of some level not one could look; that proves nothing.
    Unproven,
}

/// How many checks ended how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Saw what they wanted.
    pub pass: usize,
    /// Saw something that deserves attention.
    pub warn: usize,
    /// Saw something else than they wanted.
    pub fail: usize,
    /// Could not look.
    pub skip: usize,
}

/// The findings of one verification, and what they come to.
#[derive(Clone, Debug)]
pub struct Verdict {
    /// The deployment's name; absent for a GitLab that is known by its URL alone.
    pub deployment: Option<String>,
    /// Where people find it.
    pub url: String,
    /// How deep it was looked.
    pub level: Level,
    /// Whether every check that writes was left out.
    pub read_only: bool,
    /// The only checks that were asked for; absent where all were.
    pub only: Option<BTreeSet<Check>>,
    /// The checks of preflight that this run left out, with the reasons.
    pub waived: Vec<Waiver>,
    /// Whether this is the lab's stand-in, by the spec's word or its own; the word of either is enough.
    pub standin: bool,
    /// When it began.
    pub started: Timestamp,
    /// How long it took.
    pub duration: Duration,
    /// All findings, in the order of [`Check::ALL`].
    pub findings: Vec<Finding>,
}

impl Counts {
    /// How these ended.
    #[must_use]
    pub fn of<'a>(findings: impl IntoIterator<Item = &'a Finding>) -> Self {
        let mut counts = Self::default();
        for finding in findings {
            match finding.status {
                Status::Pass => counts.pass += 1,
                Status::Warn => counts.warn += 1,
                Status::Fail => counts.fail += 1,
                Status::Skip => counts.skip += 1,
            }
        }
        counts
    }
}

impl Verdict {
    /// What the findings come to. A skip never counts as a pass, of a check or of a level.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        if self.findings.iter().any(|finding| finding.status == Status::Fail) {
            return Outcome::Fail;
        }
        if self.unproven().is_empty() { Outcome::Pass } else { Outcome::Unproven }
    }

    /// What the findings of this level and those before it come to, whatever was looked at besides.
    #[must_use]
    pub fn outcome_up_to(&self, level: Level) -> Outcome {
        let within = |finding: &&Finding| level_of(finding).is_none_or(|of| of <= level);
        let findings = self.findings.iter().filter(within).cloned().collect();
        Self { level, findings, ..self.clone() }.outcome()
    }

    /// The levels that were to be looked at and of which no check could.
    #[must_use]
    pub fn unproven(&self) -> Vec<Level> {
        // A warning is no proof of a level, but it is the answer of a check that was asked for by name.
        let answers = |status| status == Status::Pass || (status == Status::Warn && self.only.is_some());
        let looked_at = |level: Level| {
            self.findings.iter().any(|finding| level_of(finding) == Some(level) && answers(finding.status))
        };
        let meant = |level: Level| match &self.only {
            Some(only) => only.iter().any(|check| check.level() == level),
            // What was left out on the way to a deeper level was not meant to be proven.
            None => {
                level <= self.level && !(self.read_only && level == Level::Function && level < self.level)
            }
        };
        Level::ALL.into_iter().filter(|level| meant(*level) && !looked_at(*level)).collect()
    }

    /// Takes in what was found besides, with which the whole took this long.
    pub fn take_in(&mut self, findings: Vec<Finding>, duration: Duration) {
        self.findings.extend(findings);
        self.findings.sort_by_key(|finding| (check_of(finding), finding.node.clone()));
        self.duration = duration;
    }

    /// How many checks ended how.
    #[must_use]
    pub fn counts(&self) -> Counts {
        Counts::of(&self.findings)
    }

    /// The checks that could not look.
    pub fn not_tested(&self) -> impl Iterator<Item = &Finding> {
        self.findings.iter().filter(|finding| finding.status == Status::Skip)
    }

    /// The findings that ask for something to be done, failures first.
    #[must_use]
    pub fn to_do(&self) -> Vec<&Finding> {
        let of = |status| self.findings.iter().filter(move |finding| finding.status == status);
        of(Status::Fail).chain(of(Status::Warn)).collect()
    }
}

fn level_of(finding: &Finding) -> Option<Level> {
    check_of(finding).map(Check::level)
}

fn check_of(finding: &Finding) -> Option<Check> {
    Check::ALL.into_iter().find(|check| check.name() == finding.check)
}

#[cfg(test)]
mod tests {
    use super::super::question::{Miss, Question};
    use super::*;

    fn verdict(level: Level, answers: &[(Check, Status)]) -> Verdict {
        let finding = |(check, status): &(Check, Status)| {
            let question = Question::new(*check, "asked", "wanted");
            question.answer(match status {
                Status::Pass => Ok("saw".into()),
                Status::Warn => Err(Miss::warn("saw", "remedy")),
                Status::Fail => Err(Miss::fail("saw", "remedy")),
                Status::Skip => Err(Miss::skip("saw", "remedy")),
            })
        };
        Verdict {
            deployment: Some("acme".into()),
            url: "https://gitlab.acme.example".into(),
            level,
            read_only: false,
            only: None,
            waived: Vec::new(),
            standin: false,
            started: Timestamp::UNIX_EPOCH,
            duration: Duration::ZERO,
            findings: answers.iter().map(finding).collect(),
        }
    }

    #[test]
    fn one_failure_fails() {
        let answers =
            [(Check::Tcp, Status::Pass), (Check::SignIn, Status::Pass), (Check::Health, Status::Fail)];
        assert_eq!(verdict(Level::Health, &answers).outcome(), Outcome::Fail);
    }

    #[test]
    fn warnings_and_some_skips_pass() {
        let answers = [(Check::Dns, Status::Warn), (Check::Tcp, Status::Pass), (Check::SignIn, Status::Pass)];
        let with_skip = [answers.as_slice(), &[(Check::Size, Status::Skip)]].concat();
        assert_eq!(verdict(Level::Health, &with_skip).outcome(), Outcome::Pass);
    }

    #[test]
    fn skips_never_become_a_pass() {
        let all = Check::ALL.map(|check| (check, Status::Skip));
        assert_eq!(verdict(Level::Health, &all).outcome(), Outcome::Unproven);
        let reach_only = [(Check::Tcp, Status::Pass), (Check::SignIn, Status::Skip)];
        assert_eq!(verdict(Level::Health, &reach_only).outcome(), Outcome::Unproven);
        assert_eq!(verdict(Level::Health, &reach_only).unproven(), [Level::Health]);
        assert_eq!(verdict(Level::Reach, &reach_only).outcome(), Outcome::Pass);
        assert_eq!(verdict(Level::Reach, &[]).outcome(), Outcome::Unproven);
    }

    #[test]
    fn a_level_is_judged_without_the_deeper_ones() {
        let answers = [(Check::Tcp, Status::Pass), (Check::SignIn, Status::Fail)];
        let both = verdict(Level::Health, &answers);
        assert_eq!(both.outcome_up_to(Level::Reach), Outcome::Pass);
        assert_eq!(both.outcome_up_to(Level::Health), Outcome::Fail);
        let reach_only = verdict(Level::Reach, &answers[..1]);
        assert_eq!(reach_only.outcome_up_to(Level::Health), Outcome::Unproven);
    }

    #[test]
    fn what_writes_may_be_left_out_on_the_way_to_a_deeper_level() {
        let answers = Level::ALL.map(|level| {
            let check = Check::ALL.into_iter().find(|check| check.level() == level).unwrap();
            (check, if level == Level::Function { Status::Skip } else { Status::Pass })
        });
        let all = verdict(Level::Conformance, &answers);
        assert_eq!(all.unproven(), [Level::Function]);
        assert_eq!(Verdict { read_only: true, ..all.clone() }.outcome(), Outcome::Pass);
        let no_deeper = Verdict { read_only: true, level: Level::Function, ..all };
        assert_eq!(no_deeper.unproven(), [Level::Function]);
    }

    #[test]
    fn only_what_was_asked_for_has_to_be_proven() {
        let only = |check| Some(BTreeSet::from([check]));
        let page = verdict(Level::Health, &[(Check::SignIn, Status::Pass)]);
        let page = Verdict { only: only(Check::SignIn), ..page };
        assert_eq!(page.outcome(), Outcome::Pass, "level reach was not asked for");
        let warned = verdict(Level::Health, &[(Check::SignIn, Status::Warn)]);
        assert_eq!(warned.outcome(), Outcome::Unproven);
        assert_eq!(Verdict { only: only(Check::SignIn), ..warned }.outcome(), Outcome::Pass);
        let blocked = verdict(Level::Health, &[(Check::SignIn, Status::Skip)]);
        assert_eq!(Verdict { only: only(Check::SignIn), ..blocked }.outcome(), Outcome::Unproven);
    }
}
