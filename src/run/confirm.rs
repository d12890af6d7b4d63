//! The one question that a run asks.

use std::io::{BufRead as _, IsTerminal as _, Write as _};

use super::Error;
use crate::process::Interrupts;

/// What was said before the run could ask.
#[derive(Clone, Debug, Default)]
pub struct Consent {
    /// `--yes`.
    pub yes: bool,
    /// `--confirm NAME`.
    pub name: Option<String>,
}

/// Asks whether to go on; only `y` or `yes` is a yes.
pub async fn go_on(consent: &Consent, question: &str, interrupts: &Interrupts) -> Result<(), Error> {
    if consent.yes {
        return Ok(());
    }
    let help = "answer beforehand with `--yes`";
    let answer = ask(&format!("{question} [y/N] "), help, interrupts).await?;
    if matches!(answer.trim(), "y" | "Y" | "yes") { Ok(()) } else { Err(Error::Declined) }
}

/// Asks for the deployment's name before it is destroyed; a yes is not enough.
pub async fn destroy(consent: &Consent, name: &str, interrupts: &Interrupts) -> Result<(), Error> {
    let help = format!("answer beforehand with `--confirm {name}`");
    let answer = if let Some(answer) = &consent.name {
        answer.clone()
    } else {
        let question = format!("This removes every node of `{name}` and all its data. Type its name: ");
        ask(&question, &help, interrupts).await?
    };
    if answer.trim() == name { Ok(()) } else { Err(Error::Declined) }
}

async fn ask(question: &str, help: &str, interrupts: &Interrupts) -> Result<String, Error> {
    if !std::io::stdin().is_terminal() {
        return Err(Error::NobodyToAsk { help: help.to_owned() });
    }
    let mut terminal = std::io::stderr();
    let _ = write!(terminal, "{question}");
    let _ = terminal.flush();
    let line = tokio::task::spawn_blocking(|| {
        let mut line = String::new();
        std::io::stdin().lock().read_line(&mut line).map(|_| line)
    });
    tokio::select! {
        line = line => Ok(line.ok().and_then(Result::ok).unwrap_or_default()),
        _ = interrupts.beyond(0) => Err(Error::Interrupted),
    }
}
