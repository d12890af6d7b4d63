//! Why the work directory can't be used.

use std::io;

use camino::Utf8PathBuf;
use miette::Diagnostic;
use thiserror::Error;

use super::Owner;
use crate::exit::ExitCode;
use crate::process;

/// Why the work directory can't be used.
#[derive(Debug, Error, Diagnostic)]
pub enum Error {
    /// A file or folder could not be read or written.
    #[error("{doing} `{path}`: {source}")]
    #[diagnostic(
        code(refarch::workdir::io),
        help("Check that the disk isn't full and that you may write there.")
    )]
    Io {
        /// What was being done.
        doing: &'static str,
        /// To what.
        path: Utf8PathBuf,
        /// What went wrong.
        source: io::Error,
    },
    /// The spec's path leads to no folder.
    #[error("find the folder of the spec `{path}`")]
    #[diagnostic(code(refarch::workdir::no_folder), help("Give the spec as the path of a file."))]
    NoFolder {
        /// The spec's path.
        path: Utf8PathBuf,
    },
    /// Where the work directory should be is something else.
    #[error("use `{path}` as a work directory: it is {what}")]
    #[diagnostic(
        code(refarch::workdir::not_ours),
        help(
            "refarch keeps state and secrets there, so it must be a folder of the user who runs refarch. Run as that user, or move it away if it isn't refarch's."
        )
    )]
    NotOurs {
        /// The path.
        path: Utf8PathBuf,
        /// What it is instead.
        what: String,
    },
    /// Another run holds the lock.
    #[error("lock `{path}`: {owner}")]
    #[diagnostic(
        code(refarch::workdir::locked),
        help(
            "Wait until that run has ended, or interrupt it where it runs. The lock speaks for this machine only: it can't see a run on another machine with a copy of this work directory."
        )
    )]
    Locked {
        /// The lock file.
        path: Utf8PathBuf,
        /// Who holds it.
        owner: Box<Owner>,
    },
    /// A program that a killed run left behind still works.
    #[error("go on: `{tool}` (process {pid}) of an earlier run that was killed is still at work")]
    #[diagnostic(
        code(refarch::workdir::leftover),
        help("Run the same command again; it waits for that program, which is finishing its work.")
    )]
    LeftoverAlive {
        /// The program.
        tool: String,
        /// Its process id.
        pid: u32,
    },
    /// The secrets store can't be understood.
    #[error("read the secrets in `{path}`: {reason}")]
    #[diagnostic(
        code(refarch::workdir::secrets_unreadable),
        help(
            "It was left as it is. Restore it from a backup: the nodes hold these secrets, and new ones would lock them out of their data."
        )
    )]
    SecretsUnreadable {
        /// The file.
        path: Utf8PathBuf,
        /// Why; never its content.
        reason: String,
    },
    /// A newer refarch wrote the secrets store.
    #[error("read the secrets in `{path}`: they have version {found}, and this refarch knows up to {known}")]
    #[diagnostic(
        code(refarch::workdir::secrets_newer),
        help("Use the refarch that wrote it, or a newer one. The file was left as it is.")
    )]
    SecretsNewer {
        /// The file.
        path: Utf8PathBuf,
        /// Its version.
        found: u64,
        /// The newest version that this refarch knows.
        known: u64,
    },
    /// A key could not be made.
    #[error("make a key with `{command}`: it ended with {ended}")]
    #[diagnostic(code(refarch::workdir::key), help("Read {log}, and check that `ssh-keygen` works."))]
    Key {
        /// The command.
        command: String,
        /// How it ended.
        ended: process::Ended,
        /// Where its output is.
        log: Utf8PathBuf,
    },
    /// A program could not be run.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Process(#[from] process::Error),
}

impl Error {
    pub(super) fn io(doing: &'static str, path: impl Into<Utf8PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { doing, path, source }
    }

    /// How the run ends because of it.
    #[must_use]
    pub const fn exit_code(&self) -> ExitCode {
        match self {
            Self::Io { .. } | Self::Key { .. } => ExitCode::ToolMissing,
            Self::NoFolder { .. } => ExitCode::Usage,
            Self::Locked { .. } | Self::LeftoverAlive { .. } => ExitCode::Locked,
            Self::NotOurs { .. } | Self::SecretsUnreadable { .. } | Self::SecretsNewer { .. } => {
                ExitCode::Refused
            }
            Self::Process(error) => error.exit_code(),
        }
    }
}
