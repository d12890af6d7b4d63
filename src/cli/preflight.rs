//! `refarch preflight`: asks everything that could make `up` fail, and changes nothing.

use camino::Utf8PathBuf;

use super::reports::Reports;
use super::session::Ending;
use super::tool_choice::ToolChoice;
use super::waivers::Waivers;
use super::{Failure, Session};
use crate::exit::ExitCode;
use crate::report;
use crate::run;

/// Ask everything that could make `up` fail, in one pass; nothing is made or changed.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The spec.
    spec: Utf8PathBuf,
    #[command(flatten)]
    waivers: Waivers,
    #[command(flatten)]
    tool: ToolChoice,
    #[command(flatten)]
    reports: Reports,
}

impl Args {
    pub(super) async fn run(self, session: &Session) -> Result<ExitCode, Failure> {
        self.reports.check()?;
        let waived = self.waivers.read()?;
        session
            .run(&self.spec, async |world| {
                self.tool.apply(world);
                world.waived = waived;
                let found = run::preflight(world).await?;
                let exit = self.reports.finish_preflight(&found, &world.events);
                Ok(Ending { exit, text: report::preflight_text(&found, session.style()) })
            })
            .await
    }
}
