//! Runs programs for reconfigure. Nothing secret goes into an argument: it goes through standard input or,
//! where the program offers nothing else, the environment of a process of the same user.

use std::io::Write as _;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};

use super::Error;
use super::converge::Owner;

/// Runs a program as root and returns what it printed.
pub fn run(program: &str, arguments: &[String]) -> Result<String, Error> {
    finish(program, Command::new(program).args(arguments).stdin(Stdio::null()))
}

/// A command that runs as another user, in that user's home.
#[must_use]
pub fn as_user(program: &str, owner: Owner, home: &str) -> Command {
    let mut command = Command::new(program);
    command.uid(owner.uid()).gid(owner.gid()).current_dir("/").env("HOME", home).env("LC_ALL", "C.UTF-8");
    command
}

/// Runs a prepared command to its end.
pub fn finish(shown: &str, command: &mut Command) -> Result<String, Error> {
    let output = command.output().map_err(|reason| failed(shown, "not started", reason.to_string()))?;
    result(shown, &output)
}

/// Runs a prepared command with text on its standard input.
pub fn feed(shown: &str, command: &mut Command, input: &str) -> Result<String, Error> {
    let not_started = |reason: std::io::Error| failed(shown, "not started", reason.to_string());
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(not_started)?;
    if let Some(mut pipe) = child.stdin.take() {
        // A program that ends before it has read everything says why itself.
        let _ = pipe.write_all(input.as_bytes());
    }
    result(shown, &child.wait_with_output().map_err(not_started)?)
}

fn result(shown: &str, output: &std::process::Output) -> Result<String, Error> {
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.success() {
        return Ok(printed);
    }
    let complaint = String::from_utf8_lossy(&output.stderr);
    let text = [printed.trim(), complaint.trim()].join("\n");
    Err(failed(shown, &output.status.to_string(), text.trim().to_owned()))
}

fn failed(program: &str, status: &str, output: String) -> Error {
    Error::Program { program: program.to_owned(), status: status.to_owned(), output }
}
