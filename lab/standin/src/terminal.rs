//! The only place that writes to standard output and standard error, and that asks for a password.
//!
//! A reader that went away is no reason to stop in the middle of a reconfigure, so failed writes are
//! dropped here and nowhere else.

use std::io::{BufRead as _, IsTerminal as _, Write as _};

use nix::sys::termios::{LocalFlags, SetArg, tcgetattr, tcsetattr};

/// Writes a line to standard output.
pub fn say(line: impl AsRef<str>) {
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{}", line.as_ref());
    let _ = out.flush();
}

/// Writes a line to standard error.
pub fn complain(line: impl AsRef<str>) {
    let _ = writeln!(std::io::stderr().lock(), "{}", line.as_ref());
}

/// A password: asked for twice on a terminal, without showing it; otherwise the first line of standard input,
/// which a second line has to repeat where there is one.
pub fn password() -> Result<String, String> {
    let input = std::io::stdin();
    if !input.is_terminal() {
        let mut lines = input.lock().lines().map_while(Result::ok);
        return agree(lines.next().unwrap_or_default(), lines.next().filter(|line| !line.is_empty()));
    }
    let shown = tcgetattr(&input).map_err(|error| error.to_string())?;
    let mut hidden = shown.clone();
    hidden.local_flags.remove(LocalFlags::ECHO);
    tcsetattr(&input, SetArg::TCSANOW, &hidden).map_err(|error| error.to_string())?;
    let answers: Vec<String> = ["Enter password:", "Confirm password:"]
        .into_iter()
        .map(|prompt| {
            say(prompt);
            let mut line = String::new();
            let _ = std::io::stdin().lock().read_line(&mut line);
            line.trim_end_matches(['\r', '\n']).to_owned()
        })
        .collect();
    tcsetattr(&input, SetArg::TCSANOW, &shown).map_err(|error| error.to_string())?;
    let mut answers = answers.into_iter();
    agree(answers.next().unwrap_or_default(), answers.next())
}

fn agree(password: String, again: Option<String>) -> Result<String, String> {
    if password.is_empty() {
        return Err("the password is empty: write it to standard input".to_owned());
    }
    if again.is_some_and(|again| again != password) {
        return Err("the two passwords differ: try again".to_owned());
    }
    Ok(password)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_repeated_or_stands_alone() {
        assert_eq!(agree("a".to_owned(), None), Ok("a".to_owned()));
        assert_eq!(agree("a".to_owned(), Some("a".to_owned())), Ok("a".to_owned()));
        assert!(agree("a".to_owned(), Some("b".to_owned())).is_err() && agree(String::new(), None).is_err());
    }
}
