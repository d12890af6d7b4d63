//! `refarch destroy`: removes everything that was made.

use std::fmt::Write as _;

use camino::Utf8PathBuf;

use super::session::Ending;
use super::tool_choice::ToolChoice;
use super::{Failure, Session};
use crate::exit::ExitCode;
use crate::run::{self, Consent, World};

/// Remove everything that was made.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The spec.
    spec: Utf8PathBuf,
    /// The deployment's name: the answer to the question whether its data may go.
    #[arg(long, value_name = "NAME")]
    confirm: Option<String>,
    #[command(flatten)]
    tool: ToolChoice,
}

impl Args {
    pub(super) async fn run(self, session: &Session) -> Result<ExitCode, Failure> {
        let spec = self.spec.clone();
        session.run(&spec, async |world| self.work(world).await).await
    }

    async fn work(self, world: &mut World) -> Result<Ending, Failure> {
        self.tool.apply(world);
        let consent = Consent { yes: false, name: self.confirm };
        let destroyed = run::destroy(world, &consent).await?;
        let mut text = String::new();
        for left in &destroyed.left {
            let _ = writeln!(text, "left behind: {}: {}", left.what, left.why);
        }
        if destroyed.left.is_empty() {
            let _ = writeln!(text, "{} is removed", world.deployment.name);
        }
        if let Some(path) = &destroyed.kept {
            let _ = writeln!(
                text,
                "its secrets are kept in `{path}`: its backups can't be restored without them"
            );
        }
        let exit = if destroyed.left.is_empty() { ExitCode::Ok } else { ExitCode::LeftBehind };
        Ok(Ending { exit, text })
    }
}
