//! The verify phase: asks the deployment that came out, and keeps the verdict beside the run's log.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use super::nodes::{self, Gathered};
use super::token::{self, Decided};
use super::{Error, VerifyOptions, bind, cluster, losses, world::World};
use crate::architecture::Component;
use crate::checks::{
    self, Check, GroupName, Level, Machine, NodeFacts, NodeHealth, NodeTarget, Options, Proxy, SshAccess,
    Target, Verdict, WantedVersion,
};
use crate::deployment::{Node, NodeName};
use crate::instance::{Instance, Trust};
use crate::render::Bound;
use crate::report;
use crate::rollout::Wanted;

/// Asks what was asked for. `gathered` is what this run knows of the nodes since it last changed them; without it they
/// are asked.
pub async fn verify(
    world: &mut World,
    bound: &Bound,
    asked: &VerifyOptions,
    gathered: Option<Gathered>,
) -> Result<Verdict, Error> {
    let options = Options {
        read_only: asked.read_only,
        only: asked.only.clone(),
        ..Options::new(asked.level, world.run.folder.join("scratch"), world.run.id.clone())
    };
    let decided = decide_token(world, bound, asked, &options).await?;
    let gather = async {
        match gathered {
            Some(gathered) => Ok(gathered),
            None if asks(&options, Check::needs_facts) => nodes::ask_who_answers(world).await,
            None => Ok(Gathered::default()),
        }
    };
    let began = Instant::now();
    let ask = async {
        let token = token::registered(world, decided).await?;
        let target = Target { token, group: asked.group.clone(), ..target(world, bound)? };
        let verdict = checks::verify(&target, &options, &world.runner).await;
        Ok::<_, Error>((target, verdict.map_err(|checks::Interrupted| Error::Interrupted)?))
    };
    // Neither is let go of before its end: an interrupt ends both in good order.
    let (asked, gathered, look) = tokio::join!(ask, gather, cluster::look(world, bound, &options));
    let ((target, mut verdict), gathered, look) = (asked?, gathered?, look?);
    let wanted = bind::wanted(world, bound)?;
    let facts = facts(world, &gathered, &wanted);
    let of_nodes = checks::judge_nodes(&target.nodes, &facts, &options, &world.runner);
    verdict.take_in(of_nodes, began.elapsed());
    if let Some(look) = look {
        let of_cluster = cluster::judge(world, bound, &options, look, &gathered).await?;
        verdict.take_in(of_cluster, began.elapsed());
    }
    verdict.waived.clone_from(&world.waived);
    verdict.findings.extend(losses::findings(world));
    world.workdir.write_private(&world.run.report(), report::verdict_json(&verdict))?;
    Ok(verdict)
}

async fn decide_token(
    world: &mut World,
    bound: &Bound,
    asked: &VerifyOptions,
    options: &Options,
) -> Result<Decided, Error> {
    if let Some(token) = &asked.token {
        return Ok(Decided::Kept(token.clone()));
    }
    if !asks(options, needs_token) {
        return Ok(Decided::None("no check of this verification needs one".into()));
    }
    let instance = instance(world, bound);
    token::decide(world, instance, !options.read_only).await
}

fn asks(options: &Options, which: fn(Check) -> bool) -> bool {
    Check::ALL.into_iter().any(|check| which(check) && options.asks(check))
}

/// Whether a check uses the instance as somebody.
fn needs_token(check: Check) -> bool {
    check.level() > Level::Health
}

/// The instance at the deployment's own address; nothing where it can't be asked, which the checks tell better.
pub(super) fn instance(world: &World, bound: &Bound) -> Option<Instance> {
    let url = url(world).ok()?;
    let address = bound.endpoints.external.address.parse::<IpAddr>().ok()?;
    let trust = Trust::new(world.authority().ok()?.as_deref()).ok()?;
    let socket = SocketAddr::new(address, world.deployment.gitlab.url.port_or_default());
    Instance::new(url, &[socket], &trust).ok()
}

fn target(world: &World, bound: &Bound) -> Result<Target, Error> {
    let deployment = &world.deployment;
    let url = url(world)?;
    let nodes = deployment.nodes.values().map(|node| node_target(world, node, &url)).collect();
    Ok(Target {
        deployment: Some(deployment.name.to_string()),
        url,
        address: bound.endpoints.external.address.parse::<IpAddr>().ok(),
        ca_pem: world.authority()?,
        nodes,
        standin: Some(deployment.gitlab.package.is_standin()),
        wanted: Some(WantedVersion { version: deployment.gitlab.version.to_string(), enterprise: true }),
        token: Err("nobody asked for one".into()),
        group: GroupName::default(),
        ssh: ssh(world),
        proxy: Proxy::None,
    })
}

/// The pinned keys of the node that answers Git over SSH: all that do have the same.
fn ssh(world: &World) -> SshAccess {
    let alias = world.deployment.deploy_node().to_string();
    SshAccess { known_hosts: Some(world.workdir.known_hosts()), alias: Some(alias) }
}

fn url(world: &World) -> Result<url::Url, Error> {
    let text = world.deployment.gitlab.url.as_str();
    text.parse().map_err(|error| Error::Outputs { why: format!("the URL `{text}`: {error}") })
}

fn node_target(world: &World, node: &Node, url: &url::Url) -> NodeTarget {
    let gitlab = &world.deployment.gitlab.url;
    let (host, port) = (gitlab.host(), gitlab.port_or_default());
    let simulated = world
        .deployment
        .size_is_simulated()
        .then(|| "size is simulated: lab hosts share one machine".to_owned());
    NodeTarget {
        name: node.name.to_string(),
        ssh_config: world.workdir.ansible().join("ssh_config"),
        health: matches!(node.component, Component::AllInOne | Component::Rails).then(|| NodeHealth {
            url: url.clone(),
            resolve: format!("{host}:{port}:127.0.0.1"),
            ca: world
                .deployment
                .tls
                .has_own_authority()
                .then(|| format!("/etc/gitlab/ssl/{host}.ca.crt").into()),
        }),
        machine: Machine { vcpu: node.machine.vcpu, memory_gb: node.machine.memory_gb, simulated },
    }
}

/// What is known of each node, with what it should be by the spec and the store of now.
fn facts<'a>(
    world: &'a World,
    gathered: &'a Gathered,
    wanted: &'a BTreeMap<NodeName, Wanted>,
) -> impl Fn(&NodeTarget) -> Result<NodeFacts, String> + 'a {
    let of = |node: &Node| {
        let name = &node.name;
        Some(NodeFacts {
            state: gathered.states.get(name)?.clone(),
            wanted: wanted.get(name)?.clone(),
            services: node.component.services(),
            offset: *gathered.offsets.get(name)?,
            shares_clock: world.deployment.size_is_simulated(),
            just_configured: gathered.just_configured.contains(name),
        })
    };
    move |target| {
        let node = world.deployment.nodes.values().find(|node| node.name.as_str() == target.name);
        let silent = || node.and_then(|node| gathered.silent.get(&node.name)).cloned();
        node.and_then(of).ok_or_else(|| silent().unwrap_or_else(|| "nobody asked it".into()))
    }
}
