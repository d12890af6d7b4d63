//! Why Ansible did not do what was asked.

use std::fmt::Write as _;

use camino::Utf8PathBuf;
use thiserror::Error;

use super::Failure;
use crate::exit::ExitCode;
use crate::process::{self, Ended};

/// Why Ansible did not do what was asked.
#[derive(Debug, Error, miette::Diagnostic)]
pub enum Error {
    /// A program could not be run.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Process(#[from] process::Error),
    /// It is older than what refarch needs.
    #[error("use {program}: it is ansible-core {found}, and refarch needs {needed} or newer")]
    #[diagnostic(
        code(refarch::ansible::too_old),
        help("Run `refarch tools install`: it puts a tested one into refarch's own cache folder.")
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
    #[error("ask {program} for its version: {ended}, and no version that refarch understands")]
    #[diagnostic(
        code(refarch::ansible::no_version),
        help(
            "Run `refarch tools install`: it puts a tested one into refarch's own cache folder. The output is in {log}."
        )
    )]
    NoVersion {
        /// Its path.
        program: Utf8PathBuf,
        /// How it ended.
        ended: Ended,
        /// Where its output is.
        log: Utf8PathBuf,
    },
    /// A file could not be read or written.
    #[error("{doing} `{path}`: {source}")]
    #[diagnostic(
        code(refarch::ansible::io),
        help("Check that the disk isn't full and that you may write there.")
    )]
    Io {
        /// What was being done.
        doing: &'static str,
        /// To what.
        path: Utf8PathBuf,
        /// What went wrong.
        source: std::io::Error,
    },
    /// A playbook was to be run on no node.
    #[error("run `{playbook}`: no node was named")]
    #[diagnostic(code(refarch::ansible::no_nodes), help("This is a bug of refarch: please report it."))]
    NoNodes {
        /// The playbook.
        playbook: String,
    },
    /// It ended before a task ran: a playbook that can't be read, or a bad option.
    #[error("run `{command}`: it ended ({ended}) before any task ran")]
    #[diagnostic(
        code(refarch::ansible::not_started),
        help("{}The whole output is in {log}.", lines(.tail))
    )]
    NotStarted {
        /// The command.
        command: String,
        /// How it ended.
        ended: Ended,
        /// Its last lines.
        tail: Vec<String>,
        /// Where the whole output is.
        log: Utf8PathBuf,
    },
    /// Its events don't tell how it ended, or contradict the exit code.
    #[error("run `{command}`: it ended with {ended}, but {what}")]
    #[diagnostic(
        code(refarch::ansible::unclear),
        help(
            "Nothing is taken for done that isn't proven. Run the same command again; it does what is left.\n{}The whole output is in {log}.",
            lines(.tail)
        )
    )]
    Unclear {
        /// The command.
        command: String,
        /// How it ended.
        ended: Ended,
        /// What is missing or contradicts.
        what: &'static str,
        /// Its last lines.
        tail: Vec<String>,
        /// Where the whole output is.
        log: Utf8PathBuf,
    },
    /// It was killed.
    #[error("run `{command}`: it was killed ({ended})")]
    #[diagnostic(
        code(refarch::ansible::killed),
        help(
            "What it had begun on a node may go on there. Run the same command again; it does what is left. The whole output is in {log}."
        )
    )]
    Killed {
        /// The command.
        command: String,
        /// By what.
        ended: Ended,
        /// Where the whole output is.
        log: Utf8PathBuf,
    },
    /// Nothing was heard of it for too long.
    #[error("run `{command}`: nothing was heard of it for {seconds} s, so it was stopped; it was at {}", of(.at))]
    #[diagnostic(
        code(refarch::ansible::silent),
        help(
            "Look at that node: whether it answers (`ssh -F .refarch/NAME/ansible/ssh_config NODE`), has memory and disk left, and what still runs there. Then run the same command again; it does what is left. The whole output is in {log}."
        )
    )]
    Silent {
        /// The command.
        command: String,
        /// The tasks that nodes were at.
        at: Vec<String>,
        /// For how long.
        seconds: u64,
        /// Where the whole output is.
        log: Utf8PathBuf,
    },
    /// The user interrupted it.
    #[error("run `{command}`: it was interrupted")]
    #[diagnostic(
        code(refarch::ansible::interrupted),
        help(
            "What it had begun on a node, such as a reconfigure, goes on there. Run the same command again; it waits for that and does what is left. The whole output is in {log}."
        )
    )]
    Interrupted {
        /// The command.
        command: String,
        /// Where the whole output is.
        log: Utf8PathBuf,
    },
    /// Tasks failed, or nodes could not be reached.
    #[error("run `{command}`: {}", causes(.failures))]
    #[diagnostic(
        code(refarch::ansible::failed),
        help(
            "{}Other nodes kept what was done on them. Once the cause is gone, run the same command again; it does what is left. The whole output is in {log}.",
            lines(.tail)
        )
    )]
    Failed {
        /// The command.
        command: String,
        /// What failed where.
        failures: Vec<Failure>,
        /// Its last lines.
        tail: Vec<String>,
        /// Where the whole output is.
        log: Utf8PathBuf,
    },
    /// The private virtual environment could not be made.
    #[error("install ansible-core: `{command}` ended with {ended}")]
    #[diagnostic(
        code(refarch::ansible::install),
        help(
            "{}It needs Python's package index, or a mirror of it that pip is configured for. Nothing of the old installation was changed. The whole output is in {log}.",
            lines(.tail)
        )
    )]
    Install {
        /// The command.
        command: String,
        /// How it ended.
        ended: Ended,
        /// Its last lines.
        tail: Vec<String>,
        /// Where the whole output is.
        log: Utf8PathBuf,
    },
    /// No Python that is new enough.
    #[error("install ansible-core: no Python 3.11 or newer, found {found}")]
    #[diagnostic(
        code(refarch::ansible::python_too_old),
        help(
            "Install Python 3.11 or newer with its `venv` module, as by `apt-get install python3 python3-venv`."
        )
    )]
    PythonTooOld {
        /// What was found.
        found: String,
    },
    /// Another process installs at this moment.
    #[error("install ansible-core: another refarch is at it")]
    #[diagnostic(
        code(refarch::ansible::install_locked),
        help("Wait until it is done, and run the command again.")
    )]
    InstallLocked,
}

/// Groups equal failures, so that forty nodes with one cause make one line.
fn causes(failures: &[Failure]) -> String {
    let mut groups: Vec<(&Failure, Vec<&str>)> = Vec::new();
    for failure in failures {
        let same = groups.iter_mut().find(|(first, _)| {
            (&first.task, &first.message, first.unreachable)
                == (&failure.task, &failure.message, failure.unreachable)
        });
        match same {
            Some((_, nodes)) => nodes.push(&failure.node),
            None => groups.push((failure, vec![&failure.node])),
        }
    }
    let texts = groups.iter().map(|(failure, nodes)| {
        let Failure { task, path, message, .. } = failure;
        let nodes = nodes.join(", ");
        if failure.unreachable {
            format!("{nodes} can't be reached: {message}")
        } else {
            format!("task `{task}` ({path}) failed on {nodes}: {message}")
        }
    });
    texts.collect::<Vec<_>>().join("; ")
}

fn of(tasks: &[String]) -> String {
    if tasks.is_empty() { "no task that it told of".to_owned() } else { tasks.join(", ") }
}

fn lines(tail: &[String]) -> String {
    let mut text = String::new();
    if !tail.is_empty() {
        text.push_str("Its last lines:\n");
        for line in tail {
            let _ = writeln!(text, "  {line}");
        }
    }
    text
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
            Self::TooOld { .. }
            | Self::NoVersion { .. }
            | Self::Io { .. }
            | Self::Install { .. }
            | Self::PythonTooOld { .. } => ExitCode::ToolMissing,
            Self::NotStarted { .. }
            | Self::Unclear { .. }
            | Self::Killed { .. }
            | Self::Silent { .. }
            | Self::Failed { .. } => ExitCode::AnsibleFailed,
            Self::Interrupted { .. } => ExitCode::Interrupted,
            Self::InstallLocked => ExitCode::Locked,
            Self::NoNodes { .. } => ExitCode::Bug,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_with_one_cause_make_one_line() {
        let failure = |node: &str, unreachable| Failure {
            node: node.into(),
            task: "Install the package".into(),
            path: "roles/gitlab_node/tasks/package.yml:12".into(),
            message: "no such file".into(),
            unreachable,
        };
        let error = Error::Failed {
            command: "ansible-playbook site.yml".into(),
            failures: vec![failure("a-1", false), failure("a-2", false), failure("b-1", true)],
            tail: vec![],
            log: "x.log".into(),
        };
        assert_eq!(
            error.to_string(),
            "run `ansible-playbook site.yml`: task `Install the package` \
             (roles/gitlab_node/tasks/package.yml:12) failed on a-1, a-2: no such file; b-1 can't be reached: \
             no such file"
        );
    }
}
