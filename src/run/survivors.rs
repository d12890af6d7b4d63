//! Nodes that lost their data while others of their tier hold the same: asked in this very run, so that a new disk in
//! their place needs no word of the user's, and so that none of them passes its emptiness on.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::json;
use tokio::time::Instant;

use super::configure::Decided;
use super::{Error, cluster, preflight::Tools, world::World};
use crate::ansible::Playbook;
use crate::checks::{self, Check, Lost};
use crate::deployment::{Copies, NodeName};
use crate::render::Bound;
use crate::rollout::{NodeState, Step};

/// How long the others may take to agree that a node is gone: Sentinels need 10 s to see it and some more to choose,
/// Patroni's lock ends after 30 s.
const PATIENCE: Duration = Duration::from_secs(90);
/// After how long Praefect has noticed a Gitaly that is away: it asks every second, and forgets after ten.
const NOTICING: Duration = Duration::from_secs(30);
const PAUSE: Duration = Duration::from_secs(3);

/// What is asked of those who could hold the data.
const ASKED: [Check; 5] = [Check::Consul, Check::Patroni, Check::Redis, Check::Sentinel, Check::Praefect];

/// Which of these nodes have nothing that others don't hold, each with the words that prove it. It waits for as long as
/// the others may take to notice the loss. Of a tier, only one may be lost at a time.
pub async fn held(
    world: &World,
    bound: &Bound,
    lost: &BTreeSet<NodeName>,
) -> Result<BTreeMap<NodeName, String>, Error> {
    let mut open: BTreeMap<&NodeName, Copies<'_>> = BTreeMap::new();
    for name in lost {
        let Some(copies) = world.deployment.copies_of(name) else { continue };
        if let Some(other) =
            copies.members().into_iter().find(|other| *other != name && lost.contains(*other))
        {
            world.events.note(format!("{name} and {other} of one tier have both lost their data"));
        } else {
            open.insert(name, copies);
        }
    }
    let mut held = BTreeMap::new();
    let began = Instant::now();
    while !open.is_empty() {
        let witnesses = open.iter().flat_map(|(name, copies)| copies.witnesses(name)).cloned().collect();
        let cluster = cluster::of_witnesses(world, bound, &ASKED.into(), &witnesses).await?;
        let for_long = began.elapsed() >= NOTICING;
        let mut whys = Vec::new();
        open.retain(|name, copies| match checks::held_by(&cluster, name.as_str(), &kind(copies, for_long)) {
            Ok(proof) => held.insert((*name).clone(), proof).is_some(),
            Err(why) => {
                whys.push(format!("nothing proves that others hold the data of {name}: {why}"));
                true
            }
        });
        if began.elapsed() >= PATIENCE {
            for why in whys {
                world.events.note(why);
            }
            break;
        }
        if !open.is_empty() {
            tokio::time::sleep(PAUSE).await;
        }
    }
    Ok(held)
}

fn kind(copies: &Copies<'_>, for_long: bool) -> Lost {
    match copies {
        Copies::Consul(_) => Lost::Consul,
        Copies::Patroni(_) => Lost::Patroni,
        Copies::Redis(_) => Lost::Redis,
        Copies::Gitaly { storage, .. } => Lost::Gitaly { storage: storage.clone(), for_long },
    }
}

/// Has every node of Redis that is made anew follow whoever leads its group now, whatever it was at the first build. Says
/// whether a gitlab.rb changes by it.
///
/// # Errors
/// When others have data and nobody leads them: an empty primary would take it from them.
pub async fn follow(world: &mut World, bound: &Bound, decided: &Decided) -> Result<bool, Error> {
    let new = new_redis(world, decided);
    let mut open = new.clone();
    let began = Instant::now();
    while !open.is_empty() {
        let group = |name: &NodeName| world.deployment.redis_group_of(name).map(|group| group.nodes.clone());
        let witnesses = open.iter().filter_map(group).flatten().collect();
        let asked = [Check::Redis, Check::Sentinel].into();
        let cluster = cluster::of_witnesses(world, bound, &asked, &witnesses).await?;
        let mut why = None;
        for name in std::mem::take(&mut open) {
            match checks::redis_leader(&cluster, name.as_str()) {
                Ok(Some(leader)) => {
                    world.secrets.redis_follows.insert(name.to_string(), leader);
                }
                Ok(None) => {}
                Err(reason) => {
                    why = Some((name.to_string(), reason));
                    open.insert(name);
                }
            }
        }
        let Some((node, why)) = why else { break };
        // While a cluster is built there is no data to lose, and a group may never have had a primary.
        if !decided.built {
            break;
        }
        if began.elapsed() >= PATIENCE {
            return Err(Error::NoPrimary { node, why });
        }
        tokio::time::sleep(PAUSE).await;
    }
    if new.is_empty() {
        return Ok(false);
    }
    let before = world.deployment.topology.redis.clone();
    world.deployment.follow(world.secrets.follows());
    world.secrets.save(&world.workdir)?;
    Ok(world.deployment.topology.redis != before)
}

/// The nodes of Redis that are about to be configured from their beginning while others of their group stand.
fn new_redis(world: &World, decided: &Decided) -> BTreeSet<NodeName> {
    let is_finished = |name: &NodeName| is_finished(decided.states(), name);
    let is_new = |name: &NodeName| {
        let group = world.deployment.redis_group_of(name);
        !is_finished(name) && group.is_some_and(|group| group.nodes.iter().any(is_finished))
    };
    decided.rollout.converged().into_iter().filter(is_new).collect()
}

/// Whether a node was configured to its end.
fn is_finished(states: &BTreeMap<NodeName, NodeState>, name: &NodeName) -> bool {
    states.get(name).is_some_and(|state| state.stamp.is_some())
}

/// Has Praefect look again at what lies on the storages of a step's new Gitalys, before they are there: what it has written
/// down of their predecessors is not to be believed. It does so by itself too, and takes up to a week for it.
/// Source: <https://docs.gitlab.com/administration/gitaly/praefect/configure/> "Prioritize verification manually" (read
/// 2026-11).
pub async fn doubt(
    world: &World,
    tools: &Tools,
    step: &Step,
    states: &BTreeMap<NodeName, NodeState>,
) -> Result<(), Error> {
    let is_finished = |name: &NodeName| is_finished(states, name);
    let mut storages = Vec::new();
    let mut router = None;
    for name in step.nodes.iter().filter(|name| !is_finished(name)) {
        if let Some(Copies::Gitaly { storage, praefects, .. }) = world.deployment.copies_of(name) {
            storages.push(storage);
            router = praefects.iter().find(|name| is_finished(name));
        }
    }
    let Some(router) = router else { return Ok(()) };
    world
        .events
        .note(format!("Praefect looks anew at {}, and fills it from the others", storages.join(", ")));
    let vars = world.run.folder.join("doubt.json");
    world.workdir.write_private(&vars, json!({ "praefect_storages": storages }).to_string())?;
    tools.ansible.playbook(Playbook::new("doubt.yml").on([router]).with_variables(vars)).await?.success()?;
    Ok(())
}
