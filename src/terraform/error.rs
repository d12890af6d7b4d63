//! Why Terraform did not do what was asked.

use camino::Utf8PathBuf;
use thiserror::Error;

use super::{Diagnostic, Tool};
use crate::exit::ExitCode;
use crate::process::{self, Ended};

/// Why Terraform did not do what was asked.
#[derive(Debug, Error, miette::Diagnostic)]
pub enum Error {
    /// The program could not be run.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Process(#[from] process::Error),
    /// It is older than what refarch needs.
    #[error("use {program}: it is {found}, and refarch needs {needed} or newer")]
    #[diagnostic(
        code(refarch::terraform::too_old),
        help("Install a newer one, and put it before the old one in `PATH`.")
    )]
    TooOld {
        /// Its path.
        program: Utf8PathBuf,
        /// Its version.
        found: String,
        /// The oldest that would do.
        needed: &'static str,
    },
    /// It did not say which version it is.
    #[error("ask {program} for its version: it answered nothing that Terraform or OpenTofu answers")]
    #[diagnostic(
        code(refarch::terraform::no_version),
        help(
            "Check that this really is Terraform (1.11 or newer) or OpenTofu (1.11 or newer). Its output is in {log}."
        )
    )]
    NoVersion {
        /// Its path.
        program: Utf8PathBuf,
        /// Where its output is.
        log: Utf8PathBuf,
    },
    /// Another tool made the state than the one that is asked for.
    #[error("use {asked}: the state in `{dir}` was made by {made_by}")]
    #[diagnostic(
        code(refarch::terraform::other_tool),
        help(
            "Each writes what the other may not understand later, so nothing was begun. Leave out `--tool` (and `REFARCH_TOOL`) to go on with {made_by}, or say `--tool {} --switch-tool` to go over to {asked} for good.",
            asked.program()
        )
    )]
    OtherTool {
        /// Which tool made it.
        made_by: Tool,
        /// Which is asked for.
        asked: Tool,
        /// Where the state is.
        dir: Utf8PathBuf,
    },
    /// The record of the tool can't be understood.
    #[error("read which tool made the state from `{path}`: it isn't what this refarch writes")]
    #[diagnostic(
        code(refarch::terraform::unknown_tool),
        help(
            "Use the refarch that wrote it. If you know which tool made the state, remove the file and say `--tool`."
        )
    )]
    UnknownTool {
        /// The file.
        path: Utf8PathBuf,
    },
    /// A file could not be read or written.
    #[error("{doing} `{path}`: {source}")]
    #[diagnostic(
        code(refarch::terraform::io),
        help("Check that the disk isn't full and that the work directory can be written to.")
    )]
    Io {
        /// What was being done.
        doing: &'static str,
        /// To what.
        path: Utf8PathBuf,
        /// What went wrong.
        source: std::io::Error,
    },
    /// It ended with errors of its own.
    #[error("run `{command}`: {message}")]
    #[diagnostic(
        code(refarch::terraform::failed),
        help(
            "What was made so far is recorded and stays. Once the cause is gone, run the same command again; it does what is left. The whole output is in {log}."
        )
    )]
    Failed {
        /// The command.
        command: String,
        /// The first cause, and how many more there are.
        message: String,
        /// All causes, with their places.
        #[related]
        diagnostics: Vec<Diagnostic>,
        /// Where the whole output is.
        log: Utf8PathBuf,
    },
    /// It was killed.
    #[error("run `{command}`: it was killed ({ended})")]
    #[diagnostic(
        code(refarch::terraform::killed),
        help(
            "What it recorded stays; what it was making at that moment ({unfinished}) may exist without a record. Run the same command again: the plan shows what is missing, and a provider that keeps records of its own, as the lab's does, adopts what exists. The whole output is in {log}."
        )
    )]
    Killed {
        /// The command.
        command: String,
        /// By what.
        ended: Ended,
        /// What it was at.
        unfinished: String,
        /// Where the whole output is.
        log: Utf8PathBuf,
    },
    /// The user interrupted it, and it ended in good order.
    #[error("run `{command}`: it was interrupted, and has recorded what it made")]
    #[diagnostic(
        code(refarch::terraform::interrupted),
        help("Run the same command again; it does what is left. The whole output is in {log}.")
    )]
    Interrupted {
        /// The command.
        command: String,
        /// Where the whole output is.
        log: Utf8PathBuf,
    },
    /// What was made could not be written down.
    #[error("run `{command}`: what it made could not be written to the state: {reason}")]
    #[diagnostic(code(refarch::terraform::state_not_saved), help("{}", after_loss(.kept.as_ref(), .log)))]
    StateNotSaved {
        /// The command.
        command: String,
        /// Why, in Terraform's words.
        reason: String,
        /// Where the state is instead, if it is anywhere.
        kept: Option<Utf8PathBuf>,
        /// Where the whole output is.
        log: Utf8PathBuf,
    },
    /// The state changed after the plan was made.
    #[error("apply the plan: something else changed the state since it was made")]
    #[diagnostic(
        code(refarch::terraform::stale_plan),
        help("Run the same command again: it plans anew, and asks again.")
    )]
    StalePlan,
    /// Another Terraform holds the lock of the state.
    #[error("run `{command}`: another run of Terraform or OpenTofu holds the lock of the state")]
    #[diagnostic(
        code(refarch::terraform::state_locked),
        help(
            "Wait until it has ended. If it was killed on another machine, its lock has to be removed by hand.\n{holder}"
        )
    )]
    StateLocked {
        /// The command.
        command: String,
        /// Who holds it, in Terraform's words.
        holder: String,
    },
    /// The deployment's name belongs to another work directory.
    #[error("make the deployment: {summary}")]
    #[diagnostic(
        code(refarch::terraform::owned_elsewhere),
        help("{detail}\nUse another name in the spec, or work with the spec whose work directory owns it.")
    )]
    OwnedElsewhere {
        /// In one line.
        summary: String,
        /// In full.
        detail: String,
    },
    /// It answered in a format that this refarch doesn't know.
    #[error("read what `{command}` answered: {reason}")]
    #[diagnostic(
        code(refarch::terraform::unknown_format),
        help(
            "refarch can't judge what it doesn't understand, so nothing was changed. Use a Terraform or OpenTofu 1.x from 1.11 on."
        )
    )]
    UnknownFormat {
        /// The command.
        command: String,
        /// What is not understood; never the content.
        reason: String,
    },
}

fn after_loss(kept: Option<&Utf8PathBuf>, log: &Utf8PathBuf) -> String {
    let next = match kept {
        Some(path) => format!("The state is kept in {path}, and the next run takes it back."),
        None => "The state is nowhere else. A provider that keeps records of its own, as the lab's does, adopts what exists.".to_owned(),
    };
    format!("Make room on that disk, then run the same command again. {next} The whole output is in {log}.")
}

impl Error {
    pub(super) fn io(
        doing: &'static str,
        path: impl Into<Utf8PathBuf>,
    ) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { doing, path, source }
    }

    /// How the run ends because of it.
    #[must_use]
    pub const fn exit_code(&self) -> ExitCode {
        match self {
            Self::Process(error) => error.exit_code(),
            Self::TooOld { .. } | Self::NoVersion { .. } | Self::Io { .. } => ExitCode::ToolMissing,
            Self::Failed { .. }
            | Self::StateNotSaved { .. }
            | Self::Killed { .. }
            | Self::StalePlan
            | Self::UnknownFormat { .. } => ExitCode::TerraformFailed,
            Self::Interrupted { .. } => ExitCode::Interrupted,
            Self::StateLocked { .. } => ExitCode::Locked,
            Self::OwnedElsewhere { .. } | Self::OtherTool { .. } | Self::UnknownTool { .. } => {
                ExitCode::Refused
            }
        }
    }
}
