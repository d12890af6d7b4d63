//! Outputs that are closed, that nobody reads, that take nothing: the run goes on, and its record is whole.

use std::fs::OpenOptions;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use super::stage::{Stage, until_provision};

const ARGS: [&str; 4] = ["up", "--yes", "--until", "provision"];

fn stage() -> Stage {
    Stage::with(&until_provision(json!({"command": "apply", "play": "terraform/apply-deployment"})))
}

/// The record says that the run came to its end, and nothing in it was lost.
fn assert_whole(stage: &Stage) {
    let runs = stage.work().join("runs").read_dir_utf8().unwrap();
    let events = runs.map(|run| run.unwrap().into_path().join("events.jsonl")).next().unwrap();
    let text = fs_err::read_to_string(events).unwrap();
    let events: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let last = &events.last().unwrap()["event"];
    assert_eq!((&last["type"], &last["exit"]), (&json!("run_finished"), &json!(0)));
    assert!(events.iter().any(|event| event["event"]["type"] == "apply_summary"));
    assert_eq!(stage.calls().last().unwrap(), "apply");
}

#[test]
fn a_reader_that_goes_away_ends_nothing() {
    // As `| head -1` does: one line is read, and the pipe is closed.
    for json in [false, true] {
        let stage = stage();
        let args = if json { [&["--output", "json"], ARGS.as_slice()].concat() } else { ARGS.to_vec() };
        let mut command = stage.command(&args);
        let mut child = if json {
            command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap()
        } else {
            command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
        };
        let mut line = String::new();
        if json {
            BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
            assert!(line.contains("run_started"), "{line}");
        } else {
            BufReader::new(child.stderr.take().unwrap()).read_line(&mut line).unwrap();
            assert!(line.contains("refarch up --yes"), "{line}");
        }
        assert_eq!(child.wait().unwrap().code(), Some(0));
        assert_whole(&stage);
    }
}

#[test]
fn outputs_that_take_nothing_end_nothing() {
    let full = || Stdio::from(OpenOptions::new().write(true).open("/dev/full").unwrap());
    let stage = stage();
    let status = stage.command(&ARGS).stdout(full()).stderr(full()).status().unwrap();
    assert_eq!(status.code(), Some(0));
    assert_whole(&stage);
}

#[test]
fn outputs_that_were_closed_before_the_start_end_nothing() {
    let stage = stage();
    let command = stage.command(&ARGS);
    // Only a shell starts a program without its descriptors.
    let mut shell = Command::new("/bin/sh");
    shell.args(["-c", "exec \"$0\" \"$@\" >&- 2>&-"]).arg(command.get_program()).args(command.get_args());
    shell.current_dir(&stage.place).env_clear();
    shell.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    assert_eq!(shell.stdin(Stdio::null()).status().unwrap().code(), Some(0));
    assert_whole(&stage);
}
