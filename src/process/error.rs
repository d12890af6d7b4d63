//! Why a program could not be run.

use std::io;

use camino::Utf8PathBuf;
use miette::Diagnostic;
use thiserror::Error;

use crate::exit::ExitCode;

/// Why a program could not be run.
#[derive(Debug, Error, Diagnostic)]
pub enum Error {
    /// The program is nowhere in `PATH`.
    #[error("find `{program}`: it is in none of {searched}")]
    #[diagnostic(code(refarch::process::missing), help("{install}"))]
    Missing {
        /// Its name.
        program: String,
        /// The folders that were searched.
        searched: String,
        /// How to get it.
        install: String,
    },
    /// The kernel refused to start it.
    #[error("start `{command}` ({program}): {source}")]
    #[diagnostic(
        code(refarch::process::start),
        help("Check that the file exists, is executable and made for this machine.")
    )]
    Start {
        /// The command as a user would type it.
        command: String,
        /// The program's path.
        program: Utf8PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// The run was interrupted before the program was started.
    #[error("start `{command}`: the run was interrupted before")]
    #[diagnostic(
        code(refarch::process::interrupted),
        help("Run the same command again; it does what is left.")
    )]
    Interrupted {
        /// The command as a user would type it.
        command: String,
    },
    /// A file of the run could not be used.
    #[error("{doing} of `{command}`: {source}")]
    #[diagnostic(
        code(refarch::process::log),
        help("Check that the disk isn't full and that the work directory can be written to.")
    )]
    Log {
        /// What was being done.
        doing: &'static str,
        /// The command as a user would type it.
        command: String,
        /// What went wrong.
        source: io::Error,
    },
    /// A leftover of an earlier run could not be taken care of.
    #[error("clear what a killed run left behind: {source}")]
    #[diagnostic(
        code(refarch::process::recover),
        help("Check that the disk isn't full and that the work directory can be written to.")
    )]
    Recover {
        /// What went wrong.
        source: io::Error,
    },
    /// The cache folder was given as a relative path.
    #[error("use `REFARCH_CACHE`: `{path}` is not an absolute path")]
    #[diagnostic(
        code(refarch::process::cache_not_absolute),
        help("Set `REFARCH_CACHE` to an absolute path.")
    )]
    CacheNotAbsolute {
        /// The value.
        path: String,
    },
    /// Nothing says where the cache folder is.
    #[error("find the cache folder: neither `REFARCH_CACHE` nor `XDG_CACHE_HOME` nor `HOME` is set")]
    #[diagnostic(code(refarch::process::no_cache), help("Set `REFARCH_CACHE` to an absolute path."))]
    NoCache,
}

impl Error {
    pub(super) fn missing(program: &str, path: &str, install: &str) -> Self {
        let searched = match path {
            "" => "no folder at all, because `PATH` is empty".to_owned(),
            path => path.split(':').collect::<Vec<_>>().join(", "),
        };
        Self::Missing { program: program.to_owned(), searched, install: install.to_owned() }
    }

    /// How the run ends because of it.
    #[must_use]
    pub const fn exit_code(&self) -> ExitCode {
        match self {
            Self::Interrupted { .. } => ExitCode::Interrupted,
            Self::Missing { .. }
            | Self::Start { .. }
            | Self::Log { .. }
            | Self::Recover { .. }
            | Self::CacheNotAbsolute { .. }
            | Self::NoCache => ExitCode::ToolMissing,
        }
    }
}
