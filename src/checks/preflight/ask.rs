//! How an answer becomes a finding.

use std::time::Duration;

use super::catalogue::Check;
use crate::checks::question::Miss;
use crate::events::{Finding, Status};

/// What came back: what was seen, and what to do where that is not what was wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    status: Status,
    saw: String,
    remedy: Option<String>,
}

impl Answer {
    /// What was seen is what was wanted.
    pub fn pass(saw: impl Into<String>) -> Self {
        Self { status: Status::Pass, saw: saw.into(), remedy: None }
    }

    /// It deserves attention, and stops nothing.
    pub fn warn(saw: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { status: Status::Warn, saw: saw.into(), remedy: Some(remedy.into()) }
    }

    /// With this, what follows would fail.
    pub fn fail(saw: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { status: Status::Fail, saw: saw.into(), remedy: Some(remedy.into()) }
    }

    /// It could not be looked at.
    pub fn skip(reason: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { status: Status::Skip, saw: reason.into(), remedy: Some(remedy.into()) }
    }

    /// An error as the answer that something is wrong, with its own help.
    pub fn of_error(error: &(dyn miette::Diagnostic + 'static)) -> Self {
        let help = miette::Diagnostic::help(error).map(|help| help.to_string());
        Self { status: Status::Fail, saw: error.to_string(), remedy: help }
    }
}

impl From<Miss> for Answer {
    fn from(miss: Miss) -> Self {
        Self { status: miss.status, saw: miss.saw, remedy: Some(miss.remedy) }
    }
}

/// A question, with what would be the right answer.
#[derive(Clone, Debug)]
pub struct Asked {
    check: Check,
    node: Option<String>,
    of: String,
    wanted: String,
    took: Duration,
}

impl Asked {
    /// A question of a check.
    pub fn new(check: Check, asked: impl Into<String>, wanted: impl Into<String>) -> Self {
        Self { check, node: None, of: asked.into(), wanted: wanted.into(), took: Duration::ZERO }
    }

    /// The same, about a node.
    #[must_use]
    pub fn on(self, node: impl Into<String>) -> Self {
        Self { node: Some(node.into()), ..self }
    }

    /// The same, with how long asking took.
    #[must_use]
    pub fn taking(self, took: Duration) -> Self {
        Self { took, ..self }
    }

    /// The finding that an answer makes of it.
    #[must_use]
    pub fn answer(self, answer: Answer) -> Finding {
        Finding {
            check: self.check.name().to_owned(),
            status: answer.status,
            asked: self.of,
            saw: answer.saw,
            wanted: self.wanted,
            why: self.check.why().to_owned(),
            remedy: answer.remedy,
            node: self.node,
            duration: self.took,
        }
    }
}
