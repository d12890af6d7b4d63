//! How a spec becomes a deployment.

use std::collections::BTreeMap;

use indexmap::IndexMap;

use super::flows::{Standing, flows};
use super::{
    DataDisk, Database, Deployment, Git, Machine, Node, NodeName, Objects, REDIS, REDIS_CACHE,
    REDIS_PERSISTENT, Redis, RedisGroup, SecretName, Sidekiq, Topology,
};
use crate::architecture::{Architecture, Component, ComponentSize, Disks, MachineTypes};
use crate::spec::{ManagedObjectStorage, ManagedPostgres, ManagedRedis, Pool, Provider, Spec, merged};

/// Resolves what the user wrote against the architecture that it names.
#[must_use]
pub fn resolve(spec: &Spec, architecture: Architecture) -> Deployment {
    let counts = spec.counts(&architecture);
    let mut nodes: IndexMap<NodeName, Node> = architecture
        .components
        .iter()
        .filter_map(|(component, size)| Some((*component, size, *counts.get(component)?)))
        .flat_map(|(component, size, count)| {
            let own = (1..=count).map(move |index| node(spec, component, size, None, index));
            let pools = spec.nodes.of(component).pools.iter();
            own.chain(pools.flat_map(move |pool| {
                (1..=pool.count).map(move |index| node(spec, component, size, Some(pool), index))
            }))
        })
        .map(|node| (node.name.clone(), node))
        .collect();
    if stores_objects_itself(spec, &nodes) {
        let node = node(spec, Component::ObjectStorage, &object_storage(), None, 1);
        nodes.insert(node.name.clone(), node);
    }
    let front = names(&nodes, Component::ExternalLb)
        .first()
        .cloned()
        .unwrap_or_else(|| NodeName::new(&spec.name, Component::AllInOne, 1));
    let topology = topology(spec, &nodes);
    let standing = Standing {
        components: nodes.values().map(|node| node.component).collect(),
        topology: &topology,
        https: spec.gitlab.url.port_or_default(),
    };
    Deployment {
        name: spec.name.clone(),
        gitlab: spec.gitlab.clone(),
        provider: spec.provider.clone(),
        tls: spec.tls.clone(),
        flows: flows(&architecture.ports, &standing),
        topology,
        architecture,
        nodes,
        front,
    }
}

/// The names of the nodes of a component, in order.
fn names(nodes: &IndexMap<NodeName, Node>, component: Component) -> Vec<NodeName> {
    nodes.values().filter(|node| node.component == component).map(|node| node.name.clone()).collect()
}

/// Whether the lab needs a host that stands in for a cloud's object storage: several nodes can't share a disk.
/// Source: <https://docs.gitlab.com/install/requirements/> (read 2026-08), object storage of distributed deployments.
fn stores_objects_itself(spec: &Spec, nodes: &IndexMap<NodeName, Node>) -> bool {
    match spec.provider {
        Provider::Lab(_) => {
            spec.managed.object_storage.is_none() && names(nodes, Component::AllInOne).is_empty()
        }
    }
}

/// The size of the lab's object storage, which no architecture has. It is ours, and enough for tests.
fn object_storage() -> ComponentSize {
    ComponentSize {
        nodes: 1,
        vcpu: 2,
        memory_gb: 4.0,
        machine_types: MachineTypes { aws: String::new(), gcp: String::new(), azure: String::new() },
        disks: Disks { root_gb: 40, data_gb: Some(50), iops: None },
    }
}

/// Who serves what: whom the spec names, and else the nodes that there are.
fn topology(spec: &Spec, nodes: &IndexMap<NodeName, Node>) -> Topology {
    let of = |component| names(nodes, component);
    Topology {
        database: match &spec.managed.postgres {
            Some(ManagedPostgres::External(server)) => Database::External(server.clone()),
            None => database(of(Component::Postgres), of(Component::Pgbouncer)),
        },
        redis: match &spec.managed.redis {
            Some(ManagedRedis::External(server)) => Redis::External(server.clone()),
            None => redis(of(Component::Redis), of(Component::RedisCache), of(Component::RedisPersistent)),
        },
        git: match (of(Component::Gitaly), of(Component::PraefectPostgres).into_iter().next()) {
            (gitalys, Some(database)) => {
                Git::Cluster { praefects: of(Component::Praefect), gitalys, database }
            }
            (gitalys, None) if gitalys.is_empty() => Git::OnNode,
            (gitalys, None) => Git::Sharded(gitalys),
        },
        objects: match &spec.managed.object_storage {
            Some(ManagedObjectStorage::External(server)) => Objects::External(server.clone()),
            None => of(Component::ObjectStorage).into_iter().next().map_or(Objects::LocalDisk, Objects::Lab),
        },
        sidekiq: match of(Component::Sidekiq) {
            nodes if nodes.is_empty() => Sidekiq::OnRails,
            nodes => Sidekiq::Own(nodes),
        },
    }
}

fn database(members: Vec<NodeName>, pgbouncers: Vec<NodeName>) -> Database {
    if pgbouncers.is_empty() {
        members.into_iter().next().map_or(Database::OnNode, Database::Single)
    } else {
        Database::Cluster { members, pgbouncers }
    }
}

fn redis(all: Vec<NodeName>, cache: Vec<NodeName>, persistent: Vec<NodeName>) -> Redis {
    let group =
        |nodes, master_name, password| RedisGroup { master_name, nodes, password, follows: BTreeMap::new() };
    match all.as_slice() {
        [] if cache.is_empty() => Redis::OnNode,
        [] => Redis::Split {
            cache: group(cache, REDIS_CACHE, SecretName::RedisCachePassword),
            persistent: group(persistent, REDIS_PERSISTENT, SecretName::RedisPersistentPassword),
        },
        [single] => Redis::Single(single.clone()),
        _ => Redis::Sentinel(group(all, REDIS, SecretName::RedisPassword)),
    }
}

/// One node: the architecture's size, and over it what the spec says of the component, of the pool and of the node.
fn node(spec: &Spec, component: Component, size: &ComponentSize, pool: Option<&Pool>, index: u32) -> Node {
    let name = match pool {
        Some(pool) => NodeName::of_pool(&spec.name, component, &pool.name, index),
        None => NodeName::new(&spec.name, component, index),
    };
    let own = spec.nodes.of(component);
    let machine = own.machine_of(name.as_str(), pool);
    let data_disks = component
        .data_mount()
        .zip(own.data_disk_of(name.as_str()).or(size.disks.data_gb))
        .map(|(mount, size_gb)| ("data".to_owned(), DataDisk { size_gb, mount }))
        .into_iter()
        .collect();
    let settings = pool
        .map(|pool| &pool.settings)
        .into_iter()
        .chain(own.hosts.get(name.as_str()).map(|host| &host.settings))
        .fold(spec.settings.of(component), merged);
    Node {
        component,
        zone: (index - 1) % 3,
        architecture: "amd64",
        machine: Machine {
            vcpu: machine.vcpu.unwrap_or(size.vcpu),
            memory_gb: machine.memory_gb.unwrap_or(size.memory_gb),
        },
        root_disk_gb: machine.root_disk_gb.unwrap_or(size.disks.root_gb),
        data_disks,
        settings,
        name,
    }
}
