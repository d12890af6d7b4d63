//! The configure phase: asks each node what it is, leaves alone what is right, converges the rest.

use std::collections::BTreeMap;
use std::time::Duration;

use secrecy::SecretString;
use serde_json::Value;

use super::nodes::{self, Gathered};
use super::{Error, GivenUp, bind, losses, preflight::Tools, world::World, world::disk_key};
use crate::ansible::Playbook;
use crate::deployment::NodeName;
use crate::events::{Kind, Phase};
use crate::process::{Command, Quiet, Stdout};
use crate::rollout::{Decision, NodeState, Question, Rollout, Wanted, added_by_node, decide, differences};

/// How long reading one file from a node may take.
const READ: Duration = Duration::from_mins(2);

/// What each node is, and what is to happen to it.
#[derive(Debug)]
pub struct Decided {
    /// The decision for each node.
    pub rollout: Rollout,
    /// The data that is gone, and was given up beforehand.
    pub given_up: Vec<GivenUp>,
    gathered: Gathered,
}

/// How a node's gitlab.rb would change, as a unified diff; secrets have names only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeDiff {
    /// Which node.
    pub node: NodeName,
    /// The diff.
    pub diff: String,
}

/// Asks all nodes and decides. Changes nothing.
pub async fn probe(
    world: &World,
    tools: &Tools,
    wanted: &BTreeMap<NodeName, Wanted>,
) -> Result<Decided, Error> {
    let gathered = nodes::ask_all(world, &tools.ansible).await?;
    let question = Question {
        deployment: &world.deployment,
        suffix: &world.secrets.suffix,
        wanted,
        states: &gathered.states,
        known_disks: &world.known_disks(),
        accepted: &world.accepted,
    };
    let rollout = decide(question).map_err(|reasons| Error::Refused { reasons })?;
    let given_up: Vec<GivenUp> = rollout.given_up.iter().map(GivenUp::from).collect();
    losses::tell(world, &given_up);
    Ok(Decided { rollout, given_up, gathered })
}

/// Converges the nodes that need it, and takes what they made into the store. Says what all nodes are then.
pub async fn converge(world: &mut World, tools: &Tools, decided: Decided) -> Result<Gathered, Error> {
    for (node, decision) in &decided.rollout.decisions {
        match decision {
            Decision::LeaveAlone => world.events.send(Kind::PhaseSkipped {
                phase: Phase::Configure,
                node: Some(node.to_string()),
                proof: "package, files, services and stamp are as wanted".into(),
            }),
            Decision::Converge(reasons) => world.events.note(format!("{node}: {}", reasons.join("; "))),
        }
    }
    let nodes = decided.rollout.converged();
    if nodes.is_empty() {
        // A run that was killed after Ansible's work may not have come to taking over what it left.
        take_over(world, &decided.gathered.states).await?;
        return Ok(decided.gathered);
    }
    for node in &nodes {
        deliver_shared_secrets(world, node, decided.gathered.states.get(node)).await?;
    }
    tools.ansible.playbook(Playbook::new("site.yml").on(&nodes)).await?.success()?;
    let gathered = nodes::ask_all(world, &tools.ansible).await?;
    take_over(world, &gathered.states).await?;
    Ok(Gathered { just_configured: nodes.into_iter().collect(), ..gathered })
}

/// Takes into the store what the nodes made: keys of `gitlab-secrets.json`, and file systems.
async fn take_over(world: &mut World, states: &BTreeMap<NodeName, NodeState>) -> Result<(), Error> {
    let nodes: Vec<NodeName> = world.deployment.nodes.keys().cloned().collect();
    for node in &nodes {
        take_shared_secrets(world, node).await?;
    }
    record_disks(world, states);
    Ok(world.secrets.save(&world.workdir)?)
}

/// Marks the data disks: from now on the deployment exists, and losing a disk loses data.
pub async fn mark_built(world: &mut World, tools: &Tools) -> Result<(), Error> {
    if world.secrets.data_disks.values().all(|disk| disk.built) {
        return Ok(());
    }
    tools.ansible.playbook(Playbook::new("mark_built.yml")).await?.success()?;
    for disk in world.secrets.data_disks.values_mut() {
        disk.built = true;
    }
    Ok(world.secrets.save(&world.workdir)?)
}

/// Puts `gitlab-secrets.json` where the role takes it from, if the node has none. If it has one, every key
/// that both know must be equal, or the run stops before anything is overwritten.
async fn deliver_shared_secrets(
    world: &World,
    node: &NodeName,
    state: Option<&NodeState>,
) -> Result<(), Error> {
    let local = world.workdir.ansible().join("files").join(node.as_str()).join("gitlab-secrets.json");
    let on_node = state.and_then(|state| state.files.gitlab_secrets.as_ref());
    if on_node.is_none() {
        let text = format!("{:#}\n", world.secrets.gitlab_secrets);
        return Ok(world.workdir.write_private(&local, text)?);
    }
    bind::remove_if_there(&local)?;
    let (_, found) = read_from_node(world, node).await?;
    let differences = differences(&world.secrets.gitlab_secrets, &found);
    if differences.is_empty() {
        return Ok(());
    }
    Err(Error::OtherSecrets { node: node.to_string(), differences })
}

/// The node's own file, read over SSH into memory and nowhere else: its bytes, and what they mean.
async fn read_from_node(world: &World, node: &NodeName) -> Result<(Vec<u8>, Value), Error> {
    let program = world.runner.ambient().find("ssh", "install the OpenSSH client")?;
    let command = Command::new("ssh", program)
        .args(["-F", world.workdir.ansible().join("ssh_config").as_str(), node.as_str(), "--"])
        .args(["sudo", "-n", "cat", "/etc/gitlab/gitlab-secrets.json"])
        .timeout(READ)
        .stdout(Stdout::Private);
    let outcome = world.runner.run(command, &mut Quiet).await?;
    if outcome.timed_out {
        return Err(Error::HungNode {
            node: node.to_string(),
            command: outcome.command,
            seconds: READ.as_secs(),
            ssh_config: world.workdir.ansible().join("ssh_config"),
        });
    }
    let value = serde_json::from_slice(&outcome.private).map_err(|_| Error::Outputs {
        why: format!(
            "`/etc/gitlab/gitlab-secrets.json` of {node} could not be read as JSON ({})",
            outcome.ended
        ),
    })?;
    Ok((outcome.private, value))
}

/// Takes the keys that the package made on the node into the store, so that every other node gets them.
async fn take_shared_secrets(world: &mut World, node: &NodeName) -> Result<(), Error> {
    let path = bind::fetched_secrets(world, node);
    let left: Option<Value> = fs_err::read(&path).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok());
    let fetched = if let Some(fetched) = left {
        fetched
    } else {
        // The role fetches it where it reconfigures. A node that needed none still has it: only the copy is lost,
        // with the rest of the work directory.
        let (bytes, found) = read_from_node(world, node).await?;
        world.workdir.write_private(&path, bytes)?;
        found
    };
    let differences = differences(&world.secrets.gitlab_secrets, &fetched);
    if !differences.is_empty() {
        return Err(Error::OtherSecrets { node: node.to_string(), differences });
    }
    world.secrets.gitlab_secrets = added_by_node(&world.secrets.gitlab_secrets, &fetched);
    let values: Vec<SecretString> = world.secrets.values();
    world.redactor.learn(&values);
    Ok(())
}

/// Remembers which file system each data disk carries: from now on another one is a loss.
fn record_disks(world: &mut World, states: &BTreeMap<NodeName, NodeState>) {
    for (node, state) in states {
        for disk in state.data_disks.iter().filter(|disk| disk.uuid.is_some()) {
            let known = world.secrets.data_disks.entry(disk_key(node, &disk.name)).or_default();
            known.uuid.clone_from(&disk.uuid);
        }
    }
}

/// How each node's gitlab.rb differs from the one that was bound last.
pub fn diffs(world: &World, now: &crate::render::Tree) -> Vec<NodeDiff> {
    let mut found = Vec::new();
    for node in world.deployment.nodes.keys() {
        let path = format!("ansible/files/{node}/gitlab.rb");
        let wanted = String::from_utf8_lossy(now.get(&path).unwrap_or_default()).into_owned();
        let before = fs_err::read_to_string(world.workdir.root().join(&path)).unwrap_or_default();
        if before != wanted {
            let diff = similar::TextDiff::from_lines(&before, &wanted);
            let diff = diff.unified_diff().header("gitlab.rb (now)", "gitlab.rb (wanted)").to_string();
            found.push(NodeDiff { node: node.clone(), diff });
        }
    }
    found
}
