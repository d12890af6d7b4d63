//! Every finding of a host: it passes when all is right, says what is wrong and what to do, and skips when it can't look.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::facts::HostState;
use super::{Check, Host, Plan, Side, host_findings, not_made};
use crate::architecture::Component;
use crate::checks::node_state::Offset;
use crate::checks::{Miss, Question};
use crate::events::{Finding, Status};
use crate::spec::GitlabVersion;

const SIMULATED: &str = "size is simulated: lab hosts share one machine";

/// An answer in words, with what to do.
pub(crate) fn says(answer: &Result<String, Miss>) -> String {
    words(&Question::new(Check::Package, "", "").answer(answer.clone()))
}

fn words(finding: &Finding) -> String {
    let remedy = finding.remedy.as_ref().map(|remedy| format!("\n  {remedy}")).unwrap_or_default();
    format!("{:?}: {}{remedy}", finding.status, finding.saw)
}

/// A host on which nothing is wrong.
fn right() -> Value {
    let place = |place: &str| json!({"place": place, "mount": "/", "size_gb": 100.0, "free_gb": 90.0, "noexec": false, "read_only": false});
    json!({
        "version": 1,
        "system": {"told": {"id": "debian", "version": "13", "architecture": "amd64", "python": "3.13.5", "uid": 0}},
        "size": {"told": {"vcpu": 4, "memory_gb": 14.7}},
        "places": {"told": {"places": [place("/"), place("/opt"), place("/tmp")]}},
        "data_disks": {"told": {"disks": [{
            "name": "data", "path": "/dev/sdb", "present": true, "signature": null, "uuid": null, "mounted": false,
            "marker": null, "size_bytes": 1, "covers": [],
        }]}},
        "speed": {"told": {"folder": "/var/opt", "writes_per_s": 900.0}},
        "clock": {"told": {"epoch_s": 0.0, "synchronized": true}},
        "locale": {"told": {"utf8": ["C.utf8"]}},
        "time_zone": {"told": {"name": "Etc/UTC"}},
        "swap": {"told": {"kib": 0}},
        "access_control": {"told": {"selinux": "disabled", "apparmor": true, "missing_tools": []}},
        "firewall": {"told": {"active": []}},
        "umask": {"told": {"mask": 18}},
        "ports": {"told": {"used": []}},
        "leftovers": {"told": {"packages": [], "folders": [], "begun": false, "stamp": null}},
        "sources": {"told": {"sources": [{"url": "https://mirror.example/x", "status": 200, "error": null}]}},
        "flows": {"told": {"count": 12, "closed": [], "taken": []}},
    })
}

fn host(name: &str, state: Value) -> Host {
    let state: HostState = serde_json::from_value(state).unwrap();
    Host {
        name: name.into(),
        component: Component::Gitaly,
        vcpu: 4,
        memory_gb: 15.0,
        root_disk_gb: 100,
        told: Ok((state, Offset { seconds: 0.2, uncertainty_s: 0.5 })),
    }
}

fn plan(hosts: Vec<Host>) -> Plan {
    Plan {
        gitlab: GitlabVersion::new(18, 11, 2),
        deployment: "acme".into(),
        suffix: "a1b2c3".into(),
        simulated: None,
        hosts,
    }
}

/// What the first of two hosts is said to be, of which the second is as it should be.
fn finding(check: Check, first: Host) -> Finding {
    let plan = plan(vec![first, host("acme-gitaly-2", right()), host("acme-gitaly-3", right())]);
    let found = host_findings(&plan);
    let of = |finding: &&Finding| {
        finding.check == check.name() && finding.node.as_deref() == Some("acme-gitaly-1")
    };
    found.iter().find(of).unwrap_or_else(|| panic!("no {check}: {found:?}")).clone()
}

fn with(question: &str, answer: &Value) -> Host {
    let mut state = right();
    state[question] = answer.clone();
    host("acme-gitaly-1", state)
}

fn told(question: &str, value: &Value) -> Host {
    with(question, &json!({"told": value}))
}

/// Which question each check judges.
const QUESTIONS: [(Check, &str); 17] = [
    (Check::System, "system"),
    (Check::HostSize, "size"),
    (Check::RootDisk, "places"),
    (Check::DataDisk, "data_disks"),
    (Check::DiskSpeed, "speed"),
    (Check::HostClock, "clock"),
    (Check::Locale, "locale"),
    (Check::TimeZone, "time_zone"),
    (Check::Swap, "swap"),
    (Check::AccessControl, "access_control"),
    (Check::Firewall, "firewall"),
    (Check::Umask, "umask"),
    (Check::Mounts, "places"),
    (Check::Ports, "ports"),
    (Check::Leftovers, "leftovers"),
    (Check::PackageSource, "sources"),
    (Check::Flows, "flows"),
];

#[test]
fn a_host_on_which_nothing_is_wrong_passes_every_check() {
    let found = host_findings(&plan(vec![host("acme-gitaly-1", right())]));
    let bad: Vec<_> = found.iter().filter(|finding| finding.status != Status::Pass).collect();
    assert!(bad.is_empty(), "{bad:#?}");
    let all = Check::ALL.into_iter().filter(|check| check.side() != Side::Here).count();
    assert_eq!((found.len(), QUESTIONS.len() + 1), (all, all));
}

#[test]
fn what_a_host_can_not_tell_is_a_skip() {
    for (check, question) in QUESTIONS {
        let found = finding(check, with(question, &json!({"unasked": "there is no such program"})));
        assert_eq!((found.status, found.saw.as_str()), (Status::Skip, "there is no such program"), "{check}");
        assert!(found.remedy.is_some(), "{check}");
    }
}

#[test]
fn each_fault_is_said_with_what_to_do() {
    let place = |place: &str, noexec: bool, read_only: bool, size: f64, free: f64| {
        json!({"places": [
            {"place": "/", "mount": "/", "size_gb": size, "free_gb": free, "noexec": false, "read_only": false},
            {"place": place, "mount": place, "size_gb": size, "free_gb": free, "noexec": noexec, "read_only": read_only},
        ]})
    };
    let disk = |changes: Value| {
        let mut disk = right()["data_disks"]["told"]["disks"][0].clone();
        for (key, value) in changes.as_object().unwrap() {
            disk[key] = value.clone();
        }
        json!({"disks": [disk]})
    };
    let marker = |deployment: &str| json!({"marker": {"deployment": deployment, "suffix": "a1b2c3", "uuid": "u", "built": true}, "signature": "ext4"});
    let left = |packages: &[&str], folders: &[&str], stamp: Value| json!({"packages": packages, "folders": folders, "begun": false, "stamp": stamp});
    let closed = json!({"count": 3, "taken": [], "closed": [
        {"to": "acme-gitaly-2", "port": 8075, "protocol": "tcp", "why": "dropped"},
        {"to": "acme-gitaly-3", "port": 8300, "protocol": "tcp", "why": "refused"},
        {"to": "acme-gitaly-3", "port": 8301, "protocol": "udp", "why": "EHOSTUNREACH"},
    ]});
    let source = |status: Value, error: Value| json!({"sources": [{"url": "https://mirror.example/x", "status": status, "error": error}]});
    let faults = vec![
        (
            Check::System,
            told(
                "system",
                &json!({"id": "debian", "version": "10", "architecture": "amd64", "python": "3.7.3", "uid": 0}),
            ),
        ),
        (Check::HostSize, told("size", &json!({"vcpu": 2, "memory_gb": 14.7}))),
        (Check::HostSize, told("size", &json!({"vcpu": 4, "memory_gb": 7.5}))),
        (Check::RootDisk, told("places", &place("/opt", false, false, 40.0, 30.0))),
        (Check::RootDisk, told("places", &place("/opt", false, false, 100.0, 2.0))),
        (Check::DataDisk, told("data_disks", &disk(json!({"present": false})))),
        (Check::DataDisk, told("data_disks", &disk(json!({"signature": "xfs"})))),
        (Check::DataDisk, told("data_disks", &disk(json!({"covers": ["git-data"]})))),
        (Check::DataDisk, told("data_disks", &disk(marker("other")))),
        (Check::DiskSpeed, told("speed", &json!({"folder": "/var/opt", "writes_per_s": 31.0}))),
        (Check::HostClock, told("clock", &json!({"epoch_s": 0.0, "synchronized": false}))),
        (Check::Locale, told("locale", &json!({"utf8": []}))),
        (Check::TimeZone, told("time_zone", &json!({"name": "Europe/Berlin"}))),
        (Check::Swap, told("swap", &json!({"kib": 2_097_152}))),
        (
            Check::AccessControl,
            told(
                "access_control",
                &json!({"selinux": "enforcing", "apparmor": false, "missing_tools": ["semodule"]}),
            ),
        ),
        (Check::Umask, told("umask", &json!({"mask": 0o077}))),
        (Check::Mounts, told("places", &place("/tmp", true, false, 100.0, 90.0))),
        (Check::Mounts, told("places", &place("/opt", true, false, 100.0, 90.0))),
        (Check::Mounts, told("places", &place("/var/log", false, true, 100.0, 90.0))),
        (Check::Ports, told("ports", &json!({"used": [{"port": 8075, "program": "/usr/bin/python3.13"}]}))),
        (
            Check::Leftovers,
            told(
                "leftovers",
                &left(&["gitlab-ee 17.0.0-ee.0"], &["/etc/gitlab", "/var/opt/gitlab"], Value::Null),
            ),
        ),
        (
            Check::Leftovers,
            told("leftovers", &left(&["gitlab-ee 18.11.2-ee.0"], &["/etc/gitlab"], Value::Null)),
        ),
        (Check::Leftovers, told("leftovers", &left(&[], &[], json!({"deployment": "other", "suffix": "x"})))),
        (Check::PackageSource, told("sources", &source(json!(404), Value::Null))),
        (Check::PackageSource, told("sources", &source(Value::Null, json!("timed out")))),
        (Check::Flows, told("flows", &closed)),
    ];
    let mut text = String::new();
    for (check, host) in faults {
        let found = finding(check, host);
        assert!(matches!(found.status, Status::Fail | Status::Warn), "{check}: {found:?}");
        let _ = writeln!(text, "{check}\n{}", words(&found));
    }
    insta::assert_snapshot!(text);
}

#[test]
fn a_firewall_is_worth_a_warning_only_where_it_closes_something() {
    let mut state = right();
    state["firewall"] = json!({"told": {"active": ["firewalld"]}});
    assert_eq!(finding(Check::Firewall, host("acme-gitaly-1", state.clone())).status, Status::Pass);
    state["flows"] = json!({"told": {"count": 1, "taken": [], "closed": [
        {"to": "acme-gitaly-2", "port": 8075, "protocol": "tcp", "why": "dropped"},
    ]}});
    assert_eq!(finding(Check::Firewall, host("acme-gitaly-1", state)).status, Status::Warn);
}

#[test]
fn a_clock_is_judged_in_favour_of_the_host() {
    let off = |seconds: f64| {
        let mut host = host("acme-gitaly-1", right());
        host.told = host.told.map(|(state, _)| (state, Offset { seconds, uncertainty_s: 2.0 }));
        finding(Check::HostClock, host).status
    };
    assert_eq!([off(2.5), off(-4.0), off(33.0)], [Status::Pass, Status::Warn, Status::Fail]);
}

#[test]
fn on_the_lab_size_speed_and_swap_say_nothing_and_say_so_once() {
    let hosts = vec![told("swap", &json!({"kib": 4096})), host("acme-gitaly-2", right())];
    let found = host_findings(&Plan { simulated: Some(SIMULATED), ..plan(hosts) });
    for check in [Check::HostSize, Check::RootDisk, Check::DiskSpeed, Check::Swap] {
        let of: Vec<_> = found.iter().filter(|it| it.check == check.name()).collect();
        let [one] = of.as_slice() else { panic!("{check}: {of:?}") };
        assert_eq!((one.status, one.saw.as_str(), &one.node), (Status::Skip, SIMULATED, &None), "{check}");
    }
    let clock = found.iter().find(|it| it.check == "host_clock").unwrap();
    assert_eq!(clock.status, Status::Pass);
}

#[test]
fn what_was_left_out_is_not_judged() {
    let mut state = right();
    state.as_object_mut().unwrap().retain(|key, _| !["speed", "sources", "flows"].contains(&key.as_str()));
    let found = host_findings(&plan(vec![host("acme-gitaly-1", state)]));
    let checks = ["disk_speed", "package_source", "flows"];
    assert!(found.iter().all(|it| !checks.contains(&it.check.as_str())), "{found:?}");
}

#[test]
fn ports_and_leftovers_of_this_deployment_are_its_own() {
    let mut state = right();
    state["ports"] =
        json!({"told": {"used": [{"port": 8075, "program": "/opt/gitlab/embedded/bin/gitaly"}]}});
    state["leftovers"] = json!({"told": {
        "packages": ["gitlab-ee 18.11.2-ee.0"], "folders": ["/var/opt/gitlab"], "begun": true,
        "stamp": {"deployment": "acme", "suffix": "a1b2c3", "component": "gitaly"},
    }});
    let host = host("acme-gitaly-1", state);
    assert_eq!(finding(Check::Ports, host.clone()).status, Status::Pass);
    assert_eq!(finding(Check::Leftovers, host).status, Status::Pass);
    let sshd = told("ports", &json!({"used": [{"port": 22, "program": "/usr/sbin/sshd"}]}));
    assert_eq!(finding(Check::Ports, sshd.clone()).status, Status::Pass);
    let balancer = Host { component: Component::ExternalLb, ..sshd };
    assert_eq!(finding(Check::Ports, balancer).status, Status::Fail);
}

#[test]
fn a_silent_host_has_one_line_and_flows_to_it_say_nothing() {
    let down = |why: &str| Host { told: Err(why.into()), ..host("acme-gitaly-2", right()) };
    let closed = json!({"count": 1, "taken": [], "closed": [
        {"to": "acme-gitaly-2", "port": 8075, "protocol": "tcp", "why": "dropped"},
    ]});
    let plan = plan(vec![told("flows", &closed), down("Connection timed out")]);
    let found = host_findings(&plan);
    let of_second: Vec<_> = found.iter().filter(|it| it.node.as_deref() == Some("acme-gitaly-2")).collect();
    assert_eq!(of_second.len(), 1);
    let flows = found.iter().find(|it| it.check == "flows").unwrap();
    assert_eq!(flows.status, Status::Skip);
    let mut text = String::new();
    for why in [
        "Failed to connect to the host via ssh: ssh: connect to host 198.18.0.9 port 22: Connection timed out",
        "Failed to connect to the host via ssh: Host key verification failed.",
        "admin@198.18.0.9: Permission denied (publickey).",
        "Missing sudo password",
        "ansible-core requires a minimum of Python version 3.8. Current version: 3.6.8",
    ] {
        let plan = Plan { hosts: vec![down(why)], ..plan.clone() };
        let _ = writeln!(text, "{}", words(&host_findings(&plan)[0]));
    }
    insta::assert_snapshot!(text);
}

#[test]
fn udp_to_a_service_that_runs_already_is_not_taken_for_closed() {
    let closed = json!({"count": 2, "taken": [], "closed": [
        {"to": "acme-gitaly-2", "port": 8301, "protocol": "udp", "why": "dropped"},
    ]});
    let mut other = right();
    other["flows"] = json!({"told": {"count": 0, "closed": [], "taken": [{"port": 8301, "protocol": "udp", "why": "in use"}]}});
    let plan = plan(vec![told("flows", &closed), host("acme-gitaly-2", other)]);
    let found = host_findings(&plan);
    let flows = found.iter().find(|it| it.check == "flows").unwrap();
    assert_eq!(
        (flows.status, flows.saw.as_str()),
        (Status::Pass, "1 open, 1 could not be tried to their end")
    );
}

#[test]
fn hosts_that_are_not_made_are_skips() {
    let found = not_made();
    assert!(
        found.iter().all(|it| it.status == Status::Skip && it.saw == "not made yet" && it.node.is_none())
    );
    assert_eq!(found.len(), QUESTIONS.len() + 1);
}
