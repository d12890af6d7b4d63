//! refarch's private ansible-core: a virtual environment in the cache folder, pinned and checked by hashes.
//!
//! A virtual environment holds its own path, so it can't be built elsewhere and moved. Each is built where it
//! stays, in a folder named by what was asked for, and a link is turned to it once it is whole.

use std::fs::TryLockError;
use std::io;
use std::time::Duration;

use camino::{Utf8Path, Utf8PathBuf};
use data_encoding::HEXLOWER;
use fs_err::os::unix::fs::symlink;
use secrecy::SecretString;
use sha2::{Digest, Sha256};
use url::Url;

use super::Error;
use crate::process::{self, Command, Observer, Outcome, Quiet, Runner, Source, is_program};
use crate::workdir::{PUBLIC, atomically};

const REQUIREMENTS: &str = include_str!("../../tools/ansible.txt");
/// Written last, so that a folder without it was never finished.
const STAMP: &str = "refarch-complete";
const INSTALL_PYTHON: &str =
    "Install Python 3.11 or newer with its `venv` module, as by `apt-get install python3 python3-venv`.";
const PYTHONS: [&str; 4] = ["python3", "python3.13", "python3.12", "python3.11"];
/// How pip is told of a mirror.
const PIP: &[&str] = &[
    "NETRC",
    "PIP_CERT",
    "PIP_CLIENT_CERT",
    "PIP_CONFIG_FILE",
    "PIP_EXTRA_INDEX_URL",
    "PIP_FIND_LINKS",
    "PIP_INDEX_URL",
    "PIP_NO_INDEX",
    "PIP_PROXY",
    "PIP_TRUSTED_HOST",
    "REQUESTS_CA_BUNDLE",
    "XDG_CONFIG_HOME",
];
const PATIENCE: Duration = Duration::from_mins(15);

/// What [`install`] did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Installed {
    /// The virtual environment, by the path that stays the same.
    pub folder: Utf8PathBuf,
    /// Whether it was there already.
    pub was_current: bool,
    /// The version of ansible-core in it.
    pub version: String,
}

/// The folder of programs of the private installation, whether it is there or not.
#[must_use]
pub fn programs(cache: &Utf8Path) -> Utf8PathBuf {
    link(cache).join("bin")
}

/// Whether the private installation is the one that this refarch asks for.
#[must_use]
pub fn is_current(cache: &Utf8Path) -> bool {
    current(cache).is_some()
}

/// The private `ansible-playbook`, if the installation is the one that this refarch asks for.
pub(super) fn current(cache: &Utf8Path) -> Option<Utf8PathBuf> {
    let folder = folder(cache);
    let points_there = link(cache).canonicalize_utf8().ok()? == folder.canonicalize_utf8().ok()?;
    // The interpreter lies outside; an upgrade of the system may have taken it away.
    let works = is_program(&folder.join("bin/python3")) && folder.join(STAMP).exists();
    let program = programs(cache).join("ansible-playbook");
    (points_there && works && is_program(&program)).then_some(program)
}

fn tools(cache: &Utf8Path) -> Utf8PathBuf {
    cache.join("tools")
}

fn link(cache: &Utf8Path) -> Utf8PathBuf {
    tools(cache).join("ansible")
}

fn folder(cache: &Utf8Path) -> Utf8PathBuf {
    let hash = HEXLOWER.encode(&Sha256::digest(REQUIREMENTS));
    tools(cache).join(format!("ansible-{}", &hash[..12]))
}

/// The pinned version of ansible-core.
fn version() -> String {
    let line = REQUIREMENTS.lines().find_map(|line| line.strip_prefix("ansible-core=="));
    line.and_then(|line| line.split_whitespace().next()).unwrap_or("of unknown version").to_owned()
}

/// Installs the pinned ansible-core into the cache folder, unless it is there.
pub async fn install(runner: &Runner, cache: &Utf8Path) -> Result<Installed, Error> {
    let tools = tools(cache);
    fs_err::create_dir_all(&tools).map_err(Error::io("make", &tools))?;
    let lock_path = tools.join(".lock");
    let lock = fs_err::File::create(&lock_path).map_err(Error::io("open", &lock_path))?;
    match lock.file().try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Err(Error::InstallLocked),
        Err(TryLockError::Error(source)) => return Err(Error::io("lock", &lock_path)(source)),
    }
    let was_current = is_current(cache);
    if !was_current {
        build(runner, cache).await?;
        turn_link(cache)?;
        remove_older(cache)?;
    }
    Ok(Installed { folder: link(cache), was_current, version: version() })
}

async fn build(runner: &Runner, cache: &Utf8Path) -> Result<(), Error> {
    learn_passwords(runner);
    let python = python(runner).await?;
    let folder = folder(cache);
    if folder.exists() {
        // It was never finished, or its interpreter is gone.
        fs_err::remove_dir_all(&folder).map_err(Error::io("remove", &folder))?;
    }
    run(runner, Command::new("python3", python).args(["-m", "venv"]).arg(folder.as_str())).await?;
    let requirements = folder.join("requirements.txt");
    atomically(&requirements, REQUIREMENTS, PUBLIC)
        .map_err(|error| Error::io("write", &requirements)(io::Error::other(error)))?;
    let pip = Command::new("pip", folder.join("bin/python3"))
        .args(["-m", "pip", "install", "--disable-pip-version-check", "--no-input", "--no-color"])
        .args(["--require-hashes", "--only-binary", ":all:", "-r"])
        .arg(requirements.as_str())
        .allow(PIP)
        .timeout(PATIENCE);
    run(runner, pip).await?;
    let check = Command::new("ansible-playbook", folder.join("bin/ansible-playbook"))
        .arg("--version")
        .env("ANSIBLE_NOCOLOR", "1");
    run(runner, check).await?;
    let stamp = folder.join(STAMP);
    atomically(&stamp, "", PUBLIC).map_err(|error| Error::io("write", &stamp)(io::Error::other(error)))
}

async fn run(runner: &Runner, command: Command) -> Result<(), Error> {
    let Outcome { ended, interrupted, tail, log, command, .. } = runner.run(command, &mut Quiet).await?;
    match ended {
        process::Ended::Exit(0) => Ok(()),
        _ if interrupted => Err(Error::Interrupted { command, log }),
        _ => Err(Error::Install { command, ended, tail, log }),
    }
}

/// The first Python in `PATH` that is new enough.
async fn python(runner: &Runner) -> Result<Utf8PathBuf, Error> {
    runner.ambient().find("python3", INSTALL_PYTHON)?;
    let mut found = Vec::new();
    for name in PYTHONS {
        let Ok(program) = runner.ambient().find(name, INSTALL_PYTHON) else { continue };
        let command = Command::new("python3", program.clone())
            .args(["-c", "import sys; print('%d.%d' % sys.version_info[:2])"])
            .timeout(Duration::from_mins(1));
        let mut answer = Answer::default();
        runner.run(command, &mut answer).await?;
        if is_new_enough(&answer.0) {
            return Ok(program);
        }
        found.push(format!("{} ({program})", answer.0));
    }
    Err(Error::PythonTooOld { found: found.join(", ") })
}

fn is_new_enough(version: &str) -> bool {
    let numbers: Vec<u32> = version.split('.').map_while(|part| part.parse().ok()).collect();
    matches!(numbers.as_slice(), [3, minor, ..] if *minor >= 11)
}

#[derive(Default)]
struct Answer(String);

impl Observer for Answer {
    fn line(&mut self, source: Source, line: &str) {
        if source == Source::Stdout {
            line.clone_into(&mut self.0);
        }
    }
}

/// A mirror's address may hold a password, and pip may print the address.
fn learn_passwords(runner: &Runner) {
    let addresses = ["PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_PROXY", "HTTPS_PROXY", "https_proxy"];
    let words =
        addresses.iter().filter_map(|name| runner.ambient().variable(name)).flat_map(str::split_whitespace);
    let passwords = words.filter_map(|word| Url::parse(word).ok()?.password().map(SecretString::from));
    runner.redactor().learn(&passwords.collect::<Vec<_>>());
}

/// Turns the link in one step, so that nobody ever finds none.
fn turn_link(cache: &Utf8Path) -> Result<(), Error> {
    let link = link(cache);
    let name = folder(cache).file_name().unwrap_or_default().to_owned();
    let beside = tools(cache).join(".ansible-new");
    let _ = fs_err::remove_file(&beside);
    symlink(&name, &beside).map_err(Error::io("make", &beside))?;
    if fs_err::symlink_metadata(&link).is_ok_and(|meta| meta.is_dir()) {
        // A folder in the link's place is nothing that refarch made.
        fs_err::remove_dir_all(&link).map_err(Error::io("remove", &link))?;
    }
    fs_err::rename(&beside, &link).map_err(Error::io("replace", &link))
}

fn remove_older(cache: &Utf8Path) -> Result<(), Error> {
    let tools = tools(cache);
    let kept = folder(cache);
    for entry in tools.read_dir_utf8().map_err(Error::io("read", &tools))? {
        let entry = entry.map_err(Error::io("read", &tools))?;
        if is_ours(entry.file_name()) && entry.path() != kept {
            fs_err::remove_dir_all(entry.path()).map_err(Error::io("remove", entry.path()))?;
        }
    }
    Ok(())
}

/// Whether a name is one that [`folder`] gives; others share the folder of tools.
fn is_ours(name: &str) -> bool {
    name.strip_prefix("ansible-")
        .is_some_and(|hash| hash.len() == 12 && hash.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_its_own_older_installations_are_removed() {
        assert!(is_ours("ansible-4cfcfe451ac9"));
        assert!(!is_ours("ansible-dev.lock") && !is_ours("ansible-dev-bf7138a11ae6") && !is_ours("ansible"));
    }

    #[test]
    fn every_requirement_is_pinned_and_hashed() {
        let pins: Vec<_> = REQUIREMENTS
            .lines()
            .filter(|line| !line.starts_with([' ', '#']) && !line.trim().is_empty())
            .collect();
        assert!(pins.iter().any(|pin| pin.starts_with("ansible-core==")));
        assert!(pins.iter().all(|pin| pin.contains("==") && pin.ends_with('\\')), "{pins:?}");
        assert!(version().starts_with("2."), "{}", version());
    }

    #[test]
    fn knows_which_python_is_new_enough() {
        assert!(["3.11", "3.13"].iter().all(|version| is_new_enough(version)));
        assert!(["3.10", "2.7", "", "3"].iter().all(|version| !is_new_enough(version)));
    }

    #[test]
    fn what_was_never_finished_is_not_current() {
        use std::os::unix::fs::PermissionsExt;
        let keep = tempfile::tempdir().unwrap();
        let cache = Utf8Path::from_path(keep.path()).unwrap();
        let bin = folder(cache).join("bin");
        fs_err::create_dir_all(&bin).unwrap();
        for name in ["python3", "ansible-playbook"] {
            fs_err::write(bin.join(name), "").unwrap();
            fs_err::set_permissions(bin.join(name), std::fs::Permissions::from_mode(0o755)).unwrap();
        }
        assert!(!is_current(cache), "no link");
        turn_link(cache).unwrap();
        assert!(!is_current(cache), "no stamp");
        fs_err::write(folder(cache).join(STAMP), "").unwrap();
        assert_eq!(current(cache), Some(cache.join("tools/ansible/bin/ansible-playbook")));
        let older = tools(cache).join("ansible-000000000000");
        let other = tools(cache).join("ansible-dev-0000000");
        fs_err::create_dir(&older).unwrap();
        fs_err::create_dir(&other).unwrap();
        remove_older(cache).unwrap();
        assert!(!older.exists() && other.exists() && is_current(cache));
        fs_err::remove_file(bin.join("python3")).unwrap();
        assert!(!is_current(cache), "no interpreter");
    }
}
