//! Which nodes are converged, which are left alone, and what stops the run before anything is touched.

use std::collections::{BTreeMap, BTreeSet};

use super::{DataDiskState, NodeState, ServiceState};
use crate::deployment::{Deployment, Node, NodeName};
use crate::spec::GitlabVersion;

/// What a node should be. Hashes are SHA-256 in hex; what a node of its component doesn't have is `None`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// The version of the GitLab package; `None` on a node without it, whose own package may have any.
    pub package: Option<String>,
    /// Hash of gitlab.rb.
    pub gitlab_rb: Option<String>,
    /// Hash of the named secrets.
    pub refarch_secrets: Option<String>,
    /// Hash of gitlab-secrets.json as this node had it after its last reconfigure, if it had one.
    pub gitlab_secrets: Option<String>,
    /// Hash of the certificate.
    pub certificate: Option<String>,
    /// Hash of the data that a node without the GitLab package is configured from.
    pub data: Option<String>,
}

/// What happens to one node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// It is as it should be.
    LeaveAlone,
    /// It is converged, for these reasons.
    Converge(Vec<String>),
}

/// What happens to each node, in the deployment's order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rollout {
    /// The decision for each node.
    pub decisions: Vec<(NodeName, Decision)>,
    /// The disks whose data is gone, and was given up beforehand or is with others.
    pub given_up: Vec<LostDisk>,
}

/// A disk that held data, and now has none or another's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LostDisk {
    /// Which node.
    pub node: NodeName,
    /// Which disk.
    pub disk: String,
    /// The file system that was expected.
    pub uuid: String,
    /// What is there instead, to be read after `now`.
    pub found: String,
    /// Who holds the same data; nothing where it was given up.
    pub held: Option<String>,
}

/// What stops a run before it changes a node.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, miette::Diagnostic)]
pub enum Refusal {
    /// Another version runs on the node.
    #[error("{node} runs GitLab {installed}, and the spec asks for {wanted}")]
    #[diagnostic(
        code(refarch::rollout::upgrade),
        help("this refarch doesn't upgrade yet: set `gitlab.version` to the installed version")
    )]
    Upgrade {
        /// Which node.
        node: NodeName,
        /// What is installed.
        installed: String,
        /// What the spec wants.
        wanted: String,
    },
    /// A newer version runs on the node.
    #[error("{node} runs GitLab {installed}, which is newer than the {wanted} that the spec asks for")]
    #[diagnostic(
        code(refarch::rollout::downgrade),
        help(
            "GitLab can't be downgraded: set `gitlab.version` to the installed version, or restore a backup into a new deployment"
        )
    )]
    Downgrade {
        /// Which node.
        node: NodeName,
        /// What is installed.
        installed: String,
        /// What the spec wants.
        wanted: String,
    },
    /// The node carries the stamp of another deployment.
    #[error("{node} belongs to the deployment `{other}` ({suffix}), not to this one")]
    #[diagnostic(
        code(refarch::rollout::foreign_node),
        help("use the work directory that made the node, or another name for this deployment")
    )]
    ForeignNode {
        /// Which node.
        node: NodeName,
        /// Whose it is.
        other: String,
        /// That deployment's suffix.
        suffix: String,
    },
    /// The deployment was built, and going on would reconfigure a node that serves.
    #[error("{node} serves, and would be configured anew: {}", reasons.join("; "))]
    #[diagnostic(
        code(refarch::rollout::serving),
        help(
            "this refarch doesn't change a built cluster yet, because it can't do so without an outage: take the change back in the spec. A node that is gone is rebuilt"
        )
    )]
    Serving {
        /// Which node.
        node: NodeName,
        /// What would change.
        reasons: Vec<String>,
    },
    /// A disk that held data has none, or other data, now.
    #[error("the disk `{disk}` of {node} held this deployment's data (file system {uuid}), and now {found}")]
    #[diagnostic(
        code(refarch::rollout::data_gone),
        help(
            "bring the disk back and run the same command again. If the data is lost for good, `--accept-data-loss {node}` gives it up; refarch takes an empty disk then, and clears none that isn't"
        )
    )]
    DataGone {
        /// Which node.
        node: NodeName,
        /// Which disk.
        disk: String,
        /// The file system that was expected.
        uuid: String,
        /// What is there instead.
        found: String,
    },
}

/// What the decision is made from, for one deployment.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// What should be.
    pub deployment: &'a Deployment,
    /// The deployment's suffix.
    pub suffix: &'a str,
    /// What each node should be.
    pub wanted: &'a BTreeMap<NodeName, Wanted>,
    /// What each node is.
    pub states: &'a BTreeMap<NodeName, NodeState>,
    /// UUIDs of data disks that hold data, by node and disk.
    pub known_disks: &'a BTreeMap<(NodeName, String), String>,
    /// The nodes whose data the user gave up beforehand.
    pub accepted: &'a BTreeSet<String>,
    /// The nodes whose data others hold, as those proved in this run, each with who does.
    pub held: &'a BTreeMap<NodeName, String>,
    /// Whether the deployment was verified as a whole once, as far as the store knows.
    pub built: bool,
}

/// Decides for every node, or says everything that stands against it.
///
/// # Errors
/// All refusals at once.
pub fn decide(question: Question<'_>) -> Result<Rollout, Vec<Refusal>> {
    let mut rollout = Rollout::default();
    let mut refusals = Vec::new();
    // One node is its own cluster: whatever is done to it is an outage that its users know of.
    let is_built_cluster = question.deployment.nodes.len() > 1 && is_built(question);
    for node in question.deployment.nodes.values() {
        let (Some(wanted), Some(state)) = (question.wanted.get(&node.name), question.states.get(&node.name))
        else {
            let reason = "nothing is known of the node".to_owned();
            rollout.decisions.push((node.name.clone(), Decision::Converge(vec![reason])));
            continue;
        };
        refusals.extend(refusals_of(question, node, wanted, state));
        let mut reasons = reasons(wanted, state);
        if is_built_cluster && !reasons.is_empty() && serves_otherwise(wanted, state) {
            refusals.push(Refusal::Serving { node: node.name.clone(), reasons: reasons.clone() });
        }
        for mut lost in lost_disks(question, node, state) {
            lost.held = question.held.get(&node.name).cloned();
            if let Some(held) = &lost.held {
                reasons.push(format!("its disk `{}` is new, and {held}", lost.disk));
                rollout.given_up.push(lost);
            } else if question.accepted.contains(node.name.as_str()) {
                reasons.push(format!("the data of its disk `{}` was given up", lost.disk));
                rollout.given_up.push(lost);
            } else {
                let LostDisk { node, disk, uuid, found, .. } = lost;
                refusals.push(Refusal::DataGone { node, disk, uuid, found });
            }
        }
        let decision = if reasons.is_empty() { Decision::LeaveAlone } else { Decision::Converge(reasons) };
        rollout.decisions.push((node.name.clone(), decision));
    }
    if refusals.is_empty() { Ok(rollout) } else { Err(refusals) }
}

/// Whether the deployment was verified once as a whole: from then on its nodes serve.
#[must_use]
pub fn is_built(question: Question<'_>) -> bool {
    let disks = question.states.values().flat_map(|state| &state.data_disks);
    let mut markers = disks.filter_map(|disk| disk.marker.as_ref());
    question.built || markers.any(|marker| marker.suffix == question.suffix && marker.built)
}

/// Whether the node's last configuration came to its end, and with other files than it should have now: it serves as it
/// is. One that is new, or was being rebuilt, serves nobody; on one whose files are right, a reconfigure starts what is
/// down and touches nothing that runs. A certificate that is renewed is read anew without a restart.
fn serves_otherwise(wanted: &Wanted, state: &NodeState) -> bool {
    let is_finished = state.package.installed.is_some() && state.stamp.is_some();
    is_finished && wrong_files(wanted, state).iter().any(|reason| reason != CERTIFICATE_DIFFERS)
}

impl Rollout {
    /// The nodes to converge.
    #[must_use]
    pub fn converged(&self) -> Vec<NodeName> {
        self.decisions
            .iter()
            .filter(|(_, decision)| matches!(decision, Decision::Converge(_)))
            .map(|(name, _)| name.clone())
            .collect()
    }
}

fn refusals_of(question: Question<'_>, node: &Node, wanted: &Wanted, state: &NodeState) -> Vec<Refusal> {
    let mut found = Vec::new();
    if let (Some(installed), Some(version)) = (&state.package.installed, &wanted.package)
        && installed != version
    {
        found.push(other_version(&node.name, installed, version));
    }
    if let Some(stamp) = state.stamp.as_ref().filter(|stamp| stamp.suffix != question.suffix) {
        found.push(Refusal::ForeignNode {
            node: node.name.clone(),
            other: stamp.deployment.clone(),
            suffix: stamp.suffix.clone(),
        });
    }
    found
}

fn lost_disks(question: Question<'_>, node: &Node, state: &NodeState) -> Vec<LostDisk> {
    let mut lost = Vec::new();
    for name in node.data_disks.keys() {
        let Some(uuid) = question.known_disks.get(&(node.name.clone(), name.clone())) else { continue };
        let disk = state.data_disks.iter().find(|disk| disk.name == *name);
        let now = match disk {
            None => "the node doesn't know of it".to_owned(),
            Some(disk) if !disk.present => "its device is missing".to_owned(),
            Some(disk) => match &disk.uuid {
                Some(now) if now == uuid && is_marked(disk, question.suffix) => continue,
                Some(now) if now == uuid => "it doesn't carry this deployment's marker".to_owned(),
                Some(now) => format!("it holds the file system {now}"),
                None => "it holds no file system".to_owned(),
            },
        };
        let (node, disk, uuid) = (node.name.clone(), name.clone(), uuid.clone());
        lost.push(LostDisk { node, disk, uuid, found: now, held: None });
    }
    lost
}

fn is_marked(disk: &DataDiskState, suffix: &str) -> bool {
    disk.marker.as_ref().is_some_and(|marker| marker.suffix == suffix)
}

fn other_version(node: &NodeName, installed: &str, wanted: &str) -> Refusal {
    let (node, installed, wanted) = (node.clone(), installed.to_owned(), wanted.to_owned());
    let older = |text: &str| text.split('-').next().and_then(|version| version.parse::<GitlabVersion>().ok());
    match (older(&installed), older(&wanted)) {
        (Some(now), Some(then)) if now > then => Refusal::Downgrade { node, installed, wanted },
        _ => Refusal::Upgrade { node, installed, wanted },
    }
}

/// Why the node is not as it should be; empty where it is.
fn reasons(wanted: &Wanted, state: &NodeState) -> Vec<String> {
    if state.package.installed.is_none() {
        let what = if wanted.package.is_some() { "GitLab" } else { "its package" };
        return vec![format!("{what} is not installed")];
    }
    let mut reasons = wrong_files(wanted, state);
    let mut unless = |holds: bool, reason: &str| {
        if !holds {
            reasons.push(reason.to_owned());
        }
    };
    unless(
        state.data_disks.iter().all(|disk| disk.mounted && disk.marker.is_some()),
        "a data disk is not mounted",
    );
    unless(!state.services.is_empty(), "no service is known");
    for service in state.services.iter().filter(|service| service.state == ServiceState::Down) {
        unless(false, &format!("{} is down", service.name));
    }
    if state.stamp.is_none() {
        unless(false, "the last configuration did not come to its end");
    }
    reasons
}

/// The one difference that is mended without a restart.
const CERTIFICATE_DIFFERS: &str = "the certificate differs";

/// What of package and files is not as it should be, or not what the node was last configured with.
fn wrong_files(wanted: &Wanted, state: &NodeState) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut unless = |holds: bool, reason: &str| {
        if !holds {
            wrong.push(reason.to_owned());
        }
    };
    let files = &state.files;
    if wanted.package.is_some() {
        unless(state.package.installed == wanted.package, "another version is installed");
        unless(state.package.held, "the package is not held");
        unless(
            files.gitlab_secrets.is_some() && files.gitlab_secrets == wanted.gitlab_secrets,
            "gitlab-secrets.json is not the one of the last run",
        );
    }
    unless(files.gitlab_rb == wanted.gitlab_rb, "gitlab.rb differs");
    unless(files.refarch_secrets == wanted.refarch_secrets, "refarch-secrets.json differs");
    unless(files.certificate == wanted.certificate, CERTIFICATE_DIFFERS);
    unless(files.data == wanted.data, "its data differs");
    if let Some(stamp) = &state.stamp {
        let is_same = wanted.package.is_none() || state.package.installed.as_ref() == Some(&stamp.package);
        unless(is_same && stamp.files == *files, "the files are not those that were last configured");
    }
    wrong
}
