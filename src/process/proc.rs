//! Which process is meant, beyond doubt: a pid comes back, a pid with its start time does not.

use crate::events::Child;

/// When the kernel started a process, in clock ticks since boot.
#[must_use]
pub fn start_ticks(pid: u32) -> Option<u64> {
    stat(pid).map(|(_, ticks)| ticks)
}

/// Whether this very process still runs; one that has ended and was not reaped yet doesn't.
#[must_use]
pub fn is_running(child: &Child) -> bool {
    stat(child.pid).is_some_and(|(state, ticks)| ticks == child.start_ticks && !matches!(state, 'Z' | 'X'))
}

fn stat(pid: u32) -> Option<(char, u64)> {
    parse(&fs_err::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

/// The name in parentheses may hold anything, parentheses and spaces included.
fn parse(stat: &str) -> Option<(char, u64)> {
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    let state = fields.next()?.chars().next()?;
    // The start time is field 22, and the state, which was just taken, is field 3.
    Some((state, fields.nth(18)?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;

    #[test]
    fn reads_the_line_of_a_process_with_a_spiteful_name() {
        let line = "42 (a) S 1) R 1 42 42 0 -1 4 1 0 0 0 5 6 0 0 20 0 1 0 987654 1 2";
        assert_eq!(parse(line), Some(('R', 987_654)));
        assert_eq!(parse("nonsense"), None);
    }

    #[test]
    fn knows_this_process_but_not_one_of_the_same_number() {
        let pid = std::process::id();
        let start_ticks = start_ticks(pid).unwrap();
        let child = Child { tool: "test".into(), pid, start_ticks, since: Timestamp::UNIX_EPOCH };
        assert!(is_running(&child));
        assert!(!is_running(&Child { start_ticks: start_ticks + 1, ..child }));
    }
}
