//! A data disk that is gone: refused by name, and let go only by name.

use serde_json::{Value, json};

use super::stage::{NODE, Stage, until_provision};

/// A deployment that was built, whose disk Terraform finds gone.
fn without_its_disk(apply: &str) -> Stage {
    let mut steps = until_provision(json!({"command": "apply", "play": apply}));
    let stage = Stage::with(&steps);
    let mut store = stage.secrets();
    store["data_disks"] = json!({
        format!("{NODE}/data"): {"uuid": "6c0f-of-the-lost-disk", "built": true},
        "recorded-gitaly-1/data": {"uuid": "77aa-of-another-node", "built": true},
    });
    fs_err::write(stage.work().join("secrets.json"), store.to_string()).unwrap();
    for step in &mut steps {
        for (from, to) in [("plan-deployment", "plan-disk-gone"), ("show-deployment", "show-disk-gone")] {
            if step["play"] == format!("terraform/{from}") {
                step["play"] = Value::from(format!("terraform/{to}"));
            }
        }
    }
    stage.steps(&steps);
    stage
}

#[test]
fn a_lost_disk_is_refused_and_the_way_on_is_named() {
    let stage = without_its_disk("terraform/apply-deployment");
    let before = stage.secrets();
    stage.run(&["up", "--yes"]).assert(
        9,
        &["a data disk is gone", "6c0f-of-the-lost-disk", &format!("`--accept-data-loss {NODE}`")],
    );
    for wrong in ["recorded-all-in-one-2", "recorded", "data"] {
        stage
            .run(&["up", "--yes", "--accept-data-loss", wrong])
            .assert(2, &[&format!("`--accept-data-loss {wrong}` names no node"), NODE]);
        assert_eq!(stage.calls().len(), 0, "something was asked for a slip of the pen");
    }
    // The right of one node is none of another's.
    stage
        .run(&["up", "--yes", "--accept-data-loss", "recorded-gitaly-1"])
        .assert(9, &["a data disk is gone"]);
    assert!(!stage.calls().contains(&"apply".to_owned()) && stage.secrets() == before);
}

#[test]
fn a_disk_that_is_given_up_is_told_and_forgotten_alone() {
    let stage = without_its_disk("terraform/apply-deployment");
    let before = stage.secrets();
    let args = ["up", "--yes", "--until", "provision", "--accept-data-loss", NODE];
    let mut up = stage.start(&args);
    up.end().assert(0, &[&format!("data loss: disk `data` of {NODE} (file system 6c0f-of-the-lost-disk)")]);
    let told: Vec<_> = up.events().into_iter().filter(|event| event["type"] == "data_given_up").collect();
    assert_eq!((told.len(), &told[0]["node"]), (1, &json!(NODE)));
    let after = stage.secrets();
    assert!(after["data_disks"].get(format!("{NODE}/data")).is_none(), "{}", after["data_disks"]);
    assert_eq!(after["data_disks"]["recorded-gitaly-1/data"], before["data_disks"]["recorded-gitaly-1/data"]);
    assert!(after["named"] == before["named"], "secrets were made anew");
}

#[test]
fn what_was_given_up_is_known_until_it_is_replaced() {
    let stage = without_its_disk("terraform/apply-partial");
    let before = stage.secrets();
    stage.run(&["up", "--yes", "--until", "provision", "--accept-data-loss", NODE]).assert(5, &["data loss"]);
    assert!(stage.secrets() == before);
    stage.run(&["up", "--yes", "--until", "provision"]).assert(9, &["a data disk is gone"]);
}
