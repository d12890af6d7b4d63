//! What an interrupt does to a child: a property of the tool, as data.

use std::time::Duration;

use nix::sys::signal::Signal;

/// How a tool is made to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cancel {
    /// One SIGINT to the leader, then wait for as long as it takes: Terraform finishes what it is making and
    /// records it. A second SIGINT would make it forget real resources, so only a third interrupt sends it.
    FinishFirst,
    /// SIGINT to the leader, a minute of patience, then the group: Ansible ends cleanly on SIGINT only.
    Interrupt,
    /// SIGTERM to the group, ten seconds, then SIGKILL.
    Terminate,
}

/// A signal, and who gets it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Leader(Signal),
    Group(Signal),
}

/// What follows from the nth interrupt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Response {
    /// Sent at once.
    pub now: Option<Step>,
    /// Sent if the child still runs so much later, counted from this interrupt; replaces earlier plans.
    pub later: Option<Vec<(Duration, Step)>>,
    /// What the user should know about a further interrupt.
    pub next: &'static str,
}

const SOON: Duration = Duration::from_secs(10);
const PATIENT: Duration = Duration::from_mins(1);
/// Ansible can lose an interrupt, as amid starting a worker (measured), so it gets some more meanwhile.
const AGAIN: [Duration; 2] = [Duration::from_secs(20), Duration::from_secs(40)];

impl Cancel {
    pub(super) fn respond(self, nth: u8) -> Response {
        use Signal::{SIGINT, SIGKILL, SIGTERM};
        use Step::{Group, Leader};
        match (self, nth) {
            (Self::FinishFirst, 0 | 1) => Response {
                now: Some(Leader(SIGINT)),
                later: None,
                next: "it finishes what it is making and records it; a further Ctrl-C stops nothing, it only says what would be lost",
            },
            (Self::FinishFirst, 2) => Response {
                now: None,
                later: None,
                next: "a third Ctrl-C stops it at once: what it is making now would exist and be recorded nowhere",
            },
            (Self::FinishFirst, 3) => Response {
                now: Some(Leader(SIGINT)),
                later: Some(vec![(SOON, Group(SIGKILL))]),
                next: "it is killed in 10 s",
            },
            (Self::Interrupt, 0 | 1) => Response {
                now: Some(Leader(SIGINT)),
                later: Some(vec![
                    (AGAIN[0], Leader(SIGINT)),
                    (AGAIN[1], Leader(SIGINT)),
                    (PATIENT, Group(SIGTERM)),
                    (PATIENT + SOON, Group(SIGKILL)),
                ]),
                next: "it is stopped in 60 s, or by a third Ctrl-C",
            },
            (Self::Interrupt | Self::Terminate, 2) => {
                Response { now: None, later: None, next: "a third Ctrl-C stops it at once" }
            }
            (Self::Interrupt, 3) | (Self::Terminate, 0 | 1) => Response {
                now: Some(Group(SIGTERM)),
                later: Some(vec![(SOON, Group(SIGKILL))]),
                next: "it is killed in 10 s",
            },
            (Self::Terminate, 3) | (_, 4..) => {
                Response { now: Some(Group(SIGKILL)), later: None, next: "it was killed" }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terraform_gets_one_interrupt_and_all_the_time_it_needs() {
        let first = Cancel::FinishFirst.respond(1);
        assert_eq!((first.now, first.later), (Some(Step::Leader(Signal::SIGINT)), None));
        let second = Cancel::FinishFirst.respond(2);
        assert_eq!((second.now, second.later), (None, None));
        assert!(second.next.contains("recorded nowhere"));
        let third = Cancel::FinishFirst.respond(3);
        assert_eq!(third.now, Some(Step::Leader(Signal::SIGINT)));
        assert_eq!(third.later, Some(vec![(SOON, Step::Group(Signal::SIGKILL))]));
    }

    #[test]
    fn ansible_gets_an_interrupt_and_a_minute() {
        let first = Cancel::Interrupt.respond(1);
        assert_eq!(first.now, Some(Step::Leader(Signal::SIGINT)));
        let later = first.later.unwrap();
        assert!(later[..2].iter().all(|(_, step)| *step == Step::Leader(Signal::SIGINT)));
        assert_eq!(later[2], (PATIENT, Step::Group(Signal::SIGTERM)));
    }

    #[test]
    fn others_are_terminated_and_then_killed() {
        let first = Cancel::Terminate.respond(1);
        assert_eq!(first.now, Some(Step::Group(Signal::SIGTERM)));
        assert_eq!(first.later, Some(vec![(SOON, Step::Group(Signal::SIGKILL))]));
        assert_eq!(Cancel::Terminate.respond(9).now, Some(Step::Group(Signal::SIGKILL)));
    }
}
