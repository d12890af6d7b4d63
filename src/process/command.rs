//! A program to run, its arguments and what it may know, as a value.

use std::collections::BTreeMap;
use std::time::Duration;

use camino::{Utf8Path, Utf8PathBuf};
use secrecy::SecretString;

use super::{Cancel, Redactor};

/// What becomes of a child's stdout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stdout {
    /// It is redacted line by line, logged and shown to the observer.
    Lines,
    /// It may hold secrets as data: nobody but the caller sees it, whole, and it is never logged.
    Private,
}

/// A program to run. No argument holds a secret: every user of the machine can read those.
#[derive(Clone, Debug)]
pub struct Command {
    pub(super) tool: &'static str,
    pub(super) program: Utf8PathBuf,
    pub(super) args: Vec<String>,
    pub(super) dir: Option<Utf8PathBuf>,
    pub(super) env: BTreeMap<String, String>,
    pub(super) allowed: &'static [&'static str],
    pub(super) cancel: Cancel,
    pub(super) stdin: Option<SecretString>,
    pub(super) stdout: Stdout,
    pub(super) follow: Option<Utf8PathBuf>,
    pub(super) timeout: Option<Duration>,
    pub(super) silence: Option<Duration>,
}

impl Command {
    /// A program by its path; `tool` is the name that people know it by, and of its log.
    pub fn new(tool: &'static str, program: impl Into<Utf8PathBuf>) -> Self {
        Self {
            tool,
            program: program.into(),
            args: Vec::new(),
            dir: None,
            env: BTreeMap::new(),
            allowed: &[],
            cancel: Cancel::Terminate,
            stdin: None,
            stdout: Stdout::Lines,
            follow: None,
            timeout: None,
            silence: None,
        }
    }

    /// Adds an argument.
    #[must_use]
    pub fn arg(mut self, arg: impl Into<String>) -> Self {
        self.args.push(arg.into());
        self
    }

    /// Adds arguments.
    #[must_use]
    pub fn args<A: Into<String>>(mut self, args: impl IntoIterator<Item = A>) -> Self {
        self.args.extend(args.into_iter().map(Into::into));
        self
    }

    /// The folder it runs in; refarch's own otherwise.
    #[must_use]
    pub fn dir(mut self, dir: impl Into<Utf8PathBuf>) -> Self {
        self.dir = Some(dir.into());
        self
    }

    /// Sets a variable of its environment.
    #[must_use]
    pub fn env(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.env.insert(name.into(), value.into());
        self
    }

    /// Lets it see these variables of refarch's own environment, besides those that every program needs.
    #[must_use]
    pub const fn allow(mut self, names: &'static [&'static str]) -> Self {
        self.allowed = names;
        self
    }

    /// How it is made to stop; [`Cancel::Terminate`] otherwise.
    #[must_use]
    pub const fn cancel(mut self, cancel: Cancel) -> Self {
        self.cancel = cancel;
        self
    }

    /// What it reads on its stdin, which is empty otherwise. The place for a secret that a program has to know:
    /// it gets there through memory, so no argument, no environment and no file holds it.
    #[must_use]
    pub fn stdin(mut self, text: SecretString) -> Self {
        self.stdin = Some(text);
        self
    }

    /// What becomes of its stdout; [`Stdout::Lines`] otherwise.
    #[must_use]
    pub const fn stdout(mut self, stdout: Stdout) -> Self {
        self.stdout = stdout;
        self
    }

    /// A file that it appends lines to, read like its output but not logged. It is removed at the end.
    #[must_use]
    pub fn follow(mut self, path: impl Into<Utf8PathBuf>) -> Self {
        self.follow = Some(path.into());
        self
    }

    /// When it is stopped because it takes too long.
    #[must_use]
    pub const fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// When it is asked to stop because nothing was heard of it, as an interrupt would ask it.
    #[must_use]
    pub const fn silence(mut self, silence: Duration) -> Self {
        self.silence = Some(silence);
        self
    }

    /// The command as a user would type it, for logs and errors.
    #[must_use]
    pub fn shown(&self, redactor: &Redactor) -> String {
        let program = self.program.file_name().unwrap_or(self.tool);
        let words = std::iter::once(program).chain(self.args.iter().map(String::as_str));
        redactor.redact(&words.map(shell_quoted).collect::<Vec<_>>().join(" "))
    }

    /// The program's path.
    #[must_use]
    pub fn program(&self) -> &Utf8Path {
        &self.program
    }
}

fn shell_quoted(word: &str) -> String {
    let plain = |character: char| character.is_ascii_alphanumeric() || "-_./=:,@%+".contains(character);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use secrecy::SecretString;

    use super::*;

    #[test]
    fn shows_a_command_that_can_be_pasted() {
        let command = Command::new("terraform", "/usr/bin/terraform").args(["plan", "-out=a b", "it's", ""]);
        assert_eq!(command.shown(&Redactor::default()), r"terraform plan '-out=a b' 'it'\''s' ''");
    }

    #[test]
    fn nothing_that_is_shown_tells_the_stdin() {
        let command = Command::new("x", "/bin/x").stdin(SecretString::from("s3cr3t-value"));
        let told = format!("{command:?} {}", command.shown(&Redactor::default()));
        assert!(!told.contains("s3cr3t-value"), "{told}");
    }

    #[test]
    fn masks_what_should_never_have_been_an_argument() {
        let redactor = Redactor::knowing(&[SecretString::from("s3cr3t-value")]);
        let command = Command::new("x", "/bin/x").arg("--password=s3cr3t-value");
        assert_eq!(command.shown(&redactor), "x --password=[redacted]");
    }
}
