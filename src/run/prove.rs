//! The verify phase: asks the deployment that came out, and keeps the verdict beside the run's log.

use std::net::IpAddr;

use super::{Error, VerifyOptions, losses, world::World};
use crate::checks::{
    self, Machine, NodeHealth, NodeTarget, Options, Proxy, SshAccess, Target, Verdict, WantedVersion,
};
use crate::deployment::Node;
use crate::render::Bound;
use crate::report;

/// Asks what was asked for.
pub async fn verify(world: &World, bound: &Bound, asked: &VerifyOptions) -> Result<Verdict, Error> {
    let target = target(world, bound, asked)?;
    let options = Options {
        read_only: asked.read_only,
        only: asked.only.clone(),
        ..Options::new(asked.level, world.run.folder.join("scratch"), world.run.id.clone())
    };
    let verdict = checks::verify(&target, &options, &world.runner).await;
    let mut verdict = verdict.map_err(|checks::Interrupted| Error::Interrupted)?;
    verdict.findings.extend(losses::findings(world));
    world.workdir.write_private(&world.run.report(), report::verdict_json(&verdict))?;
    Ok(verdict)
}

fn target(world: &World, bound: &Bound, asked: &VerifyOptions) -> Result<Target, Error> {
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
        token: asked.token.clone().ok_or_else(|| "this deployment has no token for checks yet".into()),
        group: asked.group.clone(),
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
    }
}
