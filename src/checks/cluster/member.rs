//! The cluster that is judged: every node with what it is for and what it told.

use std::collections::BTreeMap;

use super::facts::{Asked, ClusterState};
use crate::architecture::Component;
use crate::rollout::NodeState;

/// A deployment's nodes, what they should be for each other, and what they told.
#[derive(Clone, Debug, PartialEq)]
pub struct Cluster {
    /// The architecture's name, as in `3k`.
    pub architecture: String,
    /// Whether that architecture is meant to outlive the loss of a node.
    pub highly_available: bool,
    /// How many nodes of each component the architecture has, with the spec's changes.
    pub counts: BTreeMap<Component, usize>,
    /// Every node, in the deployment's order.
    pub members: Vec<Member>,
    /// Whether Patroni stands over the database.
    pub patroni: bool,
    /// The groups of Redis under Sentinel.
    pub redis: Vec<RedisGroup>,
    /// Whether Rails keeps files in an object storage.
    pub object_storage: bool,
    /// The SSH host keys that all Rails nodes should have, each by its kind and fingerprint; absent where refarch does
    /// not decide them.
    pub host_keys: Option<BTreeMap<String, String>>,
}

/// Nodes with Redis that watch each other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RedisGroup {
    /// The name by which Sentinels and Rails know the primary.
    pub master_name: String,
    /// Its nodes.
    pub nodes: Vec<String>,
}

/// One node of the cluster.
#[derive(Clone, Debug, PartialEq)]
pub struct Member {
    /// Its name.
    pub name: String,
    /// What it is for.
    pub component: Component,
    /// Its private address.
    pub address: String,
    /// What other nodes it must be able to reach.
    pub flows: Vec<Flow>,
    /// What it sees of the cluster, or why it could not be asked.
    pub told: Result<ClusterState, String>,
    /// What it is, or why it could not be asked.
    pub state: Result<NodeState, String>,
}

/// A connection that a node must be able to open.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Flow {
    /// The node that it leads to.
    pub to: String,
    /// That node's address.
    pub address: String,
    /// The port there.
    pub port: u16,
    /// `tcp` or `udp`.
    pub protocol: String,
}

impl Cluster {
    /// The nodes of one component.
    pub fn of(&self, component: Component) -> impl Iterator<Item = &Member> {
        self.members.iter().filter(move |member| member.component == component)
    }

    /// Whether there is a node of this component.
    #[must_use]
    pub fn has(&self, component: Component) -> bool {
        self.of(component).next().is_some()
    }

    /// The node of this name.
    #[must_use]
    pub fn named(&self, name: &str) -> Option<&Member> {
        self.members.iter().find(|member| member.name == name)
    }

    /// The name of the node at an address, or the address where it is nobody's.
    #[must_use]
    pub fn at(&self, address: &str) -> String {
        let found = self.members.iter().find(|member| member.address == address);
        found.map_or_else(|| format!("{address}, which is no node's address,"), |member| member.name.clone())
    }
}

impl Member {
    /// What the node told of one thing, or why it did not, with its name.
    pub fn about<T>(&self, which: impl Fn(&ClusterState) -> Option<&Asked<T>>) -> Result<&T, String> {
        let told = self.told.as_ref().map_err(|why| format!("{}: {why}", self.name))?;
        match which(told) {
            Some(Asked::Told(answer)) => Ok(answer),
            Some(Asked::Unasked(why)) => Err(format!("{}: {why}", self.name)),
            None => Err(format!("{} was not asked", self.name)),
        }
    }

    /// Whether it runs what Rails' code is: the web interface or the background jobs.
    #[must_use]
    pub const fn runs_rails(&self) -> bool {
        matches!(self.component, Component::Rails | Component::Sidekiq | Component::AllInOne)
    }

    /// Whether it keeps a Redis.
    #[must_use]
    pub const fn runs_redis(&self) -> bool {
        matches!(self.component, Component::Redis | Component::RedisCache | Component::RedisPersistent)
    }

    /// Whether it spreads requests.
    #[must_use]
    pub const fn is_load_balancer(&self) -> bool {
        matches!(self.component, Component::ExternalLb | Component::InternalLb)
    }
}
