//! Runs playbooks.

use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::time::{Duration, SystemTime};

use camino::{Utf8Path, Utf8PathBuf};
use data_encoding::HEXLOWER;
use semver::Version;
use sha2::{Digest, Sha256};

use super::events::Watcher;
use super::{Error, Outcome, venv};
use crate::events::Kind;
use crate::process::{self, Cancel, Command, Ended, Runner};

const TOOL: &str = "ansible-playbook";
const OLDEST: Version = Version::new(2, 19, 0);
const NEEDED: &str = "2.19";
const INSTALL: &str =
    "Run `refarch tools install`: it puts a tested ansible-core into refarch's own cache folder.";
const INSTALL_SSH: &str = "Install the OpenSSH client, as by `apt-get install openssh-client`.";
/// Beyond this a socket's path gets too long for the kernel, with what ssh appends to it.
const LONGEST_CONTROL_FOLDER: usize = 75;
/// After how long a silence a playbook is stopped. A reconfigure of a large node with migrations may say nothing for
/// the better part of it.
const SILENCE: Duration = Duration::from_hours(1);
/// A folder of connections that nothing happened in for this long is nobody's.
const UNUSED: Duration = Duration::from_hours(1);

/// Where Ansible works, and with what.
#[derive(Clone, Debug)]
pub struct Options {
    /// The folder of `ansible.cfg`, the inventory, the playbooks, roles and plugins.
    pub dir: Utf8PathBuf,
    /// refarch's cache folder, where the private virtual environment is.
    pub cache: Utf8PathBuf,
}

/// A playbook to run.
#[derive(Clone, Debug)]
pub struct Playbook {
    /// Its file, relative to the folder.
    pub file: String,
    /// The nodes it is run on; all of its hosts otherwise.
    pub limit: Option<Vec<String>>,
    /// A JSON file whose values are variables of this run, and of no other.
    pub variables: Option<Utf8PathBuf>,
    /// How many hosts are worked on at once, where it is not as many as usual.
    pub forks: Option<usize>,
}

impl Playbook {
    /// A playbook for all of its hosts.
    pub fn new(file: impl Into<String>) -> Self {
        Self { file: file.into(), limit: None, variables: None, forks: None }
    }

    /// The same, with the variables of a file.
    #[must_use]
    pub fn with_variables(self, file: Utf8PathBuf) -> Self {
        Self { variables: Some(file), ..self }
    }

    /// The same, with so many hosts at once, however many there usually are.
    #[must_use]
    pub fn together(self, hosts: usize) -> Self {
        Self { forks: Some(hosts.max(1)), ..self }
    }

    /// The same, for these nodes only.
    #[must_use]
    pub fn on<N: ToString>(mut self, nodes: impl IntoIterator<Item = N>) -> Self {
        self.limit = Some(nodes.into_iter().map(|node| node.to_string()).collect());
        self
    }
}

/// Ansible, for one tree of playbooks.
#[derive(Clone, Debug)]
pub struct Client {
    runner: Runner,
    program: Utf8PathBuf,
    options: Options,
    silence: Duration,
}

impl Client {
    /// Finds the program, the private one first, and checks that it is new enough.
    pub async fn find(runner: &Runner, options: Options) -> Result<Self, Error> {
        runner.ambient().find("ssh", INSTALL_SSH)?;
        let (program, is_known) = match venv::current(&options.cache) {
            Some(program) => (program, true),
            None => (runner.ambient().find(TOOL, INSTALL)?, false),
        };
        let client = Self { runner: runner.clone(), program, options, silence: SILENCE };
        if !is_known {
            client.check_version().await?;
        }
        Ok(client)
    }

    /// The same, with another silence after which a playbook is stopped; an hour otherwise.
    #[must_use]
    pub const fn patient_for(mut self, silence: Duration) -> Self {
        self.silence = silence;
        self
    }

    /// Runs a playbook to its end. Failed nodes are part of the outcome: see [`Outcome::success`].
    pub async fn playbook(&self, playbook: Playbook) -> Result<Outcome, Error> {
        if playbook.limit.as_ref().is_some_and(Vec::is_empty) {
            // To Ansible an empty limit is none at all, and it would run on every node.
            return Err(Error::NoNodes { playbook: playbook.file });
        }
        let events = self.runner.scratch(TOOL, "events")?;
        let mut command = self.command(&events)?.arg(&playbook.file);
        if let Some(nodes) = &playbook.limit {
            command = command.arg("--limit").arg(nodes.join(","));
        }
        if let Some(forks) = playbook.forks {
            command = command.arg("--forks").arg(forks.to_string());
        }
        if let Some(file) = &playbook.variables {
            command = command.arg("--extra-vars").arg(format!("@{file}"));
        }
        let mut watcher = Watcher::new(self.runner.events().clone());
        let outcome = self.runner.run(command, &mut watcher).await?;
        if let Some(stats) = &watcher.stats {
            let nodes = stats.clone();
            self.runner.events().send(Kind::PlaybookSummary { playbook: playbook.file, nodes });
        }
        if outcome.timed_out {
            let at = process::Observer::unfinished(&watcher);
            let (seconds, command, log) = (self.silence.as_secs(), outcome.command, outcome.log);
            return Err(Error::Silent { command, at, seconds, log });
        }
        judge(outcome, watcher)
    }

    /// The program that is used.
    #[must_use]
    pub fn program(&self) -> &Utf8Path {
        &self.program
    }

    fn command(&self, events: &Utf8Path) -> Result<Command, Error> {
        let dir = &self.options.dir;
        let home = dir.join(".home");
        let command = Command::new(TOOL, self.program.clone())
            .dir(dir.clone())
            .cancel(Cancel::Interrupt)
            .silence(self.silence)
            .follow(events)
            .env("ANSIBLE_CONFIG", dir.join("ansible.cfg"))
            .env("ANSIBLE_CALLBACK_PLUGINS", dir.join("plugins/callback"))
            .env("ANSIBLE_CALLBACKS_ENABLED", "refarch")
            .env("ANSIBLE_ACTION_PLUGINS", dir.join("plugins/action"))
            .env("ANSIBLE_LIBRARY", dir.join("plugins/modules"))
            .env("ANSIBLE_MODULE_UTILS", dir.join("plugins/module_utils"))
            .env("ANSIBLE_ROLES_PATH", dir.join("roles"))
            .env("ANSIBLE_HOME", home.as_str())
            .env("ANSIBLE_LOCAL_TEMP", home.join("tmp"))
            .env("ANSIBLE_NOCOLOR", "1")
            .env("ANSIBLE_RETRY_FILES_ENABLED", "0")
            .env("ANSIBLE_DEPRECATION_WARNINGS", "0")
            .env("PYTHONUNBUFFERED", "1")
            .env("REFARCH_ANSIBLE_EVENTS", events.as_str());
        let Some(control) = self.control_folder()? else {
            // Without a shared connection everything works, only slower.
            return Ok(command.env("ANSIBLE_SSH_CONTROL_PATH", "none"));
        };
        Ok(command.env("ANSIBLE_SSH_CONTROL_PATH_DIR", control.as_str()))
    }

    /// Where the sockets of shared connections lie; nothing where their paths would get too long. Each run has
    /// its own folder: a host that was made anew has its predecessor's address, and a connection to that one
    /// would hang.
    fn control_folder(&self) -> Result<Option<Utf8PathBuf>, Error> {
        let all = self.options.cache.join("ssh");
        let run = HEXLOWER.encode(&Sha256::digest(self.runner.logs().as_str()));
        let control = all.join(&run[..8]);
        if control.as_str().len() > LONGEST_CONTROL_FOLDER {
            return Ok(None);
        }
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&control)
            .map_err(Error::io("make", &control))?;
        remove_unused(&all, SystemTime::now()).map_err(Error::io("read", &all))?;
        Ok(Some(control))
    }

    async fn check_version(&self) -> Result<(), Error> {
        let command = Command::new(TOOL, self.program.clone())
            .arg("--version")
            .env("ANSIBLE_NOCOLOR", "1")
            .timeout(Duration::from_mins(1));
        let mut first = FirstLine::default();
        let outcome = self.runner.run(command, &mut first).await?;
        let program = self.program.clone();
        let Some(version) = first.0.as_deref().and_then(core_version) else {
            return Err(Error::NoVersion { program, ended: outcome.ended, log: outcome.log });
        };
        new_enough(program, &version)
    }
}

fn new_enough(program: Utf8PathBuf, version: &Version) -> Result<(), Error> {
    if *version < OLDEST {
        return Err(Error::TooOld { program, found: version.to_string(), needed: NEEDED });
    }
    Ok(())
}

#[derive(Default)]
struct FirstLine(Option<String>);

impl process::Observer for FirstLine {
    fn line(&mut self, source: process::Source, line: &str) {
        if source == process::Source::Stdout && self.0.is_none() {
            self.0 = Some(line.to_owned());
        }
    }
}

/// `ansible-playbook [core 2.19.14]`: the first line of `--version` is for humans, but the one thing about its
/// version that Ansible has said the same way since 2.11. Asking Python for the package instead would need to
/// know which Python the program uses.
fn core_version(line: &str) -> Option<Version> {
    let version = line.split_once("[core ")?.1.split_once(']')?.0;
    // `2.20.0rc1` and the like: what comes after the numbers is of no interest.
    let end = version.find(|sign: char| !sign.is_ascii_digit() && sign != '.').unwrap_or(version.len());
    Version::parse(&version[..end]).ok()
}

fn judge(outcome: process::Outcome, watcher: Watcher) -> Result<Outcome, Error> {
    let failures = watcher.failures();
    let process::Outcome { ended, tail, log, command, .. } = outcome;
    if outcome.interrupted && ended != Ended::Exit(0) {
        return Err(Error::Interrupted { command, log });
    }
    if let Ended::Signal(_) = ended {
        return Err(Error::Killed { command, ended, log });
    }
    let Some(stats) = watcher.stats else {
        if !watcher.started && ended != Ended::Exit(0) {
            return Err(Error::NotStarted { command, ended, tail, log });
        }
        return Err(Error::Unclear { command, ended, what: "its events don't tell how it ended", tail, log });
    };
    if ended != Ended::Exit(0) && failures.is_empty() {
        return Err(Error::Unclear { command, ended, what: "its events tell of no failure", tail, log });
    }
    if stats.is_empty() {
        return Err(Error::Unclear { command, ended, what: "its events tell of no node at all", tail, log });
    }
    Ok(Outcome { stats, failures, states: watcher.states, command, tail, log })
}

/// Removes the folders whose connections ended long ago. One that was just emptied, or just made, may belong to the
/// run of another deployment, whose next connection needs it.
fn remove_unused(all: &Utf8Path, now: SystemTime) -> io::Result<()> {
    for folder in all.read_dir_utf8()?.flatten() {
        let changed = folder.metadata().and_then(|meta| meta.modified());
        if changed.is_ok_and(|changed| now.duration_since(changed).is_ok_and(|age| age > UNUSED)) {
            // Only an empty one can be removed.
            let _ = fs_err::remove_dir(folder.path());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_connections_of_others_keep_their_folders() {
        let folder = tempfile::tempdir().unwrap();
        let all = Utf8Path::from_path(folder.path()).unwrap();
        fs_err::create_dir(all.join("empty")).unwrap();
        fs_err::create_dir(all.join("used")).unwrap();
        fs_err::write(all.join("used/socket"), "").unwrap();
        let there = || (all.join("empty").exists(), all.join("used").exists());
        remove_unused(all, SystemTime::now()).unwrap();
        assert_eq!(there(), (true, true));
        remove_unused(all, SystemTime::now() + UNUSED * 2).unwrap();
        assert_eq!(there(), (false, true));
    }

    #[test]
    fn reads_the_version_from_the_first_line() {
        let version = |line| core_version(line).map(|version| version.to_string());
        assert_eq!(version("ansible-playbook [core 2.19.14]").as_deref(), Some("2.19.14"));
        assert_eq!(version("ansible-playbook [core 2.20.0rc1]").as_deref(), Some("2.20.0"));
        assert_eq!(version("ansible-playbook 2.9.27"), None);
        assert_eq!(version(""), None);
    }

    #[test]
    fn an_old_one_is_refused_with_the_way_to_a_new_one() {
        use miette::Diagnostic as _;
        assert!(new_enough("/bin/a".into(), &Version::new(2, 19, 0)).is_ok());
        let error = new_enough("/bin/a".into(), &Version::new(2, 18, 9)).unwrap_err();
        assert_eq!(
            error.to_string(),
            "use /bin/a: it is ansible-core 2.18.9, and refarch needs 2.19 or newer"
        );
        assert!(error.help().unwrap().to_string().contains("refarch tools install"));
    }
}
