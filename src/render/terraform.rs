//! The root module, its values, and the module that it calls.

use include_dir::{Dir, include_dir};
use serde_json::{Value, json};
use tera::Context;

use super::{Error, Inputs, Tree, ports, templates};
use crate::architecture::Component;
use crate::deployment::Node;
use crate::spec::Provider;

static LAB: Dir<'static> = include_dir!("$CARGO_MANIFEST_DIR/modules/lab");

/// The outputs of every module, passed through (`modules/contract.schema.json`).
const OUTPUTS: [&str; 6] = ["nodes", "access", "endpoints", "managed_services", "object_storage", "cidrs"];

/// Who owns a deployment, and what its nodes are made with. Nothing here is secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Random, chosen once: tells two deployments of one name apart.
    pub suffix: String,
    /// The public half of the key that refarch logs in with.
    pub ssh_public_key: String,
    /// The work directory, absolute.
    pub work_directory: String,
    /// The folder of the lab's image, absolute.
    pub lab_image: String,
}

pub(super) fn files(inputs: Inputs<'_>) -> Result<Tree, Error> {
    let mut tree = Tree::default();
    let mut context = Context::new();
    let values = variables(inputs);
    let names: Vec<&String> = values.as_object().into_iter().flat_map(serde_json::Map::keys).collect();
    context.insert("provider", module_name(&inputs.deployment.provider));
    context.insert("variables", &names);
    context.insert("outputs", &OUTPUTS);
    tree.insert("main.tf", templates::render("main.tf", &context)?);
    tree.insert("terraform.tfvars.json", super::tree::json(&values));
    match inputs.deployment.provider {
        Provider::Lab(_) => tree.embed("modules/lab", &LAB),
    }
    Ok(tree)
}

const fn module_name(provider: &Provider) -> &'static str {
    match provider {
        Provider::Lab(_) => "lab",
    }
}

/// The inputs of the module contract, and what the provider itself asks for.
fn variables(inputs: Inputs<'_>) -> Value {
    let deployment = inputs.deployment;
    let identity = inputs.identity;
    let nodes: serde_json::Map<String, Value> =
        deployment.nodes.values().map(|node| (node.name.to_string(), node_value(node))).collect();
    json!({
        "identity": { "name": deployment.name.to_string(), "suffix": identity.suffix },
        "nodes": nodes,
        "flows": deployment.flows,
        "load_balancers": {},
        "object_storage": null,
        "managed_services": {},
        "access": { "ssh_port": ports::SSH, "ssh_from": [], "web_from": [] },
        "protection": false,
        "expires_at": null,
        "tags": {},
        "ssh_public_key": identity.ssh_public_key,
        "cloud": { "image": identity.lab_image },
        "provider_settings": { "work_directory": identity.work_directory },
    })
}

fn node_value(node: &Node) -> Value {
    let disks: serde_json::Map<String, Value> = node
        .data_disks
        .iter()
        .map(|(name, disk)| (name.clone(), json!({ "size_gb": disk.size_gb })))
        .collect();
    json!({
        "component": node.component,
        "zone": node.zone,
        "architecture": node.architecture,
        "machine": node.machine,
        "root_disk": { "size_gb": node.root_disk_gb },
        "data_disks": disks,
        "ssh_port": ssh_port(node),
    })
}

/// The port of administrative SSH, which gives way to Git's on the load balancer that takes both.
const fn ssh_port(node: &Node) -> u16 {
    match node.component {
        Component::ExternalLb => ports::ADMIN_SSH_BESIDE_GIT,
        _ => ports::SSH,
    }
}
