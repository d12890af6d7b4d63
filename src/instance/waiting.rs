//! How long to wait before a request is tried again.

use std::time::Duration;

use backon::{BackoffBuilder as _, ExponentialBuilder};
use jiff::Timestamp;
use tokio::time::Instant;

/// How long one request may take, with all its attempts.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// One attempt.
    pub attempt: Duration,
    /// When the last one has to be over.
    pub end: Instant,
}

impl Limits {
    /// What is left for one attempt from now on.
    #[must_use]
    pub fn now(&self) -> Duration {
        self.attempt.min(self.end.saturating_duration_since(Instant::now()))
    }

    /// What is left altogether.
    #[must_use]
    pub fn rest(&self) -> Duration {
        self.end.saturating_duration_since(Instant::now())
    }

    /// Waits, if there is time for a worthwhile attempt after that.
    pub async fn wait(&self, pause: Duration) -> bool {
        // An attempt that is given next to no time would only replace the true reason by its own haste.
        let worth_it = Instant::now() + pause + self.attempt / 4 < self.end;
        if worth_it {
            tokio::time::sleep(pause).await;
        }
        worth_it
    }
}

/// Pauses that grow, for whatever has to be asked again.
pub fn pauses() -> impl Iterator<Item = Duration> + Send {
    ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(50))
        .with_max_delay(Duration::from_secs(2))
        .with_factor(1.6)
        .without_max_times()
        .build()
}

/// Reads `Retry-After`: seconds, or a date (RFC 9110, section 10.2.3). A date that has passed means now.
pub(super) fn retry_after(value: &str, now: Timestamp) -> Option<Duration> {
    let value = value.trim();
    if let Ok(seconds) = value.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(value).ok()?;
    Some(Duration::try_from(now.duration_until(date)).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_of_retry_after_are_read() {
        let now: Timestamp = "2026-11-23T10:00:00Z".parse().unwrap();
        let read = |value| retry_after(value, now);
        assert_eq!(read(" 7 "), Some(Duration::from_secs(7)));
        assert_eq!(read("Mon, 23 Nov 2026 10:00:09 GMT"), Some(Duration::from_secs(9)));
        assert_eq!(read("Mon, 23 Nov 2026 09:00:00 GMT"), Some(Duration::ZERO));
        assert_eq!(read("soon"), None);
        assert_eq!(read("-3"), None);
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_is_waited_for_beyond_the_end() {
        let end = Instant::now() + Duration::from_secs(10);
        let limits = Limits { attempt: Duration::from_secs(4), end };
        assert!(limits.wait(Duration::from_secs(8)).await);
        assert_eq!(limits.now(), Duration::from_secs(2));
        assert!(!limits.wait(Duration::from_secs(2)).await);
    }
}
