//! A spec's text: what must hold before anyone parses it, and how reports may show it.

use std::sync::Arc;

use miette::NamedSource;

use super::parse::Span;
use super::problem::{Findings, Problem};
use super::rule;
use super::settings::is_named_so;

/// The largest spec that is read, in bytes.
pub const MAX_BYTES: usize = 1024 * 1024;

/// The longest line, in bytes: longer ones make a report unreadable.
const MAX_LINE: usize = 4096;

/// The text of a spec as reports show it: byte for byte as long as the file, so that places fit.
pub(super) type Shown = Arc<NamedSource<String>>;

/// Checks what is asked of the bytes alone; the text comes back if it can be parsed.
pub(super) fn read<'b>(bytes: &'b [u8], name: &str) -> Result<(&'b str, Findings), Findings> {
    if bytes.len() > MAX_BYTES {
        let mut findings = Findings::new(shown(name, ""));
        findings.add(Problem::new(&rule::TOO_LARGE, "the file has more than 1 MiB"));
        return Err(findings);
    }
    if let Some(line) = bytes.split(|b| *b == b'\n').position(|line| line.len() > MAX_LINE) {
        let mut findings = Findings::new(shown(name, ""));
        let message = format!("line {} has more than {MAX_LINE} bytes", line + 1);
        findings.add(Problem::new(&rule::LONG_LINE, message));
        return Err(findings);
    }
    match std::str::from_utf8(bytes) {
        Ok(text) => {
            let mut findings = Findings::new(shown(name, text));
            for at in secrets(text) {
                let message = "this looks like a secret, and a spec is no place for one";
                findings.add(Problem::new(&rule::SECRET, message).at(at, "not shown"));
            }
            if text.strip_prefix('\u{feff}').unwrap_or(text).trim().is_empty() {
                findings.add(Problem::new(&rule::EMPTY, "the file is empty"));
                return Err(findings);
            }
            Ok((text, findings))
        }
        Err(error) => Err(not_utf8(bytes, name, error.valid_up_to())),
    }
}

fn not_utf8(bytes: &[u8], name: &str, at: usize) -> Findings {
    // Each byte beyond ASCII becomes one `?`, so that the place of the bad one stays right.
    let ascii: String = bytes.iter().map(|b| if b.is_ascii() { char::from(*b) } else { '?' }).collect();
    let mut findings = Findings::new(shown(name, &ascii));
    let line = bytes[..at].split(|b| *b == b'\n').count();
    let message = format!("the file is not UTF-8: byte {at}, in line {line}, belongs to no character");
    let problem = Problem::new(&rule::NOT_UTF8, message).at(at..at + 1, "this byte");
    let utf16 = bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]);
    findings.add(if utf16 {
        problem.help("save the file as UTF-8; it looks like UTF-16 now")
    } else {
        problem.help("save the file as UTF-8")
    });
    findings
}

/// The text as a terminal may show it: no control characters, which could drive the terminal, and no secrets.
fn shown(name: &str, text: &str) -> Shown {
    let mut safe: Vec<u8> = Vec::with_capacity(text.len());
    for c in text.chars() {
        if needs_hiding(c) {
            let stand_in = if c == '\r' { b' ' } else { b'?' };
            safe.resize(safe.len() + c.len_utf8(), stand_in);
        } else {
            safe.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
        }
    }
    for span in secrets(text).into_iter().chain(unnamed_secrets(text)) {
        if let Some(bytes) = safe.get_mut(span) {
            // Line breaks stay, so that the lines behind it keep their numbers.
            bytes.iter_mut().filter(|b| **b != b'\n').for_each(|b| *b = b'*');
        }
    }
    let safe = String::from_utf8(safe).unwrap_or_default();
    Arc::new(NamedSource::new(printable(name), safe))
}

/// Characters that a terminal obeys instead of showing them.
fn needs_hiding(c: char) -> bool {
    let turns_text = matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}');
    (c.is_control() && c != '\n' && c != '\t') || turns_text || matches!(c, '\u{2028}' | '\u{2029}')
}

/// Text of the user's as a message may repeat it: on one line and harmless to a terminal.
pub(super) fn printable(text: &str) -> String {
    text.chars().map(|c| if needs_hiding(c) || c == '\n' || c == '\t' { '?' } else { c }).collect()
}

/// A word of the user's as a message may repeat it: like [`printable`], and short.
pub(super) fn word(text: &str) -> String {
    const LONGEST: usize = 60;
    let mut short = printable(&text.chars().take(LONGEST).collect::<String>());
    if text.chars().nth(LONGEST).is_some() {
        short.push('…');
    }
    short
}

/// Where the text holds something that can only be a secret.
fn secrets(text: &str) -> Vec<Span> {
    /// How GitLab's tokens begin, and how long they are at least.
    const TOKENS: &[&str] =
        &["glpat-", "gldt-", "glrt-", "glptt-", "glcbt-", "gloas-", "glsoat-", "glagent-"];
    const TOKEN_LENGTH: usize = 20;
    let mut found = Vec::new();
    for token in TOKENS {
        let mut from = 0;
        while let Some(at) = text[from..].find(token) {
            let start = from + at;
            let rest = &text[start..];
            let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
            from = start + rest.find(|c| !is_part(c)).unwrap_or(rest.len());
            if from - start >= TOKEN_LENGTH {
                found.push(start..from);
            }
        }
    }
    let mut from = 0;
    while let Some(at) = text[from..].find("-----BEGIN ") {
        let start = from + at;
        let title = text[start..].lines().next().unwrap_or_default();
        from = start + title.len();
        if title.contains("PRIVATE KEY") {
            from = text[from..].find("-----END").map_or(text.len(), |end| from + end);
            found.push(start..from);
        }
    }
    found.sort_by_key(|span| span.start);
    found
}

/// Where the text holds what is secret by its place: the password of a URL, the value of a key named so.
fn unnamed_secrets(text: &str) -> Vec<Span> {
    const NAMES: &[&str] =
        &["password", "passwd", "passphrase", "secret", "token", "credential", "private_key"];
    let mut found = Vec::new();
    for (start, _) in text.match_indices("://") {
        let from = start + 3;
        let rest = &text[from..];
        let authority = &rest[..rest.find(|c: char| c == '/' || c.is_whitespace()).unwrap_or(rest.len())];
        if let Some(at) = authority.rfind('@') {
            let password = authority[..at].find(':').map_or(0, |colon| colon + 1);
            found.push(from + password..from + at);
        }
    }
    let mut start = 0;
    // The indentation of a key whose value goes on over the lines below it.
    let mut block: Option<usize> = None;
    for line in text.split_inclusive('\n') {
        let end = start + line.trim_end().len();
        let indent = line.len() - line.trim_start().len();
        if block.is_some_and(|above| indent > above) {
            found.push((start + indent).min(end)..end);
        } else if !line.trim().is_empty() {
            let from = named(line, NAMES);
            block = from.filter(|from| line[*from..].starts_with(['|', '>'])).map(|_| indent);
            found.extend(from.map(|from| start + from..end).filter(|span| !span.is_empty()));
        }
        start += line.len();
    }
    found
}

/// Where in a line the value of a key begins that is named like a secret. What only refers to one is none.
fn named(line: &str, names: &[&str]) -> Option<usize> {
    let is_part = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '"' | '\'');
    line.match_indices(':').find_map(|(colon, _)| {
        let key = line[..colon].rsplit(|c| !is_part(c)).next().unwrap_or_default().trim_matches(['"', '\'']);
        let key_lower = key.to_lowercase();
        let is_secret = names.iter().any(|name| key_lower.contains(name)) || is_named_so(key, false);
        let value = &line[colon + 1..];
        let from = colon + 1 + (value.len() - value.trim_start().len());
        let inner = value.trim_start().strip_prefix('{').map(str::trim_start).unwrap_or_default();
        let refers = ["secret:", "env:", "file:"].iter().any(|word| inner.starts_with(word));
        (is_secret && !refers && from < line.trim_end().len()).then_some(from)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_is_as_long_as_the_file() {
        let text = "a: \u{1b}[31mé\r\npassword: hunter2é\nurl: https://me:p@ss@host/\n\u{202e}k: glpat-abcdefghijklmnopqrst\n";
        let shown = shown("x", text);
        assert_eq!(shown.inner().len(), text.len());
        assert_eq!(
            shown.inner(),
            "a: ?[31mé \npassword: *********\nurl: https://me:****@host/\n???k: **************************\n"
        );
    }

    #[test]
    fn secrets_are_hidden_wherever_they_stand_in_a_line_and_references_are_not() {
        let text = "a: {b: x, password: hunter2, c: y}\nsmtp_password: {secret: {env: NAME}}\n  aws_secret_access_key: \
                    'x'\ntoken: |\n  one\n  two\nnext: 1\n";
        let shown = shown("x", text);
        assert_eq!(
            shown.inner(),
            "a: {b: x, password: **************\nsmtp_password: {secret: {env: NAME}}\n  aws_secret_access_key: \
             ***\ntoken: *\n  ***\n  ***\nnext: 1\n"
        );
    }

    #[test]
    fn a_private_key_is_hidden_whole() {
        let text = "key: |\n  -----BEGIN PRIVATE KEY-----\n  MIIabc\n  -----END PRIVATE KEY-----\n";
        let shown = shown("x", text);
        assert_eq!(shown.inner().lines().count(), text.lines().count());
        assert!(!shown.inner().contains("MII"), "{}", shown.inner());
        assert_eq!(secrets(text).len(), 1);
    }
}
