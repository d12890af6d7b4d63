//! Killed programs: `up` again does what is left, makes nothing twice and forgets nothing.

use nix::sys::signal::Signal;
use serde_json::Value;

use super::deployment::{Deployment, json};
use super::life::changed_tasks;
use super::machine;
use super::process::{Running, Stopped, signal};

#[test]
fn up_again_finishes_what_a_kill_left() {
    let kills = Deployment::new("t-kill");
    terraform_is_killed(&kills);
    the_driver_is_killed_while_terraform_works(&kills);
    let serial = made(&kills);
    let third = ansible_is_killed(&kills);
    assert_eq!(skipped(&third), ["provision"], "terraform's state was not complete");
    the_driver_is_killed_while_ansible_works(&kills);
    assert_eq!(made(&kills), serial);
    the_store_knows_all_that_the_killed_run_made(&kills);
    let mut again = kills.start(&["up", "--yes"]);
    again.end().assert(0, &[]);
    assert_eq!(changed_tasks(&again), 0);
    kills.destroy().assert(0, &[]);
    kills.assert_gone();
}

fn terraform_is_killed(kills: &Deployment) {
    let held = machine::hold_host(kills.name, &kills.node());
    let mut up = kills.start(&["up", "--yes"]);
    let terraform = up.child("terraform", "apply");
    up.event("the host's beginning", |event| {
        let begun = event["type"] == "resource" && event["address"].as_str()?.contains("lab_host");
        begun.then_some(())
    });
    signal(terraform, Signal::SIGKILL);
    up.end().assert(5, &["provision failed", "terraform.log"]);
    drop(held);
}

/// Starts `up` while the leftover stands still, sees that it waits for it, and lets both go on.
fn up_waits_for(kills: &Deployment, leftover: u32, stopped: Stopped) -> Running {
    let mut up = kills.start(&["up", "--yes"]);
    up.event("the wait for what was left", |event| {
        let waits = event["type"] == "waiting" && event["waiting_for"]["leftover"]["pid"] == leftover;
        waits.then_some(())
    });
    drop(stopped);
    up
}

fn the_driver_is_killed_while_terraform_works(kills: &Deployment) {
    let mut up = kills.start(&["up", "--yes"]);
    let terraform = up.child("terraform", "apply");
    let stopped = Stopped::new(terraform);
    up.kill();
    let mut up = up_waits_for(kills, terraform, stopped);
    // From here on it is the next part's: what the leftover made was found to be all there is to make.
    up.event("the phase after provision", |event| {
        (event["type"] == "phase_started" && event["phase"] == "bind").then_some(())
    });
    assert_eq!(skipped(&up), ["provision"]);
    up.kill();
}

fn ansible_is_killed(kills: &Deployment) -> Running {
    let mut up = kills.start(&["up", "--yes"]);
    let ansible = up.child("ansible-playbook", "prepare.yml");
    up.task("Install and hold the package");
    signal(ansible, Signal::SIGKILL);
    up.end().assert(6, &["configure failed", "ansible-playbook.log"]);
    up
}

fn the_driver_is_killed_while_ansible_works(kills: &Deployment) {
    let mut up = kills.start(&["up", "--yes"]);
    let ansible = up.child("ansible-playbook", "configure.yml");
    up.task("Run gitlab-ctl reconfigure");
    let stopped = Stopped::new(ansible);
    up.kill();
    up_waits_for(kills, ansible, stopped).end().assert(0, &["t-kill is up"]);
}

fn skipped(run: &Running) -> Vec<String> {
    let events = run.events();
    let skipped = events.iter().filter(|event| event["type"] == "phase_skipped");
    skipped.map(|event| event["phase"].as_str().expect("a phase").to_owned()).collect()
}

/// What tells one making of hosts and disks from the next.
fn made(kills: &Deployment) -> Value {
    let record = json(&std::path::Path::new(machine::LAB).join(kills.name).join("record.json"));
    Value::from(vec![record["hosts"].clone(), record["disks"].clone()])
}

fn the_store_knows_all_that_the_killed_run_made(kills: &Deployment) {
    let store = kills.secrets();
    let on_node: Value =
        serde_json::from_str(&kills.on_node("cat /etc/gitlab/gitlab-secrets.json")).expect("JSON");
    for (section, keys) in on_node.as_object().expect("sections") {
        // What the package makes for one node alone means nothing to another.
        if ["postgresql", "letsencrypt"].contains(&section.as_str()) {
            continue;
        }
        for key in keys.as_object().expect("keys").keys() {
            // Their values are secrets, so a difference is told by its name.
            assert!(store["gitlab_secrets"][section][key] == keys[key], "the store lacks {section}.{key}");
        }
    }
    let disk = &store["data_disks"][format!("{}/data", kills.node())];
    assert!(disk["uuid"].is_string() && disk["built"] == true, "{disk}");
}
