//! The verify phase: asks the deployment that came out, and keeps the verdict beside the run's log.

use std::net::{IpAddr, SocketAddr};

use super::nodes::{self, Gathered};
use super::token::{self, Decided};
use super::{Error, VerifyOptions, bind, losses, world::World};
use crate::checks::{
    self, Check, GroupName, Level, Machine, NodeFacts, NodeHealth, NodeTarget, Options, Proxy, SshAccess,
    Target, Verdict, WantedVersion,
};
use crate::deployment::Node;
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
    let (token, gathered) = tokio::try_join!(token::registered(world, decided), gather)?;
    let target = Target { token, group: asked.group.clone(), ..target(world, bound, &gathered)? };
    let verdict = checks::verify(&target, &options, &world.runner).await;
    let mut verdict = verdict.map_err(|checks::Interrupted| Error::Interrupted)?;
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

fn target(world: &World, bound: &Bound, gathered: &Gathered) -> Result<Target, Error> {
    let deployment = &world.deployment;
    let url = url(world)?;
    let wanted = bind::wanted(world, bound)?;
    let nodes = deployment.nodes.values().map(|node| NodeTarget {
        facts: facts(world, node, gathered, wanted.get(&node.name)),
        ..node_target(world, node, &url)
    });
    let nodes = nodes.collect();
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

/// The pinned keys. They stand under the names of nodes, so that only a single node's is the front's for sure.
fn ssh(world: &World) -> SshAccess {
    let mut nodes = world.deployment.nodes.keys();
    match (nodes.next(), nodes.next()) {
        (Some(only), None) => {
            SshAccess { known_hosts: Some(world.workdir.known_hosts()), alias: Some(only.to_string()) }
        }
        _ => SshAccess::default(),
    }
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
        health: Some(NodeHealth {
            url: url.clone(),
            resolve: format!("{host}:{port}:127.0.0.1"),
            ca: world
                .deployment
                .tls
                .has_own_authority()
                .then(|| format!("/etc/gitlab/ssl/{host}.ca.crt").into()),
        }),
        machine: Machine { vcpu: node.machine.vcpu, memory_gb: node.machine.memory_gb, simulated },
        facts: Err("nobody asked".into()),
    }
}

/// What is known of a node, with what it should be by the spec and the store of now.
fn facts(
    world: &World,
    node: &Node,
    gathered: &Gathered,
    wanted: Option<&Wanted>,
) -> Result<NodeFacts, String> {
    let silent = || gathered.silent.get(&node.name).cloned().unwrap_or_else(|| "nobody asked it".into());
    let name = &node.name;
    match (gathered.states.get(name), gathered.offsets.get(name), wanted) {
        (Some(state), Some(offset), Some(wanted)) => Ok(NodeFacts {
            state: state.clone(),
            wanted: wanted.clone(),
            services: node.component.services(),
            offset: *offset,
            shares_clock: world.deployment.size_is_simulated(),
            just_configured: gathered.just_configured.contains(name),
        }),
        _ => Err(silent()),
    }
}
