//! Who may ask a node for its health and metrics.

use super::{Conflict, Settings, Value};
use crate::architecture::Component;
use crate::deployment::{Deployment, Node};
use crate::render::ports;

/// The allowlist of `/-/*` on nodes that run Rails or Sidekiq, and where Prometheus is.
pub(super) fn settings(deployment: &Deployment, node: &Node) -> Result<Settings, Conflict> {
    let settings =
        Settings::default().with(&["gitlab_rails", "monitoring_whitelist"], addresses(deployment))?;
    match deployment.nodes_of(Component::Monitor).next() {
        Some(monitor) => {
            let prometheus = Value::at("", &monitor.name, ports::PROMETHEUS);
            settings.suggest(node, &["gitlab_rails", "prometheus_address"], prometheus)
        }
        None => Ok(settings),
    }
}

/// The node itself, whom the spec names, and the nodes that ask: Prometheus for metrics, load balancers for health.
/// A load balancer that isn't there sees no answer but 404 and sends nobody to the node.
pub(super) fn addresses(deployment: &Deployment) -> Value {
    let named = deployment.monitoring_allowlist().into_iter().map(Value::Text);
    let asking = [Component::Monitor, Component::ExternalLb, Component::InternalLb];
    let nodes = asking.into_iter().flat_map(|component| deployment.nodes_of(component));
    Value::List(named.chain(nodes.map(|node| Value::cidr(&node.name))).collect())
}
