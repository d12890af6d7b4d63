//! Whole conversations with Ansible, replayed.

use miette::Diagnostic as _;
use refarch::ansible::{Client, Error, Options, Playbook};
use refarch::events::{Kind, TaskStatus};
use refarch::exit::ExitCode;
use serde_json::json;

use super::harness::{Harness, SECRET};

const VERSION: (&str, &str) = ("version", "ansible/version");

fn options(harness: &Harness) -> Options {
    Options { dir: harness.tree(), cache: harness.root.join("cache") }
}

async fn client(harness: &Harness) -> Client {
    Client::find(&harness.runner, options(harness)).await.unwrap()
}

#[tokio::test]
async fn a_good_playbook_counts_and_ignores_what_it_was_told_to() {
    let mut harness = Harness::playing(&[VERSION, ("site.yml", "ansible/good")]);
    let playbook = Playbook::new("site.yml").on(["demo-one-1", "demo-two-1"]);
    let outcome = client(&harness).await.playbook(playbook).await.unwrap().success().unwrap();
    assert_eq!(outcome.changed(), 2);
    assert_eq!((outcome.stats["demo-one-1"].ignored, outcome.stats["demo-one-1"].rescued), (1, 1));
    let call = harness.calls().pop().unwrap();
    assert_eq!(call.arguments, ["site.yml", "--limit", "demo-one-1,demo-two-1"]);
    assert_eq!((call.folder.as_path(), call.stdin.as_str()), (harness.tree().as_path(), ""));
    assert!(call.leads_its_session);
    let events = harness.events();
    let of = |wanted| {
        let is = |event: &&Kind| matches!(event, Kind::NodeTask { status, .. } if *status == wanted);
        events.iter().filter(is).count()
    };
    assert_eq!((of(TaskStatus::Changed), of(TaskStatus::Ignored), of(TaskStatus::Failed)), (2, 2, 2));
    assert!(harness.log("ansible-playbook").contains("PLAY RECAP"));
    harness.assert_clean();
}

#[tokio::test]
async fn ansible_sees_only_what_it_may() {
    let harness = Harness::playing(&[VERSION, ("site.yml", "ansible/good")]);
    client(&harness).await.playbook(Playbook::new("site.yml")).await.unwrap();
    let environment = harness.calls().pop().unwrap().environment;
    let tree = harness.tree();
    for (name, value) in [
        ("ANSIBLE_CONFIG", tree.join("ansible.cfg").as_str()),
        ("ANSIBLE_CALLBACKS_ENABLED", "refarch"),
        ("ANSIBLE_NOCOLOR", "1"),
        ("ANSIBLE_RETRY_FILES_ENABLED", "0"),
        ("ANSIBLE_HOME", tree.join(".home").as_str()),
        ("LC_ALL", "C.UTF-8"),
        ("PYTHONUNBUFFERED", "1"),
    ] {
        assert_eq!(environment[name], value, "{name}");
    }
    assert!(!environment.contains_key("ANSIBLE_STDOUT_CALLBACK") && !environment.contains_key("CI"));
}

#[tokio::test]
async fn a_failed_task_is_named_with_its_place_its_node_and_its_message() {
    let harness = Harness::playing(&[VERSION, ("site.yml", "ansible/failed")]);
    let outcome = client(&harness).await.playbook(Playbook::new("site.yml")).await.unwrap();
    assert_eq!(outcome.failures.len(), 1);
    let error = outcome.success().unwrap_err();
    assert_eq!(error.exit_code(), ExitCode::AnsibleFailed);
    assert_eq!(
        error.to_string(),
        "run `ansible-playbook site.yml`: task `Fail on one node` (failed.yml:4) failed on demo-two-1: the \
         package is broken"
    );
    let help = error.help().unwrap().to_string();
    assert!(help.contains("PLAY RECAP") && help.contains("ansible-playbook.log"), "{help}");
}

#[tokio::test]
async fn an_unreachable_node_is_no_failed_task() {
    let harness = Harness::playing(&[VERSION, ("site.yml", "ansible/unreachable")]);
    let outcome = client(&harness).await.playbook(Playbook::new("site.yml")).await.unwrap();
    let failure = &outcome.failures[0];
    assert!(failure.unreachable && failure.node == "demo-gone-1" && outcome.failures.len() == 1);
    let error = outcome.success().unwrap_err();
    assert!(
        error.to_string().contains("demo-gone-1 can't be reached: Task failed: Failed to connect"),
        "{error}"
    );
}

#[tokio::test]
async fn a_syntax_error_is_no_unreachable_node() {
    // Both end with 4.
    let harness =
        Harness::playing(&[VERSION, ("site.yml", "ansible/syntax"), ("nobody.yml", "ansible/no-hosts")]);
    let client = client(&harness).await;
    let error = client.playbook(Playbook::new("site.yml")).await.unwrap_err();
    assert!(matches!(error, Error::NotStarted { .. }), "{error:?}");
    assert!(
        error.help().unwrap().to_string().contains("couldn't resolve module/action 'no_such_module_at_all'")
    );
    let error = client.playbook(Playbook::new("nobody.yml")).await.unwrap_err();
    assert!(error.help().unwrap().to_string().contains("no hosts to target"), "{error:?}");
}

#[tokio::test]
async fn an_end_without_counts_proves_nothing() {
    // What was recorded of `--version` ends with 0, and the callback says nothing.
    let harness = Harness::playing(&[VERSION, ("site.yml", "ansible/version")]);
    let error = client(&harness).await.playbook(Playbook::new("site.yml")).await.unwrap_err();
    assert!(matches!(error, Error::Unclear { .. }), "{error:?}");
    assert_eq!(error.exit_code(), ExitCode::AnsibleFailed);
}

#[tokio::test]
async fn the_probe_brings_the_state_of_each_node() {
    let harness = Harness::playing(&[VERSION, ("probe.yml", "ansible/probe")]);
    let outcome = client(&harness).await.playbook(Playbook::new("probe.yml")).await.unwrap();
    assert_eq!(outcome.states["demo-one-1"].state["version"], 2);
    assert_eq!(outcome.changed(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupt_ends_it_in_good_order() {
    let harness = Harness::with(&[
        json!({"command": "version", "play": "ansible/version"}),
        json!({"command": "site.yml", "play": "ansible/interrupted", "wait_before": "User interrupted"}),
    ]);
    let client = client(&harness).await;
    let playbook = tokio::spawn(async move { client.playbook(Playbook::new("site.yml")).await });
    tokio::task::block_in_place(|| {
        harness.wait_for(|event| matches!(event, Kind::NodeTask { status: TaskStatus::Started, .. }))
    });
    harness.interrupts.interrupt();
    let error = playbook.await.unwrap().unwrap_err();
    assert_eq!(error.exit_code(), ExitCode::Interrupted);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_hangs_is_ended_by_the_third_interrupt() {
    let harness = Harness::with(&[
        json!({"command": "version", "play": "ansible/version"}),
        json!({"command": "site.yml", "play": "ansible/good", "wait_before": "host_ok", "stubborn": true}),
    ]);
    let client = client(&harness).await;
    let playbook = tokio::spawn(async move { client.playbook(Playbook::new("site.yml")).await });
    tokio::task::block_in_place(|| {
        harness.wait_for(|event| matches!(event, Kind::NodeTask { status: TaskStatus::Started, .. }))
    });
    for _ in 0..3 {
        harness.interrupts.interrupt();
        tokio::task::block_in_place(|| harness.wait_for(|event| matches!(event, Kind::Waiting { .. })));
    }
    let error = playbook.await.unwrap().unwrap_err();
    assert_eq!(error.exit_code(), ExitCode::Interrupted);
}

#[tokio::test]
async fn a_killed_ansible_is_told_apart_from_a_failed_one() {
    let harness = Harness::with(&[
        json!({"command": "version", "play": "ansible/version"}),
        json!({"command": "site.yml", "play": "ansible/good", "die_before": "host_ok"}),
    ]);
    let error = client(&harness).await.playbook(Playbook::new("site.yml")).await.unwrap_err();
    assert!(error.to_string().ends_with("it was killed (SIGKILL)"), "{error}");
}

#[tokio::test]
async fn a_secret_in_its_output_stays_in_no_file() {
    let mut harness = Harness::with(&[
        json!({"command": "version", "play": "ansible/version"}),
        json!({"command": "site.yml", "play": "ansible/failed", "first": [
            format!("fatal: [x]: FAILED! => {{\"msg\": \"{SECRET}\"}}"), "y".repeat(1024 * 1024)]}),
    ]);
    client(&harness).await.playbook(Playbook::new("site.yml")).await.unwrap();
    assert!(!format!("{:?}", harness.events()).contains(SECRET));
    harness.assert_clean();
}

#[tokio::test]
async fn a_foreign_or_missing_program_sends_to_the_installer() {
    let harness = Harness::playing(&[("version", "terraform/version")]);
    let error = Client::find(&harness.runner, options(&harness)).await.unwrap_err();
    assert!(matches!(error, Error::NoVersion { .. }), "{error:?}");
    fs_err::remove_file(harness.root.join("bin/ansible-playbook")).unwrap();
    if !["/usr/bin", "/bin"]
        .iter()
        .any(|folder| std::path::Path::new(folder).join("ansible-playbook").exists())
    {
        let error = Client::find(&harness.runner, options(&harness)).await.unwrap_err();
        assert_eq!(error.exit_code(), ExitCode::ToolMissing);
        assert!(error.help().unwrap().to_string().contains("refarch tools install"));
    }
}

#[tokio::test]
async fn no_node_is_not_every_node() {
    let harness = Harness::playing(&[VERSION]);
    let nobody: [&str; 0] = [];
    let error = client(&harness).await.playbook(Playbook::new("site.yml").on(nobody)).await.unwrap_err();
    assert_eq!(error.exit_code(), ExitCode::Bug);
    assert_eq!(harness.calls().len(), 1, "ansible was started");
}

#[tokio::test]
async fn each_run_has_connections_of_its_own() {
    let harness = Harness::playing(&[VERSION, ("site.yml", "ansible/good")]);
    let (older, others) = (harness.root.join("cache/ssh/00000000"), harness.root.join("cache/ssh/11111111"));
    fs_err::create_dir_all(&older).unwrap();
    fs_err::create_dir_all(&others).unwrap();
    let long_ago = std::time::SystemTime::now() - std::time::Duration::from_hours(2);
    std::fs::File::open(&older).unwrap().set_modified(long_ago).unwrap();
    client(&harness).await.playbook(Playbook::new("site.yml")).await.unwrap();
    let environment = harness.calls().pop().unwrap().environment;
    let folder = camino::Utf8PathBuf::from(&environment["ANSIBLE_SSH_CONTROL_PATH_DIR"]);
    assert!(folder.starts_with(harness.root.join("cache/ssh")) && folder.exists());
    assert!(!older.exists(), "an older run's folder is left");
    assert!(others.exists(), "the folder of a run that is at work is gone");
}
