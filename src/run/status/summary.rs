//! From what was found to what is said of it. Pure: it asks nobody.

use std::time::Duration;

use camino::Utf8PathBuf;
use jiff::Timestamp;

use crate::deployment::{Deployment, NodeName};
use crate::report::{
    AtWork, Changes, ChangesWord, Configure, DiskStatus, Existing, ExistingWord, HostStatus, LastVerdict,
    NetworkStatus, NodeStatus, STATUS_VERSION, ServiceStatus, SpecStatus, Status, WorkDirectory,
};
use crate::rollout::{self, NodeState, Refusal, Rollout, ServiceState};
use crate::run::lab::Inspection;
use crate::run::nodes::Gathered;

/// What `up` would do to the nodes that answered.
#[derive(Debug, Default)]
pub struct Decision {
    pub rollout: Rollout,
    pub refusals: Vec<Refusal>,
}

/// The same, or why it can't be said.
pub type Intended = Result<Decision, String>;

/// All that was found.
pub struct Facts<'a> {
    pub asked: Timestamp,
    pub duration: Duration,
    pub place: Utf8PathBuf,
    pub workdir_exists: bool,
    /// Whether the secrets of what exists are in the work directory.
    pub secrets_known: bool,
    pub at_work: Option<AtWork>,
    pub found: Inspection,
    /// Whether what exists belongs to this work directory.
    pub is_ours: bool,
    pub last_verdict: Option<LastVerdict>,
    pub gathered: Gathered,
    pub intended: Intended,
    pub deployment: &'a Deployment,
}

impl Facts<'_> {
    /// Whether nodes may be asked: they are ours, and nobody is at work on them.
    pub fn can_ask_nodes(&self) -> bool {
        self.found.exists && self.is_ours && self.secrets_known && self.at_work.is_none()
    }

    /// The nodes of the spec that run, as the provider says.
    pub fn running(&self) -> Vec<NodeName> {
        self.deployment.nodes.keys().filter(|node| self.runs(node)).cloned().collect()
    }

    fn runs(&self, node: &NodeName) -> bool {
        self.found.hosts.iter().any(|host| host.name == node.as_str() && host.running)
    }

    fn is_wanted(&self, host: &str) -> bool {
        self.deployment.nodes.keys().any(|node| node.as_str() == host)
    }

    /// Why nothing is known of a node that told nothing.
    fn silence(&self, node: &NodeName) -> String {
        if !self.is_ours {
            return "it belongs to another work directory".into();
        }
        if !self.found.hosts.iter().any(|host| host.name == node.as_str()) {
            return "it does not exist".into();
        }
        if !self.runs(node) {
            return "it does not run".into();
        }
        if self.at_work.is_some() {
            return "not asked while a run is at work".into();
        }
        let why = self.gathered.silent.get(node).cloned();
        why.unwrap_or_else(|| "not asked: its secrets are not in the work directory".into())
    }
}

/// What is said of it all.
pub fn summary(facts: &Facts<'_>) -> Status {
    let deployment = facts.deployment;
    Status {
        version: STATUS_VERSION,
        refarch: env!("CARGO_PKG_VERSION").into(),
        asked: facts.asked.to_string(),
        duration_ms: u64::try_from(facts.duration.as_millis()).unwrap_or(u64::MAX),
        deployment: SpecStatus {
            name: deployment.name.to_string(),
            url: deployment.gitlab.url.as_str().into(),
            standin: deployment.gitlab.package.is_standin(),
            architecture: deployment.architecture.name.clone(),
            provider: deployment.provider.name().into(),
            package: deployment.package_version(),
        },
        work_directory: WorkDirectory { path: facts.place.to_string(), exists: facts.workdir_exists },
        at_work: facts.at_work.clone(),
        exists: existing(facts),
        nodes: deployment.nodes.keys().map(|node| node_status(facts, node)).collect(),
        last_verdict: facts.last_verdict.clone(),
        changes: changes(facts),
    }
}

fn existing(facts: &Facts<'_>) -> Existing {
    let found = &facts.found;
    let hosts = found.hosts.iter();
    let hosts = hosts.map(|host| HostStatus {
        name: host.name.clone(),
        running: host.running,
        address: host.address.clone(),
        wanted: facts.is_wanted(&host.name),
    });
    Existing {
        state: existing_word(facts),
        owner: found.owner.as_ref().filter(|_| !facts.is_ours).map(|owner| owner.work_directory.clone()),
        network: found
            .network
            .as_ref()
            .map(|network| NetworkStatus { cidr: network.cidr.clone(), present: network.present }),
        hosts: hosts.collect(),
        disks: found
            .disks
            .iter()
            .map(|disk| DiskStatus { name: disk.name.clone(), present: disk.present })
            .collect(),
    }
}

fn existing_word(facts: &Facts<'_>) -> ExistingWord {
    let found = &facts.found;
    if !found.exists {
        return ExistingWord::Nothing;
    }
    if !facts.is_ours {
        return ExistingWord::Elsewhere;
    }
    let nodes = facts.deployment.nodes.values();
    let mut disks =
        nodes.flat_map(|node| node.data_disks.keys().map(move |disk| format!("{}-{disk}", node.name)));
    let is_there = |name: String| found.disks.iter().any(|disk| disk.present && disk.name == name);
    let all = facts.running().len() == facts.deployment.nodes.len()
        && found.hosts.iter().all(|host| facts.is_wanted(&host.name))
        && found.network.as_ref().is_some_and(|network| network.present)
        && disks.all(is_there);
    if all { ExistingWord::All } else { ExistingWord::Part }
}

fn node_status(facts: &Facts<'_>, node: &NodeName) -> NodeStatus {
    let name = node.to_string();
    let gitlab = facts.deployment.nodes[node].component.has_package();
    match facts.gathered.states.get(node) {
        None => {
            let unknown = Some(facts.silence(node));
            NodeStatus { name, unknown, gitlab, package: None, services: Vec::new() }
        }
        Some(state) => NodeStatus {
            name,
            unknown: None,
            gitlab,
            package: state.package.installed.clone(),
            services: services(state),
        },
    }
}

fn services(state: &NodeState) -> Vec<ServiceStatus> {
    let services = state.services.iter();
    services
        .map(|service| ServiceStatus {
            name: service.name.clone(),
            running: service.state == ServiceState::Run,
        })
        .collect()
}

/// The nodes that are not as they should be, and what happens to them.
fn changes(facts: &Facts<'_>) -> Changes {
    let mut changes = Changes {
        state: ChangesWord::Nothing,
        make: Vec::new(),
        remove: Vec::new(),
        configure: Vec::new(),
        leave: Vec::new(),
        refused: Vec::new(),
        unknown: None,
    };
    if !facts.is_ours {
        changes.refused.push("the name is owned by another work directory".into());
        changes.state = ChangesWord::Refused;
        return changes;
    }
    let nodes = facts.deployment.nodes.keys();
    changes.make = nodes.filter(|node| !facts.runs(node)).map(ToString::to_string).collect();
    let hosts = facts.found.hosts.iter();
    changes.remove =
        hosts.filter(|host| !facts.is_wanted(&host.name)).map(|host| host.name.clone()).collect();
    let unknown = decided(facts, &mut changes);
    if facts.found.exists && !facts.secrets_known {
        changes.refused.push("nodes exist, and their secrets are not in the work directory".into());
    }
    changes.state = word(&changes, unknown);
    changes
}

/// Tells of the nodes that answered, and says whether of some nothing can be said.
fn decided(facts: &Facts<'_>, changes: &mut Changes) -> bool {
    let silent: Vec<_> = facts
        .running()
        .into_iter()
        .filter(|node| !facts.gathered.states.contains_key(node))
        .map(|node| node.to_string())
        .collect();
    if !silent.is_empty() {
        changes.unknown = Some(format!("nothing is known of {}", silent.join(", ")));
    }
    match &facts.intended {
        Err(why) if !facts.gathered.states.is_empty() => changes.unknown = Some(why.clone()),
        Err(_) => {}
        Ok(decision) => {
            changes.refused = decision.refusals.iter().map(ToString::to_string).collect();
            let known = decision.rollout.decisions.iter();
            for (node, decision) in known.filter(|(node, _)| facts.gathered.states.contains_key(node)) {
                match decision {
                    rollout::Decision::LeaveAlone => changes.leave.push(node.to_string()),
                    rollout::Decision::Converge(reasons) => {
                        changes
                            .configure
                            .push(Configure { node: node.to_string(), reasons: reasons.clone() });
                    }
                }
            }
        }
    }
    changes.unknown.is_some()
}

fn word(changes: &Changes, unknown: bool) -> ChangesWord {
    if !changes.refused.is_empty() {
        return ChangesWord::Refused;
    }
    if !(changes.make.is_empty() && changes.remove.is_empty() && changes.configure.is_empty()) {
        return ChangesWord::Some;
    }
    if unknown { ChangesWord::Unknown } else { ChangesWord::Nothing }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::deployment::testing::demo as deployment;

    const NODE: &str = "demo-all-in-one-1";

    fn found(hosts: &[(&str, bool)], disk: bool) -> Inspection {
        let host = |(name, running): &(&str, bool)| json!({"name": name, "running": running, "address": "198.18.4.10"});
        let found = json!({
            "exists": true,
            "owner": {"suffix": "abc123", "work_directory": "/specs/.refarch/demo"},
            "network": {"cidr": "198.18.4.0/24", "present": true},
            "hosts": hosts.iter().map(host).collect::<Vec<_>>(),
            "disks": [{"name": format!("{NODE}-data"), "present": disk}],
        });
        serde_json::from_value(found).unwrap()
    }

    fn nothing() -> Inspection {
        serde_json::from_value(json!({"exists": false, "owner": null})).unwrap()
    }

    fn facts(deployment: &Deployment, found: Inspection) -> Facts<'_> {
        Facts {
            asked: Timestamp::UNIX_EPOCH,
            duration: Duration::ZERO,
            place: "/specs/.refarch/demo".into(),
            workdir_exists: true,
            secrets_known: true,
            at_work: None,
            found,
            is_ours: true,
            last_verdict: None,
            gathered: Gathered::default(),
            intended: Err("not asked".into()),
            deployment,
        }
    }

    fn silent(why: &str) -> Gathered {
        let mut gathered = Gathered::default();
        gathered.silent.insert(deployment().front, why.into());
        gathered
    }

    fn at_work() -> AtWork {
        AtWork {
            command: "refarch up".into(),
            user: "root".into(),
            process: 1,
            since: "2026-11-23T12:00:00Z".into(),
            program: None,
            killed: false,
        }
    }

    #[test]
    fn where_nothing_exists_everything_would_be_made() {
        let deployment = deployment();
        let facts = Facts { workdir_exists: false, secrets_known: false, ..facts(&deployment, nothing()) };
        let status = summary(&facts);
        assert_eq!(status.exists.state, ExistingWord::Nothing);
        assert_eq!((status.changes.state, status.changes.make), (ChangesWord::Some, vec![NODE.to_owned()]));
        assert_eq!(status.nodes[0].unknown.as_deref(), Some("it does not exist"));
        assert!(!facts.can_ask_nodes());
    }

    #[test]
    fn what_stands_still_is_lost_or_too_much_is_told() {
        let deployment = deployment();
        let state = |hosts: &[(&str, bool)], disk| existing_word(&facts(&deployment, found(hosts, disk)));
        assert_eq!(state(&[(NODE, true)], true), ExistingWord::All);
        assert_eq!(state(&[(NODE, false)], true), ExistingWord::Part);
        assert_eq!(state(&[(NODE, true)], false), ExistingWord::Part);
        assert_eq!(state(&[], true), ExistingWord::Part);
        assert_eq!(state(&[(NODE, true), ("demo-rails-1", true)], true), ExistingWord::Part);
        let status = summary(&facts(&deployment, found(&[("demo-rails-1", true)], true)));
        assert_eq!(status.changes.remove, ["demo-rails-1"]);
        assert_eq!(status.changes.make, [NODE]);
        let status = summary(&facts(&deployment, found(&[(NODE, false)], true)));
        assert_eq!(status.nodes[0].unknown.as_deref(), Some("it does not run"));
    }

    #[test]
    fn a_node_that_does_not_answer_is_unknown_and_not_settled() {
        let deployment = deployment();
        let gathered = silent("Failed to connect to the host via ssh");
        let facts = Facts { gathered, ..facts(&deployment, found(&[(NODE, true)], true)) };
        let status = summary(&facts);
        assert_eq!(status.nodes[0].unknown.as_deref(), Some("Failed to connect to the host via ssh"));
        assert_eq!(status.changes.state, ChangesWord::Unknown);
        assert_eq!(status.changes.unknown, Some(format!("nothing is known of {NODE}")));
    }

    #[test]
    fn while_a_run_is_at_work_no_node_is_asked() {
        let deployment = deployment();
        let facts = Facts { at_work: Some(at_work()), ..facts(&deployment, found(&[(NODE, true)], true)) };
        assert!(!facts.can_ask_nodes());
        let status = summary(&facts);
        assert_eq!(status.nodes[0].unknown.as_deref(), Some("not asked while a run is at work"));
        assert_eq!(status.changes.state, ChangesWord::Unknown);
        assert_eq!(status.exists.state, ExistingWord::All);
    }

    #[test]
    fn what_others_own_is_neither_asked_nor_changed() {
        let deployment = deployment();
        let facts = Facts {
            is_ours: false,
            secrets_known: false,
            ..facts(&deployment, found(&[(NODE, true)], true))
        };
        assert!(!facts.can_ask_nodes());
        let status = summary(&facts);
        assert_eq!(status.exists.state, ExistingWord::Elsewhere);
        assert_eq!(status.exists.owner.as_deref(), Some("/specs/.refarch/demo"));
        assert_eq!(status.changes.state, ChangesWord::Refused);
        assert_eq!(status.nodes[0].unknown.as_deref(), Some("it belongs to another work directory"));
    }

    #[test]
    fn nodes_whose_secrets_are_lost_stop_a_run() {
        let deployment = deployment();
        let facts = Facts { secrets_known: false, ..facts(&deployment, found(&[(NODE, true)], true)) };
        assert!(!facts.can_ask_nodes());
        let changes = summary(&facts).changes;
        assert_eq!(changes.state, ChangesWord::Refused);
        assert!(changes.refused[0].contains("secrets are not in the work directory"));
    }
}
