//! `refarch verify`: checks a deployment.

use camino::{Utf8Path, Utf8PathBuf};

use super::session::Ending;
use super::{Failure, Session};
use crate::checks::{Level, Verdict};
use crate::exit::ExitCode;
use crate::report;
use crate::run::{self, World};

/// Check the deployment.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The spec.
    spec: Utf8PathBuf,
    /// How deep to look: `reach` or `health`.
    #[arg(long, default_value_t = Level::Health)]
    level: Level,
    /// Write the verdict to this file as JSON.
    #[arg(long, value_name = "FILE")]
    json: Option<Utf8PathBuf>,
}

impl Args {
    pub(super) async fn run(self, session: &Session) -> Result<ExitCode, Failure> {
        let spec = self.spec.clone();
        session.run(&spec, async |world| self.work(session, world).await).await
    }

    async fn work(self, session: &Session, world: &mut World) -> Result<Ending, Failure> {
        let done = run::verify(world, self.level).await?;
        if let (Some(verdict), Some(path)) = (&done.verdict, &self.json) {
            write_verdict(path, verdict)?;
        }
        let text = done.verdict.as_ref().map(|verdict| report::verdict_text(verdict, session.style()));
        Ok(Ending { exit: super::up::exit_code(&done), text: text.unwrap_or_default() })
    }
}

/// The verdict's file could not be written.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
#[error("failed to write the verdict to `{path}`: {why}")]
#[diagnostic(code(refarch::cli::verdict), help("name a file in a folder that exists and can be written to"))]
struct Unwritable {
    path: Utf8PathBuf,
    why: String,
}

/// Writes the verdict as JSON. It holds no secret, so it is as readable as any report.
pub(super) fn write_verdict(path: &Utf8Path, verdict: &Verdict) -> Result<(), Failure> {
    crate::workdir::atomically(path, report::verdict_json(verdict), crate::workdir::PUBLIC).map_err(|error| {
        let unwritable = Unwritable { path: path.to_owned(), why: error.to_string() };
        Failure::new(unwritable, ExitCode::ToolMissing)
    })
}
