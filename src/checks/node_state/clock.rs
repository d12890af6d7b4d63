//! Does the node's clock stand right?

use super::NodeFacts;
use crate::checks::question::Miss;

/// A clock that somebody keeps right is never off by so much, so nobody does.
const WARN_ABOVE_S: f64 = 1.0;
/// Beyond this Gitaly refuses what Rails signs, and one-time passwords don't fit any more: tokens between the services
/// carry their time, and a code of two-factor authentication lasts 30 s.
const FAIL_ABOVE_S: f64 = 30.0;
/// An answer that took longer tells too little of the moment at which the clock was read.
const TOO_VAGUE_S: f64 = 10.0;

/// How a node's clock stands against this machine's.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Offset {
    /// By how many seconds it is ahead; behind, if negative.
    pub seconds: f64,
    /// By how many seconds that may be wrong: half of what asking took.
    pub uncertainty_s: f64,
}

impl Offset {
    /// The offset of a clock that told `epoch_s`, seconds since 1970, at some moment between two of this machine's.
    #[must_use]
    pub fn read(epoch_s: f64, from: jiff::Timestamp, until: jiff::Timestamp) -> Self {
        let width = until.duration_since(from).as_secs_f64();
        let middle = from.as_duration().as_secs_f64() + width / 2.0;
        Self { seconds: epoch_s - middle, uncertainty_s: width / 2.0 }
    }
}

pub(super) fn wanted() -> String {
    format!("at most {WARN_ABOVE_S} s off this machine's clock, and kept right")
}

pub(super) fn judge(facts: &NodeFacts) -> Result<String, Miss> {
    let Offset { seconds, uncertainty_s } = facts.offset;
    if uncertainty_s > TOO_VAGUE_S {
        let saw =
            format!("the node took {:.0} s to tell its time, too long to compare it", uncertainty_s * 2.0);
        return Err(Miss::skip(saw, "compare `date -u` on the node and here by hand"));
    }
    let direction = if seconds < 0.0 { "behind" } else { "ahead" };
    let apart = format!("{:.1} s {direction} (± {uncertainty_s:.1} s)", seconds.abs());
    let kept = match facts.state.clock.synchronized {
        _ if facts.shares_clock => "this machine's own clock",
        Some(true) => "kept right",
        Some(false) => "kept right by nobody",
        None => "the node doesn't tell whether it is kept right",
    };
    let saw = format!("{apart}, {kept}");
    let remedy = "let chrony or systemd-timesyncd keep the node's clock (`timedatectl` on the node); where all nodes are off alike, see to this machine's";
    // What asking may have added is taken in the node's favour.
    let surely = (seconds.abs() - uncertainty_s).max(0.0);
    if surely > FAIL_ABOVE_S {
        return Err(Miss::fail(saw, remedy));
    }
    let drifts = facts.state.clock.synchronized == Some(false) && !facts.shares_clock;
    if surely > WARN_ABOVE_S || drifts {
        return Err(Miss::warn(saw, remedy));
    }
    Ok(saw)
}

#[cfg(test)]
mod tests {
    use super::super::tests::facts;
    use super::*;
    use crate::events::Status;

    fn off_by(seconds: f64, uncertainty_s: f64) -> Result<String, Miss> {
        judge(&NodeFacts { offset: Offset { seconds, uncertainty_s }, ..facts() })
    }

    #[test]
    fn the_middle_of_asking_is_the_moment() {
        let (from, until) =
            ("2026-11-23T12:00:00Z".parse().unwrap(), "2026-11-23T12:00:01Z".parse().unwrap());
        let offset = Offset::read(1_795_435_205.5, from, until);
        assert!((offset.seconds - 5.0).abs() < 1e-3, "{offset:?}");
        assert!((offset.uncertainty_s - 0.5).abs() < 1e-3, "{offset:?}");
    }

    #[test]
    fn passes_when_it_stands_right() {
        assert_eq!(off_by(-0.1, 0.4).unwrap(), "0.1 s behind (± 0.4 s), kept right");
        assert!(off_by(1.3, 0.4).is_ok(), "asking may have taken the difference");
    }

    #[test]
    fn warns_and_fails_by_how_far_it_is_off() {
        assert_eq!(off_by(1.5, 0.4).unwrap_err().status, Status::Warn);
        assert_eq!(off_by(-30.2, 0.4).unwrap_err().status, Status::Warn);
        let miss = off_by(-31.0, 0.4).unwrap_err();
        assert_eq!((miss.status, miss.saw.as_str()), (Status::Fail, "31.0 s behind (± 0.4 s), kept right"));
    }

    #[test]
    fn warns_when_nobody_keeps_it_unless_it_is_this_machines() {
        let mut facts = facts();
        facts.state.clock.synchronized = Some(false);
        assert_eq!(judge(&facts).unwrap_err().status, Status::Warn);
        facts.shares_clock = true;
        assert_eq!(judge(&facts).unwrap(), "0.1 s ahead (± 0.4 s), this machine's own clock");
    }

    #[test]
    fn skips_when_the_answer_took_too_long() {
        assert_eq!(off_by(0.0, 11.0).unwrap_err().status, Status::Skip);
    }
}
