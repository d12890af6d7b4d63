//! Watches one child: its files, the user's interrupts, its time.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::process::ExitStatus;
use std::time::{Duration, Instant};

use camino::Utf8PathBuf;
use fs_err::File;
use nix::sys::signal::{kill, killpg};
use nix::unistd::Pid;
use process_wrap::tokio::ChildWrapper;

use super::cancel::{Response, Step};
use super::tail::Tail;
use super::{Cancel, Command, Observer, Redactor, Runner, Source};
use crate::events::{Child, Kind, WaitingFor};

/// How often the files of a child are looked at.
const LOOK: Duration = Duration::from_millis(25);
/// After how long a silence, and how often then, the user is told that the child is still there.
const STILL: Duration = Duration::from_mins(1);
/// How many of a child's last lines an error repeats.
const TAIL: usize = 20;

/// What a child writes to, and the log that it ends up in.
pub(super) struct Files {
    pub log: File,
    pub stdout: (Utf8PathBuf, File),
    pub stderr: (Utf8PathBuf, File),
    pub stdout_is_private: bool,
    pub follow: Option<Utf8PathBuf>,
    /// Why the log is incomplete, if it is.
    pub trouble: Option<io::Error>,
}

impl Files {
    pub fn log_line(&mut self, line: &str) {
        let written = writeln!(self.log, "{line}");
        self.note_trouble(written);
    }

    pub fn note_trouble(&mut self, result: io::Result<()>) {
        if let Err(error) = result {
            self.trouble.get_or_insert(error);
        }
    }

    pub fn private(&self) -> io::Result<Vec<u8>> {
        if self.stdout_is_private { fs_err::read(&self.stdout.0) } else { Ok(Vec::new()) }
    }

    pub fn tails(&self, redactor: &Redactor) -> io::Result<Vec<(Source, Tail)>> {
        let stdout = (!self.stdout_is_private).then_some((Source::Stdout, &self.stdout.0));
        let followed = self.follow.as_ref().map(|path| (Source::Followed, path));
        stdout
            .into_iter()
            .chain([(Source::Stderr, &self.stderr.0)])
            .chain(followed)
            .map(|(source, path)| Ok((source, Tail::new(File::open(path)?, redactor.clone()))))
            .collect()
    }

    pub fn remove(&self) -> io::Result<()> {
        for path in [Some(&self.stdout.0), Some(&self.stderr.0), self.follow.as_ref()].into_iter().flatten() {
            fs_err::remove_file(path)?;
        }
        // It goes with its last file; until then it is not empty, and that is no error.
        if let Some(folder) = self.stdout.0.parent() {
            let _ = fs_err::remove_dir(folder);
        }
        Ok(())
    }
}

/// One child being watched.
pub(super) struct Watch<'a> {
    runner: &'a Runner,
    cancel: Cancel,
    child: Child,
    files: &'a mut Files,
    observer: &'a mut dyn Observer,
    pub tail: VecDeque<String>,
    /// What is sent when, if the child still runs then.
    planned: VecDeque<(Instant, Step)>,
    deadline: Option<Instant>,
    silence: Option<Duration>,
    heard: Instant,
    told: Instant,
    pub interrupted: bool,
    pub timed_out: bool,
}

impl<'a> Watch<'a> {
    pub fn new(
        runner: &'a Runner,
        command: &Command,
        child: Child,
        files: &'a mut Files,
        observer: &'a mut dyn Observer,
    ) -> Self {
        Self {
            runner,
            cancel: command.cancel,
            child,
            files,
            observer,
            tail: VecDeque::new(),
            planned: VecDeque::new(),
            deadline: command.timeout.map(|timeout| Instant::now() + timeout),
            silence: command.silence,
            heard: Instant::now(),
            told: Instant::now(),
            interrupted: false,
            timed_out: false,
        }
    }

    /// The child has ended when its process has, and its files are read to their end then: others may still
    /// hold them open.
    pub async fn until_end(
        &mut self,
        mut child: Box<dyn ChildWrapper>,
        mut tails: Vec<(Source, Tail)>,
    ) -> io::Result<ExitStatus> {
        let mut seen = 0;
        let status = loop {
            tokio::select! {
                status = child.wait() => break status?,
                count = self.runner.interrupts().beyond(seen) => {
                    // Two that come at once are still a first and a second.
                    (seen + 1..=count).for_each(|nth| self.interrupt(nth));
                    seen = count;
                }
                () = tokio::time::sleep(LOOK) => self.look(&mut tails),
            }
        };
        for (source, mut tail) in tails {
            let read = tail.rest(|line| self.take(source, line));
            self.files.note_trouble(read);
        }
        Ok(status)
    }

    fn look(&mut self, tails: &mut [(Source, Tail)]) {
        for (source, tail) in tails {
            let source = *source;
            let read = tail.lines(|line| self.take(source, line));
            self.files.note_trouble(read.map(|_| ()));
        }
        self.note_silence(Instant::now());
        self.send_planned();
    }

    /// A child that says nothing may be at something long, or hang: who waits for it should know, and not for ever.
    fn note_silence(&mut self, now: Instant) {
        let silent = now.duration_since(self.heard);
        // It is told at least once before the child is stopped for it.
        let still = self.silence.map_or(STILL, |limit| STILL.min(limit / 2));
        if now.duration_since(self.told.max(self.heard)) >= still {
            self.told = now;
            let at = self.observer.unfinished().join(", ");
            let at = if at.is_empty() { String::new() } else { format!(", which is at {at}") };
            let what = format!("{}{at}; nothing was heard of it for {} s", self.child.tool, silent.as_secs());
            self.runner.events().send(Kind::Waiting { waiting_for: WaitingFor::World { what } });
        }
        if self.silence.is_some_and(|limit| silent >= limit) && !self.interrupted {
            self.silence = None;
            self.timed_out = true;
            self.respond(&self.cancel.respond(1));
        }
    }

    fn take(&mut self, source: Source, line: &str) {
        self.heard = Instant::now();
        self.observer.line(source, line);
        if source == Source::Followed {
            return;
        }
        if self.tail.len() == TAIL {
            self.tail.pop_front();
        }
        self.tail.push_back(line.to_owned());
        self.files.log_line(line);
    }

    fn interrupt(&mut self, nth: u8) {
        let response = self.cancel.respond(nth);
        self.interrupted = true;
        self.respond(&response);
        self.runner.events().send(Kind::Waiting {
            waiting_for: WaitingFor::Interrupted {
                tool: self.child.tool.clone(),
                unfinished: self.observer.unfinished(),
                next: response.next.to_owned(),
            },
        });
    }

    fn respond(&mut self, response: &Response) {
        if let Some(step) = response.now {
            self.send(step);
        }
        if let Some(later) = &response.later {
            let from = Instant::now();
            self.planned = later.iter().map(|(delay, step)| (from + *delay, *step)).collect();
        }
    }

    fn send_planned(&mut self) {
        let now = Instant::now();
        if self.deadline.is_some_and(|deadline| deadline <= now) {
            self.deadline = None;
            self.timed_out = true;
            self.respond(&Cancel::Terminate.respond(1));
        }
        while let Some((when, step)) = self.planned.front().copied()
            && when <= now
        {
            self.planned.pop_front();
            self.send(step);
        }
    }

    /// The child is not reaped yet, so the pid is its own; that it may have ended already is no error.
    fn send(&self, step: Step) {
        let Ok(pid) = i32::try_from(self.child.pid).map(Pid::from_raw) else { return };
        let _ = match step {
            Step::Leader(signal) => kill(pid, signal),
            Step::Group(signal) => killpg(pid, signal),
        };
    }
}
