//! A 3k from its first `up` to its end: built in steps and proven as a cluster, left alone when nothing changed, and
//! found out when something is wrong.

use super::closed_flows::all_noticed;
use super::deployment::{Deployment, json};
use super::mistakes::{Workshop, all_found, until_told};

const EXAMPLE: &str = include_str!("../../examples/lab-3k.yml");

/// The mistakes of every test run; the others take too long for it.
const ALWAYS: [&str; 4] =
    ["secrets_key_differs", "praefect_internal_token", "sentinel_master_name", "flow_closed"];

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

/// All mistakes of the table, and every row of the port table, for `make soak`.
#[test]
fn soak_finds_every_mistake_and_every_flow_that_is_closed() {
    let cluster = Deployment::of_example("t-3k-soak", EXAMPLE);
    cluster.up();
    all_found(&cluster, |_| true);
    healthy(&cluster);
    all_noticed(&cluster);
    healthy(&cluster);
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

/// Nothing fails, once load balancers and Prometheus have come round again: a false alarm would stay.
fn healthy(cluster: &Deployment) {
    let workshop = Workshop::new(cluster);
    let failures = until_told(|| match workshop.failures(&["--level", "conformance"]) {
        failures if failures.is_empty() => Ok(()),
        failures => Err(format!("{failures:#?}")),
    });
    failures.expect("a healthy cluster");
}
