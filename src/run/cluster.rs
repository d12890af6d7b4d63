//! What the nodes see of each other: one Ansible run asks them all, while the instance is asked from here.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use data_encoding::{BASE64, BASE64_NOPAD, HEXLOWER};
use rand::Rng as _;
use serde_json::json;
use sha2::{Digest as _, Sha256};
use tokio::time::Instant;

use super::nodes::{self, Gathered};
use super::{Error, world::World};
use crate::ansible::{Playbook, Told};
use crate::checks::{self, Check, Cluster, ClusterState, Flow, Level, Member, Options, Reached, RedisGroup};
use crate::deployment::{self, Database, Deployment, NodeName, Objects};
use crate::events::{Finding, Status};
use crate::render::{Bound, STATS_SOCKET};
use crate::workdir::SshKey;

/// How long what this run has just configured may take to find itself: a load balancer asks a node twice, ten seconds apart,
/// before it trusts it, and Prometheus asks every 15 seconds.
const SETTLING: Duration = Duration::from_secs(45);
/// Every node, in the port table.
const ALL_NODES: &str = "all";
const PAUSE: Duration = Duration::from_secs(3);

/// What was seen of a cluster.
#[derive(Debug)]
pub struct Look {
    cluster: Cluster,
    reached: Reached,
}

/// Asks the nodes and looks at their ports; nothing where no check needs it.
pub async fn look(world: &World, bound: &Bound, options: &Options) -> Result<Option<Look>, Error> {
    if !Check::ALL.into_iter().any(|check| check.level() >= Level::Cluster && options.asks(check)) {
        return Ok(None);
    }
    let mut cluster = cluster(&world.deployment, bound);
    cluster.host_keys = host_keys(world);
    let scan = async {
        if options.asks(Check::ClosedPorts) { checks::scan(&cluster).await } else { Reached::default() }
    };
    let (told, reached) = tokio::join!(ask(world, &cluster, options), scan);
    let mut told = told?;
    for member in &mut cluster.members {
        member.told = told.remove(&member.name).unwrap_or_else(|| Err("it was not asked".into()));
    }
    Ok(Some(Look { cluster, reached }))
}

/// Judges what was seen. Where this run has just configured nodes, what fails is asked again until it has settled.
pub async fn judge(
    world: &World,
    bound: &Bound,
    options: &Options,
    look: Look,
    gathered: &Gathered,
) -> Result<Vec<Finding>, Error> {
    let end = Instant::now() + SETTLING;
    let mut findings = judge_once(look, gathered, options);
    while !gathered.just_configured.is_empty() && Instant::now() < end {
        let failed: BTreeSet<Check> = failed(&findings);
        if failed.is_empty() {
            break;
        }
        tokio::time::sleep(PAUSE).await;
        let again = Options { only: Some(failed.clone()), ..options.clone() };
        let Some(look) = self::look(world, bound, &again).await? else { break };
        findings.retain(|finding| !finding.check.parse().is_ok_and(|check| failed.contains(&check)));
        findings.extend(judge_once(look, gathered, &again));
    }
    Ok(checks::tell(findings, options, &world.runner))
}

fn judge_once(mut look: Look, gathered: &Gathered, options: &Options) -> Vec<Finding> {
    for member in &mut look.cluster.members {
        let of = |name: &&NodeName| name.as_str() == member.name;
        let state = gathered.states.iter().find(|(name, _)| of(name)).map(|(_, state)| state.clone());
        let silent = gathered.silent.iter().find(|(name, _)| of(name)).map(|(_, why)| why.clone());
        member.state = state.ok_or_else(|| silent.unwrap_or_else(|| "nobody asked it".into()));
    }
    checks::judge_cluster(&look.cluster, &look.reached, options)
}

fn failed(findings: &[Finding]) -> BTreeSet<Check> {
    let failed = findings.iter().filter(|finding| finding.status == Status::Fail);
    failed.filter_map(|finding| finding.check.parse().ok()).collect()
}

type Answers = BTreeMap<String, Result<ClusterState, String>>;

/// Asks every node what it can know. One that can't be asked says why.
async fn ask(world: &World, cluster: &Cluster, options: &Options) -> Result<Answers, Error> {
    ask_those(world, checks::asks(cluster, options, STATS_SOCKET), true).await
}

/// Asks a few nodes what these checks need, and no others: those that are gone are not waited for.
pub async fn of_witnesses(
    world: &World,
    bound: &Bound,
    asked: &BTreeSet<Check>,
    witnesses: &BTreeSet<NodeName>,
) -> Result<Cluster, Error> {
    let mut cluster = cluster(&world.deployment, bound);
    let scratch = world.run.folder.clone();
    let options =
        Options { only: Some(asked.clone()), ..Options::new(Level::Cluster, scratch, world.run.id.clone()) };
    let mut asks = checks::asks(&cluster, &options, STATS_SOCKET);
    asks.retain(|name, _| witnesses.iter().any(|witness| witness.as_str() == name));
    let mut told = ask_those(world, asks, false).await?;
    for member in &mut cluster.members {
        member.told = told.remove(&member.name).unwrap_or_else(|| Err("it was not asked".into()));
    }
    Ok(cluster)
}

/// Asks each of these nodes its own questions. What was told first can be kept for the report.
async fn ask_those(
    world: &World,
    asks: BTreeMap<String, serde_json::Value>,
    is_kept: bool,
) -> Result<Answers, Error> {
    if asks.is_empty() {
        return Ok(Answers::new());
    }
    let mut salt = [0; 16];
    rand::rng().fill_bytes(&mut salt);
    let vars = world.run.folder.join("cluster.json");
    let content = json!({ "cluster_salt": HEXLOWER.encode(&salt), "cluster_asks": asks });
    world.workdir.write_private(&vars, content.to_string())?;
    let playbook = Playbook::new("cluster.yml").on(asks.keys()).with_variables(vars);
    match nodes::run_asking(world, playbook).await? {
        Ok(outcome) => {
            if is_kept {
                keep(world, &outcome.states)?;
            }
            let of = |name: &String| {
                let told = outcome.states.get(name.as_str()).ok_or_else(|| outcome.why_silent(name));
                told.and_then(|told| read(&told.state))
            };
            Ok(asks.keys().map(|name| (name.clone(), of(name))).collect())
        }
        Err(why) => Ok(asks.keys().map(|name| (name.clone(), Err(why.clone()))).collect()),
    }
}

/// Keeps what the nodes told first beside the run's report, for whoever wants to know why a check said what it did. What was
/// asked again later is judged and not kept.
fn keep(world: &World, states: &BTreeMap<String, Told>) -> Result<(), Error> {
    let path = world.run.folder.join("cluster-facts.json");
    if path.exists() {
        return Ok(());
    }
    let facts: BTreeMap<&String, &serde_json::Value> =
        states.iter().map(|(node, told)| (node, &told.state)).collect();
    Ok(world.workdir.write_private(&path, json!(facts).to_string())?)
}

fn read(state: &serde_json::Value) -> Result<ClusterState, String> {
    let state: ClusterState = serde_json::from_value(state.clone())
        .map_err(|error| format!("what the node told is not understood: {error}"))?;
    if state.version == checks::CLUSTER_VERSION {
        Ok(state)
    } else {
        Err(format!(
            "the node told in format {}, and only {} is understood",
            state.version,
            checks::CLUSTER_VERSION
        ))
    }
}

/// The deployment's nodes that were made, with what they are for each other.
fn cluster(deployment: &Deployment, bound: &Bound) -> Cluster {
    let address = |name: &NodeName| bound.nodes.get(name).map(|node| node.private_address.clone());
    let members = deployment.nodes.values().filter_map(|node| {
        Some(Member {
            name: node.name.to_string(),
            component: node.component,
            address: address(&node.name)?,
            flows: flows(deployment, bound, node),
            told: Err("it was not asked".into()),
            state: Err("nobody asked it".into()),
        })
    });
    let mut counts = BTreeMap::new();
    for node in deployment.nodes.values() {
        *counts.entry(node.component).or_default() += 1;
    }
    let group = |group: &deployment::RedisGroup| RedisGroup {
        master_name: group.master_name.to_owned(),
        nodes: group.nodes.iter().map(NodeName::to_string).collect(),
    };
    Cluster {
        architecture: deployment.architecture.name.clone(),
        highly_available: deployment.architecture.highly_available,
        counts,
        members: members.collect(),
        patroni: matches!(deployment.topology.database, Database::Cluster { .. }),
        redis: deployment.topology.redis.groups().into_iter().map(group).collect(),
        object_storage: !matches!(deployment.topology.objects, Objects::LocalDisk),
        host_keys: None,
    }
}

/// The host keys that refarch keeps for all Rails nodes, each by its kind and the fingerprint that OpenSSH shows.
fn host_keys(world: &World) -> Option<BTreeMap<String, String>> {
    let print = |key: &SshKey| {
        let mut words = key.public.split_whitespace();
        let (kind, blob) = (words.next()?, words.next()?);
        let digest = Sha256::digest(BASE64.decode(blob.as_bytes()).ok()?);
        Some((kind.to_owned(), format!("SHA256:{}", BASE64_NOPAD.encode(&digest))))
    };
    let keys: BTreeMap<_, _> = world.secrets.host_keys.values().filter_map(print).collect();
    (!keys.is_empty()).then_some(keys)
}

/// The connections that a node must be able to open, as the port table says.
fn flows(deployment: &Deployment, bound: &Bound, node: &deployment::Node) -> Vec<Flow> {
    // `all` in the port table is about agents that come with GitLab's package.
    let is = |name: &str, node: &deployment::Node| {
        node.component.name() == name || (name == ALL_NODES && node.component.has_package())
    };
    let mine = |flow: &&deployment::Flow| is(&flow.from, node);
    let mut found = BTreeSet::new();
    for flow in deployment.flows.iter().filter(mine) {
        for to in deployment.nodes.values().filter(|to| is(&flow.to, to) && to.name != node.name) {
            if let Some(made) = bound.nodes.get(&to.name) {
                found.insert((to.name.to_string(), made.private_address.clone(), flow.port, flow.protocol));
            }
        }
    }
    let flow = |(to, address, port, protocol): (_, _, _, &str)| Flow {
        to,
        address,
        port,
        protocol: protocol.into(),
    };
    found.into_iter().map(flow).collect()
}
