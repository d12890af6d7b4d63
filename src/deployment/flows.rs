//! The rows of the port table that a deployment has.

use std::collections::BTreeSet;

use super::{Database, Flow, Git, Redis, Sidekiq, Topology};
use crate::architecture::{Component, Condition, Many, Party, Ports, Row};

/// What decides about a row.
pub(super) struct Standing<'a> {
    /// The components that have nodes.
    pub(super) components: BTreeSet<Component>,
    /// Who serves what.
    pub(super) topology: &'a Topology,
    /// The port of the instance's URL.
    pub(super) https: u16,
}

/// Every flow between the deployment's own nodes and from outside, in the table's order.
pub(super) fn flows(ports: &Ports, standing: &Standing<'_>) -> Vec<Flow> {
    ports.rows.iter().filter(|row| standing.meets(row)).flat_map(|row| standing.expand(row)).collect()
}

impl Standing<'_> {
    fn meets(&self, row: &Row) -> bool {
        match row.when {
            None => true,
            Some(Condition::Patroni) => matches!(self.topology.database, Database::Cluster { .. }),
            Some(Condition::SingleDatabase) => matches!(self.topology.database, Database::Single(_)),
            Some(Condition::Sentinel) => {
                matches!(self.topology.redis, Redis::Sentinel(_) | Redis::Split { .. })
            }
            Some(Condition::Praefect) => matches!(self.topology.git, Git::Cluster { .. }),
            Some(Condition::Sharded) => matches!(self.topology.git, Git::Sharded(_)),
            Some(Condition::Consul) => self.components.contains(&Component::Consul),
            Some(Condition::NoInternalLb) => !self.components.contains(&Component::InternalLb),
            Some(Condition::SidekiqOnRails) => self.topology.sidekiq == Sidekiq::OnRails,
        }
    }

    fn expand(&self, row: &Row) -> Vec<Flow> {
        let sides = |parties: &[Party]| -> Vec<Party> {
            parties.iter().filter(|party| self.has(**party)).copied().collect()
        };
        let (from, to) = (sides(&row.from), sides(&row.to));
        let mut flows = Vec::new();
        for protocol in row.protocol.names() {
            for (from, to) in from.iter().flat_map(|from| to.iter().map(move |to| (from, to))) {
                flows.push(Flow {
                    from: from.to_string(),
                    to: to.to_string(),
                    port: row.port.number(self.https),
                    protocol,
                    why: row.why.clone(),
                });
            }
        }
        flows
    }

    fn has(&self, party: Party) -> bool {
        match party {
            Party::Nodes(component) => self.components.contains(&component),
            Party::Many(Many::All | Many::Users) => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::deployment::{Deployment, testing};
    use crate::spec::Size;

    fn of(size: Size, url: &str) -> Deployment {
        let text = include_str!("../../examples/lab-1k.yml")
            .replace("architecture: 1k", &format!("architecture: {size}"))
            .replace("https://gitlab.demo.example", url);
        testing::of(&text)
    }

    fn lets(deployment: &Deployment, from: &str, to: &str, port: u16) -> bool {
        deployment.flows.iter().any(|flow| flow.from == from && flow.to == to && flow.port == port)
    }

    #[test]
    fn one_node_is_reached_by_users_alone() {
        let deployment = of(Size::OneK, "https://gitlab.demo.example:8443");
        let flows: Vec<_> =
            deployment.flows.iter().map(|flow| (flow.from.as_str(), flow.to.as_str(), flow.port)).collect();
        let users = |port| ("users", "all_in_one", port);
        assert_eq!(flows, [users(22), users(80), users(8443)]);
    }

    #[test]
    fn a_2k_has_neither_patroni_nor_an_internal_load_balancer() {
        let deployment = of(Size::TwoK, "https://gitlab.demo.example:8443");
        for (from, to, port) in [
            ("gitaly", "external_lb", 8443),
            ("external_lb", "rails", 8443),
            ("rails", "postgres", 5432),
            ("rails", "redis", 6379),
            ("rails", "gitaly", 8075),
            ("rails", "object_storage", 9000),
            ("monitor", "gitaly", 9236),
        ] {
            assert!(lets(&deployment, from, to, port), "{from} to {port} of {to}");
        }
        assert!(
            deployment.flows.iter().all(|flow| ![2305, 6432, 8008, 8300, 8301, 26379].contains(&flow.port))
        );
    }

    #[test]
    fn a_3k_has_what_is_missing_in_many_tables() {
        let deployment = of(Size::ThreeK, "https://gitlab.demo.example");
        for (from, to, port) in [
            ("gitaly", "gitaly", 8075),
            ("gitaly", "praefect", 2305),
            ("gitaly", "internal_lb", 2305),
            ("gitaly", "internal_lb", 443),
            ("praefect", "internal_lb", 443),
            ("rails", "postgres", 5432),
            ("external_lb", "rails", 443),
            ("internal_lb", "rails", 443),
        ] {
            assert!(lets(&deployment, from, to, port), "{from} to {port} of {to}");
        }
        assert!(!lets(&deployment, "sidekiq", "postgres", 5432));
        assert!(!lets(&deployment, "rails", "gitaly", 8075));
        assert!(!lets(&deployment, "gitaly", "external_lb", 443));
        let gossip: Vec<_> =
            deployment.flows.iter().filter(|flow| flow.port == 8301).map(|flow| flow.protocol).collect();
        assert_eq!(gossip, ["tcp", "udp"]);
    }

    #[test]
    fn a_flow_is_listed_once_and_both_its_sides_are_there() {
        for size in Size::ALL {
            let deployment = of(*size, "https://gitlab.demo.example");
            let known = |name: &str| {
                name == "all" || deployment.nodes.values().any(|node| node.component.name() == name)
            };
            for (index, flow) in deployment.flows.iter().enumerate() {
                assert!(known(&flow.to) && (flow.from == "users" || known(&flow.from)), "{size}: {flow:?}");
                let again = deployment.flows[index + 1..].iter().find(|other| {
                    (&other.from, &other.to, other.port, other.protocol)
                        == (&flow.from, &flow.to, flow.port, flow.protocol)
                });
                assert_eq!(again, None, "{size}");
            }
        }
    }
}
