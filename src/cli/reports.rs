//! The files that a verdict is written to: looked at before anything is asked, written whatever the verdict is.

use std::io;

use camino::{Utf8Path, Utf8PathBuf};
use miette::Diagnostic;
use thiserror::Error;

use super::Failure;
use crate::checks::{Outcome, Verdict, preflight};
use crate::events::Sender;
use crate::exit::ExitCode;
use crate::report;
use crate::workdir::{PUBLIC, atomically};

/// Where to write the verdict, besides the terminal.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Reports {
    /// Write the verdict to this file as JSON, whatever it is.
    #[arg(long, value_name = "FILE")]
    json: Option<Utf8PathBuf>,
    /// Write the verdict to this file as JUnit XML, whatever it is.
    #[arg(long, value_name = "FILE")]
    junit: Option<Utf8PathBuf>,
}

/// Why a report can't be written.
#[derive(Debug, Diagnostic, Error)]
pub enum Unwritable {
    /// Two reports would be one file.
    #[error("`--json` and `--junit` name the same file `{path}`")]
    #[diagnostic(code(refarch::cli::reports_same), help("give each report a file of its own"))]
    Same {
        /// The file.
        path: Utf8PathBuf,
    },
    /// There is something that is no file.
    #[error("a report can't be written to `{path}`: it is no file")]
    #[diagnostic(
        code(refarch::cli::report_no_file),
        help("name a file: what is there is replaced as a whole")
    )]
    NoFile {
        /// What was named.
        path: Utf8PathBuf,
    },
    /// The system refuses.
    #[error("a report can't be written to `{path}`: {reason}")]
    #[diagnostic(
        code(refarch::cli::report_unwritable),
        help("name a file in a folder that can be written to, and see that the disk isn't full")
    )]
    System {
        /// The file.
        path: Utf8PathBuf,
        /// What the system says.
        reason: String,
    },
}

impl Unwritable {
    fn system(path: &Utf8Path, reason: &dyn std::fmt::Display) -> Self {
        Self::System { path: path.to_owned(), reason: reason.to_string() }
    }

    /// The exit code of a command that was given such a file.
    #[must_use]
    pub const fn exit_code(&self) -> ExitCode {
        match self {
            Self::Same { .. } | Self::NoFile { .. } => ExitCode::Usage,
            Self::System { .. } => ExitCode::ToolMissing,
        }
    }
}

impl From<Unwritable> for Failure {
    fn from(error: Unwritable) -> Self {
        let exit = error.exit_code();
        Self::new(error, exit)
    }
}

impl Reports {
    /// Finds out whether the files can be written. It makes missing folders and nothing else.
    pub fn check(&self) -> Result<(), Unwritable> {
        let mut places = Vec::new();
        for path in [&self.json, &self.junit].into_iter().flatten() {
            let place = place(path)?;
            if places.contains(&place) {
                return Err(Unwritable::Same { path: path.clone() });
            }
            places.push(place);
        }
        Ok(())
    }

    /// Writes the files, tells of those that can't be, and says how a run with this verdict ends. What was found
    /// matters more than where it could be written.
    pub fn finish(&self, verdict: &Verdict, events: &Sender) -> ExitCode {
        let unwritten = tell(&self.write(verdict), events);
        match verdict.outcome() {
            Outcome::Fail | Outcome::Unproven => ExitCode::VerificationFailed,
            Outcome::Pass => unwritten,
        }
    }

    /// The same for a preflight: what is not ready is the environment.
    pub fn finish_preflight(&self, found: &preflight::Report, events: &Sender) -> ExitCode {
        let failed = self.write_both(|| report::preflight_json(found), || report::preflight_junit(found));
        let unwritten = tell(&failed, events);
        match found.outcome() {
            preflight::Outcome::Fail => ExitCode::ToolMissing,
            preflight::Outcome::Pass => unwritten,
        }
    }

    /// Writes the files, all that can be. They hold no secret, so they are as readable as any report.
    fn write(&self, verdict: &Verdict) -> Vec<Unwritable> {
        self.write_both(|| report::verdict_json(verdict), || report::verdict_junit(verdict))
    }

    fn write_both<E: std::fmt::Display>(
        &self,
        json: impl FnOnce() -> String,
        junit: impl FnOnce() -> Result<String, E>,
    ) -> Vec<Unwritable> {
        let json = self.json.as_ref().map(|path| (path, Ok(json())));
        let junit = self.junit.as_ref().map(|path| (path, junit()));
        let write = |(path, text): (&Utf8PathBuf, Result<String, E>)| {
            let text = text.map_err(|error| Unwritable::system(path, &error))?;
            atomically(&place(path)?, text, PUBLIC).map_err(|error| Unwritable::system(path, &error))
        };
        json.into_iter().chain(junit).filter_map(|report| write(report).err()).collect()
    }
}

/// Tells of what could not be written, and says how a run ends in which all else is well.
fn tell(failed: &[Unwritable], events: &Sender) -> ExitCode {
    for error in failed {
        events.warn(error.to_string(), error.help().map(|help| help.to_string()));
    }
    failed.first().map_or(ExitCode::Ok, Unwritable::exit_code)
}

/// The file that a path leads to, once its folder was seen to take files.
fn place(path: &Utf8Path) -> Result<Utf8PathBuf, Unwritable> {
    let system = |error: io::Error| Unwritable::system(path, &sentence(error));
    let name = path.file_name().ok_or_else(|| Unwritable::NoFile { path: path.to_owned() })?;
    let folder = path.parent().filter(|folder| *folder != "").unwrap_or(Utf8Path::new("."));
    std::fs::create_dir_all(folder).map_err(system)?;
    let place = match std::fs::metadata(path) {
        // A link stays one: what it leads to is replaced.
        Ok(found) if found.is_file() => path.canonicalize_utf8().map_err(system)?,
        Ok(_) => return Err(Unwritable::NoFile { path: path.to_owned() }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            folder.canonicalize_utf8().map_err(system)?.join(name)
        }
        Err(error) => return Err(system(error)),
    };
    let folder = place.parent().unwrap_or(folder);
    tempfile::Builder::new().prefix(".refarch-").tempfile_in(folder).map_err(system)?;
    Ok(place)
}

/// The system's own sentence; the path is in the message already.
fn sentence(error: io::Error) -> io::Error {
    error.raw_os_error().map_or(error, io::Error::from_raw_os_error)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;
    use std::time::Duration;

    use jiff::Timestamp;

    use super::*;
    use crate::checks::Level;

    fn folder() -> (tempfile::TempDir, Utf8PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = Utf8PathBuf::from_path_buf(folder.path().canonicalize().unwrap()).unwrap();
        (folder, path)
    }

    fn reports(json: &Utf8Path, junit: &Utf8Path) -> Reports {
        Reports { json: Some(json.to_owned()), junit: Some(junit.to_owned()) }
    }

    fn verdict() -> Verdict {
        Verdict {
            deployment: Some("acme".into()),
            url: "https://gitlab.acme.example".into(),
            level: Level::Reach,
            read_only: false,
            only: None,
            waived: Vec::new(),
            standin: false,
            started: Timestamp::UNIX_EPOCH,
            duration: Duration::ZERO,
            findings: Vec::new(),
        }
    }

    #[test]
    fn both_are_written_and_replaced_and_nothing_else_stays() {
        let (_keep, folder) = folder();
        let (json, junit) = (folder.join("new/verdict.json"), folder.join("new/junit.xml"));
        let reports = reports(&json, &junit);
        for _ in 0..2 {
            reports.check().unwrap();
            assert!(reports.write(&verdict()).is_empty());
        }
        assert!(fs_err::read_to_string(json).unwrap().contains("\"outcome\": \"unproven\""));
        assert!(fs_err::read_to_string(junit).unwrap().starts_with("<?xml"));
        assert_eq!(folder.join("new").read_dir_utf8().unwrap().count(), 2);
    }

    #[test]
    fn a_link_is_followed_and_stays() {
        let (_keep, folder) = folder();
        fs_err::write(folder.join("kept.json"), "old").unwrap();
        symlink(folder.join("kept.json"), folder.join("link.json")).unwrap();
        let reports = reports(&folder.join("link.json"), &folder.join("junit.xml"));
        assert!(reports.write(&verdict()).is_empty());
        assert!(folder.join("link.json").is_symlink());
        assert!(fs_err::read_to_string(folder.join("kept.json")).unwrap().contains("acme"));
    }

    #[test]
    fn what_can_not_be_written_is_told_before_and_leaves_what_is_there() {
        let (_keep, folder) = folder();
        fs_err::write(folder.join("file"), "content").unwrap();
        let refused = |path: &str| reports(&folder.join("ok.json"), &folder.join(path)).check().unwrap_err();
        assert!(matches!(refused("."), Unwritable::NoFile { .. }));
        assert_eq!(refused("file/below.xml").exit_code(), ExitCode::ToolMissing);
        assert!(matches!(refused("ok.json"), Unwritable::Same { .. }));
        let device = reports(Utf8Path::new("/dev/null"), &folder.join("x.xml")).check().unwrap_err();
        assert!(matches!(device, Unwritable::NoFile { .. }), "{device}");
        assert_eq!(fs_err::read_to_string(folder.join("file")).unwrap(), "content");
        assert_eq!(folder.read_dir_utf8().unwrap().count(), 1, "a probe left something");
    }

    #[test]
    fn one_that_can_not_be_written_does_not_cost_the_other() {
        let (_keep, folder) = folder();
        fs_err::write(folder.join("file"), "").unwrap();
        let failed = reports(&folder.join("file/below.json"), &folder.join("junit.xml")).write(&verdict());
        assert_eq!(failed.len(), 1);
        assert!(folder.join("junit.xml").exists());
    }
}
