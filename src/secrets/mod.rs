//! Making secret values and certificates: the one room that asks for randomness.
//!
//! It makes values and forgets them; keeping them is `workdir`'s, naming them `deployment`'s.

mod certificates;
mod values;

pub use certificates::{Issued, authority, certificate, today};
pub use values::{access_token, named, shared_tree, suffix, value};

/// What can go wrong when making a secret.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
pub enum Error {
    /// The cryptographic library refused.
    #[error("failed to make {what}: {message}")]
    #[diagnostic(code(refarch::secrets::make), help("this is a bug in refarch: report it with this message"))]
    Make {
        /// What was to be made.
        what: &'static str,
        /// What the library says.
        message: String,
    },
}

impl Error {
    /// How a run ends on this error.
    #[must_use]
    pub const fn exit_code(&self) -> crate::exit::ExitCode {
        match self {
            Self::Make { .. } => crate::exit::ExitCode::Bug,
        }
    }
}
