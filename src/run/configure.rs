//! The configure phase: asks each node what it is, leaves alone what is right, converges the rest step by step.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use super::nodes::{self, Gathered};
use super::{Error, GivenUp, losses, node_keys, preflight::Tools, survivors, world::World, world::disk_key};
use crate::ansible::Playbook;
use crate::deployment::NodeName;
use crate::events::{Kind, Phase};
use crate::render::Bound;
use crate::rollout::{
    Decision, NodeState, Question, Refusal, Rollout, Standing, Step, StepKind, Wanted, decide, is_built,
    steps,
};

/// What each node is, and what is to happen to it.
#[derive(Debug)]
pub struct Decided {
    /// The decision for each node.
    pub rollout: Rollout,
    /// The steps in which the nodes are converged.
    pub steps: Vec<Step>,
    /// The data that is gone, and was given up beforehand or is with others.
    pub given_up: Vec<GivenUp>,
    /// Whether the deployment was built once, so that its other nodes serve and hold data.
    pub built: bool,
    gathered: Gathered,
}

impl Decided {
    /// What each node was found to be.
    #[must_use]
    pub const fn states(&self) -> &BTreeMap<NodeName, NodeState> {
        &self.gathered.states
    }
}

/// How a node's gitlab.rb would change, as a unified diff; secrets have names only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeDiff {
    /// Which node.
    pub node: NodeName,
    /// The diff.
    pub diff: String,
}

/// Asks all nodes and decides. Changes nothing on them.
pub async fn probe(
    world: &World,
    tools: &Tools,
    bound: &Bound,
    wanted: &BTreeMap<NodeName, Wanted>,
) -> Result<Decided, Error> {
    let gathered = nodes::ask_all(world, &tools.ansible).await?;
    #[cfg(feature = "lab-tests")]
    let gathered = {
        let mut gathered = gathered;
        if world.mistake.is_some() {
            super::mistake::Mistake::as_if_building(&mut gathered.states);
        }
        gathered
    };
    node_keys::gather(world, &tools.ansible, &gathered.states).await?;
    // A copy that was lost, or that a killed run didn't bring, is there now.
    let mut wanted = wanted.clone();
    for (name, wanted) in wanted.iter_mut().filter(|(_, wanted)| wanted.package.is_some()) {
        wanted.gitlab_secrets = node_keys::copy_hash(world, name);
    }
    let none = BTreeMap::new();
    let question = Question {
        deployment: &world.deployment,
        suffix: &world.secrets.suffix,
        wanted: &wanted,
        states: &gathered.states,
        known_disks: &world.known_disks(),
        accepted: &world.accepted,
        held: &none,
        built: world.built(),
    };
    let rollout = decide_with_others(world, bound, question).await?;
    let given_up: Vec<GivenUp> = rollout.given_up.iter().map(GivenUp::from).collect();
    losses::tell(world, &given_up);
    let built = is_built(question);
    let keys_known = gathered.states.values().any(|state| state.files.gitlab_secrets.is_some());
    let steps = steps(&world.deployment, &rollout.converged(), Standing { keys_known, built });
    Ok(Decided { rollout, steps, given_up, built, gathered })
}

/// Decides, and where data is gone asks the others of its tier whether they hold it.
async fn decide_with_others(world: &World, bound: &Bound, question: Question<'_>) -> Result<Rollout, Error> {
    let reasons = match decide(question) {
        Ok(rollout) => return Ok(rollout),
        Err(reasons) => reasons,
    };
    let gone = |reason: &Refusal| match reason {
        Refusal::DataGone { node, .. } => Some(node.clone()),
        _ => None,
    };
    let lost: BTreeSet<NodeName> = reasons.iter().filter_map(gone).collect();
    // What stands against the run besides is not mended by anybody's data.
    if lost.is_empty() || reasons.iter().any(|reason| gone(reason).is_none()) {
        return Err(Error::Refused { reasons });
    }
    let held = survivors::held(world, bound, &lost).await?;
    decide(Question { held: &held, ..question }).map_err(|reasons| Error::Refused { reasons })
}

/// The steps of a first build, where no node exists yet.
pub fn first_steps(world: &World) -> Vec<Step> {
    let all: Vec<NodeName> = world.deployment.nodes.keys().cloned().collect();
    steps(&world.deployment, &all, Standing { keys_known: false, built: false })
}

/// Converges the nodes that need it, step by step, and takes what they made into the store. Says what all nodes are
/// then.
pub async fn converge(world: &mut World, tools: &Tools, decided: Decided) -> Result<Gathered, Error> {
    tell(world, &decided.rollout);
    // A run that was killed after Ansible's work may not have come to taking over what it left.
    let all: Vec<NodeName> = world.deployment.nodes.keys().cloned().collect();
    node_keys::take_over(world, &all)?;
    let nodes = decided.rollout.converged();
    if nodes.is_empty() {
        record_disks(world, &decided.gathered.states)?;
        return Ok(decided.gathered);
    }
    let of = decided.steps.len();
    for (index, step) in decided.steps.iter().enumerate() {
        let place = Place { number: index + 1, of };
        if decided.built && step.kind != StepKind::Prepare {
            survivors::doubt(world, tools, step, &decided.gathered.states).await?;
        }
        take_step(world, tools, step, place, &decided.gathered.states).await?;
    }
    let gathered = nodes::ask_all(world, &tools.ansible).await?;
    record_disks(world, &gathered.states)?;
    Ok(Gathered { just_configured: nodes.into_iter().collect(), ..gathered })
}

/// Which step of how many.
#[derive(Clone, Copy)]
struct Place {
    number: usize,
    of: usize,
}

/// Takes one step on all of its nodes at once. One that fails stops the next step, and not its neighbours.
async fn take_step(
    world: &mut World,
    tools: &Tools,
    step: &Step,
    Place { number, of }: Place,
    states: &BTreeMap<NodeName, NodeState>,
) -> Result<(), Error> {
    let (what, why) = (step.to_string(), step.why.to_owned());
    world.events.send(Kind::StepStarted { number, of, what: what.clone(), why });
    let began = Instant::now();
    let playbook = match step.kind {
        StepKind::Prepare => "prepare.yml",
        StepKind::First | StepKind::Configure => {
            node_keys::deliver(world, &step.nodes, states)?;
            "configure.yml"
        }
    };
    let outcome = tools.ansible.playbook(Playbook::new(playbook).on(&step.nodes)).await?.success();
    // Also where a node failed: the others were configured with what they have, and data is written with it.
    let taken =
        if step.kind == StepKind::Prepare { Ok(()) } else { node_keys::take_over(world, &step.nodes) };
    outcome.map_err(|source| Error::Step { number, of, what, source: Box::new(source) })?;
    taken?;
    world.events.send(Kind::StepFinished { number, of, seconds: began.elapsed().as_secs_f64() });
    Ok(())
}

/// Says of each node what happens to it, and why.
fn tell(world: &World, rollout: &Rollout) {
    for (node, decision) in &rollout.decisions {
        match decision {
            Decision::LeaveAlone => world.events.send(Kind::PhaseSkipped {
                phase: Phase::Configure,
                node: Some(node.to_string()),
                proof: "package, files, services and stamp are as wanted".into(),
            }),
            Decision::Converge(reasons) => world.events.note(format!("{node}: {}", reasons.join("; "))),
        }
    }
}

/// Marks the data disks: from now on the deployment exists, and losing a disk loses data.
pub async fn mark_built(world: &mut World, tools: &Tools) -> Result<(), Error> {
    let is_new = |node: &&NodeName| {
        let disks = world.deployment.nodes[*node].data_disks.keys();
        let mut known = disks.filter_map(|disk| world.secrets.data_disks.get(&disk_key(node, disk)));
        known.any(|disk| !disk.built)
    };
    let nodes: Vec<NodeName> = world.deployment.nodes.keys().filter(is_new).cloned().collect();
    if nodes.is_empty() {
        return Ok(());
    }
    tools.ansible.playbook(Playbook::new("mark_built.yml").on(&nodes)).await?.success()?;
    for disk in world.secrets.data_disks.values_mut() {
        disk.built = true;
    }
    Ok(world.secrets.save(&world.workdir)?)
}

/// Remembers which file system each data disk carries: from now on another one is a loss.
fn record_disks(world: &mut World, states: &BTreeMap<NodeName, NodeState>) -> Result<(), Error> {
    for (node, state) in states {
        for disk in state.data_disks.iter().filter(|disk| disk.uuid.is_some()) {
            let known = world.secrets.data_disks.entry(disk_key(node, &disk.name)).or_default();
            known.uuid.clone_from(&disk.uuid);
        }
    }
    Ok(world.secrets.save(&world.workdir)?)
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
