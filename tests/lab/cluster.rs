//! A 3k from its first `up` to its end: built in steps and proven as a cluster, left alone when nothing changed, and
//! found out when something is wrong.

use std::path::Path;

use serde::Deserialize;
use serde_json::Value;

use super::deployment::{Deployment, json};
use super::ended::Ended;

const EXAMPLE: &str = include_str!("../../examples/lab-3k.yml");
const TABLE: &str = include_str!("mistakes.yml");

/// The mistakes of every test run; the others take too long for it.
const ALWAYS: [&str; 4] =
    ["secrets_key_differs", "praefect_internal_token", "sentinel_master_name", "flow_closed"];

/// A row of the table.
#[derive(Deserialize)]
struct Row {
    mistake: String,
    check: String,
    on: Option<String>,
    evidence: Vec<String>,
    put: Option<Value>,
    on_node: Option<OnNode>,
    before_mending: Option<Before>,
}

#[derive(Deserialize)]
struct OnNode {
    node: String,
    r#do: String,
    mend: String,
}

#[derive(Deserialize)]
struct Before {
    node: String,
    r#do: String,
}

#[test]
fn a_3k_is_built_proven_left_alone_and_its_mistakes_are_found() {
    let cluster = Deployment::of_example("t-3k", EXAMPLE);
    let verdict = cluster.folder().join("verdict.json");
    let ended = cluster.refarch(&["up", "--yes", "--json", verdict.to_str().expect("UTF-8")]);
    ended.assert(0, &["t-3k is up"]);
    let verdict = json(&verdict);
    assert_eq!(verdict["level"], "conformance", "{verdict:#}");
    assert_eq!(verdict["counts"]["fail"], 0, "{verdict:#}");
    left_alone(&cluster);
    all_found(&cluster, |row| ALWAYS.contains(&row.mistake.as_str()));
    // What was mended is healthy again, and no mistake left a trace.
    healthy(&cluster);
    cluster.destroy().assert(0, &[]);
    cluster.assert_gone();
}

/// All mistakes of the table that can be made, for `make soak`.
#[test]
fn soak_finds_every_mistake() {
    let cluster = Deployment::of_example("t-3k-soak", EXAMPLE);
    cluster.up();
    all_found(&cluster, |_| true);
    healthy(&cluster);
}

fn rows() -> Vec<Row> {
    serde_saphyr::from_str(TABLE).expect("the table")
}

/// A second run changes nothing, and says so.
fn left_alone(cluster: &Deployment) {
    let before = cluster.on("rails-2", "gitlab-ctl status; cat /etc/gitlab/refarch-stamp.json");
    let ended = cluster.up();
    ended.assert(0, &["t-3k is up"]);
    assert!(!ended.said.contains("step 1 of"), "{}", ended.said);
    let pids = |status: &str| -> Vec<String> {
        status.lines().filter_map(|line| Some(line.split_once(')')?.0.to_owned())).collect()
    };
    let after = cluster.on("rails-2", "gitlab-ctl status; cat /etc/gitlab/refarch-stamp.json");
    assert_eq!(pids(&before), pids(&after));
}

/// Makes one mistake after the other; what was not found of them is told at the end, all at once.
fn all_found(cluster: &Deployment, chosen: impl Fn(&Row) -> bool) {
    let rows = rows();
    let missed: Vec<String> =
        rows.iter().filter(|row| chosen(row)).filter_map(|row| missed(cluster, row)).collect();
    assert!(missed.is_empty(), "{}", missed.join("\n\n"));
}

/// Makes one mistake, asks for the verdict, and mends it. Says what the verdict lacks.
fn missed(cluster: &Deployment, row: &Row) -> Option<String> {
    match (&row.put, &row.on_node) {
        (Some(put), None) => {
            let file = cluster.folder().join("mistake.json");
            std::fs::write(&file, filled(cluster, put)).expect("a file");
            deliver(cluster, &file).assert(0, &[]);
            let missed = judged(cluster, row, Some(&file));
            if let Some(before) = &row.before_mending {
                cluster.on(&before.node, &before.r#do);
            }
            std::fs::write(&file, "{}").expect("a file");
            deliver(cluster, &file).assert(0, &[]);
            missed
        }
        (None, Some(OnNode { node, r#do, mend })) => {
            cluster.on(node, r#do);
            let missed = judged(cluster, row, None);
            cluster.on(node, mend);
            missed
        }
        (None, None) => None,
        (Some(_), Some(_)) => panic!("{} is made in two ways", row.mistake),
    }
}

/// The mistake with the deployment's name and addresses.
fn filled(cluster: &Deployment, put: &Value) -> String {
    let mut text = put.to_string().replace("{name}", cluster.name);
    for host in cluster.inspect()["hosts"].as_array().expect("hosts") {
        let (name, address) = (host["name"].as_str(), host["address"].as_str());
        let (name, address) = (name.expect("a name"), address.expect("an address"));
        let short = name.strip_prefix(&format!("{}-", cluster.name)).unwrap_or(name);
        text = text.replace(&format!("{{address:{short}}}"), address);
    }
    if text.contains("{replica}") {
        let leader = cluster.on("postgres-1", "gitlab-ctl get-postgresql-primary");
        let leader = leader.trim().split(':').next().expect("a host").to_owned();
        let members = ["postgres-1", "postgres-2"].map(|node| cluster.address_of(node));
        let replica = members.iter().find(|member| **member != leader).expect("a replica");
        text = text.replace("{replica}", replica);
    }
    text
}

fn deliver(cluster: &Deployment, mistake: &Path) -> Ended {
    let file = mistake.to_str().expect("UTF-8");
    cluster.refarch_with(&[("REFARCH_TEST_MISTAKE", file)], &["up", "--yes", "--until", "configure"])
}

/// The verdict must name node and cause at the right check. That something differs from what was delivered is not
/// enough.
fn judged(cluster: &Deployment, row: &Row, mistake: Option<&Path>) -> Option<String> {
    let path = cluster.folder().join("verdict.json");
    let environment = mistake.map(|file| ("REFARCH_TEST_MISTAKE", file.to_str().expect("UTF-8")));
    let args = ["verify", "--level", "conformance", "--json", path.to_str().expect("UTF-8")];
    let ended = cluster.refarch_with(environment.as_slice(), &args);
    if ended.code != Some(7) {
        return Some(format!("{}: verify ended with {:?}: {}", row.mistake, ended.code, ended.said));
    }
    let verdict = json(&path);
    let findings = verdict["findings"].as_array().expect("findings");
    let node = row.on.as_ref().map(|on| format!("{}-{on}", cluster.name));
    let told = |finding: &Value| {
        let of = finding["node"].as_str();
        finding["check"] == row.check
            && finding["status"] == "fail"
            && (node.is_none() || of.is_none() || of == node.as_deref())
            && row.evidence.iter().all(|words| {
                finding["saw"]
                    .as_str()
                    .is_some_and(|saw| saw.contains(&words.replace("{name}", cluster.name)))
            })
    };
    let failed: Vec<&Value> = findings.iter().filter(|finding| finding["status"] == "fail").collect();
    let is_told = findings.iter().any(told);
    (!is_told).then(|| format!("{}: {} does not say it: {failed:#?}", row.mistake, row.check))
}

fn healthy(cluster: &Deployment) {
    let path = cluster.folder().join("verdict.json");
    let args = ["verify", "--level", "conformance", "--json", path.to_str().expect("UTF-8")];
    cluster.refarch(&args).assert(0, &[]);
}
