//! Why a value of a spec was refused, before anyone knows where in the file it stands.

use std::fmt;

use super::rule::Rule;

/// A value that can't be used: which rule it breaks, what is wrong and what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The rule that it breaks.
    pub rule: &'static Rule,
    /// What is wrong, as a lowercase fragment.
    pub message: String,
    /// What to do, in the imperative.
    pub help: String,
}

impl Refusal {
    pub(super) fn new(rule: &'static Rule, message: impl Into<String>, help: impl Into<String>) -> Self {
        Self { rule, message: message.into(), help: help.into() }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Refusal {}
