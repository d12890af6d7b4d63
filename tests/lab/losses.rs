//! Things that go missing: a host, a work directory, a data disk. What can come back does, with its data; what can't
//! is named.

use nix::sys::signal::Signal;
use serde_json::Value;

use super::deployment::{Deployment, json};
use super::machine;
use super::process::{run, signal};

#[test]
fn what_is_lost_comes_back_or_is_named() {
    let losses = Deployment::new("t-loss");
    one_interrupt_while_terraform_works(&losses);
    losses.up();
    the_host_comes_back_with_its_data(&losses);
    a_lost_work_directory_makes_no_new_secrets(&losses);
    a_lost_disk_is_named(&losses);
    a_lost_disk_that_is_given_up_is_made_anew(&losses);
    without_its_work_directory_it_can_be_destroyed(&losses);
}

fn one_interrupt_while_terraform_works(losses: &Deployment) {
    let held = machine::hold_host(losses.name, &losses.node());
    let mut up = losses.start(&["up", "--yes"]);
    up.event("the host's beginning", |event| {
        let begun = event["type"] == "resource" && event["address"].as_str()?.contains("lab_host");
        begun.then_some(())
    });
    signal(up.pid(), Signal::SIGINT);
    up.event("the wait for terraform", |event| {
        (event["type"] == "waiting" && event["waiting_for"]["interrupted"]["tool"] == "terraform")
            .then_some(())
    });
    drop(held);
    up.end().assert(130, &["has recorded what it made", "the same command again"]);
    let state = json(&losses.work().join("terraform/terraform.tfstate"));
    let mut kinds: Vec<_> =
        state["resources"].as_array().expect("resources").iter().map(|resource| &resource["type"]).collect();
    kinds.sort_by_key(|kind| kind.as_str());
    assert_eq!(kinds, ["lab_disk", "lab_host", "lab_network"]);
    assert_eq!(losses.inspect()["hosts"][0]["running"], true);
}

fn the_host_comes_back_with_its_data(losses: &Deployment) {
    let (before, password) = (losses.database(), losses.secrets()["named"]["root_password"].clone());
    signal(losses.host_process(), Signal::SIGKILL);
    losses
        .refarch(&["plan", "--detailed-exitcode"])
        .assert(10, &[&format!("lab_host.node[\"{}\"]", losses.node())]);
    losses.up();
    assert_eq!(losses.database(), before);
    assert!(losses.secrets()["named"]["root_password"] == password);
}

fn a_lost_work_directory_makes_no_new_secrets(losses: &Deployment) {
    let (before, secrets) = (losses.database(), losses.secrets());
    let serial = record(losses);
    std::fs::remove_dir_all(losses.work()).expect("removed");
    for command in [["up", "--yes"].as_slice(), &["plan"]] {
        losses.refarch(command).assert(
            9,
            &[
                "exists on this machine, but its secrets are not in",
                "no new secrets were made",
                "secrets.json",
            ],
        );
        assert!(!losses.work().join("secrets.json").exists());
        assert!(!losses.work().join("root-password").exists());
    }
    let backup = serde_json::to_vec(&secrets).expect("JSON");
    std::fs::write(losses.work().join("secrets.json"), backup).expect("a file");
    losses.up();
    assert_eq!(losses.database(), before);
    assert_eq!(record(losses), serial, "something was made twice");
}

fn record(losses: &Deployment) -> serde_json::Value {
    json(&std::path::Path::new(machine::LAB).join(losses.name).join("record.json"))
}

fn a_lost_disk_is_named(losses: &Deployment) {
    run(&mut Deployment::lab(&["destroy", losses.name, &losses.node()])).assert(0, &[]);
    machine::remove_disk(losses.name, &losses.node());
    let before = (losses.inspect(), losses.secrets());
    losses.refarch(&["up", "--yes"]).assert(
        9,
        &[
            "a data disk is gone",
            &format!("disk `data` of node `{}`", losses.node()),
            "Bring the disk back",
            &format!("`--accept-data-loss {}`", losses.node()),
        ],
    );
    assert!((losses.inspect(), losses.secrets()) == before, "something was changed");
}

fn a_lost_disk_that_is_given_up_is_made_anew(losses: &Deployment) {
    let node = losses.node();
    let disk = |store: &Value| store["data_disks"][format!("{node}/data")].clone();
    let before = losses.secrets();
    losses
        .refarch(&["up", "--yes", "--accept-data-loss", "t-loss-all-in-one-2"])
        .assert(2, &["`--accept-data-loss t-loss-all-in-one-2` names no node of this deployment", &node]);
    losses.refarch(&["plan", "--accept-data-loss", &node]).assert(0, &["is given up", &node]);
    assert!(losses.secrets() == before, "a plan forgot what was known");
    let mut up = losses.start(&["up", "--yes", "--accept-data-loss", &node]);
    up.end().assert(0, &["data loss", "is up", "data_given_up"]);
    let told = up.events().iter().filter(|event| event["type"] == "data_given_up").count();
    assert_eq!(told, 1);
    let after = losses.secrets();
    assert!(disk(&after)["uuid"].is_string() && disk(&after)["built"] == true, "{}", disk(&after));
    assert!(disk(&after)["uuid"] != disk(&before)["uuid"]);
    assert!(after["gitlab_secrets"] == before["gitlab_secrets"], "keys were made anew");
    losses.up();
}

fn without_its_work_directory_it_can_be_destroyed(losses: &Deployment) {
    std::fs::remove_dir_all(losses.work()).expect("removed");
    losses.destroy().assert(0, &["t-loss is removed"]);
    losses.assert_gone();
}
