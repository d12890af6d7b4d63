//! The verify phase: asks the deployment that came out, and keeps the verdict beside the run's log.

use std::net::IpAddr;

use super::{Error, identity::AUTHORITY, world::World};
use crate::checks::{self, Level, Machine, NodeHealth, NodeTarget, Options, Target, Verdict};
use crate::deployment::Node;
use crate::render::Bound;
use crate::report;

/// Asks everything of a level.
pub async fn verify(world: &World, bound: &Bound, level: Level) -> Result<Verdict, Error> {
    let target = target(world, bound)?;
    let options = Options { level, ..Options::default() };
    let verdict = tokio::select! {
        verdict = checks::verify(&target, &options, &world.runner) => verdict,
        // What asks a node ends by itself within seconds.
        _ = world.interrupts.beyond(0) => return Err(Error::Interrupted),
    };
    world.workdir.write_private(&world.run.report(), report::verdict_json(&verdict))?;
    Ok(verdict)
}

fn target(world: &World, bound: &Bound) -> Result<Target, Error> {
    let deployment = &world.deployment;
    let url = url(world)?;
    let nodes = deployment.nodes.values().map(|node| node_target(world, node, &url)).collect();
    Ok(Target {
        deployment: deployment.name.to_string(),
        url,
        address: bound.endpoints.external.address.parse::<IpAddr>().ok(),
        ca_pem: Some(world.certificate(AUTHORITY)?.certificate.clone()),
        nodes,
        standin: deployment.gitlab.package.is_standin(),
    })
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
            ca: format!("/etc/gitlab/ssl/{host}.ca.crt").into(),
        }),
        machine: Machine { vcpu: node.machine.vcpu, memory_gb: node.machine.memory_gb, simulated },
    }
}
