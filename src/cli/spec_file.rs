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

#[cfg(test)]
mod tests {
    use super::*;

    fn folder() -> (tempfile::TempDir, Utf8PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = Utf8PathBuf::from_path_buf(folder.path().to_owned()).unwrap();
        (folder, path)
    }

    #[test]
    fn what_is_not_a_file_is_told_apart() {
        let (_keep, folder) = folder();
        assert!(matches!(read(&folder.join("none.yml")), Err(Unusable::Missing { .. })));
        assert!(matches!(read(&folder), Err(Unusable::Folder { .. })));
        std::fs::write(folder.join("file"), "").unwrap();
        assert!(matches!(read(&folder.join("file/spec.yml")), Err(Unusable::Missing { .. })));
        assert!(matches!(read(&folder.join("file")), Err(Unusable::Invalid(_))));
        let endless = "x".repeat(300);
        assert!(matches!(read(&folder.join(endless)), Err(Unusable::Unreadable { .. })));
    }

    #[test]
    fn no_more_is_read_than_shows_that_a_file_is_too_large() {
        let path = Utf8Path::new("/dev/zero");
        assert_eq!(read_bytes(path).unwrap().len(), spec::MAX_BYTES + 1);
        let Err(Unusable::Invalid(invalid)) = read(path) else { panic!("an endless file was taken") };
        assert_eq!(invalid.problems()[0].rule().id, "too-large");
    }

    #[test]
    fn paths_inside_of_a_spec_are_relative_to_it() {
        let at = |spec: &str, path: &str| beside(Utf8Path::new(spec), Utf8Path::new(path)).into_string();
        assert_eq!(at("specs/a.yml", "x.deb"), "specs/x.deb");
        assert_eq!(at("a.yml", "x.deb"), "x.deb");
        assert_eq!(at("specs/a.yml", "/srv/x.deb"), "/srv/x.deb");
    }
}
