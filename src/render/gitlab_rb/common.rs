//! What every node of more than one has: no migrations of its own, an agent of Consul, a node exporter.

use super::{Conflict, Settings, Value};
use crate::architecture::Component;
use crate::deployment::{Deployment, Node, NodeName};
use crate::render::ports;

/// Whether the roles of a node switch Consul's agent on by themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Agent {
    /// They do.
    ByRole,
    /// They don't, so that the node's own setting does.
    BySetting,
}

/// The settings that all nodes of a deployment of several share.
pub(super) fn settings(deployment: &Deployment, node: &Node, agent: Agent) -> Result<Settings, Conflict> {
    Settings::default()
        .with(&["gitlab_rails", "auto_migrate"], false)?
        .suggest(node, &["node_exporter", "listen_address"], everywhere(ports::NODE_EXPORTER))?
        .merge(consul_agent(deployment, node, agent)?)
}

/// Consul's agent, which registers the node's exporters, where the deployment has Consul.
fn consul_agent(deployment: &Deployment, node: &Node, agent: Agent) -> Result<Settings, Conflict> {
    let servers: Vec<&NodeName> = deployment.nodes_of(Component::Consul).map(|node| &node.name).collect();
    if servers.is_empty() {
        return Ok(Settings::default());
    }
    let settings = Settings::default()
        .with(&["consul", "monitoring_service_discovery"], true)?
        .with(&["consul", "configuration"], consul_configuration(node, &servers))?;
    match agent {
        Agent::ByRole => Ok(settings),
        Agent::BySetting => settings.with(&["consul", "enable"], true),
    }
}

fn consul_configuration(node: &Node, servers: &[&NodeName]) -> Value {
    let mut entries = vec![
        // Without it Consul stops on a node with several private addresses.
        // Source: <https://docs.gitlab.com/administration/consul/> "Multiple private IPs found" (read 2026-11).
        ("bind_addr", Value::node(&node.name)),
        ("retry_join", Value::List(servers.iter().map(|name| Value::node(name)).collect())),
    ];
    if node.component == Component::Consul {
        let expected = i64::try_from(servers.len()).unwrap_or(i64::MAX);
        entries.extend([("bootstrap_expect", expected.into()), ("server", true.into())]);
    }
    Value::Map(entries.into_iter().map(|(key, value)| (key.to_owned(), value)).collect())
}

/// A port on every address of a node, as exporters are told.
pub(super) fn everywhere(port: u16) -> String {
    format!("0.0.0.0:{port}")
}
