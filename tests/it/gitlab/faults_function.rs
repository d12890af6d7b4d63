//! Faults that the level `function` owns: each call in every way, and what is answered as done and was not.

use std::time::Duration;

use jiff::SignedDuration;
use refarch::checks::{Check, Patience};
use serde_json::json;

use super::fake::{Endpoint, Fault, Lie, SshDoor, Writes};
use super::table::{Case, judge};
use super::trial::Trial;

/// What needs a project.
const AFTER_PROJECT: [Check; 10] = [
    Check::PushHttps,
    Check::CloneHttps,
    Check::PushSsh,
    Check::CloneSsh,
    Check::Lfs,
    Check::Package,
    Check::Upload,
    Check::Issue,
    Check::MergeRequest,
    Check::Job,
];
/// What needs something pushed.
const AFTER_PUSH: [Check; 2] = [Check::CloneHttps, Check::MergeRequest];
/// Without a runner there is no job.
const BASE: [Check; 1] = [Check::Job];

/// For rows in which something is waited for to the end. What has to work beside it fits into this on a busy machine.
const QUICK: Patience = Patience { deadline: Duration::from_secs(6), attempt: Duration::from_secs(4) };

/// The checks that ask the API alone.
const STORED: [Check; 4] = [Check::Lfs, Check::Package, Check::Upload, Check::Issue];
/// The checks of Git over HTTPS, and one that has nothing to do with it.
const HTTPS: [Check; 4] = [Check::PushHttps, Check::CloneHttps, Check::MergeRequest, Check::Issue];
/// The checks of Git over SSH, and one that has nothing to do with it.
const SSH: [Check; 3] = [Check::PushSsh, Check::CloneSsh, Check::Issue];

/// The checks that stand beside each other, and the calls that they own.
const BESIDE: [(Check, &[Endpoint]); 6] = [
    (Check::Lfs, &[Endpoint::LfsBatch, Endpoint::LfsPut, Endpoint::LfsGet, Endpoint::LfsVerify]),
    (Check::Package, &[Endpoint::PutPackage, Endpoint::Package]),
    (Check::Upload, &[Endpoint::CreateUpload, Endpoint::Upload]),
    (Check::Issue, &[Endpoint::CreateIssue, Endpoint::Issue, Endpoint::UpdateIssue]),
    (
        Check::MergeRequest,
        &[Endpoint::CreateMergeRequest, Endpoint::MergeRequest, Endpoint::Merge, Endpoint::Branch],
    ),
    (Check::PushSsh, &[Endpoint::CreateDeployKey]),
];

fn faults() -> Vec<(&'static str, Fault)> {
    vec![
        ("404", Fault::Status(404)),
        ("500", Fault::Status(500)),
        ("502", Fault::Status(502)),
        ("a page", Fault::Html),
        ("half of it", Fault::Truncated),
        ("something else", Fault::OtherShape),
        ("a redirect to itself", Fault::RedirectLoop),
        ("and hangs up", Fault::Cut),
        ("nothing", Fault::Slow),
        ("401", Fault::Unauthorized),
        ("403", Fault::Forbidden),
    ]
}

fn case(name: impl Into<String>, arrange: impl Fn(&mut Trial) + Send + 'static) -> Case {
    Case::new(name, arrange)
}

fn breaks(endpoint: Endpoint, fault: Fault) -> Case {
    let name = format!("{endpoint:?}: {fault:?}");
    case(name, move |trial| trial.fake.breaks(endpoint, fault.clone()))
}

fn lies(lie: Lie) -> Case {
    case(format!("{lie:?}"), move |trial| trial.fake.lies(lie))
}

/// Asks only these checks, and what they need.
fn only(checks: &'static [Check], row: Case) -> Case {
    row.before(|trial| trial.options.only = Some(checks.iter().copied().collect()))
}

/// Whether a call does its work whatever its answer holds, so that later calls show it.
fn is_shown_later(endpoint: Endpoint, fault: &Fault) -> bool {
    match endpoint {
        Endpoint::PutPackage | Endpoint::LfsPut | Endpoint::Merge => {
            matches!(fault, Fault::Truncated | Fault::OtherShape)
        }
        Endpoint::UpdateIssue => *fault == Fault::OtherShape,
        // It says all by its status.
        Endpoint::LfsVerify => matches!(fault, Fault::Truncated | Fault::OtherShape | Fault::Html),
        _ => false,
    }
}

/// Every call of the checks that need a project and not each other, with each of these faults. One row gives each check
/// another fault, so that a row shows besides that none tells of a neighbour's.
fn beside(wanted: impl Fn(&Fault) -> bool) -> Vec<Case> {
    let mut faults = faults();
    faults.retain(|(_, fault)| wanted(fault));
    let pairs = BESIDE.map(|(check, endpoints)| {
        let of_it = endpoints.iter().flat_map(|endpoint| faults.iter().map(move |fault| (*endpoint, fault)));
        (check, of_it.filter(|(endpoint, (_, fault))| !is_shown_later(*endpoint, fault)).collect::<Vec<_>>())
    });
    let rows = pairs.iter().map(|(_, pairs)| pairs.len()).max().unwrap_or_default();
    let row = |row: usize| {
        // Each column begins elsewhere, so that a row holds different faults; what was had is not had again.
        let shifted = pairs
            .iter()
            .enumerate()
            .filter(|(_, (_, pairs))| row < pairs.len())
            .map(|(column, (check, pairs))| (*check, pairs[(row + column) % pairs.len()]));
        let chosen: Vec<(Check, Endpoint, &'static str, Fault)> = shifted
            .map(|(check, (endpoint, (words, fault)))| (check, endpoint, *words, fault.clone()))
            .collect();
        let name = chosen.iter().map(|(_, endpoint, words, _)| format!("{endpoint:?} answers {words}"));
        let name = name.collect::<Vec<_>>().join("; ");
        let checks: Vec<Check> = chosen.iter().map(|(check, ..)| *check).collect();
        let named = checks.clone();
        let row = case(name, move |trial| {
            trial.options.only = Some(named.iter().copied().collect());
            for (_, endpoint, _, fault) in &chosen {
                trial.fake.breaks(*endpoint, fault.clone());
            }
        });
        row.fails(&checks)
    };
    (0..rows).map(row).collect()
}

/// Whether it may pass, so that it is asked again until the time is over.
fn is_waited_for(fault: &Fault) -> bool {
    matches!(fault, Fault::Status(500 | 502) | Fault::Cut | Fault::Slow)
}

#[tokio::test(flavor = "multi_thread")]
async fn every_call_of_the_checks_beside_each_other_answers_wrongly() {
    judge("faults_function_beside", &[], beside(|fault| !is_waited_for(fault))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_call_of_the_checks_beside_each_other_fails_to_answer() {
    let cases = beside(is_waited_for).into_iter().map(|row| row.with(QUICK));
    judge("faults_function_unanswered", &[], cases.collect()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_stands_before_the_others_stops_them() {
    let all = [&[Check::Project][..], &AFTER_PROJECT[..], &[Check::Cleanup]].concat();
    let mut cases = Vec::new();
    for fault in [Fault::Status(500), Fault::Status(502), Fault::Html, Fault::RedirectLoop, Fault::Forbidden]
    {
        cases.push(breaks(Endpoint::CreateGroup, fault.clone()).fails(&[Check::Group]).skips(&all));
        cases.push(breaks(Endpoint::CreateProject, fault).fails(&[Check::Project]).skips(&AFTER_PROJECT));
    }
    for fault in [Fault::Truncated, Fault::OtherShape, Fault::Cut, Fault::Slow, Fault::Status(404)] {
        cases.push(breaks(Endpoint::CreateProject, fault).fails(&[Check::Project]).skips(&AFTER_PROJECT));
    }
    let limit = json!({"message": {"limit_reached": ["Your project limit is 0 projects! Please contact your administrator to increase it"]}});
    cases.push(
        breaks(Endpoint::CreateProject, Fault::Says(400, limit))
            .fails(&[Check::Project])
            .skips(&AFTER_PROJECT),
    );
    cases.push(
        case("an instance that only reads", |trial| trial.fake.switches().writes = Writes::Refused)
            .fails(&[Check::Group])
            .skips(&all),
    );
    let stored = [Check::PushHttps, Check::PushSsh, Check::Lfs, Check::Package, Check::Upload];
    cases.push(
        case("a disk that is full", |trial| trial.fake.switches().writes = Writes::DiskFull)
            .fails(&stored)
            .skips(&AFTER_PUSH)
            .skips(&[Check::CloneSsh]),
    );
    // The subgroup of the run is made, and its answer tells nothing of it: it is removed all the same.
    for fault in [Fault::Status(500), Fault::Truncated, Fault::OtherShape, Fault::Cut] {
        let row = breaks(Endpoint::CreateGroup, fault).before(|trial| {
            trial.fake.group(None, "refarch-verify", SignedDuration::from_hours(100));
        });
        cases.push(row.named("with a group of refarch").fails(&[Check::Group]).skips(&all[..all.len() - 1]));
    }
    let cases = cases.into_iter().map(|row| row.with(QUICK));
    judge("faults_function_before", &BASE, cases.collect()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn git_over_https_goes_wrong() {
    let mut cases = Vec::new();
    let faults = [
        Fault::Status(404),
        Fault::Status(500),
        Fault::Status(502),
        Fault::Html,
        Fault::RedirectLoop,
        Fault::Cut,
        Fault::Slow,
        Fault::Unauthorized,
        Fault::Says(403, json!({"message": "You are not allowed to push code to this project."})),
    ];
    for fault in faults {
        let push = breaks(Endpoint::GitReceivePack, fault.clone());
        cases.push((fault.clone(), push.fails(&[Check::PushHttps]).skips(&AFTER_PUSH)));
        cases.push((fault.clone(), breaks(Endpoint::GitUploadPack, fault).fails(&[Check::CloneHttps])));
    }
    for fault in [Fault::Status(404), Fault::Status(502), Fault::Slow, Fault::Unauthorized] {
        let refs = breaks(Endpoint::GitRefs, fault.clone());
        cases.push((fault, refs.fails(&[Check::PushHttps]).skips(&AFTER_PUSH)));
    }
    let cases = cases.into_iter().map(|(fault, row)| {
        let row = only(&HTTPS, row);
        if fault == Fault::Slow { row.with(QUICK) } else { row }
    });
    judge("faults_function_https", &[], cases.collect()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn git_over_ssh_goes_wrong() {
    let door = |name: &str, door: SshDoor| case(name, move |trial| trial.fake.switches().ssh = door);
    let no_push = |row: Case| row.fails(&[Check::PushSsh]).skips(&[Check::CloneSsh]);
    let cases = vec![
        no_push(case("the port of SSH is closed", |trial| trial.fake.closes_ssh())),
        no_push(door("the port of SSH is silent", SshDoor::Silent)),
        no_push(door("the port of SSH hangs up", SshDoor::Cut)),
        no_push(door("no deploy key is let in", SshDoor::RefusesKeys)),
        door("the host key changes", SshDoor::KeyChanges).fails(&[Check::CloneSsh]),
        door("a deploy key is let in a little later", SshDoor::LateKeys),
        case("the key can't be taken away", |trial| {
            trial.fake.breaks(Endpoint::DeleteDeployKey, Fault::Status(500));
        }),
    ];
    let cases = cases.into_iter().map(|row| only(&SSH, row).with(QUICK));
    judge("faults_function_ssh", &[], cases.collect()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_done_only_in_words_is_told() {
    let stored = |lie, check| only(&STORED, lies(lie).fails(&[check]));
    let merged = |lie| only(&HTTPS, lies(lie).fails(&[Check::MergeRequest])).with(QUICK);
    let cases = vec![
        lies(Lie::PushForgotten)
            .fails(&[Check::CloneHttps, Check::CloneSsh, Check::MergeRequest])
            .skips(&[Check::Job]),
        // What was put in its place can be merged like anything else.
        lies(Lie::PushReplaced).fails(&[Check::CloneHttps, Check::CloneSsh]).skips(&[Check::Job]),
        stored(Lie::PackageOtherBytes, Check::Package),
        stored(Lie::UploadVanishes, Check::Upload),
        stored(Lie::UploadOtherBytes, Check::Upload),
        stored(Lie::LfsOtherBytes, Check::Lfs),
        stored(Lie::LfsVanishes, Check::Lfs),
        stored(Lie::IssueOtherTitle, Check::Issue),
        merged(Lie::MergeIgnored),
        merged(Lie::MergeWithoutCommit),
        merged(Lie::MergeabilityStuck),
        only(&[Check::Issue, Check::Cleanup], lies(Lie::GroupStays).fails(&[Check::Cleanup]))
            .with(QUICK)
            .leaves("refarch-verify/run-"),
    ];
    judge("faults_function_lies", &[], cases).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn jobs_go_wrong() {
    let with_runner =
        |row: Case| only(&[Check::Job], row.before(|trial| trial.fake.switches().runner = true));
    let mut cases = vec![
        with_runner(lies(Lie::JobFails)).fails(&[Check::Job]),
        with_runner(lies(Lie::ArtifactOtherBytes)).fails(&[Check::Job]),
        with_runner(breaks(Endpoint::Runners, Fault::OtherShape)).fails(&[Check::Job]),
    ];
    let calls =
        [Endpoint::Runners, Endpoint::Pipelines, Endpoint::PipelineJobs, Endpoint::Trace, Endpoint::Artifact];
    for endpoint in calls {
        cases.push(with_runner(breaks(endpoint, Fault::Status(404))).fails(&[Check::Job]));
    }
    // A job may take longer than other checks: it is given four times as much, and so these are few.
    cases.push(with_runner(lies(Lie::TraceEmpty)).fails(&[Check::Job]).with(QUICK));
    cases.push(with_runner(lies(Lie::JobNeverTaken)).warns(&[Check::Job]).with(QUICK));
    cases.push(
        with_runner(breaks(Endpoint::PipelineJobs, Fault::OtherShape)).fails(&[Check::Job]).with(QUICK),
    );
    cases.push(with_runner(breaks(Endpoint::PipelineJobs, Fault::Slow)).fails(&[Check::Job]).with(QUICK));
    judge("faults_function_job", &[], cases).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_can_not_be_removed_is_told() {
    let mut cases = Vec::new();
    for fault in [
        Fault::Status(404),
        Fault::Status(500),
        Fault::Status(502),
        Fault::Slow,
        Fault::Forbidden,
        Fault::Cut,
    ] {
        let row = breaks(Endpoint::DeleteGroup, fault).fails(&[Check::Cleanup]);
        cases.push(row.with(QUICK).leaves("refarch-verify/run-"));
    }
    let cases = cases.into_iter().map(|row| only(&[Check::Issue, Check::Cleanup], row));
    judge("faults_function_cleanup", &[], cases.collect()).await;
}
