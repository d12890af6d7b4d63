//! The inventory: what the roles are told of each node. Nothing in it is secret.

use serde_json::{Map, Value, json};

use super::{Bound, Inputs, LocalFile, health, load_balancer};
use crate::architecture::Component;
use crate::deployment::{Database, Deployment, Node, NodeName};
use crate::spec::Package;

pub(super) fn inventory(inputs: Inputs<'_>) -> Value {
    let mut groups = Map::new();
    for node in inputs.deployment.nodes.values() {
        let group = groups.entry(node.component.name()).or_insert_with(|| json!({ "hosts": {} }));
        group["hosts"][node.name.as_str()] = host(inputs, node);
    }
    json!({ "all": { "vars": shared(inputs), "children": groups } })
}

/// Before the nodes are made, an address shows as its name, so that a reviewer sees what will stand there.
pub(super) fn address_of(name: &NodeName, bound: Option<&Bound>) -> String {
    bound
        .and_then(|bound| bound.nodes.get(name))
        .map_or_else(|| format!("address of {name}"), |node| node.private_address.clone())
}

/// What is the same for all nodes.
fn shared(inputs: Inputs<'_>) -> Value {
    let deployment = inputs.deployment;
    json!({
        // Discovery has been seen to pick a wrong interpreter.
        "ansible_python_interpreter": "/usr/bin/python3",
        "gitlab_node_deployment": { "name": deployment.name.to_string(), "suffix": inputs.identity.suffix },
        "gitlab_node_package": package(deployment, inputs.local_file),
        "gitlab_node_fqdn": deployment.gitlab.url.host(),
        "gitlab_node_files": "{{ inventory_dir }}/files/{{ inventory_hostname }}",
        "gitlab_node_fetch_to": "{{ inventory_dir }}/fetched",
    })
}

fn package(deployment: &Deployment, local: Option<&LocalFile>) -> Value {
    let path = local.map_or("", |file| file.path.as_str());
    let sha256 = local.map_or("", |file| file.sha256.as_str());
    let source = match &deployment.gitlab.package {
        Package::Standin {} | Package::File { .. } => json!({ "file": { "path": path, "sha256": sha256 } }),
        Package::Url { url, sha256 } => {
            json!({ "url": { "url": url.to_string(), "sha256": sha256.to_string() } })
        }
        Package::Repository { url, distribution, components, .. } => json!({ "repository": {
            "url": url.to_string(), "distribution": distribution, "components": components, "key_file": path,
        } }),
    };
    json!({ "name": "gitlab-ee", "version": deployment.package_version(), "source": source })
}

/// What is a node's own.
fn host(inputs: Inputs<'_>, node: &Node) -> Value {
    let deployment = inputs.deployment;
    let address = |name: &NodeName| address_of(name, inputs.bound);
    let mut variables = json!({
        "gitlab_node_component": node.component,
        "gitlab_node_data_disks": data_disks(inputs, node),
        "gitlab_node_machine": {
            "vcpu": node.machine.vcpu,
            "memory_gb": node.machine.memory_gb,
            "root_disk_gb": node.root_disk_gb,
            "simulated": deployment.size_is_simulated().then_some("size is simulated: lab hosts share one machine"),
        },
        "gitlab_node_is_deploy_node": deployment.is_deploy_node(node),
        "gitlab_node_health": health::question(deployment, node),
        "gitlab_node_hosts_entries": hosts_entries(deployment, node, &address),
        "gitlab_node_tls": has_certificate(node.component),
        "gitlab_node_trusted_ca": node.component.has_package() && deployment.tls.has_own_authority(),
        "gitlab_node_pgpass": node.component == Component::Pgbouncer,
        "gitlab_node_praefect_database": node.component == Component::PraefectPostgres,
        "gitlab_node_migrate_from": migrate_from(deployment, node),
    });
    if let Some(configuration) = load_balancer::configuration(deployment, node, &address) {
        variables["load_balancer_config"] = configuration;
    }
    variables
}

fn data_disks(inputs: Inputs<'_>, node: &Node) -> Vec<Value> {
    let path = |name: &String| {
        let bound = inputs.bound.and_then(|bound| bound.nodes.get(&node.name)?.data_disks.get(name));
        bound.map(|disk| disk.path.as_str())
    };
    let disk = |(name, disk): (&String, &crate::deployment::DataDisk)| {
        json!({
            "name": name, "path": path(name), "size_gb": disk.size_gb, "mount": disk.mount,
            "expected_uuid": inputs.known_disk(&node.name, name),
        })
    };
    node.data_disks.iter().map(disk).collect()
}

/// Who ends TLS under the users' name.
const fn has_certificate(component: Component) -> bool {
    matches!(component, Component::AllInOne | Component::Rails | Component::ExternalLb)
}

/// Where the URL's name leads on this node: from Gitaly and Praefect to the load balancer that is theirs, from the
/// others the way that users go. The lab has no name service.
fn hosts_entries(deployment: &Deployment, node: &Node, address: &dyn Fn(&NodeName) -> String) -> Vec<Value> {
    if !node.component.has_package() || node.component == Component::AllInOne {
        return Vec::new();
    }
    let inside = matches!(node.component, Component::Gitaly | Component::Praefect);
    let internal = deployment.nodes_of(Component::InternalLb).next().filter(|_| inside);
    let to = internal.map_or(&deployment.front, |node| &node.name);
    vec![json!({ "address": address(to), "names": [deployment.gitlab.url.host()] })]
}

/// The node that knows who leads the database, for the one that migrates it past the connection pools.
fn migrate_from<'a>(deployment: &'a Deployment, node: &Node) -> Option<&'a NodeName> {
    match &deployment.topology.database {
        Database::Cluster { members, .. } if node.name == *deployment.deploy_node() => members.first(),
        _ => None,
    }
}
