//! Deployments to try the rules on.

use crate::architecture::{Component, of_size};
use crate::deployment::{
    Database, Deployment, Git, Node, NodeName, Objects, Redis, RedisGroup, SecretName, resolve,
};
use crate::spec::{self, Size};

/// One node for everything.
pub fn demo() -> Deployment {
    let spec = spec::parse(include_str!("../../examples/lab-1k.yml"), "lab-1k.yml").expect("valid").spec;
    resolve(&spec, of_size(Size::OneK).expect("a part of the program"))
}

/// The components of a 3k on the lab.
pub const CLUSTER: [(Component, u32); 13] = [
    (Component::ExternalLb, 1),
    (Component::InternalLb, 1),
    (Component::Consul, 3),
    (Component::Postgres, 3),
    (Component::Pgbouncer, 3),
    (Component::Redis, 3),
    (Component::PraefectPostgres, 1),
    (Component::Praefect, 3),
    (Component::Gitaly, 3),
    (Component::Sidekiq, 2),
    (Component::Rails, 3),
    (Component::Monitor, 1),
    (Component::ObjectStorage, 1),
];

/// A cluster with every tier that has rules of its own.
pub fn cluster() -> Deployment {
    let mut deployment = demo();
    let one = deployment.nodes[0].clone();
    let name = |component, index| NodeName::new(&deployment.name, component, index);
    let names = |component| (1..=3).map(|index| name(component, index)).collect::<Vec<_>>();
    let nodes: Vec<Node> = CLUSTER
        .into_iter()
        .flat_map(|(component, count)| (1..=count).map(move |index| (component, index)))
        .map(|(component, index)| Node { name: name(component, index), component, ..one.clone() })
        .collect();
    let topology = crate::deployment::Topology {
        database: Database::Cluster {
            members: names(Component::Postgres),
            pgbouncers: names(Component::Pgbouncer),
        },
        redis: Redis::Sentinel(RedisGroup {
            master_name: "gitlab-redis",
            nodes: names(Component::Redis),
            password: SecretName::RedisPassword,
        }),
        git: Git::Cluster {
            praefects: names(Component::Praefect),
            gitalys: names(Component::Gitaly),
            database: name(Component::PraefectPostgres, 1),
        },
        objects: Objects::Lab(name(Component::ObjectStorage, 1)),
        ..deployment.topology.clone()
    };
    deployment.front = name(Component::ExternalLb, 1);
    deployment.topology = topology;
    deployment.nodes = nodes.into_iter().map(|node| (node.name.clone(), node)).collect();
    deployment
}
