//! A spec resolved against an architecture: every node, flow, endpoint and secret by name.
//!
//! Nothing optional is left here: whoever reads a deployment asks no more questions. Addresses are
//! names until Terraform has made the nodes.

mod copies;
mod flows;
mod node;
mod objects;
mod resolve;
mod secrets;
mod topology;

pub use copies::Copies;
pub use node::{DataDisk, Machine, Node, NodeName};
pub use objects::{OBJECT_KINDS, bucket, buckets};
pub use resolve::resolve;
pub use secrets::{
    REDIS, REDIS_CACHE, REDIS_PERSISTENT, Recipe, SecretKind, SecretName, SharedSecret, SharedSecretKind,
    needed_secrets, shared_secrets,
};
pub use topology::{Database, Git, Objects, Redis, RedisGroup, Sidekiq, Topology};

use indexmap::IndexMap;

use crate::architecture::{Architecture, Component};
use crate::spec::{Cidr, DeploymentName, Gitlab, Provider, SecretReference, Tls};

/// Everything that refarch will make, by name.
#[derive(Clone, Debug, PartialEq)]
pub struct Deployment {
    /// The spec's name; nodes, the work directory and the cloud's resources carry it.
    pub name: DeploymentName,
    /// Version, URL and package of the GitLab to run.
    pub gitlab: Gitlab,
    /// Where the nodes come from.
    pub provider: Provider,
    /// Where the certificate comes from.
    pub tls: Tls,
    /// The architecture that sized it.
    pub architecture: Architecture,
    /// The nodes, in the architecture's order.
    pub nodes: IndexMap<NodeName, Node>,
    /// Traffic between components and from outside, beyond what a node says to itself.
    pub flows: Vec<Flow>,
    /// The node that the URL leads to: the external load balancer, or the one node.
    pub front: NodeName,
    /// Which nodes do what for each other.
    pub topology: Topology,
}

/// Traffic that must be let through.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Flow {
    /// A component, `all` for every node, or `users` for whoever may reach the instance.
    pub from: String,
    /// The component that listens, or `all`.
    pub to: String,
    /// The port that is listened on.
    pub port: u16,
    /// Transport protocol.
    pub protocol: &'static str,
    /// What breaks without it.
    pub why: String,
}

impl Deployment {
    /// Who may ask `/-/*`: the package's own default and what the spec adds. refarch adds nobody.
    ///
    /// Source of the default: `gitlab_rails['monitoring_whitelist']` in omnibus-gitlab 19.3.0.
    #[must_use]
    pub fn monitoring_allowlist(&self) -> Vec<String> {
        ["127.0.0.0/8", "::1/128"]
            .into_iter()
            .map(String::from)
            .chain(self.gitlab.monitoring_allowlist.iter().map(Cidr::to_string))
            .collect()
    }

    /// The nodes of a component, in order.
    pub fn nodes_of(&self, component: Component) -> impl Iterator<Item = &Node> {
        self.nodes.values().filter(move |node| node.component == component)
    }

    /// Whether any node is of this component.
    #[must_use]
    pub fn has(&self, component: Component) -> bool {
        self.nodes_of(component).next().is_some()
    }

    /// The node that migrates GitLab's database and runs what must run once: the first Rails node, or the one node.
    #[must_use]
    pub fn deploy_node(&self) -> &NodeName {
        self.nodes_of(Component::Rails).next().map_or(&self.front, |node| &node.name)
    }

    /// Whether this node migrates a database: GitLab's, or Praefect's.
    #[must_use]
    pub fn is_deploy_node(&self, node: &Node) -> bool {
        match node.component {
            Component::AllInOne => true,
            Component::Rails | Component::Praefect => {
                self.nodes_of(node.component).next().is_some_and(|first| first.name == node.name)
            }
            _ => false,
        }
    }

    /// Whether the hosts share one machine, so that their size says nothing.
    #[must_use]
    pub const fn size_is_simulated(&self) -> bool {
        match self.provider {
            Provider::Lab(_) => true,
        }
    }

    /// The secrets that the user gives, by reference: each source once, those of external services first and then in the
    /// order of the nodes.
    #[must_use]
    pub fn given_secrets(&self) -> Vec<SecretReference> {
        let mut found: Vec<SecretReference> = Vec::new();
        let mut note = |reference: &SecretReference| {
            if found.iter().all(|known| known.source != reference.source) {
                found.push(reference.clone());
            }
        };
        self.topology.given_secrets().for_each(&mut note);
        for value in self.nodes.values().flat_map(|node| node.settings.values()) {
            value.references(&mut |reference| note(reference));
        }
        found
    }

    /// The version string of the package, such as `18.11.2-ee.0`.
    #[must_use]
    pub fn package_version(&self) -> String {
        self.gitlab.version.package_version()
    }
}

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
