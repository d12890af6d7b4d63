//! What a user sees of runs that went well and of runs that did not.

use jiff::SignedDuration;

use super::super::verdict::tests::finding;
use super::*;
use crate::events::{Changes, Child, VERSION};

const NODE: &str = "acme-all-in-one-1";

/// What is written of these events, each so many seconds after the run began.
fn shown(events: Vec<(i64, Kind)>) -> String {
    let mut out = Vec::new();
    let mut plain = Plain::new(&mut out, Style::plain());
    for (second, kind) in events {
        let time = Timestamp::UNIX_EPOCH + SignedDuration::from_secs(second);
        plain.read(&Event { v: VERSION, time, run: "r1".into(), event: kind }).unwrap();
    }
    drop(plain);
    String::from_utf8(out).unwrap()
}

fn started() -> Kind {
    Kind::RunStarted { command: "up lab-1k.yml".into(), deployment: "acme".into(), refarch: "0.1.0".into() }
}

fn child(tool: &str) -> Child {
    Child { tool: tool.into(), pid: 4711, start_ticks: 1, since: Timestamp::UNIX_EPOCH }
}

fn child_started(tool: &str) -> Kind {
    Kind::ChildStarted { child: child(tool), command: format!("{tool} …") }
}

fn begins(phase: Phase) -> Kind {
    Kind::PhaseStarted { phase }
}

fn ends(phase: Phase, seconds: f64) -> Kind {
    Kind::PhaseFinished { phase, seconds }
}

fn resource_at(name: &str, key: &str, status: ResourceStatus, seconds: f64) -> Kind {
    let address = format!("module.environment.{name}[\"{key}\"]");
    Kind::Resource { address, action: "create".into(), status, seconds }
}

fn task(file: &str, task: &str, status: TaskStatus, message: Option<&str>) -> Kind {
    Kind::NodeTask {
        node: NODE.into(),
        task: task.into(),
        path: format!("roles/gitlab_node/tasks/{file}.yml:12"),
        status,
        message: message.map(ToOwned::to_owned),
        seconds: 1.0,
    }
}

#[test]
fn a_build_that_goes_well() {
    let counts = NodeStatus { ok: 40, changed: 17, ..NodeStatus::default() };
    let text = shown(vec![
        (0, started()),
        (0, begins(Phase::Preflight)),
        (0, ends(Phase::Preflight, 0.2)),
        (0, begins(Phase::Render)),
        (0, ends(Phase::Render, 0.05)),
        (0, begins(Phase::Plan)),
        (0, child_started("terraform")),
        (4, Kind::PlanSummary { changes: Changes { add: 3, change: 0, remove: 0 } }),
        (4, ends(Phase::Plan, 3.9)),
        (4, begins(Phase::Provision)),
        (4, child_started("terraform")),
        (5, resource_at("lab_network.this", "acme", ResourceStatus::Started, 0.0)),
        (5, resource_at("lab_network.this", "acme", ResourceStatus::Done, 0.4)),
        (6, resource_at("lab_host.node", NODE, ResourceStatus::Started, 0.0)),
        (16, resource_at("lab_host.node", NODE, ResourceStatus::Progress, 10.0)),
        (36, resource_at("lab_host.node", NODE, ResourceStatus::Progress, 30.0)),
        (46, resource_at("lab_host.node", NODE, ResourceStatus::Progress, 40.0)),
        (47, resource_at("lab_host.node", NODE, ResourceStatus::Done, 41.0)),
        (47, Kind::ApplySummary { changes: Changes { add: 3, change: 0, remove: 0 } }),
        (47, ends(Phase::Provision, 43.0)),
        (47, begins(Phase::Configure)),
        (47, Kind::Waiting { waiting_for: WaitingFor::World { what: format!("sshd on {NODE}") } }),
        (50, child_started("ansible-playbook")),
        (51, Kind::PlayStarted { play: "Prepare nodes".into() }),
        (52, task("os", "Ask for the operating system", TaskStatus::Started, None)),
        (52, task("os", "Ask for the operating system", TaskStatus::Ok, None)),
        (53, task("disk_check", "Ask the disk", TaskStatus::Started, None)),
        (54, task("disk_mount", "Mount the disk", TaskStatus::Changed, None)),
        (55, task("package_apt_file", "Install the package", TaskStatus::Started, None)),
        (70, task("package_apt_file", "Install the package", TaskStatus::Changed, None)),
        (70, task("mark_built", "Mark the disk", TaskStatus::Skipped, Some("not built yet"))),
        (71, Kind::PlayStarted { play: "Configure all_in_one".into() }),
        (72, task("reconfigure", "Reconfigure", TaskStatus::Started, None)),
        (110, task("health", "Wait", TaskStatus::Ignored, Some("503"))),
        (120, Kind::PlaybookSummary { playbook: "site.yml".into(), nodes: [(NODE.into(), counts)].into() }),
        (120, ends(Phase::Configure, 73.0)),
        (120, begins(Phase::Verify)),
        (121, Kind::Finding(finding("tcp", Status::Pass, None))),
        (121, Kind::Finding(finding("dns", Status::Warn, None))),
        (122, Kind::Finding(finding("size", Status::Skip, Some(NODE)))),
        (122, ends(Phase::Verify, 2.0)),
        (122, Kind::RunFinished { exit: 0, seconds: 122.0 }),
    ]);
    insta::assert_snapshot!(text);
}

#[test]
fn a_run_with_nothing_to_do() {
    let text = shown(vec![
        (0, started()),
        (0, begins(Phase::Provision)),
        (
            2,
            Kind::PhaseSkipped {
                phase: Phase::Provision,
                node: None,
                proof: "Terraform's plan is empty".into(),
            },
        ),
        (2, begins(Phase::Configure)),
        (
            5,
            Kind::PhaseSkipped {
                phase: Phase::Configure,
                node: Some(NODE.into()),
                proof: "its files, package and services are as wanted".into(),
            },
        ),
        (5, ends(Phase::Configure, 3.0)),
        (6, Kind::RunFinished { exit: 0, seconds: 6.0 }),
    ]);
    insta::assert_snapshot!(text);
}

#[test]
fn what_goes_wrong_says_where_and_why() {
    let counts = NodeStatus { ok: 3, failures: 1, ..NodeStatus::default() };
    let message = "gitlab.rb was refused:\nunknown key `nginxx`";
    let text = shown(vec![
        (0, started()),
        (1, Kind::Waiting { waiting_for: WaitingFor::Leftover(child("terraform")) }),
        (
            2,
            Kind::ResourceDrift {
                address: "module.environment.lab_host.node[\"a-1\"]".into(),
                action: "delete".into(),
            },
        ),
        (3, begins(Phase::Provision)),
        (3, resource_at("lab_host.node", NODE, ResourceStatus::Failed, 12.0)),
        (
            3,
            Kind::Diagnostic {
                tool: "terraform".into(),
                severity: Severity::Error,
                summary: "host did not boot".into(),
                detail: "no answer on port 22\nafter 60 s".into(),
                address: None,
                place: Some("modules/lab/main.tf:12".into()),
            },
        ),
        (4, Kind::Warning { message: "the disk is nearly full".into(), help: Some("free some".into()) }),
        (5, task("reconfigure", "Reconfigure", TaskStatus::Failed, Some(message))),
        (6, task("os", "Gather facts", TaskStatus::Unreachable, None)),
        (7, Kind::PlaybookSummary { playbook: "site.yml".into(), nodes: [(NODE.into(), counts)].into() }),
        (
            8,
            Kind::Waiting {
                waiting_for: WaitingFor::Interrupted {
                    tool: "terraform".into(),
                    unfinished: vec!["create module.environment.lab_host.node[\"a-1\"]".into()],
                    next: "a second Ctrl-C is only noted".into(),
                },
            },
        ),
        (9, Kind::Missed { count: 12 }),
        (
            9,
            Kind::PhaseFailed {
                phase: Phase::Configure,
                message: "1 node failed".into(),
                log: Some(".refarch/acme/runs/r1/ansible.log".into()),
            },
        ),
        (9, Kind::RunFinished { exit: 6, seconds: 9.0 }),
    ]);
    insta::assert_snapshot!(text);
}

#[test]
fn nothing_is_coloured_unless_asked() {
    let text = shown(vec![(0, started()), (9, Kind::RunFinished { exit: 6, seconds: 9.0 })]);
    assert!(!text.contains('\u{1b}'), "{text}");
}

#[test]
fn a_closed_output_ends_the_reader_and_nothing_else() {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let event = Event { v: VERSION, time: Timestamp::UNIX_EPOCH, run: "r1".into(), event: started() };
    assert_eq!(Plain::new(writer, Style::plain()).read(&event), Err(Gone));
}

#[test]
fn a_run_goes_on_into_its_log_when_nobody_reads() {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let dir = tempfile::tempdir().unwrap();
    let path = camino::Utf8PathBuf::from_path_buf(dir.path().join("events.jsonl")).unwrap();
    let (sender, events) = crate::events::start(crate::events::Options {
        run: "r1".into(),
        path: path.clone(),
        redactor: crate::process::Redactor::default(),
        readers: vec![Box::new(Plain::new(writer, Style::plain()))],
    })
    .unwrap();
    for number in 0..100 {
        sender.note(format!("line {number}"));
    }
    assert!(events.finish().file_error.is_none());
    assert_eq!(fs_err::read_to_string(path).unwrap().lines().count(), 100);
}

#[test]
fn a_terminal_gets_lines_that_fit_and_a_pipe_whole_ones() {
    let event = |kind| Event { v: VERSION, time: Timestamp::UNIX_EPOCH, run: "r1".into(), event: kind };
    let said = |folds, style| {
        let mut out = Vec::new();
        let mut plain = Plain::new(&mut out, style).folding(folds);
        plain.read(&event(Kind::Finding(finding("dns", Status::Warn, Some(NODE))))).unwrap();
        drop(plain);
        String::from_utf8(out).unwrap()
    };
    let folded = said(true, Style::plain());
    assert!(folded.lines().count() > 2 && folded.lines().all(|line| line.chars().count() <= 80), "{folded}");
    assert!(folded.lines().skip(1).all(|line| line.starts_with("        ")), "{folded}");
    let whole = said(false, Style::plain());
    assert_eq!(whole.lines().count(), 2, "{whole}");
    let words = |text: &str| text.split_whitespace().map(ToOwned::to_owned).collect::<Vec<_>>();
    assert_eq!(words(&folded), words(&whole));
    let forced = Style::of(|name| (name == "CLICOLOR_FORCE").then_some("1"), false);
    assert_eq!(said(true, forced).lines().count(), folded.lines().count());
}
