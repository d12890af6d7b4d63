//! What the commands that make a run have in common: open it, run it, close it, say how it ended.

use std::io::{self, IsTerminal as _, Write as _};
use std::time::Instant;

use camino::Utf8Path;

use super::{Failure, Output, spec_file};
use crate::events::Reader;
use crate::exit::ExitCode;
use crate::process::{Ambient, Interrupts};
use crate::report::{JsonLines, Plain, Style};
use crate::run::{Request, World};

/// How a run ended, and its last words for people.
#[derive(Debug)]
pub struct Ending {
    /// The exit code.
    pub exit: ExitCode,
    /// What is printed on standard output once the run is closed, unless it is to be JSON.
    pub text: String,
}

/// What the program was started with.
#[derive(Clone, Debug)]
pub struct Session {
    /// How a run tells what it does.
    pub output: Output,
    /// The user's wishes to stop.
    pub interrupts: Interrupts,
    /// refarch's own environment.
    pub ambient: Ambient,
}

impl Session {
    /// Opens a run for the spec, does the work in it, and closes it with the exit code that came out.
    ///
    /// # Errors
    /// A spec that can't be used, a deployment that is locked, and whatever the work fails with.
    pub async fn run(
        &self,
        spec: &Utf8Path,
        work: impl AsyncFnOnce(&mut World) -> Result<Ending, Failure>,
    ) -> Result<ExitCode, Failure> {
        let parsed = spec_file::read(spec)?;
        let began = Instant::now();
        let choice = parsed.spec.choice.as_ref().map(ToString::to_string);
        let mut world = World::open(Request {
            spec_path: spec.to_owned(),
            spec: parsed.spec,
            command: command_line(),
            readers: vec![self.reader()],
            interrupts: self.interrupts.clone(),
            ambient: self.ambient.clone(),
        })
        .await?;
        for warning in &parsed.warnings {
            world.events.warn(warning.to_string(), Some(warning.advice().to_owned()));
        }
        if let Some(choice) = choice {
            world.events.note(choice);
        }
        let result = work(&mut world).await.map_err(|failure| self.interrupted(failure));
        let exit = result.as_ref().map_or_else(|failure| failure.exit, |ending| ending.exit);
        if let Some(error) = world.close(exit.code(), began.elapsed().as_secs_f64()) {
            let _ = writeln!(io::stderr(), "{:?}", miette::Report::new(error));
        }
        let Ending { exit, text } = result?;
        if self.output == Output::Text {
            // Where nobody listens any more there is nobody to tell.
            let _ = io::stdout().write_all(text.as_bytes());
        }
        Ok(exit)
    }

    /// How text for people looks on standard output.
    #[must_use]
    pub fn style(&self) -> Style {
        Style::of(|name| self.ambient.variable(name), io::stdout().is_terminal())
    }

    /// An error that the user's own interrupt caused is an interruption.
    pub(super) fn interrupted(&self, failure: Failure) -> Failure {
        let keeps = matches!(failure.exit, ExitCode::Bug | ExitCode::Refused | ExitCode::Interrupted);
        if self.interrupts.count() == 0 || keeps {
            return failure;
        }
        Failure { exit: ExitCode::Interrupted, ..failure }
    }

    pub(super) fn reader(&self) -> Box<dyn Reader> {
        match self.output {
            Output::Text => {
                let style = Style::of(|name| self.ambient.variable(name), io::stderr().is_terminal());
                Box::new(Plain::new(io::stderr(), style).folding(io::stderr().is_terminal()))
            }
            Output::Json => Box::new(JsonLines::new(io::stdout())),
        }
    }
}

/// The command as the user gave it. It holds no secret: no argument takes one.
pub(super) fn command_line() -> String {
    let words = std::env::args().skip(1).collect::<Vec<_>>().join(" ");
    format!("refarch {words}")
}
