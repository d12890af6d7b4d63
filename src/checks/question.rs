//! One question: how long it may take, and how its answer becomes a finding.

use std::time::Duration;

use miette::Diagnostic;
use tokio::time::Instant;

use super::catalogue::Check;
use super::preflight;
use crate::events::{Finding, Status};
use crate::instance::{Limits, pauses};

/// How long a check may take, and how long one of its attempts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// The whole check, with all its attempts.
    pub deadline: Duration,
    /// One attempt.
    pub attempt: Duration,
}

impl Patience {
    /// The same with more time for a check that waits for work in the background.
    #[must_use]
    pub(super) fn times(self, times: u32) -> Self {
        Self { deadline: self.deadline * times, ..self }
    }
}

impl Default for Patience {
    fn default() -> Self {
        Self { deadline: Duration::from_secs(30), attempt: Duration::from_secs(10) }
    }
}

/// Whose question it is, of whichever catalogue.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asker {
    name: &'static str,
    why: &'static str,
}

impl From<Check> for Asker {
    fn from(check: Check) -> Self {
        Self { name: check.name(), why: check.why() }
    }
}

impl From<preflight::Check> for Asker {
    fn from(check: preflight::Check) -> Self {
        Self { name: check.name(), why: check.why() }
    }
}

/// A question that was asked and has no answer yet.
#[derive(Debug)]
pub(crate) struct Question {
    asker: Asker,
    node: Option<String>,
    asked: String,
    wanted: String,
    began: Instant,
}

/// An answer that is no pass.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Miss {
    pub(super) status: Status,
    pub(super) saw: String,
    pub(super) remedy: String,
    pub(super) passing: bool,
}

impl Miss {
    pub(crate) fn fail(saw: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { status: Status::Fail, saw: saw.into(), remedy: remedy.into(), passing: false }
    }

    pub(crate) fn warn(saw: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { status: Status::Warn, ..Self::fail(saw, remedy) }
    }

    pub(crate) fn skip(reason: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { status: Status::Skip, ..Self::fail(reason, remedy) }
    }

    /// An error as the answer that something is wrong, with its own help.
    pub(crate) fn of_error(error: &(dyn Diagnostic + 'static)) -> Self {
        let help = error.help().map(|help| help.to_string());
        Self::fail(error.to_string(), help.unwrap_or_default())
    }

    /// Says whether asking again a little later may give another answer.
    pub(super) fn passing(self, passing: bool) -> Self {
        Self { passing, ..self }
    }
}

impl Question {
    pub(crate) fn new(check: impl Into<Asker>, asked: impl Into<String>, wanted: impl Into<String>) -> Self {
        Self {
            asker: check.into(),
            node: None,
            asked: asked.into(),
            wanted: wanted.into(),
            began: Instant::now(),
        }
    }

    pub(crate) fn on(self, node: &str) -> Self {
        Self { node: Some(node.to_owned()), ..self }
    }

    /// The finding that no attempt was needed for.
    pub(crate) fn answer(self, answer: Result<String, Miss>) -> Finding {
        let (status, saw, remedy) = match answer {
            Ok(saw) => (Status::Pass, saw, None),
            // An error may know no help.
            Err(miss) => (miss.status, miss.saw, Some(miss.remedy).filter(|remedy| !remedy.is_empty())),
        };
        Finding {
            check: self.asker.name.to_owned(),
            status,
            asked: self.asked,
            saw,
            wanted: self.wanted,
            why: self.asker.why.to_owned(),
            remedy,
            node: self.node,
            duration: self.began.elapsed(),
        }
    }

    /// Leaves the question unasked because the answer of another one makes it meaningless.
    pub(super) fn blocked(self, by: Check) -> Finding {
        let remedy = format!("see `{by}`; this check asks once that one passes");
        self.answer(Err(Miss::skip(format!("not asked, because `{by}` did not pass"), remedy)))
    }

    /// Does work of several steps, once. The steps are told until when; each says for itself what went wrong.
    pub(super) async fn work<T>(
        self,
        patience: Patience,
        work: impl AsyncFnOnce(Limits) -> Result<(String, T), Miss>,
    ) -> (Finding, Option<T>) {
        let end = self.began + patience.deadline;
        let limits = Limits { attempt: patience.attempt, end };
        // A step ends by itself at the end, and what it then says is worth more than that the time is over.
        match tokio::time::timeout_at(end + patience.attempt / 4, work(limits)).await {
            Ok(Ok((saw, seen))) => (self.answer(Ok(saw)), Some(seen)),
            Ok(Err(miss)) => (self.answer(Err(miss)), None),
            Err(_) => (self.answer(Err(unanswered(patience))), None),
        }
    }

    /// Asks until the answer is final or the deadline comes near. An attempt is told how long it may take.
    pub(super) async fn settle<T>(
        self,
        patience: Patience,
        attempt: impl AsyncFn(Duration) -> Result<(String, T), Miss>,
    ) -> (Finding, Option<T>) {
        let end = self.began + patience.deadline;
        let mut delays = pauses();
        let mut before = None;
        loop {
            let limit = patience.attempt.min(end.saturating_duration_since(Instant::now()));
            let miss = match tokio::time::timeout_at(end, attempt(limit)).await {
                Ok(Ok((saw, seen))) => return (self.answer(Ok(saw)), Some(seen)),
                Ok(Err(miss)) => miss,
                // What was seen before says more than that the time is over.
                Err(_) => return (self.answer(Err(before.unwrap_or_else(|| unanswered(patience)))), None),
            };
            let delay = delays.next().unwrap_or_default();
            // An attempt that is given next to no time would only replace the true reason by its own haste.
            let worth_it = Instant::now() + delay + patience.attempt / 4 < end;
            if !(miss.passing && worth_it) {
                return (self.answer(Err(miss)), None);
            }
            before = Some(miss);
            tokio::time::sleep(delay).await;
        }
    }
}

fn unanswered(patience: Patience) -> Miss {
    let reason = format!("the check had no answer within its {} s", patience.deadline.as_secs());
    Miss::skip(reason, "ask again with `refarch verify`; if it stays so, ask by hand what was asked here")
}

#[cfg(test)]
pub(super) mod tests {
    use std::cell::Cell;

    use super::*;

    /// Long enough for loopback on a machine that is busy, short enough for a test of what never answers.
    pub(in crate::checks) const IMPATIENT: Patience =
        Patience { deadline: Duration::from_secs(2), attempt: Duration::from_secs(1) };

    fn question() -> Question {
        Question::new(Check::Tcp, "asked", "wanted").on("acme-rails-1")
    }

    #[tokio::test(start_paused = true)]
    async fn a_passing_state_is_asked_again_until_it_settles() {
        let asked = Cell::new(0);
        let attempt = async |_| {
            asked.set(asked.get() + 1);
            if asked.get() < 4 {
                Err(Miss::fail("starting", "wait").passing(true))
            } else {
                Ok(("up".into(), 7))
            }
        };
        let (finding, seen) = question().settle(Patience::default(), attempt).await;
        assert_eq!((finding.status, finding.saw.as_str(), seen), (Status::Pass, "up", Some(7)));
        assert_eq!(asked.get(), 4);
        assert_eq!(finding.node.as_deref(), Some("acme-rails-1"));
    }

    #[tokio::test(start_paused = true)]
    async fn the_last_answer_stands_when_it_never_settles() {
        let attempt = async |_| Err::<(String, ()), _>(Miss::fail("starting", "wait").passing(true));
        let (finding, _) = question().settle(Patience::default(), attempt).await;
        assert_eq!((finding.status, finding.saw.as_str()), (Status::Fail, "starting"));
        assert!(finding.duration <= Patience::default().deadline);
    }

    #[tokio::test(start_paused = true)]
    async fn a_final_answer_is_not_asked_again() {
        let asked = Cell::new(0);
        let attempt = async |_| {
            asked.set(asked.get() + 1);
            Err::<(String, ()), _>(Miss::skip("reason", "remedy"))
        };
        let (finding, seen) = question().settle(Patience::default(), attempt).await;
        assert_eq!((finding.status, asked.get(), seen), (Status::Skip, 1, None));
    }

    #[tokio::test(start_paused = true)]
    async fn what_hangs_is_a_skip_at_the_deadline() {
        let attempt = async |_| std::future::pending::<Result<(String, ()), Miss>>().await;
        let (finding, _) = question().settle(Patience::default(), attempt).await;
        assert_eq!((finding.status, finding.duration), (Status::Skip, Patience::default().deadline));
    }
}
