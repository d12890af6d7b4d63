//! `nodes`: where nodes differ from the architecture, or one from another.
//!
//! `read` makes it of the tree; what an architecture allows is asked by the room's `sizing` and `counts`.

mod pool;
mod read;

pub use pool::{Pool, PoolName};

pub(super) use read::{Measure, NodesDraft, Size, read};

use std::borrow::Cow;
use std::collections::BTreeMap;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Serialize;

use super::settings::SettingTree;
use crate::architecture::Component;

/// Where nodes differ from the architecture, or one from another, by component.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(transparent)]
pub struct Nodes(BTreeMap<Component, ComponentNodes>);

/// What is said of a component of which nothing is said.
static NOTHING: ComponentNodes = ComponentNodes {
    count: None,
    machine: MachineSize { vcpu: None, memory_gb: None, root_disk_gb: None },
    disks: DiskSizes { data: None },
    hosts: BTreeMap::new(),
    pools: Vec::new(),
};

impl Nodes {
    /// What is said about the nodes of a component.
    #[must_use]
    pub fn of(&self, component: Component) -> &ComponentNodes {
        self.0.get(&component).unwrap_or(&NOTHING)
    }

    /// Whether nothing is said.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.values().all(ComponentNodes::is_empty)
    }
}

impl JsonSchema for Nodes {
    fn schema_name() -> Cow<'static, str> {
        "Nodes".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let of_component = generator.subschema_for::<ComponentNodes>();
        let with_pools = pool::with_pools(ComponentNodes::json_schema(generator), generator);
        let properties = components().map(|component| {
            let mut property = if has_pools(component) { with_pools.clone() } else { of_component.clone() };
            let nodes = about(component);
            property.insert(
                "description".to_owned(),
                format!("The nodes of {nodes}. Default: as the architecture says.").into(),
            );
            (component.name().to_owned(), property.to_value())
        });
        json_schema!({
            "description": "Where nodes differ from the architecture, or one from another, by component.",
            "type": "object",
            "properties": properties.collect::<serde_json::Map<_, _>>(),
            "additionalProperties": false,
        })
    }
}

/// The components that a spec can speak of. The lab's object storage stands in for a service, and is nobody's to size.
pub(super) fn components() -> impl Iterator<Item = Component> {
    Component::ALL.into_iter().filter(|component| *component != Component::ObjectStorage)
}

/// Whether nodes of a component can do different work: any Sidekiq takes jobs of any queue, or of some.
pub(super) const fn has_pools(component: Component) -> bool {
    matches!(component, Component::Sidekiq)
}

/// What a component is, for who reads the schema in an editor.
pub(super) const fn about(component: Component) -> &'static str {
    match component {
        Component::AllInOne => "a 1k, which run everything",
        Component::ExternalLb => "the external load balancer",
        Component::InternalLb => "the internal load balancer",
        Component::Consul => "Consul's servers",
        Component::Postgres => "GitLab's PostgreSQL",
        Component::Pgbouncer => "the PgBouncer tier",
        Component::Redis => "Redis, where one keeps everything",
        Component::RedisCache => "the Redis for what can be lost",
        Component::RedisPersistent => "the Redis for what must not be lost",
        Component::PraefectPostgres => "Praefect's PostgreSQL",
        Component::Praefect => "Praefect",
        Component::Gitaly => "Gitaly",
        Component::Sidekiq => "Sidekiq",
        Component::Rails => "Rails",
        Component::Monitor => "Prometheus",
        Component::ObjectStorage => "the lab's object storage",
    }
}

/// The nodes of one component.
#[derive(Clone, Debug, Default, PartialEq, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct ComponentNodes {
    /// How many there are. Default: as the architecture says, and only some components can have more or fewer.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "u32", range(min = 1), default)]
    pub count: Option<u32>,
    /// How large each machine is. Default: as the architecture says.
    #[schemars(default)]
    pub machine: MachineSize,
    /// How large the disks are that outlive their node. Default: as the architecture says.
    #[schemars(default)]
    pub disks: DiskSizes,
    /// What is different on single nodes, by their names, as `acme-rails-1`. Default: nothing.
    #[schemars(default)]
    pub hosts: BTreeMap<String, Host>,
    /// Further nodes, in groups of their own.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(skip)]
    pub pools: Vec<Pool>,
}

impl ComponentNodes {
    /// Whether nothing is said.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The size of the machine of one node: its own before its pool's, and that before its component's.
    #[must_use]
    pub fn machine_of(&self, node: &str, pool: Option<&Pool>) -> MachineSize {
        let own = self.hosts.get(node).map(|host| host.machine).unwrap_or_default();
        own.or(pool.map(|pool| pool.machine).unwrap_or_default()).or(self.machine)
    }

    /// The size in GB of the data disk of one node: its own before its component's.
    #[must_use]
    pub fn data_disk_of(&self, node: &str) -> Option<u32> {
        let own = self.hosts.get(node).and_then(|host| host.disks.data);
        own.or(self.disks.data).map(|disk| disk.size_gb)
    }
}

/// How large a machine is: what is left out is as the architecture says, and only on a 3k may anything be smaller.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct MachineSize {
    /// Virtual CPUs. Default: as the architecture says.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "u32", range(min = 1), default)]
    pub vcpu: Option<u32>,
    /// Memory in GB. Default: as the architecture says.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "f64", range(min = 1), default)]
    pub memory_gb: Option<f64>,
    /// Size of the disk that holds the system, in GB. Default: as the architecture says.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "u32", range(min = 1), default)]
    pub root_disk_gb: Option<u32>,
}

impl MachineSize {
    /// This size, and what it leaves out as another one says.
    fn or(self, other: Self) -> Self {
        Self {
            vcpu: self.vcpu.or(other.vcpu),
            memory_gb: self.memory_gb.or(other.memory_gb),
            root_disk_gb: self.root_disk_gb.or(other.root_disk_gb),
        }
    }
}

/// Disks that outlive their node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct DiskSizes {
    /// The disk that holds what the component keeps: repositories, a database. Default: as the architecture says.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "DiskSize", default)]
    pub data: Option<DiskSize>,
}

/// How large a disk is.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct DiskSize {
    /// Size in GB. A disk can grow, and never shrink. Once it has grown, its file system is grown by `resize2fs` on the
    /// node.
    #[schemars(range(min = 1))]
    pub size_gb: u32,
}

/// What is different on one node.
#[derive(Clone, Debug, Default, PartialEq, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Host {
    /// How large its machine is. Default: as its component's.
    #[schemars(default)]
    pub machine: MachineSize,
    /// How large its disks are. Default: as its component's.
    #[schemars(default)]
    pub disks: DiskSizes,
    /// Values for its gitlab.rb, over those of `settings`. Default: none.
    #[serde(skip_serializing_if = "SettingTree::is_empty")]
    #[schemars(default)]
    pub settings: SettingTree,
}
