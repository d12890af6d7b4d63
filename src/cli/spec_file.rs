//! The spec that a command line names: reading it, and what paths inside of it mean.

use std::io::{self, Read};

use camino::{Utf8Path, Utf8PathBuf};
use fs_err::File;
use miette::Diagnostic;
use thiserror::Error;

use crate::exit::ExitCode;
use crate::spec::{self, Invalid, Parsed};

/// Why there is no spec to work with.
#[derive(Debug, Diagnostic, Error)]
pub enum Unusable {
    /// There is no such file.
    #[error("there is no file `{path}`")]
    #[diagnostic(
        code(refarch::spec::file_missing),
        help("name the spec's file; relative names are looked up in {folder}")
    )]
    Missing {
        /// The file that was named.
        path: Utf8PathBuf,
        /// Where relative names are looked up.
        folder: String,
    },
    /// There is a folder, and not a file.
    #[error("`{path}` is a folder, and a spec is a file")]
    #[diagnostic(code(refarch::spec::folder), help("name the file, as in `{example}`"))]
    Folder {
        /// The folder that was named.
        path: Utf8PathBuf,
        /// How a file in it would be named.
        example: Utf8PathBuf,
    },
    /// The file is there and can't be read.
    #[error("`{path}` can't be read: {reason}")]
    #[diagnostic(
        code(refarch::spec::unreadable),
        help("make the file readable for this user, or name another one")
    )]
    Unreadable {
        /// The file that was named.
        path: Utf8PathBuf,
        /// What the system says.
        reason: io::Error,
    },
    /// The file was read and is no spec.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Invalid(#[from] Invalid),
}

impl Unusable {
    /// The exit code of a command that was given such a spec.
    #[must_use]
    pub const fn exit_code(&self) -> ExitCode {
        ExitCode::SpecInvalid
    }
}

/// Reads the spec in a file.
pub fn read(path: &Utf8Path) -> Result<Parsed, Unusable> {
    let bytes = read_bytes(path).map_err(|error| unreadable(path, error))?;
    Ok(spec::parse_bytes(&bytes, path.as_str())?)
}

/// Reads a file, but no more of it than shows that it is too large.
fn read_bytes(path: &Utf8Path) -> io::Result<Vec<u8>> {
    let most = u64::try_from(spec::MAX_BYTES).unwrap_or(u64::MAX).saturating_add(1);
    let mut bytes = Vec::new();
    File::open(path)?.into_parts().0.take(most).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn unreadable(path: &Utf8Path, error: io::Error) -> Unusable {
    let path = path.to_owned();
    match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => {
            Unusable::Missing { path, folder: working_folder() }
        }
        io::ErrorKind::IsADirectory => Unusable::Folder { example: path.join("spec.yml"), path },
        _ => {
            // The path is in the message already; what is wanted here is the system's own sentence.
            let reason = error.raw_os_error().map_or(error, io::Error::from_raw_os_error);
            Unusable::Unreadable { path, reason }
        }
    }
}

fn working_folder() -> String {
    std::env::current_dir()
        .map_or_else(|_| "the working directory".to_owned(), |folder| format!("`{}`", folder.display()))
}

/// The file that a path inside of a spec means: it is relative to the folder that the spec lies in.
#[must_use]
pub fn beside(spec: &Utf8Path, path: &Utf8Path) -> Utf8PathBuf {
    spec.parent().map_or_else(|| path.to_owned(), |folder| folder.join(path))
}
