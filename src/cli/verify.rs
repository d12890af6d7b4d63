//! `refarch verify`: checks a deployment.

use camino::Utf8PathBuf;

use super::reports::Reports;
use super::session::Ending;
use super::{Failure, Session};
use crate::checks::Level;
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
    #[command(flatten)]
    reports: Reports,
}

impl Args {
    pub(super) async fn run(self, session: &Session) -> Result<ExitCode, Failure> {
        self.reports.check()?;
        let spec = self.spec.clone();
        session.run(&spec, async |world| self.work(session, world).await).await
    }

    async fn work(self, session: &Session, world: &mut World) -> Result<Ending, Failure> {
        let done = run::verify(world, self.level).await?;
        let exit = done.verdict.as_ref().map_or(ExitCode::Ok, |it| self.reports.finish(it, &world.events));
        let text = done.verdict.as_ref().map(|verdict| report::verdict_text(verdict, session.style()));
        Ok(Ending { exit, text: text.unwrap_or_default() })
    }
}
