//! Hosts that never answer.

use std::time::Duration;

use nix::sys::signal::Signal;
use refarch::ansible::{Client, Error, Options, Playbook};
use refarch::events::{Kind, WaitingFor};
use refarch::exit::ExitCode;
use serde_json::json;

use super::super::drive::Harness;
use super::stage::{NODE, Stage, until_configure};

#[tokio::test]
async fn a_playbook_that_says_nothing_is_stopped_and_told_where_it_was() {
    let mut harness = Harness::with(&[
        json!({"command": "version", "play": "ansible/version"}),
        json!({"command": "site.yml", "play": "ansible/interrupted", "wait_before": "User interrupted"}),
    ]);
    let options = Options { dir: harness.tree(), cache: harness.root.join("cache") };
    let client =
        Client::find(&harness.runner, options).await.unwrap().patient_for(Duration::from_millis(300));
    let error = client.playbook(Playbook::new("site.yml")).await.unwrap_err();
    assert!(matches!(error, Error::Silent { .. }), "{error:?}");
    assert_eq!(error.exit_code(), ExitCode::AnsibleFailed);
    assert!(error.to_string().contains("it was at demo-one-1: Take long"), "{error}");
    let told = |event: &Kind| {
        matches!(event, Kind::Waiting { waiting_for: WaitingFor::World { what } }
        if what.contains("which is at demo-one-1: Take long; nothing was heard of it for"))
    };
    assert!(harness.events().iter().any(told), "it was stopped without a word before");
    let help = miette::Diagnostic::help(&error).unwrap().to_string();
    assert!(help.contains("the same command again") && help.contains("ansible-playbook.log"), "{help}");
}

#[test]
fn a_node_whose_ssh_never_answers_is_waited_for_in_words_and_can_be_left() {
    let mut steps = until_configure(json!({"command": "prepare.yml", "play": "ansible/good"}));
    for step in &mut steps {
        if step["command"] == "ssh-keyscan" {
            // The program ends, as after its time-out, and has seen no key.
            *step = json!({"command": "ssh-keyscan", "play": "ssh/keyscan-nobody"});
        }
    }
    let stage = Stage::with(&steps);
    let mut up = stage.start(&["up", "--yes"]);
    up.until_said(&format!("waiting for SSH on {NODE}"));
    up.signal(Signal::SIGINT);
    up.end().assert(130, &["bind failed", "the same command again"]);
    assert!(!stage.calls().contains(&"prepare.yml".to_owned()));
}
