//! Checks that the user leaves out, each with a reason that every report repeats.

use miette::Diagnostic;
use thiserror::Error;

use super::Failure;
use crate::checks::preflight::{Check, Waiver};
use crate::exit::ExitCode;

/// Which checks of preflight to leave out.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Waivers {
    /// Leave out this check of preflight (docs/checks.md names them); may be given again, each with its `--because`.
    #[arg(long, value_name = "CHECK")]
    skip: Vec<Check>,
    /// Why the check before it is left out; every report repeats it.
    #[arg(long, value_name = "TEXT")]
    because: Vec<String>,
}

/// Why the checks to leave out are not understood.
#[derive(Debug, Diagnostic, Error)]
pub enum Unreasoned {
    /// Not as many reasons as checks.
    #[error("`--skip` and `--because` belong together, and {skipped} and {reasons} of them are given")]
    #[diagnostic(
        code(refarch::cli::skip_because),
        help("give each check its own reason, as in `--skip dns --because \"the record comes on Monday\"`")
    )]
    Count {
        /// How many checks.
        skipped: usize,
        /// How many reasons.
        reasons: usize,
    },
    /// A check that a run can't do without.
    #[error("`{check}` can't be left out: {}", check.why())]
    #[diagnostic(
        code(refarch::cli::skip_needed),
        help("give it what it asks for; a run would stop there in any case")
    )]
    Needed {
        /// Which check.
        check: Check,
    },
    /// A reason without words.
    #[error("the reason to leave out `{check}` is empty")]
    #[diagnostic(
        code(refarch::cli::because_empty),
        help("say why: the reports show it to whoever reads them later")
    )]
    Empty {
        /// Which check.
        check: Check,
    },
}

impl From<Unreasoned> for Failure {
    fn from(error: Unreasoned) -> Self {
        Self::new(error, ExitCode::Usage)
    }
}

impl Waivers {
    /// Each check with its reason.
    pub(super) fn read(&self) -> Result<Vec<Waiver>, Unreasoned> {
        if self.skip.len() != self.because.len() {
            return Err(Unreasoned::Count { skipped: self.skip.len(), reasons: self.because.len() });
        }
        let mut waivers: Vec<Waiver> = Vec::new();
        for (check, because) in self.skip.iter().zip(&self.because) {
            if check.is_needed() {
                return Err(Unreasoned::Needed { check: *check });
            }
            let because = because.trim().to_owned();
            if because.is_empty() {
                return Err(Unreasoned::Empty { check: *check });
            }
            waivers.retain(|known| known.check != *check);
            waivers.push(Waiver { check: *check, because });
        }
        Ok(waivers)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(skip: &[Check], because: &[&str]) -> Result<Vec<Waiver>, Unreasoned> {
        let because = because.iter().map(ToString::to_string).collect();
        Waivers { skip: skip.to_vec(), because }.read()
    }

    #[test]
    fn each_check_has_its_reason() {
        let found = read(&[Check::Dns, Check::Room], &["on Monday", "a disk is added"]).unwrap();
        assert_eq!(found[1], Waiver { check: Check::Room, because: "a disk is added".into() });
        assert!(matches!(read(&[Check::Dns], &[]), Err(Unreasoned::Count { skipped: 1, reasons: 0 })));
        let needed = read(&[Check::Owner], &["it is mine"]).unwrap_err();
        assert!(matches!(needed, Unreasoned::Needed { check: Check::Owner }), "{needed}");
        assert!(matches!(read(&[], &["x"]), Err(Unreasoned::Count { .. })));
        assert!(matches!(read(&[Check::Dns], &["  "]), Err(Unreasoned::Empty { check: Check::Dns })));
    }
}
