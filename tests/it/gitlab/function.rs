//! What level `function` does on a healthy instance, and what it leaves alone.

use std::time::Duration;

use jiff::SignedDuration;
use refarch::checks::{Check, GroupName, Proxy as Way};
use refarch::events::Status;

use super::fake::{Certificate, Endpoint, Fake, Fault, Proxy, Site, SshDoor};
use super::trial::{Trial, not_passed, of, words};

fn local() -> Fake {
    Fake::at(&Site { name: "localhost", ..Site::default() })
}

/// Verifies, and allows the one skip that an instance without a runner has.
async fn is_healthy(trial: &Trial) {
    let verdict = trial.verdict().await;
    let seen = not_passed(&verdict);
    assert_eq!(seen, [("job", Status::Skip)].into(), "{}", words(&verdict));
    assert_eq!(trial.fake.holds(), ["refarch-verify"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_healthy_instance_passes_and_keeps_nothing() {
    let site = Site { name: "localhost", latency: Duration::from_millis(20), ..Site::default() };
    let trial = Trial::of(Fake::at(&site));
    is_healthy(&trial).await;
    let most = trial.fake.most_at_once();
    assert!((2..=8).contains(&most), "checks that do not depend on each other are asked together: {most}");
    let commands = trial.commands();
    for wanted in ["git ", "ssh-keygen ", "ssh "] {
        assert!(commands.iter().any(|line| line.starts_with(wanted)), "{wanted}: {commands:#?}");
    }
    let state = trial.fake.state();
    let own = state.groups.values().next().unwrap();
    assert_eq!((own.visibility.as_str(), own.description.is_empty()), ("private", false));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_runner_makes_every_check_pass() {
    let trial = Trial::of(local());
    trial.fake.switches().runner = true;
    let verdict = trial.verdict().await;
    assert!(not_passed(&verdict).is_empty(), "{}", words(&verdict));
}

#[tokio::test(flavor = "multi_thread")]
async fn other_ways_to_a_healthy_instance() {
    let sites = [
        (Site { name: "gitlab.acme.example", ..Site::default() }, Some(Status::Warn)),
        (Site { name: "localhost", root: "/gitlab", ..Site::default() }, None),
        (Site { name: "[::1]", ipv6: true, ..Site::default() }, Some(Status::Skip)),
    ];
    for (site, dns) in sites {
        let trial = Trial::of(Fake::at(&site));
        let verdict = trial.verdict().await;
        let mut seen = not_passed(&verdict);
        // A name that no DNS knows is worth a warning even where its address was given; an address has no name.
        assert_eq!(seen.remove("dns"), dns, "{}", words(&verdict));
        assert_eq!(seen, [("job", Status::Skip)].into(), "{}", words(&verdict));
        assert_eq!(trial.fake.holds(), ["refarch-verify"]);
    }
    let plain =
        Trial::of(Fake::at(&Site { name: "localhost", certificate: Certificate::None, ..Site::default() }));
    let verdict = plain.verdict().await;
    assert_eq!(
        not_passed(&verdict),
        [("job", Status::Skip), ("tls", Status::Warn)].into(),
        "{}",
        words(&verdict)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_is_used_when_it_is_asked_for() {
    let fake = Fake::start();
    let proxy = Proxy::to(fake.address).await;
    let mut trial = Trial::of(fake).only(&[Check::Version, Check::CloneHttps]);
    trial.target.proxy = Way::Environment;
    trial.target.address = None;
    trial.ambient.insert("https_proxy".to_owned(), format!("http://{}", proxy.address));
    let verdict = trial.verdict().await;
    assert!(not_passed(&verdict).is_empty(), "{}", words(&verdict));
    let name = trial.fake.url().strip_prefix("https://").unwrap();
    assert!(proxy.passed().iter().all(|line| *line == format!("CONNECT {name}")), "{:?}", proxy.passed());
    assert!(proxy.passed().len() > 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn older_and_slower_instances_are_healthy_too() {
    let trial = Trial::of(local());
    {
        let mut switches = trial.fake.switches();
        switches.renames_what_is_marked = false;
        switches.polls = 6;
        switches.ssh = SshDoor::LateKeys;
    }
    for endpoint in [Endpoint::CreateProject, Endpoint::Package, Endpoint::LfsBatch, Endpoint::MergeRequest] {
        trial.fake.breaks(endpoint, Fault::RateLimited(2));
    }
    is_healthy(&trial).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_dead_run_left_is_swept_and_a_neighbour_is_not() {
    let trial = Trial::of(local());
    let top = trial.fake.group(None, "refarch-verify", SignedDuration::from_hours(1000));
    for number in 0..12 {
        trial.fake.group(Some(top), &format!("run-dead{number:04}"), SignedDuration::from_hours(2));
    }
    trial.fake.group(Some(top), "run-alive001", SignedDuration::from_mins(50));
    trial.fake.group(Some(top), "somebody-else", SignedDuration::from_hours(1000));
    trial.fake.group(None, "run-aside001", SignedDuration::from_hours(1000));
    let verdict = trial.verdict().await;
    assert_eq!(not_passed(&verdict), [("job", Status::Skip)].into(), "{}", words(&verdict));
    let mut left = trial.fake.holds();
    left.sort();
    assert_eq!(
        left,
        ["refarch-verify", "refarch-verify/run-alive001", "refarch-verify/somebody-else", "run-aside001"]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn more_dead_runs_than_one_run_removes_are_told() {
    let trial = Trial::of(local()).only(&[Check::Cleanup]);
    trial.fake.switches().polls = 1;
    let top = trial.fake.group(None, "refarch-verify", SignedDuration::from_hours(1000));
    for number in 0..25 {
        trial.fake.group(Some(top), &format!("run-dead{number:04}"), SignedDuration::from_hours(2));
    }
    let verdict = trial.verdict().await;
    assert_eq!(not_passed(&verdict), [("cleanup", Status::Warn)].into(), "{}", words(&verdict));
    let saw = &of(&verdict, Check::Cleanup).saw;
    assert!(
        saw.ends_with(&format!("{} more of earlier runs are left", trial.fake.holds().len() - 1)),
        "{saw}"
    );
    let again = trial.neighbour().only(&[Check::Cleanup]).verdict().await;
    assert!(not_passed(&again).is_empty(), "{}", words(&again));
    assert_eq!(trial.fake.holds(), ["refarch-verify"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_run_that_was_already_marked_is_swept_too() {
    let trial = Trial::of(local()).only(&[Check::Cleanup]);
    let top = trial.fake.group(None, "refarch-verify", SignedDuration::from_hours(1000));
    let dead = trial.fake.group(Some(top), "run-dead0001", SignedDuration::from_hours(2));
    if let Some(group) = trial.fake.state().groups.get_mut(&dead) {
        group.marked = true;
        group.path = format!("run-dead0001-deletion_scheduled-{dead}");
    }
    let verdict = trial.verdict().await;
    assert!(not_passed(&verdict).is_empty(), "{}", words(&verdict));
    assert_eq!(trial.fake.holds(), ["refarch-verify"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_verifications_at_once_leave_each_other_alone() {
    let trial = Trial::of(local());
    let other = trial.neighbour();
    let (one, two) = tokio::join!(trial.verdict(), other.verdict());
    for verdict in [one, two] {
        assert_eq!(not_passed(&verdict), [("job", Status::Skip)].into(), "{}", words(&verdict));
    }
    assert_eq!(trial.fake.holds(), ["refarch-verify"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn read_only_writes_nothing() {
    let mut trial = Trial::of(local());
    trial.options.read_only = true;
    let verdict = trial.verdict().await;
    let writes: Vec<_> = trial.fake.seen().into_iter().filter(|seen| seen.writes).collect();
    assert!(writes.is_empty(), "{writes:#?}");
    assert_eq!(trial.fake.holds(), Vec::<String>::new());
    let seen = not_passed(&verdict);
    assert!(
        seen.values().all(|status| *status == Status::Skip) && seen.contains_key("issue"),
        "{}",
        words(&verdict)
    );
    assert_eq!(of(&verdict, Check::Version).status, Status::Pass);
    assert!(of(&verdict, Check::Issue).saw.contains("only reads"), "{}", words(&verdict));
}

#[tokio::test(flavor = "multi_thread")]
async fn only_one_check_is_told_and_all_is_removed_again() {
    let trial = Trial::of(local()).only(&[Check::Issue]);
    let verdict = trial.verdict().await;
    let told: Vec<&str> = verdict.findings.iter().map(|finding| finding.check.as_str()).collect();
    assert_eq!((told, not_passed(&verdict).len()), (vec!["issue"], 0), "{}", words(&verdict));
    assert_eq!(trial.fake.holds(), ["refarch-verify"]);
    let others =
        [Endpoint::CreateUpload, Endpoint::PutPackage, Endpoint::GitRefs, Endpoint::CreateMergeRequest];
    assert!(trial.fake.seen().iter().all(|seen| !others.contains(&seen.endpoint)));
}

#[tokio::test(flavor = "multi_thread")]
async fn only_one_check_tells_besides_what_stands_in_its_way() {
    let trial = Trial::of(local()).only(&[Check::Issue]);
    trial.fake.breaks(Endpoint::CreateProject, Fault::Forbidden);
    let verdict = trial.verdict().await;
    let wanted = [("project", Status::Fail), ("issue", Status::Skip)].into();
    assert_eq!(not_passed(&verdict), wanted, "{}", words(&verdict));
    assert_eq!(verdict.findings.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_that_was_named_is_used_and_kept() {
    let mut trial = Trial::of(local()).only(&[Check::Issue, Check::Cleanup]);
    let team = trial.fake.group(None, "team", SignedDuration::from_hours(1000));
    trial.fake.group(Some(team), "probes", SignedDuration::from_hours(1000));
    trial.target.group = GroupName::Existing("team/probes".to_owned());
    let verdict = trial.verdict().await;
    assert!(not_passed(&verdict).is_empty(), "{}", words(&verdict));
    assert_eq!(trial.fake.holds(), ["team", "team/probes"]);

    let mut trial = Trial::of(local()).only(&[Check::Issue]);
    trial.target.group = GroupName::Existing("team/nowhere".to_owned());
    let verdict = trial.verdict().await;
    let finding = of(&verdict, Check::Group);
    assert!(finding.status == Status::Fail && finding.saw.contains("team/nowhere"), "{}", words(&verdict));
    assert_eq!(trial.fake.holds(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupted_verification_removes_what_it_made() {
    let trial = Trial::of(local());
    trial.fake.switches().polls = 40;
    let interrupt = async {
        while !trial.fake.seen().iter().any(|seen| seen.endpoint == Endpoint::CreateMergeRequest) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        trial.fake.switches().polls = 1;
        trial.interrupts.interrupt();
    };
    let (verdict, ()) = tokio::join!(trial.attempt(), interrupt);
    assert!(verdict.is_err());
    assert_eq!(trial.fake.holds(), ["refarch-verify"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_program_is_told_by_who_needs_it() {
    for (program, without) in
        [("git", Check::PushHttps), ("ssh-keygen", Check::PushSsh), ("ssh", Check::PushSsh)]
    {
        let trial = Trial::of(local()).only(&[Check::PushHttps, Check::PushSsh, Check::Issue]);
        let trial = trial.lacking(program);
        let verdict = trial.verdict().await;
        let finding = of(&verdict, without);
        assert!(
            finding.status != Status::Pass && finding.saw.contains(program),
            "{program}: {}",
            words(&verdict)
        );
        assert_eq!(of(&verdict, Check::Issue).status, Status::Pass, "{}", words(&verdict));
        assert_eq!(trial.fake.holds(), ["refarch-verify"]);
    }
}
