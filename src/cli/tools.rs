//! `refarch tools install`: puts the tools that can be pinned into refarch's own cache folder.

use std::io::{self, Write};

use clap::Subcommand;

use crate::ansible::{self, Installed};
use crate::events::Sender;
use crate::exit::ExitCode;
use crate::process::{self, Ambient, Interrupts, Parts, Redactor, Runner};

/// Install the tools that refarch drives.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Tools,
}

#[derive(Clone, Copy, Debug, Subcommand)]
enum Tools {
    /// Install a pinned, hash-checked ansible-core into the cache folder.
    Install,
}

impl Args {
    /// Installs what is missing.
    pub async fn run(&self, interrupts: Interrupts) -> Result<ExitCode, ansible::Error> {
        let Tools::Install = self.command;
        let ambient = Ambient::of_this_process();
        let cache = ambient.cache()?;
        let logs = cache.join("tools").join("log");
        fs_err::create_dir_all(&logs).map_err(|source| ansible::Error::Io {
            doing: "make",
            path: logs.clone(),
            source,
        })?;
        let redactor = Redactor::default();
        process::recover(&logs, &redactor)?;
        let parts = Parts { logs, redactor, events: Sender::nowhere(), interrupts, ambient, lock: None };
        let Installed { folder, was_current, version } =
            ansible::install(&Runner::new(parts), &cache).await?;
        let done = if was_current { "is installed already" } else { "was installed" };
        // Where nobody listens any more there is nobody to tell.
        let _ = writeln!(io::stderr(), "ansible-core {version} {done} in {folder}");
        Ok(ExitCode::Ok)
    }
}
