//! Takes secrets out of text, in every form a program is likely to print them.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::sync::{Arc, PoisonError, RwLock};

use aho_corasick::{AhoCorasick, MatchKind};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use secrecy::{ExposeSecret, SecretString};

/// What stands where a secret stood.
pub const MASK: &str = "[redacted]";
/// Shorter values are words, not secrets; masking them would make every log unreadable.
const SHORTEST: usize = 4;
/// A piece of base64 shorter than this occurs by chance.
const SHORTEST_BASE64: usize = 8;

/// Knows the secrets of a run and takes them out of text. Clones share what they know.
#[derive(Clone, Default)]
pub struct Redactor {
    known: Arc<RwLock<Known>>,
}

#[derive(Default)]
struct Known {
    forms: BTreeSet<Vec<u8>>,
    longest: usize,
    automaton: Option<AhoCorasick>,
}

impl std::fmt::Debug for Redactor {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Redactor([redacted])")
    }
}

impl Redactor {
    /// A redactor that knows these secrets.
    pub fn knowing<'a>(secrets: impl IntoIterator<Item = &'a SecretString>) -> Self {
        let redactor = Self::default();
        redactor.learn(secrets);
        redactor
    }

    /// Adds secrets; text that is read from now on is free of them.
    pub fn learn<'a>(&self, secrets: impl IntoIterator<Item = &'a SecretString>) {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        let before = known.forms.len();
        for secret in secrets {
            known.forms.extend(forms(secret.expose_secret()));
        }
        if known.forms.len() == before {
            return;
        }
        known.longest = known.forms.iter().map(Vec::len).max().unwrap_or(0);
        // All overlapping matches are asked for and merged: leftmost-longest alone would leave the tail of a
        // secret that begins inside another one.
        known.automaton = AhoCorasick::builder().match_kind(MatchKind::Standard).build(&known.forms).ok();
    }

    /// Whether no secret is known.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.known.read().unwrap_or_else(PoisonError::into_inner).forms.is_empty()
    }

    /// The length of the longest form of a secret: how far beyond a cut text has to be seen to cut it safely.
    #[must_use]
    pub fn longest(&self) -> usize {
        self.known.read().unwrap_or_else(PoisonError::into_inner).longest
    }

    /// The text without secrets.
    #[must_use]
    pub fn redact(&self, text: &str) -> String {
        self.replaced(text).unwrap_or_else(|| text.to_owned())
    }

    /// The text without secrets if it held any.
    #[must_use]
    pub fn replaced(&self, text: &str) -> Option<String> {
        self.replaced_before(text, text.len())
    }

    /// The first `cap` bytes of the text without secrets. A secret that the cut would halve is masked whole,
    /// as long as `text` goes on for [`Redactor::longest`] bytes or to its end.
    #[must_use]
    pub fn redact_capped(&self, text: &str, cap: usize) -> String {
        let cap = text.floor_char_boundary(cap);
        self.replaced_before(text, cap).unwrap_or_else(|| text[..cap].to_owned())
    }

    fn replaced_before(&self, text: &str, cap: usize) -> Option<String> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        let automaton = known.automaton.as_ref()?;
        let spans = merged(automaton.find_overlapping_iter(text).map(|found| (found.start(), found.end())));
        let spans: Vec<_> = spans.into_iter().filter(|(start, _)| *start < cap).collect();
        if spans.is_empty() {
            return None;
        }
        let mut clean = String::with_capacity(text.len().min(cap + MASK.len()));
        let mut at = 0;
        for (start, end) in spans {
            clean.push_str(&text[at..start]);
            clean.push_str(MASK);
            at = end;
        }
        clean.push_str(text.get(at..cap).unwrap_or_default());
        Some(clean)
    }
}

/// Joins spans that overlap or touch. Forms are valid UTF-8, so that a match never splits a character.
fn merged(spans: impl Iterator<Item = (usize, usize)>) -> Vec<(usize, usize)> {
    let mut spans: Vec<_> = spans.collect();
    spans.sort_unstable();
    let mut joined: Vec<(usize, usize)> = Vec::new();
    for (start, end) in spans {
        match joined.last_mut() {
            Some(last) if start <= last.1 => last.1 = last.1.max(end),
            _ => joined.push((start, end)),
        }
    }
    joined
}

/// Every form in which a secret may be printed.
fn forms(secret: &str) -> BTreeSet<Vec<u8>> {
    let mut forms = BTreeSet::new();
    for piece in std::iter::once(secret).chain(secret.lines()) {
        let piece = piece.trim();
        // The frame of a PEM block says nothing, and masking it would hide what kind of thing is meant.
        if piece.len() < SHORTEST || (piece.starts_with("-----") && !piece.contains('\n')) {
            continue;
        }
        for form in [
            piece.to_owned(),
            json_escaped(piece),
            json_escaped(&json_escaped(piece)),
            json_ascii(piece),
            json_html_safe(piece),
            url_encoded(piece, "%20", false),
            url_encoded(piece, "%20", true),
            url_encoded(piece, "+", false),
            piece.replace('\'', r"'\''"),
            piece.replace('\'', r#"'"'"'"#),
            piece.replace('\\', r"\\").replace('\'', r"\'"),
            double_quoted(piece),
        ] {
            forms.insert(form.into_bytes());
        }
        forms.extend(base64_forms(piece.as_bytes()));
    }
    forms
}

fn json_escaped(text: &str) -> String {
    let quoted = serde_json::Value::from(text).to_string();
    quoted[1..quoted.len() - 1].to_owned()
}

/// As Python's `json.dumps` prints it.
fn json_ascii(text: &str) -> String {
    let mut escaped = String::new();
    for character in json_escaped(text).chars() {
        if character.is_ascii() {
            escaped.push(character);
        } else {
            for unit in character.encode_utf16(&mut [0; 2]) {
                let _ = write!(escaped, "\\u{unit:04x}");
            }
        }
    }
    escaped
}

/// As Go's `encoding/json` prints it, which Terraform uses.
fn json_html_safe(text: &str) -> String {
    json_escaped(text).replace('&', "\\u0026").replace('<', "\\u003c").replace('>', "\\u003e")
}

fn url_encoded(text: &str, space: &str, lower: bool) -> String {
    let mut encoded = String::new();
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                encoded.push(char::from(byte));
            }
            b' ' => encoded.push_str(space),
            _ if lower => {
                let _ = write!(encoded, "%{byte:02x}");
            }
            _ => {
                let _ = write!(encoded, "%{byte:02X}");
            }
        }
    }
    encoded
}

/// As a shell prints it between double quotes.
fn double_quoted(text: &str) -> String {
    let mut quoted = String::new();
    for character in text.chars() {
        if matches!(character, '\\' | '"' | '$' | '`') {
            quoted.push('\\');
        }
        quoted.push(character);
    }
    quoted
}

/// The base64 characters that a secret decides, wherever in the encoded bytes it begins.
fn base64_forms(secret: &[u8]) -> Vec<Vec<u8>> {
    let mut forms = Vec::new();
    for offset in 0..3_usize {
        let padded = [&vec![0; offset], secret].concat();
        let encoded = STANDARD_NO_PAD.encode(&padded);
        // A character counts only if all its six bits are the secret's.
        let first = (offset * 8).div_ceil(6);
        let last = padded.len() * 8 / 6;
        if let Some(piece) = encoded.get(first..last).filter(|piece| piece.len() >= SHORTEST_BASE64) {
            let url_safe = piece.replace('+', "-").replace('/', "_");
            forms.push(url_safe.into_bytes());
            forms.push(piece.as_bytes().to_vec());
        }
    }
    // On its own a secret's last character may hold fewer than six bits of it.
    let whole = STANDARD_NO_PAD.encode(secret);
    if whole.len() >= SHORTEST_BASE64 {
        forms.push(whole.into_bytes());
    }
    forms
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn knowing(secrets: &[&str]) -> Redactor {
        let secrets: Vec<_> = secrets.iter().map(|secret| SecretString::from(*secret)).collect();
        Redactor::knowing(&secrets)
    }

    #[test]
    fn masks_what_is_known_and_nothing_else() {
        let redactor = knowing(&["hunter2hunter2"]);
        assert_eq!(redactor.redact("password: hunter2hunter2!"), "password: [redacted]!");
        assert_eq!(redactor.redact("password: hunter3"), "password: hunter3");
        assert_eq!(redactor.replaced("nothing here"), None);
    }

    #[test]
    fn masks_overlapping_secrets_as_one() {
        let redactor = knowing(&["pass", "password1", "word1-and-more"]);
        assert_eq!(redactor.redact("password1-and-more."), "[redacted].");
    }

    #[test]
    fn knows_the_forms_of_other_programs() {
        let redactor = knowing(&["it's \"a\" <b> & $é\\x"]);
        for form in [
            r#"it's \"a\" <b> & $é\\x"#,
            r#"it's \"a\" \u003cb\u003e \u0026 $é\\x"#,
            r#"it's \"a\" <b> & $\u00e9\\x"#,
            "it%27s%20%22a%22%20%3Cb%3E%20%26%20%24%C3%A9%5Cx",
            "it%27s+%22a%22+%3Cb%3E+%26+%24%C3%A9%5Cx",
            r#"it'\''s "a" <b> & $é\x"#,
            r#"it'"'"'s "a" <b> & $é\x"#,
            r#"it's \"a\" <b> & \$é\\x"#,
        ] {
            assert_eq!(redactor.redact(&format!("<{form}>")), "<[redacted]>", "{form}");
        }
    }

    #[test]
    fn masks_each_line_of_a_key_but_not_its_frame() {
        let redactor = knowing(&["-----BEGIN KEY-----\nabcdefgh\nijklmnop\n-----END KEY-----\n"]);
        assert_eq!(redactor.redact("-----BEGIN KEY-----"), "-----BEGIN KEY-----");
        assert_eq!(redactor.redact("  ijklmnop"), "  [redacted]");
    }

    #[test]
    fn leaves_short_values_alone() {
        assert!(knowing(&["abc", ""]).is_empty());
    }

    #[test]
    fn learns_in_mid_run_and_tells_its_clones() {
        let redactor = Redactor::default();
        let clone = redactor.clone();
        redactor.learn([&SecretString::from("learnt-later")]);
        assert_eq!(clone.redact("a learnt-later b"), "a [redacted] b");
        assert_eq!(format!("{clone:?}"), "Redactor([redacted])");
    }

    #[test]
    fn masks_a_secret_that_the_cut_would_halve() {
        let redactor = knowing(&["0123456789"]);
        assert_eq!(redactor.redact_capped("ab0123456789cd", 6), "ab[redacted]");
        assert_eq!(redactor.redact_capped("ab0123456789cd", 1), "a");
        assert_eq!(redactor.redact_capped("aé", 2), "a");
    }

    proptest! {
        /// Whatever stands around a secret, neither it nor its beginning or end stays readable.
        #[test]
        fn leaks_neither_prefix_nor_suffix(
            secrets in prop::collection::vec("[A-Z]{8,20}", 1..6),
            around in "[a-z0-9 ]{0,30}",
            overlap in 0_usize..8,
            cap in 0_usize..80,
        ) {
            let redactor = knowing(&secrets.iter().map(String::as_str).collect::<Vec<_>>());
            let mut text = around.clone();
            for secret in &secrets {
                // Secrets may even run into each other.
                text.push_str(&secret[if text.ends_with(&secret[..overlap]) { overlap } else { 0 }..]);
            }
            text.push_str(&around);
            for clean in [redactor.redact(&text), redactor.redact_capped(&text, cap)] {
                prop_assert!(!clean.contains(char::is_uppercase), "{clean}");
            }
        }

        /// In base64, wherever it begins, at most the characters that it shares with its neighbours remain.
        #[test]
        fn finds_secrets_in_base64(secret in "[ -~]{12,40}", before in "[a-z]{0,5}", after in "[a-z]{0,5}") {
            prop_assume!(secret.trim() == secret);
            let encoded = STANDARD_NO_PAD.encode(format!("{before}{secret}{after}"));
            let clean = knowing(&[&secret]).redact(&encoded);
            prop_assert!(clean.contains(MASK), "{clean}");
            let rest = clean.replace(MASK, "").len();
            prop_assert!(rest <= (before.len() + after.len()) * 4 / 3 + 4, "{clean}");
        }
    }
}
