//! Whether there is colour, and which.

/// What a word says of the thing beside it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    /// All is well.
    Good,
    /// Something deserves attention.
    Attention,
    /// Something failed.
    Bad,
    /// Of less weight than what stands around it.
    Quiet,
    /// Of more weight than what stands around it.
    Strong,
}

/// How text is dressed. Whatever is coloured reads as well without colour.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Style {
    colour: bool,
}

impl Style {
    /// Without any colour.
    #[must_use]
    pub const fn plain() -> Self {
        Self { colour: false }
    }

    /// What the environment asks for: `NO_COLOR`, `CLICOLOR_FORCE`, `CLICOLOR` and `TERM`, in this order, and
    /// else colour for a terminal only.
    pub fn of<'a>(variable: impl Fn(&str) -> Option<&'a str>, is_terminal: bool) -> Self {
        let is = |name: &str, word: &str| variable(name) == Some(word);
        let set = |name: &str| variable(name).is_some_and(|value| !value.is_empty());
        let colour = if set("NO_COLOR") {
            false
        } else if set("CLICOLOR_FORCE") && !is("CLICOLOR_FORCE", "0") {
            true
        } else {
            is_terminal && !is("CLICOLOR", "0") && !is("TERM", "dumb")
        };
        Self { colour }
    }

    /// The text in its tone.
    #[must_use]
    pub fn paint(self, tone: Tone, text: &str) -> String {
        if !self.colour || text.is_empty() {
            return text.to_owned();
        }
        let code = match tone {
            Tone::Good => "32",
            Tone::Attention => "33",
            Tone::Bad => "31",
            Tone::Quiet => "2",
            Tone::Strong => "1",
        };
        format!("\u{1b}[{code}m{text}\u{1b}[0m")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn colour(variables: &[(&'static str, &'static str)], is_terminal: bool) -> bool {
        let variable = |name: &str| variables.iter().find(|(key, _)| *key == name).map(|(_, value)| *value);
        Style::of(variable, is_terminal).colour
    }

    #[test]
    fn colour_is_for_terminals_that_want_it() {
        assert!(colour(&[], true));
        assert!(!colour(&[], false));
        assert!(!colour(&[("NO_COLOR", "1")], true));
        assert!(colour(&[("NO_COLOR", "")], true), "an empty NO_COLOR asks for nothing");
        assert!(!colour(&[("CLICOLOR", "0")], true));
        assert!(!colour(&[("TERM", "dumb")], true));
        assert!(colour(&[("CLICOLOR_FORCE", "1"), ("TERM", "dumb")], false));
        assert!(!colour(&[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")], true));
        assert!(!colour(&[("CLICOLOR_FORCE", "0")], false));
    }

    #[test]
    fn plain_text_stays_as_it_is() {
        assert_eq!(Style::plain().paint(Tone::Bad, "fail"), "fail");
        assert_eq!(Style { colour: true }.paint(Tone::Bad, "fail"), "\u{1b}[31mfail\u{1b}[0m");
    }
}
