//! `refarch status`: says what is known of a deployment, and changes nothing.

use std::io::{self, Write as _};

use camino::Utf8PathBuf;
use jiff::Timestamp;

use super::{Failure, Output, Session, spec_file};
use crate::exit::ExitCode;
use crate::report;
use crate::run::{self, StatusRequest};

/// Say what exists, what runs, what was verified and what would change; change nothing.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The spec.
    spec: Utf8PathBuf,
    /// Print it as JSON; so does `--output json`.
    #[arg(long)]
    json: bool,
}

impl Args {
    pub(super) async fn run(self, session: &Session) -> Result<ExitCode, Failure> {
        let parsed = spec_file::read(&self.spec)?;
        let status = run::status(StatusRequest {
            spec_path: self.spec.clone(),
            spec: parsed.spec,
            interrupts: session.interrupts.clone(),
            ambient: session.ambient.clone(),
        })
        .await
        .map_err(|error| session.interrupted(error.into()))?;
        let text = if self.json || session.output == Output::Json {
            report::status_json(&status)
        } else {
            report::status_text(&status, self.spec.as_str(), Timestamp::now(), session.style())
        };
        // Where nobody listens any more there is nobody to tell.
        let _ = io::stdout().write_all(text.as_bytes());
        Ok(ExitCode::Ok)
    }
}
