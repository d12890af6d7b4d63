//! Runs one program to its end, whatever happens to it or to us meanwhile.

use std::fmt;
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use camino::{Utf8Path, Utf8PathBuf};
use fs_err::File;
use jiff::Timestamp;
use nix::fcntl::{FallocateFlags, fallocate};
use nix::sys::signal::Signal;
use process_wrap::tokio::{ChildWrapper, CommandWrap, ProcessSession};

use super::watch::{Files, Watch};
use super::{Ambient, Cancel, Command, Error, Interrupts, Redactor, Stdout, proc, raw, stdin};
use crate::events::{Child, Kind, Sender};
use crate::workdir::Lock;

/// How much of the disk is kept free for what a program must be able to say, in bytes.
const LAST_WORDS: i64 = 256 * 1024;

/// Where a line came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// The child's stdout.
    Stdout,
    /// The child's stderr.
    Stderr,
    /// The file that the command said to follow.
    Followed,
}

/// Watches a child at work.
pub trait Observer: Send {
    /// Takes a redacted line.
    fn line(&mut self, source: Source, line: &str);

    /// What the child is at, for an interrupted user to know.
    fn unfinished(&self) -> Vec<String> {
        Vec::new()
    }
}

/// Watches nothing.
#[derive(Clone, Copy, Debug)]
pub struct Quiet;

impl Observer for Quiet {
    fn line(&mut self, _: Source, _: &str) {}
}

/// How a program ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// By itself, with this code.
    Exit(i32),
    /// By this signal.
    Signal(i32),
}

impl fmt::Display for Ended {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exit(code) => write!(formatter, "exit {code}"),
            Self::Signal(number) => match Signal::try_from(*number) {
                Ok(signal) => formatter.write_str(signal.as_str()),
                Err(_) => write!(formatter, "signal {number}"),
            },
        }
    }
}

/// What came of running a program.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// How it ended.
    pub ended: Ended,
    /// Whether the user's interrupt reached it. Terraform then ends with 1, as if it had failed.
    pub interrupted: bool,
    /// Whether it was stopped because it took too long.
    pub timed_out: bool,
    /// How long it ran.
    pub duration: Duration,
    /// Its last lines, redacted.
    pub tail: Vec<String>,
    /// Its stdout, if that was private; else empty.
    pub private: Vec<u8>,
    /// The command as a user would type it.
    pub command: String,
    /// Where all its lines are.
    pub log: Utf8PathBuf,
}

impl Outcome {
    /// Whether it ended by itself with 0.
    #[must_use]
    pub fn is_success(&self) -> bool {
        self.ended == Ended::Exit(0)
    }
}

/// What a runner is made of.
#[derive(Debug)]
pub struct Parts {
    /// The folder for logs: a run's directory.
    pub logs: Utf8PathBuf,
    /// Knows the secrets.
    pub redactor: Redactor,
    /// Takes events.
    pub events: Sender,
    /// Counts the user's wishes to stop.
    pub interrupts: Interrupts,
    /// refarch's own environment.
    pub ambient: Ambient,
    /// The lock that names a running child; absent where nothing is locked.
    pub lock: Option<Lock>,
}

/// Starts programs for one run; cheap to clone.
#[derive(Clone, Debug)]
pub struct Runner(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    parts: Parts,
    next_number: AtomicU32,
}

impl Runner {
    /// A runner made of these parts.
    #[must_use]
    pub fn new(parts: Parts) -> Self {
        Self(Arc::new(Inner { parts, next_number: AtomicU32::new(1) }))
    }

    /// Where events go.
    #[must_use]
    pub fn events(&self) -> &Sender {
        &self.0.parts.events
    }

    /// What takes secrets out of text.
    #[must_use]
    pub fn redactor(&self) -> &Redactor {
        &self.0.parts.redactor
    }

    /// refarch's own environment.
    #[must_use]
    pub fn ambient(&self) -> &Ambient {
        &self.0.parts.ambient
    }

    /// The count of the user's wishes to stop.
    #[must_use]
    pub fn interrupts(&self) -> &Interrupts {
        &self.0.parts.interrupts
    }

    /// The folder for logs.
    #[must_use]
    pub fn logs(&self) -> &Utf8Path {
        &self.0.parts.logs
    }

    /// Makes an empty file that only the owner may read, for a child to write data to. It counts as data that
    /// is never logged, and a later run removes it should this one be killed.
    pub fn scratch(&self, tool: &'static str, ending: &str) -> Result<Utf8PathBuf, Error> {
        self.create(tool, ending).map(|(path, _)| path).map_err(|source| Error::Log {
            doing: "make a file",
            command: tool.to_owned(),
            source,
        })
    }

    /// Runs a program to its end. Its failure is an outcome; an error means that it never ran. Should this
    /// future be dropped, the program goes on, and the lock still names it.
    pub async fn run(&self, command: Command, observer: &mut dyn Observer) -> Result<Outcome, Error> {
        let shown = command.shown(self.redactor());
        if self.interrupts().count() > 0 {
            return Err(Error::Interrupted { command: shown });
        }
        let log_error = |doing| {
            let command = shown.clone();
            move |source| Error::Log { doing, command, source }
        };
        let mut files = self.files(&command).map_err(log_error("make the output files"))?;
        files.log_line(&format!("# {} {shown}", Timestamp::now()));
        let tails = files.tails(self.redactor()).map_err(log_error("open the output files"))?;
        let (session, child) = self.start(&command, &files).map_err(|source| {
            // Nothing ran, so nothing stands in these files.
            let _ = files.remove();
            Error::Start { command: shown.clone(), program: command.program.clone(), source }
        })?;
        // From here on nothing but its end stops the watching: a full disk is no reason to let go of it.
        let since = Instant::now();
        self.name_child(Some(&child), &mut files);
        self.events().send(Kind::ChildStarted { child: child.clone(), command: shown.clone() });
        let mut watch = Watch::new(self, &command, child, &mut files, observer);
        let status = watch.until_end(session, tails).await.map_err(log_error("wait for the end"))?;
        let (interrupted, timed_out) = (watch.interrupted, watch.timed_out);
        let tail = watch.tail.into();
        let ended = ended(status);
        let duration = since.elapsed();
        files.log_line(&format!("# {} {ended} after {:.1} s", Timestamp::now(), duration.as_secs_f64()));
        let private = files.private().map_err(log_error("read the output"))?;
        self.name_child(None, &mut files);
        self.close(files, command.tool);
        self.events().send(Kind::ChildFinished {
            tool: command.tool.to_owned(),
            status: ended.to_string(),
            interrupted,
            seconds: duration.as_secs_f64(),
        });
        let log = self.logs().join(format!("{}.log", command.tool));
        Ok(Outcome { ended, interrupted, timed_out, duration, tail, private, command: shown, log })
    }

    fn name_child(&self, child: Option<&Child>, files: &mut Files) {
        if let Some(lock) = &self.0.parts.lock {
            files.note_trouble(lock.name_child(child));
        }
    }

    /// Raw files go once their log is complete. If it isn't, they stay for the next run to make good.
    fn close(&self, mut files: Files, tool: &str) {
        if files.trouble.is_none() {
            let removed = files.remove();
            files.note_trouble(removed);
        }
        if let Some(trouble) = files.trouble {
            self.events().warn(
                format!("the record of `{tool}` is incomplete: {trouble}"),
                Some("Check that the disk isn't full. The next run completes the record.".into()),
            );
        }
    }

    fn create(&self, tool: &str, ending: &str) -> io::Result<(Utf8PathBuf, File)> {
        loop {
            let number = self.0.next_number.fetch_add(1, Ordering::Relaxed);
            match raw::create(self.logs(), number, tool, ending) {
                // Another runner works in the same folder.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                result => return result,
            }
        }
    }

    fn files(&self, command: &Command) -> io::Result<Files> {
        let ending = match command.stdout {
            Stdout::Lines => "out",
            Stdout::Private => "private",
        };
        Ok(Files {
            log: raw::log(self.logs(), command.tool)?,
            stdout: reserved(command, self.create(command.tool, ending)?),
            stderr: self.create(command.tool, "err")?,
            stdout_is_private: command.stdout == Stdout::Private,
            follow: command.follow.clone(),
            trouble: None,
        })
    }

    fn start(&self, command: &Command, files: &Files) -> io::Result<(Box<dyn ChildWrapper>, Child)> {
        let stdio = |file: &File| Ok::<_, io::Error>(Stdio::from(file.file().try_clone()?));
        let (stdout, stderr) = (stdio(&files.stdout.1)?, stdio(&files.stderr.1)?);
        let input = stdin::of(command.stdin.as_ref())?;
        let mut wrap = CommandWrap::with_new(&command.program, |command_line| {
            command_line
                .args(&command.args)
                .env_clear()
                .envs(self.ambient().child(command.allowed, &command.env))
                .stdin(input)
                .stdout(stdout)
                .stderr(stderr);
            if let Some(dir) = &command.dir {
                command_line.current_dir(dir);
            }
        });
        let child = wrap.wrap(ProcessSession).spawn()?;
        let pid = child.id().ok_or_else(|| io::Error::other("the child has no process id"))?;
        // Nobody but us can reap it, so it is there even if it has ended already.
        let start_ticks = proc::start_ticks(pid).unwrap_or_default();
        let named = Child { tool: command.tool.to_owned(), pid, start_ticks, since: Timestamp::now() };
        Ok((child, named))
    }
}

/// What a program says last, on a disk that has become full, may be the one record of what it made. A file system
/// that can't keep room for it is no reason not to start.
fn reserved(command: &Command, file: (Utf8PathBuf, File)) -> (Utf8PathBuf, File) {
    if command.cancel == Cancel::FinishFirst {
        let _ = fallocate(file.1.file(), FallocateFlags::FALLOC_FL_KEEP_SIZE, 0, LAST_WORDS);
    }
    file
}

fn ended(status: ExitStatus) -> Ended {
    match (status.code(), status.signal()) {
        (Some(code), _) => Ended::Exit(code),
        (None, signal) => Ended::Signal(signal.unwrap_or_default()),
    }
}
