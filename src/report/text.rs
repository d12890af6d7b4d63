//! Text that fits: wrapping, durations, plurals.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::time::Duration;

/// How wide reports are: the smallest terminal that people still use.
pub(super) const WIDTH: usize = 80;

/// Wraps `text` behind `first`, with the following lines indented as deep as `first` is wide. A word that is
/// longer than a line is left whole: paths and URLs are there to be copied.
pub(super) fn wrapped(first: &str, text: &str) -> String {
    folded(first, &printable(text))
}

/// The same of text that may be coloured.
pub(super) fn folded(first: &str, text: &str) -> String {
    let indent = seen(first);
    let mut lines = String::new();
    let mut line = first.to_owned();
    let mut width = indent;
    let mut empty = true;
    for word in text.split_whitespace() {
        let length = seen(word);
        if !empty && width + 1 + length > WIDTH {
            let _ = writeln!(lines, "{}", line.trim_end());
            line = " ".repeat(indent);
            width = indent;
            empty = true;
        }
        if !empty {
            line.push(' ');
            width += 1;
        }
        line.push_str(word);
        width += length;
        empty = false;
    }
    let _ = writeln!(lines, "{}", line.trim_end());
    lines
}

/// How many characters of a text are seen; those that colour it are not.
fn seen(text: &str) -> usize {
    let mut parts = text.split('\u{1b}');
    let first = parts.next().unwrap_or_default().chars().count();
    first + parts.map(|part| part.split_once('m').map_or(0, |(_, rest)| rest.chars().count())).sum::<usize>()
}

/// The text without what would command a terminal: evidence is what a foreign server chose to answer.
pub(super) fn printable(text: &str) -> Cow<'_, str> {
    let commands = |sign: char| sign.is_control() && !matches!(sign, '\n' | '\t');
    if !text.contains(commands) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(text.replace(commands, "\u{fffd}"))
}

/// A duration as people say it.
pub(super) fn spoken(duration: Duration) -> String {
    match duration.as_secs() {
        0 => format!("{} ms", duration.as_millis()),
        1..10 => format!("{:.1} s", duration.as_secs_f64()),
        seconds @ 10..120 => format!("{seconds} s"),
        seconds => format!("{} min {} s", seconds / 60, seconds % 60),
    }
}

/// A duration from seconds as events carry them.
pub(super) fn seconds(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds).unwrap_or_default()
}

/// `1 check`, `2 checks`.
pub(crate) fn counted(count: usize, noun: &str) -> String {
    if count == 1 { format!("1 {noun}") } else { format!("{count} {noun}s") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_fit_and_hang_below_their_text() {
        let text = "word ".repeat(40);
        let lines = wrapped("  saw  ", &text);
        assert!(lines.lines().all(|line| line.len() <= WIDTH), "{lines}");
        assert!(lines.lines().skip(1).all(|line| line.starts_with("       word")), "{lines}");
        assert_eq!(lines.matches("word").count(), 40);
    }

    #[test]
    fn colour_takes_no_room() {
        assert_eq!(seen("\u{1b}[33mwarn\u{1b}[0m: x"), 7);
        let painted = "\u{1b}[31mword\u{1b}[0m ".repeat(40);
        assert_eq!(
            folded("  ", &painted).lines().count(),
            wrapped("  ", &"word ".repeat(40)).lines().count()
        );
    }

    #[test]
    fn a_long_word_stays_whole() {
        let url = format!("https://{}.example", "a".repeat(90));
        assert_eq!(wrapped("  ", &format!("see {url} there")), format!("  see\n  {url}\n  there\n"));
        assert_eq!(wrapped("  ", ""), "\n");
    }

    #[test]
    fn nothing_commands_the_terminal() {
        assert_eq!(printable("a\u{1b}[2J\u{7}b\u{9b}c\rd\ne"), "a\u{fffd}[2J\u{fffd}b\u{fffd}c\u{fffd}d\ne");
        assert!(matches!(printable("plain — ü"), Cow::Borrowed(_)));
        assert!(!wrapped("", "x\u{1b}]0;title\u{7}").contains('\u{1b}'));
    }

    #[test]
    fn durations_are_spoken() {
        let spoken_ms = |ms| spoken(Duration::from_millis(ms));
        assert_eq!(
            [0, 12, 1_500, 61_000, 125_000].map(spoken_ms),
            ["0 ms", "12 ms", "1.5 s", "61 s", "2 min 5 s"]
        );
        assert_eq!(seconds(f64::NAN), Duration::ZERO);
    }
}
