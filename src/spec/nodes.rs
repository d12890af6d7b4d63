//! `nodes`: where nodes differ from the architecture, or one from another.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;

use super::block::{Block, Field, Placed};
use super::parse::Value;
use super::problem::{Findings, Problem};
use super::rule;
use super::settings::{self, Seen, SettingTree};
use crate::architecture::Component;

/// Where nodes differ from the architecture, or one from another, by component.
#[derive(Clone, Debug, Default, PartialEq, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Nodes {
    /// The node of a 1k. Default: as the architecture says.
    #[serde(skip_serializing_if = "ComponentNodes::is_empty")]
    #[schemars(default)]
    pub all_in_one: ComponentNodes,
}

impl Nodes {
    /// What is said about the nodes of a component.
    #[must_use]
    pub fn of(&self, component: Component) -> &ComponentNodes {
        match component {
            Component::AllInOne => &self.all_in_one,
            _ => &NOTHING,
        }
    }

    /// Whether nothing is said.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// What is said of a component of which nothing is said.
static NOTHING: ComponentNodes = ComponentNodes {
    machine: MachineSize { vcpu: None, memory_gb: None, root_disk_gb: None },
    disks: DiskSizes { data: None },
    hosts: BTreeMap::new(),
};

/// The nodes of one component.
#[derive(Clone, Debug, Default, PartialEq, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct ComponentNodes {
    /// How large each machine is. Default: as the architecture says.
    #[schemars(default)]
    pub machine: MachineSize,
    /// How large the disks are that outlive their node. Default: as the architecture says.
    #[schemars(default)]
    pub disks: DiskSizes,
    /// What is different on single nodes, by their names, as `acme-all-in-one-1`. Default: nothing.
    #[schemars(default)]
    pub hosts: BTreeMap<String, Host>,
}

impl ComponentNodes {
    /// Whether nothing is said.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The size of the machine of one node: its own before its component's.
    #[must_use]
    pub fn machine_of(&self, node: &str) -> MachineSize {
        let own = self.hosts.get(node).map(|host| host.machine).unwrap_or_default();
        MachineSize {
            vcpu: own.vcpu.or(self.machine.vcpu),
            memory_gb: own.memory_gb.or(self.machine.memory_gb),
            root_disk_gb: own.root_disk_gb.or(self.machine.root_disk_gb),
        }
    }

    /// The size in GB of the data disk of one node: its own before its component's.
    #[must_use]
    pub fn data_disk_of(&self, node: &str) -> Option<u32> {
        let own = self.hosts.get(node).and_then(|host| host.disks.data);
        own.or(self.disks.data).map(|disk| disk.size_gb)
    }
}

/// How large a machine is: what is left out is as the architecture says, and nothing may be smaller.
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

/// Disks that outlive their node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct DiskSizes {
    /// The disk that holds repositories, database and uploads. Default: as the architecture says.
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

/// `nodes` as far as it could be read, and what rules compare with the architecture.
#[derive(Clone, Debug, Default)]
pub(super) struct NodesDraft {
    pub(super) nodes: Nodes,
    pub(super) sizes: Vec<Size>,
    pub(super) hosts: Vec<(Component, Placed<String>)>,
    pub(super) settings: Vec<Seen>,
}

/// A size that was given.
#[derive(Clone, Debug)]
pub(super) struct Size {
    pub(super) component: Component,
    pub(super) of: Measure,
    pub(super) path: String,
    pub(super) value: Placed<f64>,
}

/// What a size measures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Measure {
    Vcpu,
    Memory,
    RootDisk,
    DataDisk,
}

impl Measure {
    /// Larger ones are taken for a slip of the pen.
    const fn most(self) -> f64 {
        match self {
            Self::Vcpu => 2_000.0,
            Self::Memory => 33_000.0,
            Self::RootDisk | Self::DataDisk => 65_536.0,
        }
    }
}

/// Reads the block behind `nodes`.
pub(super) fn read(field: &Field<'_>, text: &str, findings: &mut Findings) -> Option<NodesDraft> {
    let mut block = Block::of(field, "`nodes: {all_in_one: {machine: {vcpu: 16}}}`", findings)?;
    let mut draft = NodesDraft::default();
    if let Some(field) = block.optional("all_in_one") {
        let mut reader = Reader { component: Component::AllInOne, text, draft: &mut draft };
        let read = reader.component(&field, findings).unwrap_or_default();
        draft.nodes.all_in_one = read;
    }
    block.close(&[], findings);
    Some(draft)
}

struct Reader<'r> {
    component: Component,
    text: &'r str,
    draft: &'r mut NodesDraft,
}

impl Reader<'_> {
    fn component(&mut self, field: &Field<'_>, findings: &mut Findings) -> Option<ComponentNodes> {
        let mut block = Block::of(field, "`all_in_one: {machine: {vcpu: 16}}`", findings)?;
        let mut nodes = ComponentNodes::default();
        if let Some(field) = block.optional("machine") {
            nodes.machine = self.machine(&field, findings).unwrap_or_default();
        }
        if let Some(field) = block.optional("disks") {
            nodes.disks = self.disks(&field, findings).unwrap_or_default();
        }
        if let Some(field) = block.optional("hosts")
            && let Some(block) = Block::of(&field, "`hosts: {acme-all-in-one-1: {settings: {…}}}`", findings)
        {
            for (name, field) in block.into_fields() {
                let at = field.key_at.clone();
                self.draft.hosts.push((self.component, Placed { value: name.to_owned(), at }));
                if let Some(host) = self.host(&field, findings) {
                    nodes.hosts.insert(name.to_owned(), host);
                }
            }
        }
        block.close(&[], findings);
        Some(nodes)
    }

    fn host(&mut self, field: &Field<'_>, findings: &mut Findings) -> Option<Host> {
        let mut block = Block::of(field, "`acme-all-in-one-1: {settings: {…}}`", findings)?;
        let mut host = Host::default();
        if let Some(field) = block.optional("machine") {
            host.machine = self.machine(&field, findings).unwrap_or_default();
        }
        if let Some(field) = block.optional("disks") {
            host.disks = self.disks(&field, findings).unwrap_or_default();
        }
        if let Some(field) = block.optional("settings") {
            let tree = settings::tree(&field, self.text, &mut self.draft.settings, findings);
            host.settings = tree.unwrap_or_default();
        }
        block.close(&[], findings);
        Some(host)
    }

    fn machine(&mut self, field: &Field<'_>, findings: &mut Findings) -> Option<MachineSize> {
        let mut block = Block::of(field, "`machine: {vcpu: 16, memory_gb: 32}`", findings)?;
        let vcpu = block.optional("vcpu").and_then(|field| self.whole(&field, Measure::Vcpu, findings));
        let memory_gb =
            block.optional("memory_gb").and_then(|field| self.size(&field, Measure::Memory, findings));
        let root = block.optional("root_disk_gb");
        let root_disk_gb = root.and_then(|field| self.whole(&field, Measure::RootDisk, findings));
        block.close(&[], findings);
        Some(MachineSize { vcpu, memory_gb, root_disk_gb })
    }

    fn disks(&mut self, field: &Field<'_>, findings: &mut Findings) -> Option<DiskSizes> {
        let example = "`disks: {data: {size_gb: 200}}`";
        let mut block = Block::of(field, example, findings)?;
        let data = block.optional("data").and_then(|field| {
            let mut block = Block::of(&field, example, findings)?;
            let size = block.required("size_gb", "`size_gb: 200`");
            let size = size.and_then(|field| self.whole(&field, Measure::DataDisk, findings));
            block.close(&[], findings);
            size.map(|size_gb| DiskSize { size_gb })
        });
        block.close(&[], findings);
        Some(DiskSizes { data })
    }

    fn whole(&mut self, field: &Field<'_>, of: Measure, findings: &mut Findings) -> Option<u32> {
        if let Value::Float(_) = field.node.value {
            field.has_wrong_type("a whole number", "it without a fraction", findings);
            return None;
        }
        self.size(field, of, findings)?;
        match field.node.value {
            Value::Integer(number) => u32::try_from(number).ok(),
            _ => None,
        }
    }

    fn size(&mut self, field: &Field<'_>, of: Measure, findings: &mut Findings) -> Option<f64> {
        let number = match field.node.value {
            Value::Integer(number) => i32::try_from(number).map_or(f64::INFINITY, f64::from),
            Value::Float(number) => number,
            Value::Null => {
                field.is_empty("`vcpu: 16`", findings);
                return None;
            }
            _ => {
                field.has_wrong_type("a number", "a number", findings);
                return None;
            }
        };
        if !(1.0..=of.most()).contains(&number) {
            let message = format!("`{}` goes from 1 to {}", field.path, of.most());
            findings.add(Problem::new(&rule::NODE_SIZE, message).at(field.at(), "out of range"));
            return None;
        }
        let value = Placed { value: number, at: field.at() };
        self.draft.sizes.push(Size { component: self.component, of, path: field.path.clone(), value });
        Some(number)
    }
}
