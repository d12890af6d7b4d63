//! The exit codes of `refarch`, one per kind of ending; `docs/exit-codes.md` explains them to users.

use std::process::ExitCode as ProcessExitCode;

/// How a command ended, as the number the shell sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum ExitCode {
    /// Everything that was asked for is done.
    Ok = 0,
    /// refarch itself is at fault.
    Bug = 1,
    /// The command line was wrong.
    Usage = 2,
    /// The spec can't be used as it is.
    SpecInvalid = 3,
    /// A program, a right or another part of the environment is missing or too old.
    ToolMissing = 4,
    /// Terraform ended with an error.
    TerraformFailed = 5,
    /// Ansible ended with an error.
    AnsibleFailed = 6,
    /// A check of the instance failed.
    VerificationFailed = 7,
    /// Another run holds the deployment.
    Locked = 8,
    /// Going on would lose or overwrite something, so refarch stopped.
    Refused = 9,
    /// The plan has changes; only with `--detailed-exitcode`.
    PlanHasChanges = 10,
    /// Something could not be removed and is still there.
    LeftBehind = 11,
    /// The run was interrupted by the user or a signal.
    Interrupted = 130,
}

impl ExitCode {
    /// The number the shell sees.
    #[must_use]
    pub const fn code(self) -> u8 {
        self as u8
    }
}

impl From<ExitCode> for ProcessExitCode {
    fn from(code: ExitCode) -> Self {
        Self::from(code.code())
    }
}
