//! Which nodes are converged, which are left alone, and what stops the run before anything is touched.

use std::collections::{BTreeMap, BTreeSet};

use super::{DataDiskState, NodeState, ServiceState};
use crate::deployment::{Deployment, Node, NodeName};
use crate::spec::GitlabVersion;

/// What a node should be. Hashes are SHA-256 in hex.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// The package's version.
    pub package: String,
    /// Hash of gitlab.rb.
    pub gitlab_rb: String,
    /// Hash of the named secrets.
    pub refarch_secrets: String,
    /// Hash of gitlab-secrets.json as this node had it after its last reconfigure, if it had one.
    pub gitlab_secrets: Option<String>,
    /// Hash of the certificate.
    pub certificate: String,
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
    /// The disks whose data is gone, and was given up beforehand.
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
}

/// Decides for every node, or says everything that stands against it.
///
/// # Errors
/// All refusals at once.
pub fn decide(question: Question<'_>) -> Result<Rollout, Vec<Refusal>> {
    let mut rollout = Rollout::default();
    let mut refusals = Vec::new();
    for node in question.deployment.nodes.values() {
        let (Some(wanted), Some(state)) = (question.wanted.get(&node.name), question.states.get(&node.name))
        else {
            let reason = "nothing is known of the node".to_owned();
            rollout.decisions.push((node.name.clone(), Decision::Converge(vec![reason])));
            continue;
        };
        refusals.extend(refusals_of(question, node, wanted, state));
        let mut reasons = reasons(wanted, state);
        for lost in lost_disks(question, node, state) {
            if question.accepted.contains(node.name.as_str()) {
                reasons.push(format!("the data of its disk `{}` was given up", lost.disk));
                rollout.given_up.push(lost);
            } else {
                let LostDisk { node, disk, uuid, found } = lost;
                refusals.push(Refusal::DataGone { node, disk, uuid, found });
            }
        }
        let decision = if reasons.is_empty() { Decision::LeaveAlone } else { Decision::Converge(reasons) };
        rollout.decisions.push((node.name.clone(), decision));
    }
    if refusals.is_empty() { Ok(rollout) } else { Err(refusals) }
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
    if let Some(installed) =
        state.package.installed.as_ref().filter(|installed| **installed != wanted.package)
    {
        found.push(other_version(&node.name, installed, wanted));
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
        lost.push(LostDisk { node: node.name.clone(), disk: name.clone(), uuid: uuid.clone(), found: now });
    }
    lost
}

fn is_marked(disk: &DataDiskState, suffix: &str) -> bool {
    disk.marker.as_ref().is_some_and(|marker| marker.suffix == suffix)
}

fn other_version(node: &NodeName, installed: &str, wanted: &Wanted) -> Refusal {
    let (node, installed, wanted) = (node.clone(), installed.to_owned(), wanted.package.clone());
    let older = |text: &str| text.split('-').next().and_then(|version| version.parse::<GitlabVersion>().ok());
    match (older(&installed), older(&wanted)) {
        (Some(now), Some(then)) if now > then => Refusal::Downgrade { node, installed, wanted },
        _ => Refusal::Upgrade { node, installed, wanted },
    }
}

/// Why the node is not as it should be; empty where it is.
fn reasons(wanted: &Wanted, state: &NodeState) -> Vec<String> {
    let mut reasons = Vec::new();
    let mut unless = |holds: bool, reason: &str| {
        if !holds {
            reasons.push(reason.to_owned());
        }
    };
    let Some(installed) = &state.package.installed else {
        return vec!["GitLab is not installed".to_owned()];
    };
    unless(*installed == wanted.package, "another version is installed");
    unless(state.package.held, "the package is not held");
    let files = &state.files;
    unless(files.gitlab_rb.as_ref() == Some(&wanted.gitlab_rb), "gitlab.rb differs");
    unless(files.refarch_secrets.as_ref() == Some(&wanted.refarch_secrets), "refarch-secrets.json differs");
    unless(
        files.gitlab_secrets.is_some() && files.gitlab_secrets == wanted.gitlab_secrets,
        "gitlab-secrets.json is not the one of the last run",
    );
    unless(files.certificate.as_ref() == Some(&wanted.certificate), "the certificate differs");
    unless(
        state.data_disks.iter().all(|disk| disk.mounted && disk.marker.is_some()),
        "a data disk is not mounted",
    );
    unless(!state.services.is_empty(), "no service is known");
    for service in state.services.iter().filter(|service| service.state == ServiceState::Down) {
        unless(false, &format!("{} is down", service.name));
    }
    match &state.stamp {
        None => unless(false, "the last configuration did not come to its end"),
        Some(stamp) => unless(
            Some(&stamp.gitlab_rb) == files.gitlab_rb.as_ref()
                && Some(&stamp.refarch_secrets) == files.refarch_secrets.as_ref()
                && Some(&stamp.gitlab_secrets) == files.gitlab_secrets.as_ref()
                && stamp.package == *installed,
            "the files are not those that were last configured",
        ),
    }
    reasons
}
