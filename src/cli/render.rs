//! `refarch render`: writes the files that `up` would use, for review.

use camino::Utf8PathBuf;

use super::session::Ending;
use super::{Failure, Session};
use crate::exit::ExitCode;
use crate::run;

/// Write the files that `up` would use, for review. They hold no secret. What is random about a
/// deployment (its suffix, its keys) is decided now, if it is not yet, and kept for `up`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The spec.
    spec: Utf8PathBuf,
    /// The folder to write to; what lies there under the same names is replaced.
    #[arg(long, value_name = "DIR")]
    to: Utf8PathBuf,
}

impl Args {
    pub(super) async fn run(self, session: &Session) -> Result<ExitCode, Failure> {
        session
            .run(&self.spec, async |world| {
                let count = run::render_to(world, &self.to).await?;
                Ok(Ending { exit: ExitCode::Ok, text: format!("{count} files in `{}`\n", self.to) })
            })
            .await
    }
}
