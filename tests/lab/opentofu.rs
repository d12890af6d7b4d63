//! A deployment's life with OpenTofu, over to Terraform and back. It needs what `make tofu` builds, which takes minutes,
//! and so has a step of its own.

use serde_json::Value;

use super::deployment::Deployment;
use super::life::changed_tasks;
use super::process::Running;

#[test]
fn opentofu_makes_keeps_and_removes_a_deployment() {
    let life = Deployment::new("t-tofu");
    let mut first = life.start(&["up", "--yes", "--tool", "tofu"]);
    first.end().assert(0, &["OpenTofu's plan: 3 to make", "t-tofu is up"]);
    assert_eq!(tools(&first), ["tofu"]);
    let before = life.service_processes();

    life.refarch(&["up", "--yes", "--tool", "terraform"])
        .assert(9, &["was made by OpenTofu", "`--tool terraform --switch-tool`"]);
    unchanged(&life, &[], "tofu");
    unchanged(&life, &["--tool", "terraform", "--switch-tool"], "terraform");
    unchanged(&life, &[], "terraform");
    unchanged(&life, &["--tool", "tofu", "--switch-tool"], "tofu");
    assert_eq!(life.service_processes(), before);

    let mut destroy = life.start(&["destroy", "--confirm", life.name]);
    destroy.end().assert(0, &["t-tofu is removed"]);
    assert_eq!(tools(&destroy), ["tofu"]);
    life.assert_gone();
}

/// Runs `up`, which must find nothing to do, by this tool.
#[track_caller]
fn unchanged(life: &Deployment, args: &[&str], tool: &str) {
    let mut again = life.start(&[&["up", "--yes"], args].concat());
    again.end().assert(0, &["no changes"]);
    assert_eq!((tools(&again), changed_tasks(&again)), (vec![tool.to_owned()], 0));
}

/// Which of the two programs a run started.
fn tools(run: &Running) -> Vec<String> {
    let events = run.events();
    let started = events.iter().filter_map(|event| event["child"].get("tool").and_then(Value::as_str));
    let mut tools: Vec<_> =
        started.filter(|tool| ["terraform", "tofu"].contains(tool)).map(str::to_owned).collect();
    tools.dedup();
    tools
}
