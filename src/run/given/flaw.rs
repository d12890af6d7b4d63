//! What is wrong with something given, and what is only worth a warning.

use camino::Utf8PathBuf;

use crate::spec::{EnvName, Place};

/// Why something given can't be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, miette::Diagnostic)]
pub enum Flaw {
    /// The variable is not set, or empty.
    #[error("{place} is the secret in the environment variable `{name}`, which is not set or empty")]
    #[diagnostic(
        code(refarch::given::variable),
        help(
            "set it for this command, as in `{name}=… refarch …`; a program that sets it from a secret store keeps it out of the shell's history"
        )
    )]
    Variable {
        /// Where the spec refers to it.
        place: Place,
        /// The variable.
        name: EnvName,
    },
    /// The file can't be read.
    #[error("{place} is the file `{path}`, which can't be read: {why}")]
    #[diagnostic(
        code(refarch::given::file),
        help("put the file there, or correct the spec; a relative path starts at the spec's folder")
    )]
    File {
        /// Where the spec refers to it.
        place: Place,
        /// Where it should be.
        path: Utf8PathBuf,
        /// What the system says.
        why: String,
    },
    /// The file is there, and holds nothing that could be meant.
    #[error("{place} is the file `{path}`, which {what}")]
    #[diagnostic(code(refarch::given::content), help("put the secret into the file, and nothing else"))]
    Content {
        /// Where the spec refers to it.
        place: Place,
        /// Where it lies.
        path: Utf8PathBuf,
        /// What is wrong with it.
        what: &'static str,
    },
    /// The certificate, its key or its authority can't be used.
    #[error("`{key}`: {what}")]
    #[diagnostic(code(refarch::given::certificate), help("{help}"))]
    Certificate {
        /// The key of the spec.
        key: &'static str,
        /// What is wrong.
        what: String,
        /// What to do.
        help: String,
    },
}

impl Flaw {
    /// Whether it is only missing, and the spec may be right.
    #[must_use]
    pub const fn is_missing(&self) -> bool {
        matches!(self, Self::Variable { .. } | Self::File { .. })
    }

    /// Where the spec refers to it.
    #[must_use]
    pub fn place(&self) -> String {
        match self {
            Self::Variable { place, .. } | Self::File { place, .. } | Self::Content { place, .. } => {
                place.to_string()
            }
            Self::Certificate { key, .. } => format!("`{key}`"),
        }
    }

    pub(super) fn certificate(key: &'static str, what: impl Into<String>, help: impl Into<String>) -> Self {
        Self::Certificate { key, what: what.into(), help: help.into() }
    }
}

/// What is worth a warning about something given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning {
    /// What it is.
    pub message: String,
    /// What to do.
    pub help: String,
}
