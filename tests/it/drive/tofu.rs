//! The same conversations as with Terraform, as OpenTofu was recorded to have them.

use refarch::events::{Changes, Kind, ResourceStatus, Severity};
use refarch::terraform::{Client, Error, Options, PlanMode, Tool};
use serde_json::json;

use super::harness::Harness;

async fn client(harness: &Harness) -> Client {
    let options = Options {
        tool: Tool::Tofu,
        dir: harness.tree(),
        mirror: Some("/a mirror".into()),
        plugin_cache: harness.root.join("cache/terraform-plugins"),
    };
    Client::find(&harness.runner, options).await.unwrap()
}

#[tokio::test]
async fn a_whole_run_goes_as_with_terraform() {
    let mut harness = Harness::playing(&[
        ("version", "tofu/version"),
        ("init", "tofu/init"),
        ("validate", "tofu/validate"),
        ("plan", "tofu/plan-create"),
        ("plan", "tofu/plan-nothing"),
        ("plan", "tofu/plan-destroy"),
        ("show", "tofu/show-create"),
        ("show", "tofu/show-nothing"),
        ("show", "tofu/show-destroy"),
        ("apply", "tofu/apply-create"),
        ("apply", "tofu/apply-destroy"),
        ("output", "tofu/output"),
    ]);
    let client = client(&harness).await;
    client.init().await.unwrap();
    client.validate().await.unwrap();
    let planned = client.plan(PlanMode::Apply).await.unwrap();
    let plan = client.show(&planned.file).await.unwrap();
    assert_eq!((planned.has_changes, plan.summary()), (true, Changes { add: 3, change: 0, remove: 0 }));
    assert_eq!(client.apply(planned.file).await.unwrap(), Changes { add: 3, change: 0, remove: 0 });
    assert_eq!(client.output().await.unwrap()["things"], json!(["thing 0", "thing 1", "thing 2"]));
    let nothing = client.plan(PlanMode::Apply).await.unwrap();
    assert!(!nothing.has_changes && client.show(&nothing.file).await.unwrap().is_empty());
    let destroy = client.plan(PlanMode::Destroy).await.unwrap();
    assert_eq!(client.show(&destroy.file).await.unwrap().summary().remove, 3);
    assert_eq!(client.apply(destroy.file).await.unwrap(), Changes { add: 0, change: 0, remove: 3 });
    let events = harness.events();
    let done = |event: &&Kind| matches!(event, Kind::Resource { status: ResourceStatus::Done, .. });
    assert_eq!(events.iter().filter(done).count(), 6);
    assert!(harness.log("tofu").contains("OpenTofu 1."), "{}", harness.log("tofu"));
}

#[tokio::test]
async fn a_stale_plan_is_told_apart_and_named_after_the_tool() {
    let mut harness = Harness::playing(&[
        ("version", "tofu/version"),
        ("plan", "tofu/plan-create"),
        ("apply", "tofu/apply-stale"),
    ]);
    let client = client(&harness).await;
    let planned = client.plan(PlanMode::Apply).await.unwrap();
    let error = client.apply(planned.file).await.unwrap_err();
    assert!(matches!(error, Error::StalePlan), "{error:?}");
    let named = |event: &Kind| matches!(event, Kind::Diagnostic { tool, severity: Severity::Error, .. } if tool == "tofu");
    assert!(harness.events().iter().any(named));
}
