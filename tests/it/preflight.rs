//! `refarch preflight` of this machine: each check passes when all is right, and fails on its fault. What a run can't do
//! without fails also where it can't be looked at, because `up` would stop there.

use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;

use serde_json::{Value, json};

use super::luck::stage::Stage;

const NOBODY: u32 = 65534;

fn steps() -> Vec<Value> {
    vec![
        json!({"command": "inspect", "play": "lab/inspect-nothing"}),
        json!({"command": "version", "play": "terraform/version"}),
        json!({"command": "version", "play": "ansible/version"}),
    ]
}

/// The stage on which this command is answered otherwise.
fn with(command: &str, nth: usize, play: &str) -> Stage {
    let mut steps = steps();
    let mut of = steps.iter_mut().filter(|step| step["command"] == command);
    of.nth(nth).expect("such a step")["play"] = play.into();
    Stage::bare(&steps)
}

/// What one check found, and how the program ended.
#[track_caller]
fn found(stage: &Stage, check: &str) -> (String, String) {
    let report = stage.root.join("report.json");
    let ended = stage.run(&["preflight", "--json", report.as_str()]);
    let text = fs_err::read(&report).unwrap_or_else(|_| panic!("no report: {}", ended.said));
    let document: Value = serde_json::from_slice(&text).unwrap();
    let findings = document["findings"].as_array().unwrap();
    let finding = findings.iter().find(|finding| finding["check"] == check).expect("a finding");
    let failed = document["outcome"] == "fail";
    assert_eq!(ended.code, Some(if failed { 4 } else { 0 }), "{}", ended.said);
    let word = |key: &str| finding[key].as_str().unwrap_or_default().to_owned();
    (word("status"), format!("{} / {}", word("saw"), word("remedy")))
}

#[track_caller]
fn assert_fails(stage: &Stage, check: &str, words: &str) {
    let (status, told) = found(stage, check);
    assert_eq!(status, "fail", "{check}: {told}");
    assert!(told.contains(words) && !told.ends_with("/ "), "{check}: {told}");
}

#[test]
fn what_is_there_passes_and_hosts_that_are_not_made_are_skips() {
    let stage = Stage::bare(&steps());
    for check in ["spec", "terraform", "ansible", "ssh", "lab", "room", "owner", "package"] {
        assert_eq!(found(&stage, check).0, "pass", "{check}");
    }
    let (status, told) = found(&stage, "swap");
    assert_eq!(status, "skip");
    assert!(told.starts_with("not made yet"), "{told}");
}

#[test]
fn tools_that_are_missing_or_old_or_odd_fail() {
    let stage = Stage::bare(&steps());
    fs_err::create_dir(stage.root.join("lone")).unwrap();
    std::os::unix::fs::symlink("/usr/bin/ssh-keygen", stage.root.join("lone/ssh-keygen")).unwrap();
    // It would do instead of Terraform.
    fs_err::remove_file(stage.root.join("bin/tofu")).unwrap();
    for (tool, check) in [("terraform", "terraform"), ("ansible-playbook", "ansible"), ("ssh-keyscan", "ssh")]
    {
        let (link, aside) = (stage.root.join("bin").join(tool), stage.root.join("aside"));
        fs_err::rename(&link, &aside).unwrap();
        // Where this machine has one of its own, it is not asked: it may be anything.
        let path = [stage.root.join("bin").as_str(), stage.root.join("lone").as_str()].join(":");
        let mut command = stage.command(&["preflight", "--json", stage.root.join("report.json").as_str()]);
        let output = command.env("PATH", path).output().unwrap();
        fs_err::rename(&aside, &link).unwrap();
        assert_eq!(output.status.code(), Some(4));
        let document: Value =
            serde_json::from_slice(&fs_err::read(stage.root.join("report.json")).unwrap()).unwrap();
        let finding =
            document["findings"].as_array().unwrap().iter().find(|it| it["check"] == check).unwrap().clone();
        assert_eq!(finding["status"], "fail", "{finding}");
        assert!(finding["saw"].as_str().unwrap().contains(&format!("find `{tool}`")), "{finding}");
    }
    assert_fails(&with("version", 0, "ansible/version"), "terraform", "answered nothing");
    assert_fails(&with("version", 1, "terraform/version"), "ansible", "ansible");
}

#[test]
fn a_name_that_another_work_directory_owns_or_nobody_knows_fails() {
    assert_fails(&with("inspect", 0, "lab/inspect-deployment"), "owner", "recorded");
    assert_fails(&with("inspect", 0, "terraform/version"), "owner", "refarch-lab");
}

#[test]
fn a_lab_without_its_parts_or_without_root_fails() {
    let stage = Stage::bare(&steps());
    fs_err::remove_dir(stage.root.join("cache/lab/mirror")).unwrap();
    assert_fails(&stage, "lab", "Terraform provider");

    let stage = Stage::bare(&steps());
    for path in ["", "bin", "place", "cache/lab"] {
        let path = stage.root.join(path);
        fs_err::set_permissions(&path, std::fs::Permissions::from_mode(0o777)).unwrap();
    }
    let report = stage.root.join("report.json");
    let mut command = stage.command(&["preflight", "--json", report.as_str()]);
    let output = command.uid(NOBODY).gid(NOBODY).output().unwrap();
    assert_eq!(output.status.code(), Some(4), "{}", String::from_utf8_lossy(&output.stderr));
    let document: Value = serde_json::from_slice(&fs_err::read(&report).unwrap()).unwrap();
    let lab =
        document["findings"].as_array().unwrap().iter().find(|it| it["check"] == "lab").unwrap().clone();
    assert_eq!(lab["status"], "fail");
    assert!(lab["saw"].as_str().unwrap().contains("root"), "{lab}");
}

#[test]
fn what_is_left_out_is_not_asked_and_is_told_with_its_reason() {
    let stage = Stage::bare(&steps());
    fs_err::remove_file(stage.root.join("cache/lab/packages/gitlab-ee_18.11.2-ee.0_amd64.deb")).unwrap();
    assert_fails(&stage, "package", "gitlab-ee_18.11.2-ee.0_amd64.deb");
    let report = stage.root.join("report.json");
    let skip =
        ["preflight", "--skip", "package", "--because", "it comes on Monday", "--json", report.as_str()];
    let ended = stage.run(&skip);
    ended.assert(0, &["left out: package, because it comes on Monday"]);
    let document: Value = serde_json::from_slice(&fs_err::read(&report).unwrap()).unwrap();
    assert_eq!(document["waived"], json!([{"check": "package", "because": "it comes on Monday"}]));
}

#[test]
fn up_stops_for_all_that_is_missing_at_once_and_makes_nothing() {
    let stage = Stage::bare(&steps());
    fs_err::remove_file(stage.root.join("cache/lab/packages/gitlab-ee_18.11.2-ee.0_amd64.deb")).unwrap();
    fs_err::remove_file(stage.root.join("bin/ssh-keyscan")).unwrap();
    let path = ["PATH", &format!("{}:{}", stage.root.join("bin"), stage.root.join("lone"))];
    fs_err::create_dir(stage.root.join("lone")).unwrap();
    let until = ["up", "--yes", "--until", "preflight"];
    let mut up = stage.start_with(&until, &[(path[0], path[1])]);
    up.end().assert(4, &["2 things not ready: ssh, package", "find `ssh-key", "stand-in package is missing"]);
    assert!(!stage.work().join("secrets.json").exists(), "a secret was made");
    // One thing is told as itself.
    let alone = stage.run(&until);
    alone.assert(4, &["the lab's stand-in package is missing"]);
    stage
        .run(&[until.as_slice(), &["--skip", "package", "--because", "it comes on Monday"]].concat())
        .assert(0, &[]);
}

#[test]
fn what_a_run_can_not_do_without_can_not_be_left_out() {
    let stage = Stage::bare(&steps());
    for command in ["preflight", "plan", "up"] {
        let ended = stage.run(&[command, "--skip", "owner", "--because", "it is mine"]);
        ended.assert(2, &["`owner` can't be left out"]);
        assert!(stage.calls().is_empty());
    }
}
