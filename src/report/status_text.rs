//! The status of a deployment as text: what exists, what runs, what was verified, what would change.

use jiff::Timestamp;

use super::status::{AtWork, Changes, ChangesWord, Existing, ExistingWord, LastVerdict, NodeStatus, Status};
use super::style::{Style, Tone};
use super::text::{counted, wrapped};
use super::verdict::{STANDIN, ended};

/// The status as text that fits 80 columns. `spec` is the spec as the user named it.
#[must_use]
pub fn status_text(status: &Status, spec: &str, now: Timestamp, style: Style) -> String {
    let mut text = headline(status, style);
    let mut rows = Rows(&mut text);
    rows.row("exists", &[exists(&status.exists, status.nodes.len())]);
    if let Some(run) = &status.at_work {
        rows.row("at work", &[at_work(run)]);
    }
    if !matches!(status.exists.state, ExistingWord::Nothing | ExistingWord::Elsewhere) {
        let nodes: Vec<_> =
            status.nodes.iter().map(|node| node_line(node, &status.deployment.package)).collect();
        rows.row("runs", &nodes);
    }
    let is_gone = status.exists.state == ExistingWord::Nothing && status.last_verdict.is_some();
    let gone = is_gone.then(|| "what was verified then does not exist any more".to_owned());
    let verified = verified(status.last_verdict.as_ref(), now);
    rows.row("verified", &verified.into_iter().chain(gone).collect::<Vec<_>>());
    rows.row("would change", &would_change(&status.changes, spec));
    text
}

fn headline(status: &Status, style: Style) -> String {
    let spec = &status.deployment;
    let standin = if spec.standin { format!(" ({STANDIN})") } else { String::new() };
    let name = style.paint(Tone::Strong, &spec.name);
    let wanted = format!("{} on {}, package {}", spec.architecture, spec.provider, spec.package);
    format!("{name}: {}{standin}\n{}\n", spec.url, wrapped("", &format!("wanted: {wanted}")))
}

/// Rows of a label and one or more texts.
struct Rows<'a>(&'a mut String);

impl Rows<'_> {
    fn row(&mut self, label: &str, texts: &[String]) {
        for (nth, text) in texts.iter().enumerate() {
            let label = if nth == 0 { label } else { "" };
            self.0.push_str(&wrapped(&format!("  {label:12} "), text));
        }
    }
}

fn exists(exists: &Existing, wanted: usize) -> String {
    match exists.state {
        ExistingWord::Nothing => return "nothing exists".into(),
        ExistingWord::Elsewhere => {
            let owner = exists.owner.as_deref().unwrap_or_default();
            return format!("the name is owned by another work directory: `{owner}`");
        }
        ExistingWord::Part | ExistingWord::All => {}
    }
    let running = exists.hosts.iter().filter(|host| host.wanted && host.running).count();
    let present = exists.disks.iter().filter(|disk| disk.present).count();
    let mut parts = vec![format!("{running} of {} running", counted(wanted, "node"))];
    let disks = exists.disks.len();
    if disks > 0 {
        parts.push(format!("{present} of {} there", counted(disks, "data disk")));
    }
    parts.push(match &exists.network {
        Some(network) if network.present => format!("network {}", network.cidr),
        Some(network) => format!("network {} is gone", network.cidr),
        None => "no network".into(),
    });
    let still =
        exists.hosts.iter().filter(|host| !host.running).map(|host| format!("{} stands still", host.name));
    let lost = exists
        .disks
        .iter()
        .filter(|disk| !disk.present)
        .map(|disk| format!("the disk {} is gone", disk.name));
    parts.into_iter().chain(still).chain(lost).collect::<Vec<_>>().join(", ")
}

fn at_work(run: &AtWork) -> String {
    let AtWork { command, user, process, since, .. } = run;
    if let (Some(program), true) = (&run.program, run.killed) {
        return format!(
            "{program} (process {process}), which a killed run of refarch left at work since {since}; the nodes \
             are not asked meanwhile"
        );
    }
    format!("`{command}` of {user} (process {process}) since {since}; the nodes are not asked meanwhile")
}

fn node_line(node: &NodeStatus, wanted: &str) -> String {
    let name = &node.name;
    if let Some(why) = &node.unknown {
        return format!("{name}: unknown, {why}");
    }
    let package = match &node.package {
        None if node.gitlab => return format!("{name}: GitLab is not installed"),
        None => return format!("{name}: its package is not installed"),
        Some(_) if !node.gitlab => "no GitLab".to_owned(),
        Some(package) if package == wanted => package.clone(),
        Some(package) => format!("{package} (wanted: {wanted})"),
    };
    let down: Vec<_> = node.services.iter().filter(|it| !it.running).map(|it| it.name.as_str()).collect();
    let services = match (node.services.len(), down.len()) {
        (0, _) => "no service is known".to_owned(),
        (all, 0) => format!("{} up", counted(all, "service")),
        (all, _) => format!("{} of {} down: {}", down.len(), counted(all, "service"), down.join(", ")),
    };
    format!("{name}: {package}, {services}")
}

fn verified(last: Option<&LastVerdict>, now: Timestamp) -> Vec<String> {
    let Some(last) = last else { return vec!["never, as far as this work directory knows".into()] };
    let word = last.outcome.to_uppercase();
    let counts = last.counts;
    let ended = ended([counts.pass, counts.warn, counts.fail, counts.skip]);
    let when = last.started.parse::<Timestamp>().map_or_else(
        |_| last.started.clone(),
        |started| format!("{} ({})", started.strftime("%Y-%m-%d %H:%M UTC"), ago(started, now)),
    );
    vec![format!("{word} at level {}, {when}: {ended}", last.level), format!("`{}`", last.report)]
}

fn ago(then: Timestamp, now: Timestamp) -> String {
    let seconds = now.duration_since(then).as_secs();
    match seconds {
        ..0 => "in the future: see this machine's clock".into(),
        0..90 => format!("{} ago", counted(usize::try_from(seconds).unwrap_or_default(), "second")),
        90..5_400 => format!("{} minutes ago", (seconds + 30) / 60),
        5_400..172_800 => format!("{} hours ago", (seconds + 1_800) / 3_600),
        _ => format!("{} days ago", (seconds + 43_200) / 86_400),
    }
}

fn would_change(changes: &Changes, spec: &str) -> Vec<String> {
    let plan = format!("`refarch plan {spec}` asks Terraform, too");
    let mut lines: Vec<String> = Vec::new();
    lines.extend(changes.make.iter().map(|node| format!("make {node}, and configure it")));
    lines.extend(changes.remove.iter().map(|host| format!("remove {host}, which is not in the spec")));
    let configure = changes.configure.iter();
    lines.extend(configure.map(|it| format!("configure {}: {}", it.node, it.reasons.join("; "))));
    if lines.is_empty() && changes.state == ChangesWord::Nothing {
        lines.push("no node".into());
    }
    lines.extend(changes.refused.iter().map(|why| format!("`refarch up` would stop: {why}")));
    lines.extend(changes.unknown.iter().map(|why| format!("unknown: {why}")));
    lines.push(plan);
    lines
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::document::tests::assert_committed;
    use super::super::status::{
        Configure, DiskStatus, HostStatus, NetworkStatus, STATUS_VERSION, ServiceStatus, SpecStatus,
        VerdictCounts, WorkDirectory, status_json, status_schema,
    };
    use super::*;

    fn nothing() -> Status {
        Status {
            version: STATUS_VERSION,
            refarch: "0.0.0".into(),
            asked: "2026-11-23T12:00:00Z".into(),
            duration_ms: 40,
            deployment: SpecStatus {
                name: "acme".into(),
                url: "https://gitlab.acme.example".into(),
                standin: true,
                architecture: "1k".into(),
                provider: "lab".into(),
                package: "18.11.2-ee.0".into(),
            },
            work_directory: WorkDirectory { path: "/specs/.refarch/acme".into(), exists: false },
            at_work: None,
            exists: Existing {
                state: ExistingWord::Nothing,
                owner: None,
                network: None,
                hosts: Vec::new(),
                disks: Vec::new(),
            },
            nodes: vec![NodeStatus {
                name: "acme-all-in-one-1".into(),
                unknown: Some("it does not exist".into()),
                gitlab: true,
                package: None,
                services: Vec::new(),
            }],
            last_verdict: None,
            changes: Changes {
                state: ChangesWord::Some,
                make: vec!["acme-all-in-one-1".into()],
                remove: Vec::new(),
                configure: Vec::new(),
                leave: Vec::new(),
                refused: Vec::new(),
                unknown: None,
            },
        }
    }

    fn settled() -> Status {
        let nothing = nothing();
        let service = |name: &str| ServiceStatus { name: name.into(), running: true };
        Status {
            work_directory: WorkDirectory { exists: true, ..nothing.work_directory },
            exists: Existing {
                state: ExistingWord::All,
                owner: None,
                network: Some(NetworkStatus { cidr: "198.18.4.0/24".into(), present: true }),
                hosts: vec![HostStatus {
                    name: "acme-all-in-one-1".into(),
                    running: true,
                    address: "198.18.4.10".into(),
                    wanted: true,
                }],
                disks: vec![DiskStatus { name: "acme-all-in-one-1-data".into(), present: true }],
            },
            nodes: vec![NodeStatus {
                name: "acme-all-in-one-1".into(),
                unknown: None,
                gitlab: true,
                package: Some("18.11.2-ee.0".into()),
                services: ["gitaly", "puma", "sidekiq"].map(service).to_vec(),
            }],
            last_verdict: Some(LastVerdict {
                outcome: "pass".into(),
                level: "function".into(),
                started: "2026-11-23T11:00:00Z".into(),
                counts: VerdictCounts { pass: 30, warn: 1, fail: 0, skip: 2 },
                report: "/specs/.refarch/acme/runs/20261123T110000/report.json".into(),
            }),
            changes: Changes {
                state: ChangesWord::Nothing,
                make: Vec::new(),
                leave: vec!["acme-all-in-one-1".into()],
                ..nothing.changes
            },
            ..nothing
        }
    }

    fn removed() -> Status {
        Status { last_verdict: settled().last_verdict, ..nothing() }
    }

    fn broken() -> Status {
        let mut status = settled();
        status.nodes[0].package = Some("18.11.1-ee.0".into());
        status.nodes[0].services[1].running = false;
        status.exists.disks[0].present = false;
        status.exists.state = ExistingWord::Part;
        status.at_work = Some(AtWork {
            command: "refarch up gitlab.yml".into(),
            user: "root".into(),
            process: 4711,
            since: "2026-11-23T11:58:00Z".into(),
            program: Some("terraform".into()),
            killed: false,
        });
        let reasons = vec!["gitlab.rb differs".into(), "puma is down".into()];
        status.changes.state = ChangesWord::Refused;
        status.changes.leave.clear();
        status.changes.configure = vec![Configure { node: "acme-all-in-one-1".into(), reasons }];
        status.changes.refused = vec!["the device of a data disk is missing".into()];
        status
    }

    fn text(status: &Status) -> String {
        status_text(status, "gitlab.yml", "2026-11-23T12:00:00Z".parse().unwrap(), Style::plain())
    }

    #[test]
    fn what_people_read() {
        insta::assert_snapshot!("nothing_exists", text(&nothing()));
        insta::assert_snapshot!("all_is_well", text(&settled()));
        insta::assert_snapshot!("much_is_wrong", text(&broken()));
        assert!(text(&removed()).contains("does not exist any more"), "{}", text(&removed()));
        for status in [nothing(), settled(), broken()] {
            assert!(text(&status).lines().all(|line| line.chars().count() <= 80), "{}", text(&status));
        }
    }

    #[test]
    fn the_committed_schema_is_current() {
        assert_committed("status", &status_schema());
    }

    #[test]
    fn the_document_has_what_the_schema_says() {
        insta::assert_snapshot!("status_document", status_json(&settled()));
        let schema = status_schema();
        for status in [nothing(), settled(), broken()] {
            let document: serde_json::Value = serde_json::from_str(&status_json(&status)).unwrap();
            super::super::document::tests::assert_object(&document, &schema);
            super::super::document::tests::assert_object(&document["exists"], &schema["$defs"]["Existing"]);
            super::super::document::tests::assert_object(&document["changes"], &schema["$defs"]["Changes"]);
            super::super::document::tests::assert_object(
                &document["nodes"][0],
                &schema["$defs"]["NodeStatus"],
            );
        }
    }

    #[test]
    fn time_is_told_as_people_do() {
        let now: Timestamp = "2026-11-23T12:00:00Z".parse().unwrap();
        let ago = |then: &str| ago(then.parse().unwrap(), now);
        assert_eq!(ago("2026-11-23T11:59:59Z"), "1 second ago");
        assert_eq!(ago("2026-11-23T11:55:00Z"), "5 minutes ago");
        assert_eq!(ago("2026-11-23T09:00:00Z"), "3 hours ago");
        assert_eq!(ago("2026-11-20T12:00:00Z"), "3 days ago");
        assert!(ago("2026-11-23T12:00:05Z").starts_with("in the future"));
    }
}
