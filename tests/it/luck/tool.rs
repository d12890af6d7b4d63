//! Terraform and OpenTofu: the tool that made a state is kept, and the messages name the one that runs.

use serde_json::{Value, json};

use super::stage::{Stage, until_provision};

const PROVISION: [&str; 4] = ["up", "--yes", "--until", "provision"];

fn stage() -> Stage {
    let mut steps = until_provision(json!({"command": "apply", "play": "terraform/apply-deployment"}));
    for step in &mut steps {
        if step["play"] == "terraform/version" {
            step["play"] = Value::from("tofu/version");
        }
    }
    Stage::with(&steps)
}

/// Runs as far as provision, and says which programs of the two were started.
#[track_caller]
fn tools(stage: &Stage, args: &[&str]) -> Vec<String> {
    let mut up = stage.start(&[PROVISION.as_slice(), args].concat());
    up.end().assert(0, &[]);
    let events = up.events();
    let started = events.iter().filter_map(|event| event["child"]["tool"].as_str());
    let mut tools: Vec<_> =
        started.filter(|tool| ["terraform", "tofu"].contains(tool)).map(str::to_owned).collect();
    tools.dedup();
    tools
}

fn recorded(stage: &Stage) -> Value {
    let text = fs_err::read(stage.work().join("terraform/refarch-tool.json")).unwrap();
    serde_json::from_slice::<Value>(&text).unwrap()["tool"].clone()
}

#[test]
fn the_tool_that_made_a_state_is_kept_until_the_user_switches() {
    let stage = stage();
    // A question that nobody answers decides nothing.
    stage.run(&["up", "--tool", "terraform"]).assert(2, &["nobody to ask"]);
    assert_eq!(tools(&stage, &["--tool", "tofu"]), ["tofu"]);
    assert_eq!((recorded(&stage), tools(&stage, &[])), (json!("tofu"), vec!["tofu".to_owned()]));
    for command in [&["up", "--yes"][..], &["plan"], &["destroy", "--confirm", "recorded"]] {
        stage.run(&[command, &["--tool", "terraform"]].concat()).assert(
            9,
            &["use Terraform: the state in", "was made by OpenTofu", "`--tool terraform --switch-tool`"],
        );
        assert_eq!(recorded(&stage), "tofu");
    }
    let mut by_environment = stage.command(&["plan"]);
    let ended = by_environment.env("REFARCH_TOOL", "terraform").output().unwrap();
    assert_eq!(ended.status.code(), Some(9));
    stage.run(&["up", "--switch-tool"]).assert(2, &["--tool"]);
    assert_eq!(tools(&stage, &["--tool", "terraform", "--switch-tool"]), ["terraform"]);
    assert_eq!((recorded(&stage), tools(&stage, &[])), (json!("terraform"), vec!["terraform".to_owned()]));
}

#[test]
fn messages_and_logs_name_the_tool_that_runs() {
    let stage = stage();
    let mut up = stage.start(&[PROVISION.as_slice(), &["--tool", "tofu"]].concat());
    let ended = up.end();
    ended.assert(0, &["asking OpenTofu what would change", "OpenTofu's plan: 3 to make", "OpenTofu: 3 made"]);
    assert!(!ended.said.contains("Terraform"), "{}", ended.said);
    let run = stage.work().join("runs").read_dir_utf8().unwrap().next().unwrap().unwrap().into_path();
    assert!(run.join("tofu.log").exists() && !run.join("terraform.log").exists());
}

#[test]
fn a_new_deployment_takes_terraform_first_and_names_the_one_that_is_missing() {
    let stage = stage();
    fs_err::remove_file(stage.root.join("bin/terraform")).unwrap();
    assert_eq!(tools(&stage, &[]), ["tofu"]);
    fs_err::remove_file(stage.root.join("bin/tofu")).unwrap();
    stage.run(&["plan"]).assert(4, &["find `tofu`", "`make tofu`"]);
}
