//! Programs that the tests start, and the ways they are ended.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use super::ended::Ended;

/// How long anything may take that a test waits for. Only a hang takes this long.
pub const PATIENCE: Duration = Duration::from_mins(10);
const LOOK: Duration = Duration::from_millis(10);

/// Waits until something is there.
pub fn wait_for<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "waited for {what} in vain");
        sleep(LOOK);
    }
}

/// Runs a program to its end.
pub fn run(command: &mut Command) -> Ended {
    let output = command.stdin(Stdio::null()).output().expect("the program starts");
    let said = [output.stdout, output.stderr].concat();
    Ended { code: output.status.code(), said: String::from_utf8_lossy(&said).into_owned() }
}

/// Sends a signal to one process.
pub fn signal(process: u32, signal: Signal) {
    kill(Pid::from_raw(process.try_into().expect("a pid")), signal).expect("the process is there");
}

/// A process that stands still until this is dropped.
pub struct Stopped(u32);

impl Stopped {
    pub fn new(process: u32) -> Self {
        signal(process, Signal::SIGSTOP);
        Self(process)
    }
}

impl Drop for Stopped {
    fn drop(&mut self) {
        if let Ok(pid) = self.0.try_into() {
            let _ = kill(Pid::from_raw(pid), Signal::SIGCONT);
        }
    }
}

/// A refarch at work.
pub struct Running {
    child: Child,
    said: PathBuf,
    runs: PathBuf,
    earlier: Vec<PathBuf>,
}

impl Running {
    /// Starts it, with all that it says going to a file. `runs` is where its run will have a folder.
    pub fn start(command: &mut Command, said: PathBuf, runs: PathBuf) -> Self {
        let earlier = folders(&runs);
        let output = File::create(&said).expect("a file");
        let errors = output.try_clone().expect("a file");
        let child =
            command.stdin(Stdio::null()).stdout(output).stderr(errors).spawn().expect("refarch starts");
        Self { child, said, runs, earlier }
    }

    /// The first event of this run that is wanted; the program must not have ended before.
    pub fn event<T>(&mut self, what: &str, wanted: impl Fn(&Value) -> Option<T>) -> T {
        wait_for(what, || {
            let ended = self.child.try_wait().expect("a child");
            let found = self.events().iter().find_map(&wanted);
            assert!(found.is_some() || ended.is_none(), "it ended before {what}:\n{}", self.said());
            found
        })
    }

    /// All events of this run so far.
    pub fn events(&self) -> Vec<Value> {
        let folder = folders(&self.runs).into_iter().find(|folder| !self.earlier.contains(folder));
        let text = folder.and_then(|folder| std::fs::read_to_string(folder.join("events.jsonl")).ok());
        // The last line may still be in the writing.
        let lines = text.unwrap_or_default();
        lines
            .lines()
            .filter_map(|line| Some(serde_json::from_str::<Value>(line).ok()?["event"].take()))
            .collect()
    }

    /// The pid of the tool's process whose command has this word, once it is there.
    pub fn child(&mut self, tool: &str, word: &str) -> u32 {
        self.event(&format!("`{tool} … {word}`"), |event| {
            let ours = event["type"] == "child_started"
                && event["child"]["tool"] == tool
                && event["command"].as_str()?.split(' ').any(|part| part == word);
            ours.then(|| event["child"]["pid"].as_u64()?.try_into().ok()).flatten()
        })
    }

    /// Waits until a task has begun on the node.
    pub fn task(&mut self, task: &str) {
        self.event(&format!("task `{task}`"), |event| {
            let begun = event["type"] == "node_task" && event["task"].as_str()?.ends_with(task);
            begun.then_some(())
        });
    }

    /// Its own pid.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Ends it as the kernel ends a program that it has no memory for.
    pub fn kill(mut self) {
        self.child.kill().expect("it is there");
        self.child.wait().expect("a child");
    }

    /// Waits for its end.
    pub fn end(&mut self) -> Ended {
        let status = wait_for("refarch's end", || self.child.try_wait().expect("a child"));
        Ended { code: status.code(), said: self.said() }
    }

    fn said(&self) -> String {
        std::fs::read_to_string(&self.said).unwrap_or_default()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn folders(path: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(path).into_iter().flatten();
    entries.map(|entry| entry.expect("an entry").path()).collect()
}
