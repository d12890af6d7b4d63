//! How Rails and Sidekiq reach GitLab's database.

use super::{Conflict, Settings, Value};
use crate::architecture::Component;
use crate::deployment::{Database, Deployment, NodeName, SecretName};
use crate::render::ports;

pub(super) fn settings(deployment: &Deployment) -> Result<Settings, Conflict> {
    match &deployment.topology.database {
        Database::OnNode => Ok(Settings::default()),
        Database::Single(node) => address(Value::node(node), ports::POSTGRES)?
            .with(&["gitlab_rails", "db_password"], SecretName::SqlPassword),
        Database::Cluster { members, pgbouncers } => {
            let replicas = members.iter().map(Value::node).collect();
            address(Value::node(way_to(deployment, pgbouncers)), ports::PGBOUNCER)?
                .with(&["gitlab_rails", "db_password"], SecretName::SqlPassword)?
                // Reads go to the PgBouncer of each member, on the same port.
                .with(&["gitlab_rails", "db_load_balancing"], Value::map([("hosts", Value::List(replicas))]))
        }
        Database::External(server) => address(server.host.as_str().into(), server.port)?
            .with(&["gitlab_rails", "db_username"], server.user.as_str())?
            .with(&["gitlab_rails", "db_database"], server.database.as_str())?
            .with(&["gitlab_rails", "db_password"], Value::Given(server.password.source.clone())),
    }
}

fn address(host: Value, port: u16) -> Result<Settings, Conflict> {
    Settings::default()
        .with(&["gitlab_rails", "db_host"], host)?
        .with(&["gitlab_rails", "db_port"], Value::port(port))
}

/// The load balancer before several nodes, or the only one of them.
pub(super) fn way_to<'a>(deployment: &'a Deployment, nodes: &'a [NodeName]) -> &'a NodeName {
    let balancer = deployment.nodes_of(Component::InternalLb).next().map(|node| &node.name);
    balancer.or_else(|| nodes.first()).unwrap_or(&deployment.front)
}
