//! `refarch status`, with the program as users have it and tools that are replayed.

use std::fs::File;

use serde_json::{Value, json};

use super::luck::stage::{NODE, Stage};

fn steps(inspect: &str) -> Vec<Value> {
    [
        ("inspect", inspect),
        ("version", "ansible/version"),
        ("version", "terraform/version"),
        ("output", "terraform/output-deployment"),
        ("probe.yml", "ansible/unreachable"),
    ]
    .iter()
    .map(|(command, play)| json!({"command": command, "play": play}))
    .collect()
}

/// A deployment that the provider says is there, and whose secrets are those of the recording.
fn existing() -> Stage {
    let stage = Stage::with(&steps("lab/inspect-deployment"));
    let recording =
        concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fakes/recordings/lab/inspect-deployment/stdout");
    let found: Value = serde_json::from_slice(&fs_err::read(recording).unwrap()).unwrap();
    let mut secrets = stage.secrets();
    secrets["suffix"] = found["owner"]["suffix"].clone();
    fs_err::write(stage.work().join("secrets.json"), secrets.to_string()).unwrap();
    fs_err::create_dir(stage.work().join("ansible")).unwrap();
    stage
}

fn json_of(stage: &Stage) -> Value {
    let output = stage.command(&["status", "--json"]).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// All files of the work directory and what is in them.
fn kept(stage: &Stage) -> Vec<(String, Vec<u8>)> {
    let mut found = Vec::new();
    let mut folders = vec![stage.place.clone()];
    while let Some(folder) = folders.pop() {
        for entry in folder.read_dir_utf8().unwrap() {
            let path = entry.unwrap().into_path();
            if path.is_dir() {
                folders.push(path);
            } else {
                found.push((path.to_string(), fs_err::read(&path).unwrap()));
            }
        }
    }
    found.sort();
    found
}

#[test]
fn nothing_exists_and_nothing_is_made_to_say_so() {
    let stage = Stage::bare(&steps("lab/inspect-nothing"));
    stage.run(&["status"]).assert(0, &["nothing exists", "never, as far as", &format!("make {NODE}")]);
    let status = json_of(&stage);
    assert_eq!(status["exists"]["state"], "nothing");
    assert_eq!(status["work_directory"]["exists"], false);
    assert!(!stage.place.join(".refarch").exists(), "a work directory was made");
}

#[test]
fn a_node_that_can_not_be_reached_is_part_of_the_answer() {
    let stage = existing();
    let before = kept(&stage);
    let status = json_of(&stage);
    assert_eq!(status["exists"]["state"], "all");
    assert_eq!(status["nodes"][0]["name"], NODE);
    assert!(status["nodes"][0]["unknown"].is_string(), "{status:#}");
    assert_eq!(status["changes"]["state"], "unknown");
    assert!(stage.calls().contains(&"probe.yml".to_owned()), "{status:#}");
    assert_eq!(kept(&stage), before, "something was written");
    stage.run(&["status"]).assert(0, &["1 of 1 node running", "unknown: nothing is known of"]);
}

#[test]
fn another_run_is_named_and_its_nodes_are_left_alone() {
    let stage = existing();
    let lock = stage.work().join("lock");
    let owner = json!({"v": 1, "user": "somebody", "pid": 4711, "since": "2026-11-23T12:00:00Z",
        "command": "refarch up gitlab.yml", "child": null});
    fs_err::write(&lock, owner.to_string()).unwrap();
    let held = File::open(&lock).unwrap();
    held.lock().unwrap();
    let before = kept(&stage);
    let ended = stage.run(&["status"]);
    ended.assert(0, &["`refarch up gitlab.yml` of somebody (process 4711)", "1 of 1 node running"]);
    assert!(!stage.calls().contains(&"probe.yml".to_owned()), "a node was asked");
    assert_eq!(kept(&stage), before, "something was written");
    drop(held);
    assert!(json_of(&stage).get("at_work").is_none());
}

#[test]
fn the_last_verdict_is_told_by_the_newest_run_that_has_one() {
    let stage = existing();
    let verdict = |outcome: &str| {
        json!({"outcome": outcome, "level": "health", "started": "2026-11-23T12:00:00Z",
            "counts": {"pass": 7, "warn": 1, "fail": 0, "skip": 2}, "from_the_future": true})
    };
    for (run, content) in [
        ("20261123T110000", verdict("fail").to_string()),
        ("20261123T120000", verdict("pass").to_string()),
        ("20261123T130000", "{".to_owned()),
    ] {
        let folder = stage.work().join("runs").join(run);
        fs_err::create_dir_all(&folder).unwrap();
        fs_err::write(folder.join("report.json"), content).unwrap();
    }
    fs_err::create_dir_all(stage.work().join("runs/20261123T140000")).unwrap();
    let last = json_of(&stage)["last_verdict"].clone();
    assert_eq!((&last["outcome"], &last["counts"]["pass"]), (&json!("pass"), &json!(7)));
    assert!(last["report"].as_str().unwrap().ends_with("20261123T120000/report.json"));
    stage.run(&["status"]).assert(0, &["PASS at level health, 2026-11-23 12:00 UTC", "7 passed, 1 warned"]);
}

#[test]
fn what_another_work_directory_owns_is_said_to_be_its() {
    let stage = Stage::with(&steps("lab/inspect-deployment"));
    let status = json_of(&stage);
    assert_eq!(status["exists"]["state"], "elsewhere");
    assert_eq!(status["exists"]["owner"], "/recorded/.refarch/recorded");
    assert!(!stage.calls().contains(&"probe.yml".to_owned()), "somebody else's node was asked");
}

#[test]
fn where_the_provider_can_not_be_asked_nothing_is_claimed() {
    let stage = Stage::bare(&steps("lab/inspect-nothing"));
    fs_err::remove_file(stage.root.join("bin/refarch-lab")).unwrap();
    stage.run(&["status"]).assert(4, &["`refarch-lab` is missing", "make lab"]);
}
