//! Which nodes hold what a node holds: those from which it is filled again when its disk is lost.

use super::{Database, Deployment, Git, NodeName, RedisGroup};
use crate::architecture::Component;

/// Nodes that each hold what the others hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Copies<'a> {
    /// Consul's servers.
    Consul(Vec<&'a NodeName>),
    /// The members of Patroni.
    Patroni(&'a [NodeName]),
    /// A group of Redis under Sentinel.
    Redis(&'a RedisGroup),
    /// The Gitalys behind Praefect, and the routers, which know who has which repository.
    Gitaly {
        /// The routers.
        praefects: &'a [NodeName],
        /// The nodes with the repositories.
        gitalys: &'a [NodeName],
        /// The storage of the node that was asked about.
        storage: String,
    },
}

impl Copies<'_> {
    /// The members of the tier.
    #[must_use]
    pub fn members(&self) -> Vec<&NodeName> {
        match self {
            Self::Consul(members) => members.clone(),
            Self::Patroni(members) => members.iter().collect(),
            Self::Redis(group) => group.nodes.iter().collect(),
            Self::Gitaly { gitalys, .. } => gitalys.iter().collect(),
        }
    }

    /// Who can tell whether the data is there without that node.
    #[must_use]
    pub fn witnesses(&self, lost: &NodeName) -> Vec<&NodeName> {
        match self {
            Self::Gitaly { praefects, .. } => praefects.iter().collect(),
            _ => self.members().into_iter().filter(|name| *name != lost).collect(),
        }
    }
}

impl Deployment {
    /// The tier in which others hold what this node holds; nothing where it alone has its data.
    #[must_use]
    pub fn copies_of(&self, name: &NodeName) -> Option<Copies<'_>> {
        let node = self.nodes.get(name)?;
        match (node.component, &self.topology.database, &self.topology.git) {
            (Component::Consul, ..) => {
                Some(Copies::Consul(self.nodes_of(Component::Consul).map(|node| &node.name).collect()))
            }
            (Component::Postgres, Database::Cluster { members, .. }, _) => Some(Copies::Patroni(members)),
            (Component::Gitaly, _, Git::Cluster { praefects, gitalys, .. }) => {
                let place = gitalys.iter().position(|gitaly| gitaly == name)?;
                Some(Copies::Gitaly { praefects, gitalys, storage: Git::clustered_storage(place) })
            }
            (Component::Redis | Component::RedisCache | Component::RedisPersistent, ..) => {
                self.redis_group_of(name).map(Copies::Redis)
            }
            _ => None,
        }
        .filter(|copies| copies.members().len() > 1)
    }

    /// The group of Redis under Sentinel that a node is of.
    #[must_use]
    pub fn redis_group_of(&self, name: &NodeName) -> Option<&RedisGroup> {
        self.topology.redis.groups().into_iter().find(|group| group.nodes.contains(name))
    }

    /// Takes over which nodes of Redis were made anew, and whom each was told to follow then. Names of nodes that are no
    /// more mean nothing.
    pub fn follow<'a>(&mut self, follows: impl Iterator<Item = (&'a str, &'a str)>) {
        let follows: Vec<_> = follows.collect();
        for group in self.topology.redis.groups_mut() {
            let named = |name: &str| group.nodes.iter().find(|node| node.as_str() == name).cloned();
            let of_group = follows.iter().filter_map(|(node, leader)| named(node).zip(named(leader)));
            group.follows = of_group.filter(|(node, leader)| node != leader).collect();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deployment::testing::{cluster, demo};

    fn node(deployment: &Deployment, name: &str) -> NodeName {
        deployment.nodes.keys().find(|node| node.as_str() == name).expect("a node").clone()
    }

    #[test]
    fn a_tier_has_copies_where_its_members_hold_the_same() {
        let deployment = cluster("acme");
        for (name, members) in [("consul-2", 3), ("postgres-1", 3), ("redis-3", 3), ("gitaly-2", 3)] {
            let name = node(&deployment, &format!("acme-{name}"));
            let copies = deployment.copies_of(&name).expect("copies");
            assert_eq!(copies.members().len(), members, "{name}");
            assert!(!copies.witnesses(&name).contains(&&name), "{name} is asked for itself");
        }
        let gitaly = node(&deployment, "acme-gitaly-2");
        let Some(Copies::Gitaly { storage, .. }) = deployment.copies_of(&gitaly) else { panic!("no Gitaly") };
        assert_eq!(storage, "gitaly-2");
        for name in ["praefect-postgres-1", "monitor-1", "object-storage-1", "rails-1"] {
            assert_eq!(deployment.copies_of(&node(&deployment, &format!("acme-{name}"))), None, "{name}");
        }
        let single = demo();
        assert_eq!(single.copies_of(&node(&single, "demo-all-in-one-1")), None);
    }

    #[test]
    fn a_node_of_redis_follows_another_of_its_group_and_never_itself() {
        let mut deployment = cluster("acme");
        let told = [
            ("acme-redis-1", "acme-redis-2"),
            ("acme-redis-3", "acme-redis-3"),
            ("acme-redis-9", "acme-redis-1"),
        ];
        deployment.follow(told.into_iter());
        let first = node(&deployment, "acme-redis-1");
        let group = deployment.redis_group_of(&first).expect("a group");
        assert_eq!(group.leader_for(&first).as_str(), "acme-redis-2");
        assert_eq!(group.leader_for(&group.nodes[1]).as_str(), "acme-redis-1");
        assert_eq!(group.follows.len(), 1);
    }
}
