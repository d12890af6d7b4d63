//! What the nodes are: one Ansible run asks them all.

use std::collections::{BTreeMap, BTreeSet};

use super::{Error, preflight, world::World};
use crate::ansible::{self, Playbook, Told};
use crate::checks::Offset;
use crate::deployment::NodeName;
use crate::exit::ExitCode;
use crate::rollout::NodeState;

/// What the nodes told of themselves.
#[derive(Debug, Default)]
pub struct Gathered {
    /// What each is, of those that answered.
    pub states: BTreeMap<NodeName, NodeState>,
    /// How the clock of each stands against this machine's.
    pub offsets: BTreeMap<NodeName, Offset>,
    /// Why the others told nothing.
    pub silent: BTreeMap<NodeName, String>,
    /// Those that this run configured just before.
    pub just_configured: BTreeSet<NodeName>,
}

/// Asks every node.
///
/// # Errors
/// When one does not answer: who is about to change nodes has to know them all.
pub async fn ask_all(world: &World, ansible: &ansible::Client) -> Result<Gathered, Error> {
    let outcome = ansible.playbook(Playbook::new("probe.yml")).await?.success()?;
    understand(world, &outcome)
}

/// Asks every node, and takes down why one told nothing.
///
/// # Errors
/// When the user interrupts, and on a bug.
pub async fn ask_who_answers(world: &World) -> Result<Gathered, Error> {
    ask(world, Playbook::new("probe.yml")).await
}

/// Asks these nodes, and takes down why one told nothing; one that is known not to run is not waited for.
///
/// # Errors
/// When the user interrupts, and on a bug.
pub async fn ask_those(world: &World, nodes: &[NodeName]) -> Result<Gathered, Error> {
    ask(world, Playbook::new("probe.yml").on(nodes)).await
}

async fn ask(world: &World, playbook: Playbook) -> Result<Gathered, Error> {
    match run_asking(world, playbook).await? {
        Ok(outcome) => understand(world, &outcome),
        Err(why) => {
            let why = |node: &NodeName| (node.clone(), why.clone());
            Ok(Gathered { silent: world.deployment.nodes.keys().map(why).collect(), ..Gathered::default() })
        }
    }
}

/// Runs a playbook that changes nothing. That nobody could be asked is an answer as well, and told in words.
///
/// # Errors
/// When the user interrupts.
pub async fn run_asking(
    world: &World,
    playbook: Playbook,
) -> Result<Result<ansible::Outcome, String>, Error> {
    let asked = async { Ok::<_, Error>(preflight::ansible(world).await?.playbook(playbook).await?) };
    match asked.await {
        Ok(outcome) => Ok(Ok(outcome)),
        Err(error) if error.exit_code() == ExitCode::Interrupted => Err(error),
        Err(error) => Ok(Err(error.to_string())),
    }
}

fn understand(world: &World, outcome: &ansible::Outcome) -> Result<Gathered, Error> {
    let mut gathered = Gathered::default();
    for node in world.deployment.nodes.keys() {
        let Some(told) = outcome.states.get(node.as_str()) else {
            gathered.silent.insert(node.clone(), outcome.why_silent(node.as_str()));
            continue;
        };
        let state = read(node, told)?;
        let offset = Offset::read(state.clock.epoch_s, told.from, told.until);
        gathered.offsets.insert(node.clone(), offset);
        gathered.states.insert(node.clone(), state);
    }
    Ok(gathered)
}

fn read(node: &NodeName, told: &Told) -> Result<NodeState, Error> {
    serde_json::from_value(told.state.clone())
        .map_err(|error| Error::Outputs { why: format!("the state of {node}: {error}") })
}
