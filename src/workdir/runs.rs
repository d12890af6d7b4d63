//! The directories of runs, newest kept.

use camino::{Utf8Path, Utf8PathBuf};
use jiff::Timestamp;

use super::layout::make_private;
use super::{Error, Workdir};
use crate::process::{self, Redactor};

/// How many runs a work directory keeps.
pub const KEPT: usize = 20;

/// One run's directory.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Run {
    /// Its id, which sorts by time.
    pub id: String,
    /// Where its files are.
    pub folder: Utf8PathBuf,
}

impl Run {
    /// The run's events.
    #[must_use]
    pub fn events(&self) -> Utf8PathBuf {
        self.folder.join("events.jsonl")
    }

    /// What was checked, and the answers.
    #[must_use]
    pub fn report(&self) -> Utf8PathBuf {
        self.folder.join("report.json")
    }
}

impl Workdir {
    /// Makes the directory of a new run, and forgets the oldest ones. Only for who holds the lock.
    pub fn begin_run(&self) -> Result<Run, Error> {
        let stamp = Timestamp::now().strftime("%Y%m%dT%H%M%S").to_string();
        let folder = self.runs_folder();
        make_private(&folder)?;
        // Two runs within a second are told apart by a counter that sorts behind the bare stamp.
        let free = |id: &String| !folder.join(id).exists();
        let mut ids = std::iter::once(stamp.clone()).chain((2..).map(|nth| format!("{stamp}-{nth}")));
        let id = ids.find(free).unwrap_or(stamp);
        let run = Run { folder: folder.join(&id), id };
        make_private(&run.folder)?;
        self.prune(KEPT)?;
        Ok(run)
    }

    /// The runs, oldest first.
    pub fn runs(&self) -> Result<Vec<Run>, Error> {
        let folder = self.runs_folder();
        if !folder.exists() {
            return Ok(Vec::new());
        }
        let mut runs = Vec::new();
        for entry in folder.read_dir_utf8().map_err(Error::io("read", &folder))? {
            let entry = entry.map_err(Error::io("read", &folder))?;
            runs.push(Run { id: entry.file_name().to_owned(), folder: entry.path().to_owned() });
        }
        runs.sort();
        Ok(runs)
    }

    /// Redacts and removes what children of killed runs have left. Only for who holds the lock, and after
    /// leftover programs have ended.
    pub fn recover_runs(&self, current: &Run, redactor: &Redactor) -> Result<(), Error> {
        for run in self.runs()?.iter().filter(|run| *run != current) {
            process::recover(&run.folder, redactor)?;
        }
        Ok(())
    }

    fn prune(&self, kept: usize) -> Result<(), Error> {
        let runs = self.runs()?;
        for run in runs.iter().rev().skip(kept) {
            remove(&run.folder)?;
        }
        Ok(())
    }
}

fn remove(folder: &Utf8Path) -> Result<(), Error> {
    fs_err::remove_dir_all(folder).map_err(Error::io("remove", folder))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn workdir() -> (tempfile::TempDir, Workdir) {
        let folder = tempfile::tempdir().unwrap();
        let spec = Utf8PathBuf::from_path_buf(folder.path().join("gitlab.yml")).unwrap();
        let workdir = Workdir::open(&spec, "demo").unwrap();
        (folder, workdir)
    }

    #[test]
    fn two_runs_within_a_second_are_two() {
        let (_keep, workdir) = workdir();
        let (one, two) = (workdir.begin_run().unwrap(), workdir.begin_run().unwrap());
        assert_ne!(one, two);
        assert_eq!(workdir.runs().unwrap(), [one, two]);
    }

    #[test]
    fn the_newest_runs_are_kept() {
        let (_keep, workdir) = workdir();
        for number in 0..KEPT + 5 {
            fs_err::create_dir_all(workdir.runs_folder().join(format!("20200101T0000{number:02}"))).unwrap();
        }
        let run = workdir.begin_run().unwrap();
        let runs = workdir.runs().unwrap();
        assert_eq!(runs.len(), KEPT);
        assert_eq!(runs.last(), Some(&run));
        assert_eq!(runs[0].id, "20200101T000006");
    }
}
