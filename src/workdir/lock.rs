//! The lock of a work directory, and what a killed run left at work.
//!
//! The kernel holds the lock for as long as this process lives. The file's content is for people, and for the
//! next run: it names the program at work, because that one outlives a killed driver.

use std::fmt;
use std::fs::TryLockError;
use std::io::{self, Read, Seek, Write};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use camino::{Utf8Path, Utf8PathBuf};
use fs_err::os::unix::fs::OpenOptionsExt;
use fs_err::{File, OpenOptions};
use jiff::Timestamp;
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, User, getuid};
use serde::{Deserialize, Serialize};

use super::Error;
use crate::events::{Child, Kind, Sender, WaitingFor};
use crate::process::{self, Interrupts};

const VERSION: u32 = 1;
/// How often a leftover program is looked at.
const LOOK: Duration = Duration::from_millis(200);

/// Why somebody takes the lock.
#[derive(Clone, Debug)]
pub struct Claim {
    /// The command, as the user gave it.
    pub command: String,
}

/// Who holds a lock.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owner {
    /// The format's version.
    pub v: u32,
    /// The user's name.
    pub user: String,
    /// The process id of refarch.
    pub pid: u32,
    /// Since when.
    pub since: Timestamp,
    /// What it does.
    pub command: String,
    /// The program at work, if any.
    pub child: Option<Child>,
}

impl Owner {
    fn us(claim: Claim, child: Option<Child>) -> Self {
        let uid = getuid();
        let user = User::from_uid(uid).ok().flatten().map_or_else(|| uid.to_string(), |user| user.name);
        Self {
            v: VERSION,
            user,
            pid: std::process::id(),
            since: Timestamp::now(),
            command: claim.command,
            child,
        }
    }
}

impl fmt::Display for Owner {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.pid == 0 {
            return formatter.write_str("another run holds it");
        }
        write!(
            formatter,
            "`{}` of {} (process {}) holds it since {}",
            self.command,
            self.user,
            self.pid,
            self.since.strftime("%Y-%m-%d %H:%M:%S UTC")
        )
    }
}

/// A held lock; clones hold the same one, and the last one to go releases it.
#[derive(Clone, Debug)]
pub struct Lock(Arc<Held>);

#[derive(Debug)]
struct Held {
    path: Utf8PathBuf,
    state: Mutex<(File, Owner)>,
}

impl Lock {
    /// Takes the lock at `path`, or says who holds it. A program that a killed run left at work comes along:
    /// nothing may be changed before it was waited for.
    pub fn take(path: &Utf8Path, claim: Claim) -> Result<(Self, Option<Leftover>), Error> {
        let mut options = OpenOptions::new();
        options.create(true).truncate(false).read(true).write(true).mode(0o600);
        let mut file = options.open(path).map_err(Error::io("open", path))?;
        let before = read(&mut file);
        match file.file().try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let owner = before.unwrap_or_else(|| Owner {
                    v: VERSION,
                    user: String::new(),
                    pid: 0,
                    since: Timestamp::UNIX_EPOCH,
                    command: String::new(),
                    child: None,
                });
                return Err(Error::Locked { path: path.to_owned(), owner: Box::new(owner) });
            }
            Err(TryLockError::Error(source)) => return Err(Error::io("lock", path)(source)),
        }
        // Read again: the one who held it a moment ago may have started a program since.
        let child = read(&mut file).and_then(|owner| owner.child).filter(process::is_running);
        let leftover = child.clone().map(|child| Leftover { child });
        let owner = Owner::us(claim, child);
        write(&mut file, &owner).map_err(Error::io("write", path))?;
        let lock = Self(Arc::new(Held { path: path.to_owned(), state: Mutex::new((file, owner)) }));
        Ok((lock, leftover))
    }

    /// Who holds the lock at `path`, if anyone does.
    #[must_use]
    pub fn holder(path: &Utf8Path) -> Option<Owner> {
        let mut file = File::open(path).ok()?;
        let owner = read(&mut file);
        match file.file().try_lock_shared() {
            Err(TryLockError::WouldBlock) => owner,
            Ok(()) | Err(TryLockError::Error(_)) => None,
        }
    }

    /// The last holder of a free lock at `path`, if a program of its is still at work: it was killed.
    #[must_use]
    pub fn left_at_work(path: &Utf8Path) -> Option<Owner> {
        let owner = read(&mut File::open(path).ok()?)?;
        owner.child.as_ref().is_some_and(process::is_running).then_some(owner)
    }

    /// Writes which program is at work.
    pub fn name_child(&self, child: Option<&Child>) -> io::Result<()> {
        let mut state = self.0.state.lock().unwrap_or_else(PoisonError::into_inner);
        let (file, owner) = &mut *state;
        owner.child = child.cloned();
        write(file, owner)
    }

    /// The lock file.
    #[must_use]
    pub fn path(&self) -> &Utf8Path {
        &self.0.path
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let (file, owner) = self.state.get_mut().unwrap_or_else(PoisonError::into_inner);
        // A program that still works stays named, for the next run to wait for it.
        if owner.child.is_none() {
            let _ = file.set_len(0);
        }
    }
}

fn read(file: &mut File) -> Option<Owner> {
    let mut text = String::new();
    file.rewind().ok()?;
    file.read_to_string(&mut text).ok()?;
    // Only the first value counts: a kill may leave the end of an older, longer one behind it.
    serde_json::Deserializer::from_str(&text).into_iter().next()?.ok()
}

/// Writes over what is there and cuts afterwards, so that no kill leaves the file without a record.
fn write(file: &mut File, owner: &Owner) -> io::Result<()> {
    let mut text = serde_json::to_vec(owner)?;
    text.push(b'\n');
    file.rewind()?;
    file.write_all(&text)?;
    file.set_len(text.len() as u64)
}

/// A program that a killed run left at work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leftover {
    /// Which.
    pub child: Child,
}

impl Leftover {
    /// Waits until it has ended. The user's first interrupt asks it to stop, a second one leaves it alone and
    /// ends the waiting.
    pub async fn wait(&self, lock: &Lock, events: &Sender, interrupts: &Interrupts) -> Result<(), Error> {
        events.send(Kind::Waiting { waiting_for: WaitingFor::Leftover(self.child.clone()) });
        events.note("Ctrl-C asks it to stop; a second Ctrl-C leaves it alone");
        let mut seen = interrupts.count();
        let patience = seen.saturating_add(2);
        while process::is_running(&self.child) {
            tokio::select! {
                () = tokio::time::sleep(LOOK) => {}
                count = interrupts.beyond(seen) => {
                    seen = count;
                    if count >= patience {
                        let (tool, pid) = (self.child.tool.clone(), self.child.pid);
                        return Err(Error::LeftoverAlive { tool, pid });
                    }
                    self.interrupt();
                }
            }
        }
        lock.name_child(None).map_err(Error::io("write", lock.path()))
    }

    /// One SIGINT to the leader, which Terraform and Ansible both understand.
    fn interrupt(&self) {
        if process::is_running(&self.child)
            && let Ok(pid) = i32::try_from(self.child.pid)
        {
            // It may end at this very moment, which is what was wanted.
            let _ = kill(Pid::from_raw(pid), Signal::SIGINT);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;
    use crate::exit::ExitCode;

    fn folder() -> (tempfile::TempDir, Utf8PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = Utf8PathBuf::from_path_buf(folder.path().join("lock")).unwrap();
        (folder, path)
    }

    fn claim(command: &str) -> Claim {
        Claim { command: command.into() }
    }

    fn child_of(process: &std::process::Child) -> Child {
        let pid = process.id();
        let start_ticks = process::start_ticks(pid).unwrap();
        Child { tool: "sleep".into(), pid, start_ticks, since: Timestamp::now() }
    }

    #[test]
    fn a_second_one_learns_who_holds_it() {
        let (_keep, path) = folder();
        let (lock, leftover) = Lock::take(&path, claim("refarch up a.yml")).unwrap();
        assert_eq!(leftover, None);
        let error = Lock::take(&path, claim("refarch destroy a.yml")).unwrap_err();
        let message = error.to_string();
        assert_eq!(error.exit_code(), ExitCode::Locked);
        assert!(message.contains("`refarch up a.yml` of "), "{message}");
        assert!(message.contains(&format!("(process {}) holds it since 2", std::process::id())), "{message}");
        assert_eq!(Lock::holder(&path).unwrap().command, "refarch up a.yml");
        drop(lock);
        assert_eq!(Lock::holder(&path), None);
        Lock::take(&path, claim("refarch destroy a.yml")).unwrap();
    }

    #[test]
    fn nonsense_in_the_file_stops_nobody() {
        let (_keep, path) = folder();
        fs_err::write(&path, "{\"v\":1,").unwrap();
        let (lock, leftover) = Lock::take(&path, claim("refarch up")).unwrap();
        assert_eq!(leftover, None);
        drop(lock);
    }

    #[tokio::test]
    async fn a_program_left_at_work_is_found_interrupted_and_waited_for() {
        let (_keep, path) = folder();
        let mut process = Command::new("sleep").arg("600").spawn().unwrap();
        let (lock, _) = Lock::take(&path, claim("refarch up")).unwrap();
        lock.name_child(Some(&child_of(&process))).unwrap();
        drop(lock);
        assert_eq!(Lock::holder(&path), None);
        assert_eq!(Lock::left_at_work(&path).unwrap().command, "refarch up");
        let (lock, leftover) = Lock::take(&path, claim("refarch up")).unwrap();
        let leftover = leftover.unwrap();
        assert_eq!(leftover.child.tool, "sleep");
        let interrupts = Interrupts::default();
        let events = Sender::nowhere();
        let stop = interrupts.clone();
        let (waited, ..) = tokio::join!(
            leftover.wait(&lock, &events, &interrupts),
            tokio::task::spawn_blocking(move || process.wait()),
            async move {
                tokio::task::yield_now().await;
                stop.interrupt();
            }
        );
        waited.unwrap();
        drop(lock);
        let (_, leftover) = Lock::take(&path, claim("refarch up")).unwrap();
        assert_eq!(leftover, None);
    }

    #[tokio::test]
    async fn an_impatient_user_leaves_the_program_alone() {
        let (_keep, path) = folder();
        let mut process = Command::new("sleep").arg("600").spawn().unwrap();
        let (lock, _) = Lock::take(&path, claim("refarch up")).unwrap();
        let leftover = Leftover { child: child_of(&process) };
        lock.name_child(Some(&leftover.child)).unwrap();
        let interrupts = Interrupts::default();
        let stop = interrupts.clone();
        let events = Sender::nowhere();
        let (waited, ()) = tokio::join!(leftover.wait(&lock, &events, &interrupts), async move {
            tokio::task::yield_now().await;
            stop.interrupt();
            stop.interrupt();
        });
        assert_eq!(waited.unwrap_err().exit_code(), ExitCode::Locked);
        assert!(process::is_running(&leftover.child));
        process.kill().unwrap();
        process.wait().unwrap();
        assert!(!process::is_running(&leftover.child));
    }
}
