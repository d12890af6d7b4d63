//! How a program ended: a module of both test binaries that run one.

/// How a program ended, and all that it said.
#[derive(Debug)]
pub struct Ended {
    pub code: Option<i32>,
    pub said: String,
}

impl Ended {
    /// Asserts the exit code, and that each of these texts was said.
    #[track_caller]
    pub fn assert(&self, code: i32, texts: &[&str]) -> &Self {
        assert_eq!(self.code, Some(code), "{}", self.said);
        // Reports are wrapped at the terminal's width and carry a frame on their left.
        let words = |text: &str| text.replace(['│', '\n', ' '], "");
        let said = words(&self.said);
        for text in texts {
            assert!(said.contains(&words(text)), "nothing says `{text}`:\n{}", self.said);
        }
        self
    }
}
