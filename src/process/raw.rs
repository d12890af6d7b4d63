//! The files that children write to: unredacted, so for the owner only, and gone once their log is complete.

use std::fs::DirBuilder;
use std::io::{self, Write};
use std::os::unix::fs::DirBuilderExt;

use camino::{Utf8Path, Utf8PathBuf};
use fs_err::os::unix::fs::OpenOptionsExt;
use fs_err::{File, OpenOptions};

use super::tail::Tail;
use super::{Error, Redactor};

const FOLDER: &str = "raw";
/// Endings of raw files whose lines belong into the tool's log; others are data and never logged.
const LOGGED: [&str; 2] = ["out", "err"];

/// Makes a new raw file `NUMBER.TOOL.ENDING` in the logs folder.
pub(super) fn create(
    logs: &Utf8Path,
    number: u32,
    tool: &str,
    ending: &str,
) -> io::Result<(Utf8PathBuf, File)> {
    let folder = logs.join(FOLDER);
    DirBuilder::new().recursive(true).mode(0o700).create(&folder)?;
    let path = folder.join(format!("{number:04}.{tool}.{ending}"));
    let file = OpenOptions::new().write(true).append(true).create_new(true).mode(0o600).open(&path)?;
    Ok((path, file))
}

/// Opens a tool's redacted log for appending.
pub(super) fn log(logs: &Utf8Path, tool: &str) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).mode(0o600).open(logs.join(format!("{tool}.log")))
}

/// Takes care of what children of a killed driver have written since: redacts it into their logs and removes
/// the raw files. Says how many files there were. Only for a run whose children have ended.
pub fn recover(logs: &Utf8Path, redactor: &Redactor) -> Result<usize, Error> {
    recover_files(logs, redactor).map_err(|source| Error::Recover { source })
}

fn recover_files(logs: &Utf8Path, redactor: &Redactor) -> io::Result<usize> {
    let folder = logs.join(FOLDER);
    let entries = match fs_err::read_dir(&folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
        entries => entries?,
    };
    let mut paths = Vec::new();
    for entry in entries {
        paths.extend(Utf8PathBuf::from_path_buf(entry?.path()).ok());
    }
    paths.sort();
    for path in &paths {
        let mut parts = path.file_name().unwrap_or_default().split('.').skip(1);
        if let (Some(tool), Some(ending)) = (parts.next(), parts.next())
            && LOGGED.contains(&ending)
            && fs_err::metadata(path)?.len() > 0
        {
            let mut log = log(logs, tool)?;
            writeln!(log, "# what {tool} wrote, from its start, while refarch was killed:")?;
            append(path, &mut log, redactor)?;
        }
        fs_err::remove_file(path)?;
    }
    fs_err::remove_dir(&folder)?;
    Ok(paths.len())
}

fn append(path: &Utf8Path, log: &mut File, redactor: &Redactor) -> io::Result<()> {
    let mut written = Ok(());
    Tail::new(File::open(path)?, redactor.clone()).rest(|line| {
        if written.is_ok() {
            written = writeln!(log, "{line}");
        }
    })?;
    written
}

#[cfg(test)]
mod tests {
    use secrecy::SecretString;

    use super::*;

    #[test]
    fn what_a_killed_run_left_is_redacted_and_removed() {
        let folder = tempfile::tempdir().unwrap();
        let logs = Utf8Path::from_path(folder.path()).unwrap();
        let (_, mut out) = create(logs, 1, "terraform", "out").unwrap();
        out.write_all(b"made a thing\ntoken s3cr3t-value\nhalf a li").unwrap();
        let (_, mut private) = create(logs, 2, "terraform", "private").unwrap();
        private.write_all(b"{\"secret\": true}").unwrap();
        let redactor = Redactor::knowing(&[SecretString::from("s3cr3t-value")]);
        assert_eq!(recover(logs, &redactor).unwrap(), 2);
        let log = fs_err::read_to_string(logs.join("terraform.log")).unwrap();
        assert!(log.ends_with("made a thing\ntoken [redacted]\nhalf a li\n"), "{log}");
        assert!(!log.contains("secret\""), "{log}");
        assert!(!logs.join(FOLDER).exists());
        assert_eq!(recover(logs, &redactor).unwrap(), 0);
    }

    #[test]
    fn raw_files_are_for_the_owner_only_and_never_shared() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let logs = Utf8Path::from_path(folder.path()).unwrap();
        let (path, _) = create(logs, 1, "x", "out").unwrap();
        assert_eq!(fs_err::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(create(logs, 1, "x", "out").unwrap_err().kind(), io::ErrorKind::AlreadyExists);
    }
}
