//! Which nodes do what for each other, decided once: nobody else asks the architecture or the spec.

use std::collections::BTreeMap;

use super::{NodeName, SecretName};
use crate::spec::{ExternalObjectStorage, ExternalPostgres, ExternalRedis, SecretReference};

/// Who serves what.
#[derive(Clone, Debug, PartialEq)]
pub struct Topology {
    /// Who keeps GitLab's database.
    pub database: Database,
    /// Who keeps queues, sessions and caches.
    pub redis: Redis,
    /// Who keeps the repositories.
    pub git: Git,
    /// Who keeps uploads, artifacts, packages and the like.
    pub objects: Objects,
    /// Where background jobs run.
    pub sidekiq: Sidekiq,
}

/// Who keeps GitLab's database.
#[derive(Clone, Debug, PartialEq)]
pub enum Database {
    /// The one node, for itself.
    OnNode,
    /// One node, which nothing replaces.
    Single(NodeName),
    /// Nodes under Patroni.
    Cluster {
        /// The members; any of them may lead.
        members: Vec<NodeName>,
        /// The nodes with the connection pools that lead to the leader.
        pgbouncers: Vec<NodeName>,
    },
    /// The customer's own.
    External(ExternalPostgres),
}

/// Who keeps queues, sessions and caches.
#[derive(Clone, Debug, PartialEq)]
pub enum Redis {
    /// The one node, for itself.
    OnNode,
    /// One node, which nothing replaces.
    Single(NodeName),
    /// One group under Sentinel for everything.
    Sentinel(RedisGroup),
    /// Two groups under Sentinel.
    Split {
        /// For what can be lost.
        cache: RedisGroup,
        /// For what must not be lost.
        persistent: RedisGroup,
    },
    /// The customer's own.
    External(ExternalRedis),
}

impl Redis {
    /// The groups under Sentinel.
    #[must_use]
    pub fn groups(&self) -> Vec<&RedisGroup> {
        match self {
            Self::Sentinel(group) => vec![group],
            Self::Split { cache, persistent } => vec![cache, persistent],
            Self::OnNode | Self::Single(_) | Self::External(_) => Vec::new(),
        }
    }

    /// The same, to be changed.
    pub fn groups_mut(&mut self) -> Vec<&mut RedisGroup> {
        match self {
            Self::Sentinel(group) => vec![group],
            Self::Split { cache, persistent } => vec![cache, persistent],
            Self::OnNode | Self::Single(_) | Self::External(_) => Vec::new(),
        }
    }
}

/// Nodes with Redis, which a Sentinel on each of them watches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RedisGroup {
    /// The name by which Sentinels know the primary.
    pub master_name: &'static str,
    /// The nodes. The first is the primary of a fresh build; who is it later is Sentinel's to say.
    pub nodes: Vec<NodeName>,
    /// Whom a node that was made anew follows, where that is not the first.
    pub follows: BTreeMap<NodeName, NodeName>,
    /// The password of all of them.
    pub password: SecretName,
}

impl RedisGroup {
    /// The primary that a node is configured with: itself, or whom it follows.
    #[must_use]
    pub fn leader_for<'a>(&'a self, node: &'a NodeName) -> &'a NodeName {
        self.follows.get(node).or_else(|| self.nodes.first()).unwrap_or(node)
    }

    /// How many Sentinels must agree that the primary is gone: a majority.
    #[must_use]
    pub const fn quorum(&self) -> usize {
        self.nodes.len() / 2 + 1
    }
}

/// Who keeps the repositories.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Git {
    /// The one node, for itself.
    OnNode,
    /// Nodes that each keep their own share. The first has the storage `default`.
    Sharded(Vec<NodeName>),
    /// A Gitaly Cluster: every repository on every node, behind Praefect.
    Cluster {
        /// The routers; the first of them migrates their database.
        praefects: Vec<NodeName>,
        /// The nodes with the repositories; the n-th has the storage `gitaly-n`.
        gitalys: Vec<NodeName>,
        /// The node with the routers' database.
        database: NodeName,
    },
}

impl Git {
    /// The storage of the Gitaly node at this place behind Praefect, which takes another name for another storage.
    #[must_use]
    pub fn clustered_storage(index: usize) -> String {
        format!("gitaly-{}", index + 1)
    }
}

/// Who keeps uploads, artifacts, packages and the like.
#[derive(Clone, Debug, PartialEq)]
pub enum Objects {
    /// The one node, on its own disk.
    LocalDisk,
    /// The lab's host with an S3-compatible server.
    Lab(NodeName),
    /// The customer's own.
    External(ExternalObjectStorage),
}

/// Where background jobs run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sidekiq {
    /// On the nodes that serve the web interface, or on the one node.
    OnRails,
    /// On nodes of their own.
    Own(Vec<NodeName>),
}

impl Topology {
    /// What a single node needs nobody else for.
    #[must_use]
    pub const fn on_one_node() -> Self {
        Self {
            database: Database::OnNode,
            redis: Redis::OnNode,
            git: Git::OnNode,
            objects: Objects::LocalDisk,
            sidekiq: Sidekiq::OnRails,
        }
    }

    /// What external services are opened with.
    pub(super) fn given_secrets(&self) -> impl Iterator<Item = &SecretReference> {
        let database = match &self.database {
            Database::External(server) => vec![&server.password],
            Database::OnNode | Database::Single(_) | Database::Cluster { .. } => Vec::new(),
        };
        let redis = match &self.redis {
            Redis::External(server) => vec![&server.password],
            Redis::OnNode | Redis::Single(_) | Redis::Sentinel(_) | Redis::Split { .. } => Vec::new(),
        };
        let objects = match &self.objects {
            Objects::External(server) => vec![&server.access_key, &server.secret_key],
            Objects::LocalDisk | Objects::Lab(_) => Vec::new(),
        };
        database.into_iter().chain(redis).chain(objects)
    }
}
