//! From the tree of YAML to `nodes`.

use super::super::block::{Block, Field, Placed};
use super::super::parse::Value;
use super::super::problem::{Findings, Problem};
use super::super::rule;
use super::super::settings::{self, Seen};
use super::pool::one;
use super::{
    ComponentNodes, DiskSize, DiskSizes, Host, MachineSize, Nodes, Pool, PoolName, components, has_pools,
};
use crate::architecture::Component;

/// `nodes` as far as it could be read, and what rules compare with the architecture.
#[derive(Clone, Debug, Default)]
pub(in super::super) struct NodesDraft {
    pub(in super::super) nodes: Nodes,
    pub(in super::super) sizes: Vec<Size>,
    /// The components of which something is said, and where.
    pub(in super::super) components: Vec<Placed<Component>>,
    pub(in super::super) counts: Vec<(Component, Placed<u32>)>,
    pub(in super::super) hosts: Vec<(Component, Placed<String>)>,
    pub(in super::super) settings: Vec<Seen>,
}

/// A size that was given.
#[derive(Clone, Debug)]
pub(in super::super) struct Size {
    pub(in super::super) component: Component,
    pub(in super::super) of: Measure,
    pub(in super::super) path: String,
    pub(in super::super) value: Placed<f64>,
}

/// What a size measures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Measure {
    Vcpu,
    Memory,
    RootDisk,
    DataDisk,
    Count,
}

impl Measure {
    /// Larger ones are taken for a slip of the pen.
    const fn most(self) -> f64 {
        match self {
            Self::Vcpu => 2_000.0,
            Self::Memory => 33_000.0,
            Self::RootDisk | Self::DataDisk => 65_536.0,
            Self::Count => 100.0,
        }
    }
}

/// Reads the block behind `nodes`.
pub(in super::super) fn read(field: &Field<'_>, text: &str, findings: &mut Findings) -> Option<NodesDraft> {
    let mut block = Block::of(field, "`nodes: {rails: {machine: {vcpu: 16}}}`", findings)?;
    let mut draft = NodesDraft::default();
    for component in components() {
        if let Some(field) = block.optional(component.name()) {
            draft.components.push(Placed { value: component, at: field.key_at.clone() });
            let mut reader = Reader { component, text, draft: &mut draft };
            let read = reader.component(&field, findings).unwrap_or_default();
            draft.nodes.0.insert(component, read);
        }
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
        let example = format!("`{}: {{machine: {{vcpu: 16}}}}`", self.component);
        let mut block = Block::of(field, &example, findings)?;
        let mut nodes = ComponentNodes::default();
        if let Some(field) = block.optional("count") {
            nodes.count = self.whole(&field, Measure::Count, findings);
            let placed = |value| (self.component, Placed { value, at: field.at() });
            self.draft.counts.extend(nodes.count.map(placed));
        }
        if let Some(field) = block.optional("machine") {
            nodes.machine = self.machine(&field, findings).unwrap_or_default();
        }
        if let Some(field) = block.optional("disks") {
            nodes.disks = self.disks(&field, findings).unwrap_or_default();
        }
        if let Some(field) = block.optional("hosts")
            && let Some(block) = Block::of(&field, "`hosts: {acme-rails-1: {settings: {…}}}`", findings)
        {
            for (name, field) in block.into_fields() {
                let at = field.key_at.clone();
                self.draft.hosts.push((self.component, Placed { value: name.to_owned(), at }));
                if let Some(host) = self.host(&field, findings) {
                    nodes.hosts.insert(name.to_owned(), host);
                }
            }
        }
        if has_pools(self.component)
            && let Some(field) = block.optional("pools")
        {
            nodes.pools = self.pools(&field, findings);
        }
        block.close(&[], findings);
        Some(nodes)
    }

    fn pools(&mut self, field: &Field<'_>, findings: &mut Findings) -> Vec<Pool> {
        let example = "`pools: [{name: urgent, count: 2, settings: {…}}]`";
        let items = field.texts(example, findings).unwrap_or_default();
        let mut pools: Vec<Pool> = Vec::new();
        for item in &items {
            let Some(pool) = self.pool(item, findings) else { continue };
            if pools.iter().any(|known| known.name == pool.name) {
                let message = format!("two pools are called `{}`", pool.name);
                findings.add(Problem::new(&rule::POOL_NAME, message).at(item.at(), "the second one"));
            }
            pools.push(pool);
        }
        pools
    }

    fn pool(&mut self, field: &Field<'_>, findings: &mut Findings) -> Option<Pool> {
        let mut block = Block::of(field, "`{name: urgent, count: 2, settings: {…}}`", findings)?;
        let name: Option<Placed<PoolName>> = block
            .required("name", "`name: urgent`")
            .and_then(|field| field.value("`name: urgent`", findings));
        let count = match block.optional("count") {
            Some(field) => self.whole(&field, Measure::Count, findings),
            None => Some(one()),
        };
        let machine = block.optional("machine").and_then(|field| self.machine(&field, findings));
        let settings = block
            .optional("settings")
            .and_then(|field| settings::tree(&field, self.text, &mut self.draft.settings, findings));
        block.close(&[], findings);
        Some(Pool {
            name: name?.value,
            count: count?,
            machine: machine.unwrap_or_default(),
            settings: settings.unwrap_or_default(),
        })
    }

    fn host(&mut self, field: &Field<'_>, findings: &mut Findings) -> Option<Host> {
        let mut block = Block::of(field, "`acme-rails-1: {settings: {…}}`", findings)?;
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
        if of != Measure::Count {
            self.draft.sizes.push(Size { component: self.component, of, path: field.path.clone(), value });
        }
        Some(number)
    }
}
