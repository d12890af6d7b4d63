//! The Ansible tree: configuration, inventory, playbooks, roles, and each node's gitlab.rb.

use include_dir::{Dir, include_dir};
use serde_json::{Map, Value, json};
use tera::Context;

use super::gitlab_rb::{self, Address};
use super::{Bound, Error, Inputs, LocalFile, Tree, templates, tree};
use crate::architecture::Component;
use crate::deployment::{Deployment, Node, waves};
use crate::spec::Package;

static ROLES: Dir<'static> = include_dir!("$CARGO_MANIFEST_DIR/roles");
static PLUGINS: Dir<'static> = include_dir!("$CARGO_MANIFEST_DIR/plugins");
static PLAYBOOKS: Dir<'static> = include_dir!("$CARGO_MANIFEST_DIR/playbooks");

/// More forks than this gain nothing: the controller's cores are busy with SSH by then.
const MOST_FORKS: usize = 50;

pub(super) fn files(inputs: Inputs<'_>) -> Result<Tree, Error> {
    let deployment = inputs.deployment;
    let mut tree = Tree::default();
    tree.embed("roles", &ROLES);
    tree.embed("plugins", &PLUGINS);
    tree.embed("", &PLAYBOOKS);
    // The one in the folder is for a single node; this one follows from the deployment.
    tree.insert("site.yml", site(deployment)?);
    tree.insert("ansible.cfg", configuration(deployment)?);
    tree.insert("inventory.json", tree::json(&inventory(inputs)));
    if let Some(bound) = inputs.bound {
        tree.insert("ssh_config", ssh_config(deployment, bound, &inputs.identity.work_directory)?);
    }
    for node in deployment.nodes.values() {
        let settings = gitlab_rb::settings(deployment, node)?;
        let text = gitlab_rb::write(node, &settings, &|address| address_text(address, inputs.bound));
        tree.insert(format!("files/{}/gitlab.rb", node.name), text);
    }
    Ok(tree)
}

fn configuration(deployment: &Deployment) -> Result<String, Error> {
    let mut context = Context::new();
    context.insert("forks", &deployment.nodes.len().clamp(1, MOST_FORKS));
    templates::render("ansible.cfg", &context)
}

/// The plays of a fresh build: all nodes prepared at once, then each component in the order of its needs.
fn site(deployment: &Deployment) -> Result<String, Error> {
    let components: Vec<Component> = deployment.nodes.values().map(|node| node.component).collect();
    let ordered: Vec<_> = waves(&components, Component::configure_needs).into_iter().flatten().collect();
    let mut context = Context::new();
    context.insert("components", &ordered);
    templates::render("site.yml", &context)
}

fn ssh_config(deployment: &Deployment, bound: &Bound, work_directory: &str) -> Result<String, Error> {
    let nodes: Vec<Value> = deployment
        .nodes
        .keys()
        .filter_map(|name| bound.access.get(name).map(|access| (name, access)))
        .map(|(name, access)| {
            json!({
                "name": name, "host": access.host, "port": access.port,
                "user": access.user, "proxy_command": access.proxy_command,
            })
        })
        .collect();
    let mut context = Context::new();
    context.insert("nodes", &nodes);
    context.insert("work_directory", work_directory);
    templates::render("ssh_config", &context)
}

/// Before the nodes are made, an address shows as its name, so that a reviewer sees what will stand there.
fn address_text(address: &Address, bound: Option<&Bound>) -> String {
    let name = address.node();
    let text = bound
        .and_then(|bound| bound.nodes.get(name))
        .map_or_else(|| format!("address of {name}"), |node| node.private_address.clone());
    match address {
        Address::Node(_) => text,
        Address::Cidr(_) => text + "/32",
    }
}

fn inventory(inputs: Inputs<'_>) -> Value {
    let mut groups = Map::new();
    for node in inputs.deployment.nodes.values() {
        let group = groups.entry(node.component.name()).or_insert_with(|| json!({ "hosts": {} }));
        group["hosts"][node.name.as_str()] = host(inputs, node);
    }
    json!({ "all": { "vars": shared(inputs), "children": groups } })
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
        "gitlab_node_tls": true,
        "gitlab_node_files": "{{ inventory_dir }}/files/{{ inventory_hostname }}",
        "gitlab_node_fetch_to": "{{ inventory_dir }}/fetched",
        "gitlab_node_health": health(deployment),
    })
}

fn health(deployment: &Deployment) -> Value {
    let url = &deployment.gitlab.url;
    let (host, port) = (url.host(), url.port_or_default());
    let mut health = json!({
        "url": format!("{}/-/readiness?all=1", url.as_str().trim_end_matches('/')),
        "resolve": format!("{host}:{port}:127.0.0.1"),
    });
    if deployment.tls.has_own_authority() {
        health["ca"] = json!(format!("/etc/gitlab/ssl/{host}.ca.crt"));
    }
    health
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
    let disks: Vec<Value> = node
        .data_disks
        .iter()
        .map(|(name, disk)| {
            let path = inputs
                .bound
                .and_then(|bound| bound.nodes.get(&node.name)?.data_disks.get(name))
                .map(|disk| disk.path.as_str());
            json!({
                "name": name, "path": path, "size_gb": disk.size_gb, "mount": disk.mount,
                "expected_uuid": inputs.known_disk(&node.name, name),
            })
        })
        .collect();
    json!({
        "gitlab_node_component": node.component,
        "gitlab_node_data_disks": disks,
        "gitlab_node_machine": {
            "vcpu": node.machine.vcpu,
            "memory_gb": node.machine.memory_gb,
            "root_disk_gb": node.root_disk_gb,
            "simulated": inputs.deployment.size_is_simulated().then_some("size is simulated: lab hosts share one machine"),
        },
    })
}
