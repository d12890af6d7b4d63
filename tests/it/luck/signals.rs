//! Ctrl-C once, twice and thrice, SIGTERM and SIGHUP, while Terraform and while Ansible work.

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use super::stage::{Stage, until_configure, until_provision};

/// An apply that is interrupted once it makes things.
fn apply(wanted: &Value) -> Vec<Value> {
    let mut step = json!({
        "command": "apply", "play": "terraform/apply-interrupted", "wait_before": "Interrupt received",
    });
    step.as_object_mut().unwrap().extend(wanted.as_object().unwrap().clone());
    until_provision(step)
}

/// A playbook that is interrupted while a node is at work.
fn site(wanted: &Value) -> Vec<Value> {
    let mut step = json!({
        "command": "prepare.yml", "play": "ansible/interrupted", "wait_before": "User interrupted",
    });
    step.as_object_mut().unwrap().extend(wanted.as_object().unwrap().clone());
    until_configure(step)
}

#[test]
fn sigterm_lets_terraform_finish_as_one_ctrl_c_does() {
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let stage = Stage::with(&apply(&json!({})));
        let mut up = stage.start(&["up", "--yes"]);
        up.begun("resource");
        up.signal(signal);
        up.end().assert(
            130,
            &[
                "interrupted; waiting for terraform to finish",
                "has recorded what it made",
                "the same command again",
            ],
        );
        assert_eq!(stage.interrupts(), 1, "{signal}");
        assert!(stage.work().join("terraform/terraform.tfstate").exists());
    }
}

#[test]
fn a_second_ctrl_c_only_says_what_a_third_would_cost_terraform() {
    let stage = Stage::with(&apply(&json!({"heeds": 2})));
    let mut up = stage.start(&["up", "--yes"]);
    up.begun("resource");
    up.signal(Signal::SIGINT);
    assert!(up.interrupted(1).contains("a further Ctrl-C stops nothing"));
    up.signal(Signal::SIGINT);
    assert!(up.interrupted(2).contains("a third Ctrl-C stops it at once"));
    assert_eq!(stage.interrupts(), 1, "the second one reached terraform");
    up.signal(Signal::SIGINT);
    let ended = up.end();
    ended.assert(
        130,
        &[
            "it finishes what it is making and records it",
            "what it is making now would exist and be recorded nowhere",
            "it is killed in 10 s",
            "making terraform_data 0",
        ],
    );
    assert_eq!(stage.interrupts(), 2, "the third one did not reach terraform");
}

#[test]
fn a_terraform_that_heeds_nothing_is_killed_after_the_third() {
    let stage = Stage::with(&apply(&json!({"stubborn": true})));
    let mut up = stage.start(&["up", "--yes"]);
    up.begun("resource");
    for times in 1..=3 {
        up.signal(Signal::SIGINT);
        up.interrupted(times);
    }
    up.end().assert(130, &["it was killed (SIGKILL)", "may exist without a record"]);
    assert_eq!(stage.interrupts(), 2);
}

#[test]
fn one_ctrl_c_ends_ansible_in_good_order() {
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let stage = Stage::with(&site(&json!({})));
        let mut up = stage.start(&["up", "--yes"]);
        up.until("the task of the playbook", |_| (stage.calls().last()? == "prepare.yml").then_some(()));
        up.until("its beginning", |running| running.said().contains("Ansible: Do things").then_some(()));
        up.signal(signal);
        up.end().assert(
            130,
            &["interrupted; waiting for ansible-playbook", "goes on there", "the same command again"],
        );
        assert_eq!(stage.interrupts(), 1, "{signal}");
    }
}

#[test]
fn a_second_ctrl_c_says_what_a_third_does_to_ansible_and_the_third_does_it() {
    let stage = Stage::with(&site(&json!({"stubborn": true})));
    let mut up = stage.start(&["up", "--yes"]);
    up.until("the playbook", |_| (stage.calls().last()? == "prepare.yml").then_some(()));
    up.signal(Signal::SIGINT);
    assert_eq!(up.interrupted(1), "it is stopped in 60 s, or by a third Ctrl-C");
    up.signal(Signal::SIGINT);
    assert_eq!(up.interrupted(2), "a third Ctrl-C stops it at once");
    assert!(stage.interrupts() <= 1, "the second one reached ansible");
    up.signal(Signal::SIGINT);
    up.end().assert(130, &["it was interrupted", "the same command again"]);
}

#[test]
fn a_closed_terminal_ends_nothing() {
    let apply = json!({
        "command": "apply", "play": "terraform/apply-deployment", "hold_before": "Creation complete",
    });
    let stage = Stage::with(&until_provision(apply));
    let mut up = stage.start(&["up", "--yes", "--until", "provision"]);
    up.begun("resource");
    up.signal(Signal::SIGHUP);
    up.signal(Signal::SIGHUP);
    stage.go();
    up.end().assert(0, &[]);
    let finished = up.events().into_iter().find(|event| event["type"] == "run_finished").unwrap();
    assert_eq!(finished["exit"], 0);
    assert_eq!(stage.interrupts(), 0);
}
