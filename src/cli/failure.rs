//! A command that stopped: what to print, and how to end.

use miette::{Diagnostic, Report};

use crate::exit::ExitCode;

/// Why a command stopped.
#[derive(Debug)]
pub struct Failure {
    /// What the user is told, on standard error.
    pub report: Report,
    /// How the program ends.
    pub exit: ExitCode,
}

impl Failure {
    /// A failure with this exit code.
    pub fn new(error: impl Diagnostic + Send + Sync + 'static, exit: ExitCode) -> Self {
        Self { report: Report::new(error), exit }
    }
}

impl From<super::spec_file::Unusable> for Failure {
    fn from(error: super::spec_file::Unusable) -> Self {
        let exit = error.exit_code();
        Self::new(error, exit)
    }
}

impl From<crate::run::Error> for Failure {
    fn from(error: crate::run::Error) -> Self {
        let exit = error.exit_code();
        Self::new(error, exit)
    }
}

impl From<crate::run::PhaseFailed> for Failure {
    fn from(failed: crate::run::PhaseFailed) -> Self {
        let exit = failed.exit;
        Self::new(failed, exit)
    }
}

impl From<crate::ansible::Error> for Failure {
    fn from(error: crate::ansible::Error) -> Self {
        let exit = error.exit_code();
        Self::new(error, exit)
    }
}
