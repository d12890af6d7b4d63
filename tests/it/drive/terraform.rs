//! Whole conversations with Terraform, replayed.

use miette::Diagnostic as _;
use refarch::events::{Changes, Kind, ResourceStatus, WaitingFor};
use refarch::exit::ExitCode;
use refarch::terraform::{Client, Error, Loss, Options, PlanMode, Tool, gates};
use refarch::workdir::{DataDisk, DataDisks};
use serde_json::json;

use super::harness::{Harness, SECRET};

const VERSION: (&str, &str) = ("version", "terraform/version");

fn options(harness: &Harness) -> Options {
    Options {
        tool: Tool::Terraform,
        dir: harness.tree(),
        mirror: Some("/a mirror".into()),
        plugin_cache: harness.root.join("cache/terraform-plugins"),
    }
}

async fn client(harness: &Harness) -> Client {
    Client::find(&harness.runner, options(harness)).await.unwrap()
}

#[tokio::test]
async fn a_whole_run_goes_as_recorded() {
    let mut harness = Harness::playing(&[
        VERSION,
        ("init", "terraform/init"),
        ("validate", "terraform/validate"),
        ("plan", "terraform/plan-create"),
        ("show", "terraform/show-create"),
        ("apply", "terraform/apply-create"),
        ("output", "terraform/output"),
    ]);
    let client = client(&harness).await;
    client.init().await.unwrap();
    client.validate().await.unwrap();
    let planned = client.plan(PlanMode::Apply).await.unwrap();
    assert!(planned.has_changes);
    let plan = client.show(&planned.file).await.unwrap();
    assert_eq!(plan.summary(), Changes { add: 3, change: 0, remove: 0 });
    let changes = client.apply(planned.file).await.unwrap();
    assert_eq!(changes, Changes { add: 3, change: 0, remove: 0 });
    let outputs = client.output().await.unwrap();
    assert_eq!(outputs["things"], json!(["thing 0", "thing 1", "thing 2"]));
    assert!(!harness.tree().join("refarch.tfplan").exists(), "an applied plan is of no use");
    let events = harness.events();
    let done = |event: &&Kind| matches!(event, Kind::Resource { status: ResourceStatus::Done, .. });
    assert_eq!(events.iter().filter(done).count(), 3);
    assert!(
        events.contains(&Kind::PlanSummary { changes }) && events.contains(&Kind::ApplySummary { changes })
    );
    let log = harness.log("terraform");
    assert!(
        !log.contains("\"sensitive\": false") && !log.contains("prior_state"),
        "values were logged: {log}"
    );
    harness.assert_clean();
}

#[tokio::test]
async fn terraform_sees_only_what_it_may() {
    let harness =
        Harness::playing(&[VERSION, ("init", "terraform/init"), ("plan", "terraform/plan-nothing")]);
    let client = client(&harness).await;
    fs_err::write(harness.tree().join(".terraform.lock.hcl"), "old").unwrap();
    client.init().await.unwrap();
    client.plan(PlanMode::Destroy).await.unwrap();
    let calls = harness.calls();
    let plan = &calls[2];
    assert_eq!((plan.command.as_str(), plan.stdin.as_str(), plan.leads_its_session), ("plan", "", true));
    let arguments = plan.arguments.join(" ");
    assert!(
        arguments.starts_with(&format!("-chdir={} plan -json -input=false", harness.tree())),
        "{arguments}"
    );
    assert!(arguments.contains("-out=refarch.tfplan") && arguments.ends_with("-destroy"), "{arguments}");
    let names: Vec<_> = plan.environment.keys().map(String::as_str).collect();
    let wanted = [
        "CHECKPOINT_DISABLE",
        "HOME",
        "LC_ALL",
        "PATH",
        "TF_CLI_CONFIG_FILE",
        "TF_INPUT",
        "TF_IN_AUTOMATION",
    ];
    assert_eq!(names, wanted);
    let config = fs_err::read_to_string(&plan.environment["TF_CLI_CONFIG_FILE"]).unwrap();
    assert!(config.contains("path = \"/a mirror\""), "{config}");
    assert!(
        !harness.tree().join(".terraform.lock.hcl").exists(),
        "it speaks of an older build of the mirror"
    );
}

#[tokio::test]
async fn nothing_to_do_is_no_change() {
    let harness =
        Harness::playing(&[VERSION, ("plan", "terraform/plan-nothing"), ("show", "terraform/show-nothing")]);
    let client = client(&harness).await;
    let planned = client.plan(PlanMode::Apply).await.unwrap();
    assert!(!planned.has_changes);
    assert!(client.show(&planned.file).await.unwrap().is_empty());
}

#[tokio::test]
async fn what_failed_half_way_names_the_resource_and_keeps_the_rest() {
    let harness = Harness::playing(&[
        VERSION,
        ("plan", "terraform/plan-create"),
        ("plan", "terraform/plan-tainted"),
        ("apply", "terraform/apply-partial"),
        ("show", "terraform/show-tainted"),
    ]);
    let client = client(&harness).await;
    let planned = client.plan(PlanMode::Apply).await.unwrap();
    let error = client.apply(planned.file).await.unwrap_err();
    assert_eq!(error.exit_code(), ExitCode::TerraformFailed);
    let Error::Failed { diagnostics, .. } = &error else { panic!("{error:?}") };
    assert_eq!(diagnostics[0].address.as_deref(), Some("terraform_data.second"));
    assert!(error.to_string().contains("local-exec provisioner error (terraform_data.second)"), "{error}");
    assert!(error.help().unwrap().to_string().contains("What was made so far is recorded"));
    let planned = client.plan(PlanMode::Apply).await.unwrap();
    let plan = client.show(&planned.file).await.unwrap();
    let second = plan.changes().next().unwrap();
    assert_eq!(second.reason.as_deref(), Some("replace_because_tainted"));
}

#[tokio::test]
async fn a_stale_plan_is_told_apart() {
    let harness =
        Harness::playing(&[VERSION, ("plan", "terraform/plan-create"), ("apply", "terraform/apply-stale")]);
    let client = client(&harness).await;
    let planned = client.plan(PlanMode::Apply).await.unwrap();
    let error = client.apply(planned.file).await.unwrap_err();
    assert!(matches!(error, Error::StalePlan), "{error:?}");
}

#[tokio::test]
async fn a_held_state_lock_says_who() {
    let harness = Harness::playing(&[VERSION, ("plan", "terraform/plan-locked")]);
    let error = client(&harness).await.plan(PlanMode::Apply).await.unwrap_err();
    assert_eq!(error.exit_code(), ExitCode::Locked);
    assert!(error.help().unwrap().to_string().contains("Who:       somebody@somewhere"));
}

#[tokio::test]
async fn a_name_that_another_work_directory_owns_is_refused() {
    let harness = Harness::playing(&[VERSION, ("plan", "terraform/plan-owned-elsewhere")]);
    let error = client(&harness).await.plan(PlanMode::Apply).await.unwrap_err();
    assert!(matches!(error, Error::OwnedElsewhere { .. }), "{error:?}");
    assert_eq!(error.exit_code(), ExitCode::Refused);
    assert!(error.help().unwrap().to_string().contains("`recorded` on this machine belongs to /recorded"));
}

#[tokio::test]
async fn drift_is_told_and_a_lost_data_disk_is_refused() {
    let mut harness = Harness::playing(&[
        VERSION,
        ("plan", "terraform/plan-disk-gone"),
        ("show", "terraform/show-disk-gone"),
        ("show", "terraform/show-disk-destroyed"),
    ]);
    let client = client(&harness).await;
    let planned = client.plan(PlanMode::Apply).await.unwrap();
    let plan = client.show(&planned.file).await.unwrap();
    let disk = "lab_disk.data[\"recorded-all-in-one-1-data\"]";
    assert_eq!(plan.drift[0].address, disk);
    let known = DataDisk { uuid: Some("6c0f".into()), built: true };
    let known = DataDisks::from([("recorded-all-in-one-1/data".to_owned(), known)]);
    let refused = gates(&plan, &known);
    assert_eq!((refused.len(), refused[0].loss), (1, Loss::Gone));
    assert_eq!((refused[0].node.as_str(), refused[0].disk.as_str()), ("recorded-all-in-one-1", "data"));
    assert_eq!(gates(&plan, &DataDisks::new()), [], "a first build makes disks");
    let destroyed = client.show(&planned.file).await.unwrap();
    assert_eq!(gates(&destroyed, &DataDisks::new())[0].loss, Loss::Removed);
    let drift = Kind::ResourceDrift { address: disk.into(), action: "delete".into() };
    assert!(harness.events().contains(&drift));
}

#[tokio::test]
async fn a_broken_module_shows_the_place() {
    let harness = Harness::playing(&[
        VERSION,
        ("validate", "terraform/validate-broken"),
        ("plan", "terraform/plan-broken"),
    ]);
    fs_err::write(harness.tree().join("main.tf"), "resource \"terraform_data\" \"thing\" {\n  nope = 1\n}\n")
        .unwrap();
    let client = client(&harness).await;
    for error in [client.validate().await.unwrap_err(), client.plan(PlanMode::Apply).await.unwrap_err()] {
        let Error::Failed { diagnostics, .. } = &error else { panic!("{error:?}") };
        assert_eq!(diagnostics[0].place.as_deref(), Some("main.tf:2"));
        let label = diagnostics[0].labels().unwrap().next().unwrap();
        let span = diagnostics[0].source_code().unwrap().read_span(label.inner(), 0, 0).unwrap();
        assert_eq!(span.data(), b"nope");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_interrupt_lets_it_finish_and_is_remembered() {
    let mut harness = Harness::with(&[
        json!({"command": "version", "play": "terraform/version"}),
        json!({"command": "plan", "play": "terraform/plan-create"}),
        json!({"command": "apply", "play": "terraform/apply-interrupted", "wait_before": "Interrupt received"}),
    ]);
    let client = client(&harness).await;
    let planned = client.plan(PlanMode::Apply).await.unwrap();
    let apply = tokio::spawn({
        let client = client.clone();
        async move { client.apply(planned.file).await }
    });
    // Three are being made when the user loses patience.
    for _ in 0..3 {
        tokio::task::block_in_place(|| {
            harness.wait_for(|event| matches!(event, Kind::Resource { status: ResourceStatus::Started, .. }))
        });
    }
    harness.interrupts.interrupt();
    let error = apply.await.unwrap().unwrap_err();
    assert!(matches!(error, Error::Interrupted { .. }), "{error:?}");
    assert_eq!(error.exit_code(), ExitCode::Interrupted);
    let events = harness.events();
    assert!(!format!("{events:?}").contains("execution halted"), "an interrupt is told as an error");
    let waiting = events.into_iter().find_map(|event| match event {
        Kind::Waiting { waiting_for: WaitingFor::Interrupted { unfinished, .. } } => Some(unfinished),
        _ => None,
    });
    assert_eq!(waiting.unwrap().len(), 3);
    let again = client.plan(PlanMode::Apply).await.unwrap_err();
    assert_eq!(again.exit_code(), ExitCode::Interrupted, "nothing is started after an interrupt");
}

#[tokio::test]
async fn a_killed_terraform_names_what_it_was_at() {
    let harness = Harness::with(&[
        json!({"command": "version", "play": "terraform/version"}),
        json!({"command": "plan", "play": "terraform/plan-create"}),
        json!({"command": "apply", "play": "terraform/apply-create", "die_before": "Creation complete"}),
    ]);
    let client = client(&harness).await;
    let planned = client.plan(PlanMode::Apply).await.unwrap();
    let error = client.apply(planned.file).await.unwrap_err();
    assert!(error.to_string().contains("it was killed (SIGKILL)"), "{error}");
    assert!(error.help().unwrap().to_string().contains("terraform_data.thing["), "{error:?}");
    assert_eq!(error.exit_code(), ExitCode::TerraformFailed);
}

#[tokio::test]
async fn garbage_a_megabyte_and_a_secret_do_no_harm() {
    let mut harness = Harness::with(&[
        json!({"command": "version", "play": "terraform/version"}),
        json!({"command": "plan", "play": "terraform/plan-create", "first": [
            "no JSON at all",
            "x".repeat(1024 * 1024),
            format!("the secret is {SECRET}"),
            json!({"type": "diagnostic", "diagnostic": {
                "severity": "warning", "summary": format!("it is {SECRET}"), "detail": "d"}}).to_string(),
            "{\"type\":\"from_the_future\",\"x\":[1,2]}",
        ]}),
    ]);
    let planned = client(&harness).await.plan(PlanMode::Apply).await.unwrap();
    assert!(planned.has_changes);
    let log = harness.log("terraform");
    assert!(log.contains("no JSON at all") && log.contains("the line goes on and was cut here"));
    let events = format!("{:?}", harness.events());
    assert!(events.contains("it is [redacted]") && !events.contains("s3cr3t"), "{events}");
    harness.assert_clean();
}

#[tokio::test]
async fn an_old_or_foreign_program_is_refused() {
    let old = Harness::playing(&[("version", "ansible/version")]);
    let error = Client::find(&old.runner, options(&old)).await.unwrap_err();
    assert!(matches!(error, Error::NoVersion { .. }), "{error:?}");
    assert_eq!(error.exit_code(), ExitCode::ToolMissing);
    fs_err::remove_file(old.root.join("bin/terraform")).unwrap();
    let error = Client::find(&old.runner, options(&old)).await.unwrap_err();
    assert!(error.to_string().starts_with("find `terraform`: it is in none of /"), "{error}");
    assert!(error.help().unwrap().to_string().contains("Terraform 1.11"), "{error:?}");
}

#[tokio::test]
async fn plan_and_state_are_for_the_owner_only() {
    use std::os::unix::fs::PermissionsExt;
    let harness =
        Harness::playing(&[VERSION, ("plan", "terraform/plan-create"), ("apply", "terraform/apply-create")]);
    let client = client(&harness).await;
    let mode = |name| fs_err::metadata(harness.tree().join(name)).unwrap().permissions().mode() & 0o777;
    let planned = client.plan(PlanMode::Apply).await.unwrap();
    assert_eq!(mode("refarch.tfplan"), 0o600);
    client.apply(planned.file).await.unwrap();
    assert_eq!(mode("terraform.tfstate"), 0o600);
}
