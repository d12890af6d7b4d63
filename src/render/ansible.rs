//! The Ansible tree: configuration, inventory, playbooks, roles, and the gitlab.rb of each node with the package.

use include_dir::{Dir, include_dir};
use serde_json::{Value, json};
use tera::Context;

use super::gitlab_rb::{self, Address};
use super::inventory::{self, address_of};
use super::{Bound, Error, Inputs, Tree, templates, tree};
use crate::deployment::Deployment;

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
    tree.insert("ansible.cfg", configuration(deployment)?);
    tree.insert("inventory.json", tree::json(&inventory::inventory(inputs)));
    if let Some(bound) = inputs.bound {
        tree.insert("ssh_config", ssh_config(deployment, bound, &inputs.identity.work_directory)?);
    }
    for node in deployment.nodes.values().filter(|node| node.component.has_package()) {
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

fn address_text(address: &Address, bound: Option<&Bound>) -> String {
    let text = address_of(address.node(), bound);
    match address {
        Address::Node(_) => text,
        Address::Cidr(_) => text + "/32",
    }
}
