//! `refarch destroy`: removes everything that was made.

use std::io::{self, Write as _};

use camino::Utf8PathBuf;

use super::{Failure, Output, Session};
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
}

impl Args {
    pub(super) async fn run(self, session: &Session) -> Result<ExitCode, Failure> {
        let spec = self.spec.clone();
        session.run(&spec, async |world| self.work(session, world).await).await
    }

    async fn work(self, session: &Session, world: &mut World) -> Result<ExitCode, Failure> {
        let consent = Consent { yes: false, name: self.confirm };
        let destroyed = run::destroy(world, &consent).await?;
        let mut text = String::new();
        for left in &destroyed.left {
            text.push_str(&format!("left behind: {}: {}\n", left.what, left.why));
        }
        if destroyed.left.is_empty() {
            text.push_str(&format!("{} is removed\n", world.deployment.name));
        }
        if let Some(path) = &destroyed.kept {
            text.push_str(&format!(
                "its secrets are kept in `{path}`: its backups can't be restored without them\n"
            ));
        }
        if session.output == Output::Text {
            // Where nobody listens any more there is nobody to tell.
            let _ = io::stdout().write_all(text.as_bytes());
        }
        Ok(if destroyed.left.is_empty() { ExitCode::Ok } else { ExitCode::LeftBehind })
    }
}
