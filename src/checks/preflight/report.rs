//! What all findings of a preflight together say.

use std::time::Duration;

use jiff::Timestamp;

use super::catalogue::Check;
use crate::checks::question::{Miss, Question};
use crate::events::{Finding, Status};

/// What a preflight came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Nothing that was asked stands in the way.
    Pass,
    /// Something does.
    Fail,
}

/// A check that the user leaves out, and his reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiver {
    /// Which.
    pub check: Check,
    /// Why.
    pub because: String,
}

/// Whether a check is to be asked: one that is left out is not.
#[must_use]
pub fn wants(waived: &[Waiver], check: Check) -> bool {
    waived.iter().all(|waiver| waiver.check != check)
}

/// The findings of one preflight, and what they come to.
#[derive(Clone, Debug)]
pub struct Report {
    /// The deployment's name.
    pub deployment: String,
    /// Where people will find it.
    pub url: String,
    /// Its architecture.
    pub architecture: String,
    /// Who makes its nodes.
    pub provider: String,
    /// How many nodes it has.
    pub nodes: usize,
    /// What was left out, and why.
    pub waived: Vec<Waiver>,
    /// When it began.
    pub started: Timestamp,
    /// How long it took.
    pub duration: Duration,
    /// All findings, in the order of [`Check::ALL`].
    pub findings: Vec<Finding>,
}

impl Report {
    /// What the findings come to.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        let failed = self.findings.iter().any(|finding| finding.status == Status::Fail);
        if failed { Outcome::Fail } else { Outcome::Pass }
    }

    /// Takes in what was found, without what was left out; that is said in its place.
    pub fn take_in(&mut self, findings: impl IntoIterator<Item = Finding>) {
        let waived = |finding: &Finding| self.waived.iter().any(|it| it.check.name() == finding.check);
        let found: Vec<Finding> = findings.into_iter().filter(|finding| !waived(finding)).collect();
        self.findings.extend(found);
        self.findings.sort_by_key(|finding| (finding.check.parse::<Check>().ok(), finding.node.clone()));
    }

    /// Says of each check that was left out that it was, and why.
    pub fn tell_waivers(&mut self) {
        let told = |waiver: &Waiver| {
            let asked = format!("`--skip {}`", waiver.check);
            let miss = Miss::skip(
                format!("left out, because {}", waiver.because),
                "leave `--skip` away to have it asked",
            );
            Question::new(waiver.check, asked, "to be asked").answer(Err(miss))
        };
        self.findings.extend(self.waived.iter().map(told));
        self.take_in([]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report() -> Report {
        Report {
            deployment: "acme".into(),
            url: "https://gitlab.acme.example".into(),
            architecture: "3k".into(),
            provider: "lab".into(),
            nodes: 29,
            waived: Vec::new(),
            started: Timestamp::UNIX_EPOCH,
            duration: Duration::from_millis(2345),
            findings: Vec::new(),
        }
    }

    fn found(check: Check, miss: Miss) -> Finding {
        Question::new(check, "this", "that").answer(Err(miss))
    }

    #[test]
    fn one_failure_fails_it_and_a_warning_or_a_skip_does_not() {
        let mut report = report();
        report.take_in([found(Check::Dns, Miss::warn("no", "do")), found(Check::Room, Miss::skip("x", "y"))]);
        assert_eq!(report.outcome(), Outcome::Pass);
        assert_eq!(report.findings[0].check, "room", "in the catalogue's order");
        report.take_in([found(Check::Package, Miss::fail("no", "do"))]);
        assert_eq!(report.outcome(), Outcome::Fail);
    }

    #[test]
    fn what_is_left_out_is_said_with_its_reason_and_never_counts() {
        let waived = vec![Waiver { check: Check::Dns, because: "the record comes on Monday".into() }];
        let mut report = Report { waived, ..report() };
        report.take_in([found(Check::Dns, Miss::fail("no", "do"))]);
        report.tell_waivers();
        let [finding] = report.findings.as_slice() else { panic!("{:?}", report.findings) };
        assert_eq!(finding.status, Status::Skip);
        assert_eq!(finding.saw, "left out, because the record comes on Monday");
        assert_eq!(report.outcome(), Outcome::Pass);
    }
}
