//! How a spec becomes a deployment.

use indexmap::IndexMap;

use super::{DataDisk, Deployment, Flow, Machine, Node, NodeName, Topology};
use crate::architecture::{Architecture, Component, ComponentSize};
use crate::spec::{Spec, merged};

/// Resolves what the user wrote against the architecture that it names.
#[must_use]
pub fn resolve(spec: &Spec, architecture: Architecture) -> Deployment {
    let nodes: IndexMap<NodeName, Node> = architecture
        .components
        .iter()
        .flat_map(|(component, size)| (1..=size.nodes).map(|index| node(spec, *component, size, index)))
        .map(|node| (node.name.clone(), node))
        .collect();
    let front = NodeName::new(&spec.name, Component::AllInOne, 1);
    Deployment {
        name: spec.name.clone(),
        gitlab: spec.gitlab.clone(),
        provider: spec.provider.clone(),
        tls: spec.tls.clone(),
        flows: flows(spec.gitlab.url.port_or_default()),
        architecture,
        nodes,
        front,
        topology: Topology::on_one_node(),
    }
}

/// One node: the architecture's size, and over it what the spec says of the component and of the node.
fn node(spec: &Spec, component: Component, size: &ComponentSize, index: u32) -> Node {
    let name = NodeName::new(&spec.name, component, index);
    let own = spec.nodes.of(component);
    let machine = own.machine_of(name.as_str());
    let data_gb = own.data_disk_of(name.as_str()).unwrap_or(size.disks.data_gb);
    let data_disks = component
        .data_mount()
        .map(|mount| ("data".to_owned(), DataDisk { size_gb: data_gb, mount }))
        .into_iter()
        .collect();
    let settings = spec.settings.of(component);
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
        settings: match own.hosts.get(name.as_str()) {
            Some(host) => merged(settings, &host.settings),
            None => settings,
        },
        name,
    }
}

/// What must reach a single node from outside.
/// Source: <https://docs.gitlab.com/administration/package_information/defaults/> (read 2026-08).
fn flows(https: u16) -> Vec<Flow> {
    let to = Component::AllInOne.name();
    let flow = |port, why| Flow { from: "users".into(), to: to.into(), port, protocol: "tcp", why };
    vec![
        flow(22, "Git over SSH, and the way in for Ansible"),
        flow(80, "the redirect to HTTPS"),
        flow(https, "the web interface, the API and Git over HTTPS"),
    ]
}
