//! `gitlab-secrets.json`, compared key by key and by role: bytes differ between nodes for good reasons.

use serde_json::{Map, Value};

use crate::architecture::Component;
use crate::deployment::{Deployment, Git, Node, SecretName};
use crate::spec::GitlabVersion;

/// A key on which a node and the store disagree. Values are never told.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Difference {
    /// The section, such as `gitlab_rails`.
    pub section: String,
    /// The key in it; where it is an object, with the keys below, joined by dots.
    pub key: String,
}

/// A key whose value follows from what the node is for, so that nodes rightly differ in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RoleKey {
    /// The path of the key, section first.
    pub path: &'static [&'static str],
    /// The named secret that stands there. Without one the key means nothing on this node, and its value is its own
    /// affair.
    pub secret: Option<SecretName>,
}

/// The first GitLab with Gitaly's tokens in the file.
const WITH_TOKENS: GitlabVersion = GitlabVersion::new(18, 4, 0);
const CLIENT: &[&str] = &["gitlab_rails", "gitaly_token"];
const SERVER: &[&str] = &["gitaly", "configuration", "auth", "token"];

/// Keys that belong to one node, so that a difference means nothing.
/// Source: omnibus-gitlab 19.3.0 (`letsencrypt`, and the certificate PostgreSQL makes for itself).
const NODE_LOCAL: [&[&str]; 3] = [
    &["letsencrypt", "auto_enabled"],
    &["postgresql", "internal_certificate"],
    &["postgresql", "internal_key"],
];

/// The keys that depend on what this node is for. A node that serves Git to itself alone agrees with itself.
///
/// Source: omnibus-gitlab 18.4.0 to 19.3.0: the token of Gitaly's clients, and that of a Gitaly server.
#[must_use]
pub fn role_keys(deployment: &Deployment, node: &Node) -> Vec<RoleKey> {
    let (client, server) = match deployment.topology.git {
        Git::OnNode => return Vec::new(),
        Git::Sharded(_) => (SecretName::GitalyToken, SecretName::GitalyToken),
        Git::Cluster { .. } => (SecretName::PraefectExternalToken, SecretName::PraefectInternalToken),
    };
    if deployment.gitlab.version < WITH_TOKENS {
        return [CLIENT, SERVER].map(|path| RoleKey { path, secret: None }).to_vec();
    }
    let is_client = matches!(node.component, Component::Rails | Component::Sidekiq);
    let is_server = node.component == Component::Gitaly;
    vec![
        RoleKey { path: CLIENT, secret: is_client.then_some(client) },
        RoleKey { path: SERVER, secret: is_server.then_some(server) },
    ]
}

/// What a node's file should say: what the store shares with all nodes, and what follows from the node's role.
#[must_use]
pub fn tree_of_node(store: &Value, keys: &[RoleKey], value: impl Fn(SecretName) -> Option<String>) -> Value {
    let mut tree = Value::Object(store.as_object().cloned().unwrap_or_default());
    for key in keys {
        remove(&mut tree, key.path);
        if let Some(value) = key.secret.and_then(&value) {
            let path: Vec<String> = key.path.iter().map(|part| (*part).to_owned()).collect();
            insert(&mut tree, &path, Value::from(value));
        }
    }
    tree
}

/// The keys that both have, with another value. `wanted` is what the node's file should say.
#[must_use]
pub fn differences(wanted: &Value, node: &Value) -> Vec<Difference> {
    let known = leaves(wanted);
    let mut found: Vec<_> = leaves(node)
        .into_iter()
        .filter(|(path, _)| !is_node_local(path))
        .filter(|(path, value)| known.iter().any(|(other, known)| other == path && known != value))
        .filter_map(|(path, _)| {
            let (section, key) = path.split_first()?;
            Some(Difference { section: section.clone(), key: key.join(".") })
        })
        .collect();
    found.sort();
    found
}

/// Whether the node's file lacks a key that it should have.
#[must_use]
pub fn lacks(wanted: &Value, node: &Value) -> bool {
    let known = leaves(node);
    leaves(wanted)
        .iter()
        .any(|(path, _)| !is_node_local(path) && known.iter().all(|(other, _)| other != path))
}

/// The store with the keys that only the node has: the package made them, so all nodes must get them. Those that follow
/// from the node's role stay out.
#[must_use]
pub fn added_by_node(store: &Value, node: &Value, keys: &[RoleKey]) -> Value {
    let mut merged = Value::Object(store.as_object().cloned().unwrap_or_default());
    let known = leaves(store);
    for (path, value) in leaves(node) {
        let is_of_role = keys.iter().any(|key| key.path == path.as_slice());
        let is_known = known.iter().any(|(other, _)| *other == path);
        if !(is_of_role || is_known || is_node_local(&path)) {
            insert(&mut merged, &path, value.clone());
        }
    }
    merged
}

fn is_node_local(path: &[String]) -> bool {
    NODE_LOCAL.iter().any(|local| *local == path)
}

/// Every value that is no object, with its path.
fn leaves(tree: &Value) -> Vec<(Vec<String>, &Value)> {
    let mut found = Vec::new();
    collect(tree, &mut Vec::new(), &mut found);
    found
}

fn collect<'a>(value: &'a Value, path: &mut Vec<String>, found: &mut Vec<(Vec<String>, &'a Value)>) {
    match value {
        Value::Object(fields) => {
            for (key, value) in fields {
                path.push(key.clone());
                collect(value, path, found);
                path.pop();
            }
        }
        _ if path.is_empty() => {}
        value => found.push((path.clone(), value)),
    }
}

/// Puts a value where it belongs; what stands in the way of its path stays.
fn insert(tree: &mut Value, path: &[String], value: Value) {
    let Value::Object(fields) = tree else { return };
    match path {
        [] => {}
        [last] => {
            fields.entry(last).or_insert(value);
        }
        [first, rest @ ..] => {
            insert(fields.entry(first).or_insert_with(|| Value::Object(Map::new())), rest, value);
        }
    }
}

fn remove(tree: &mut Value, path: &[&str]) {
    let Value::Object(fields) = tree else { return };
    match path {
        [] => {}
        [last] => {
            fields.remove(*last);
        }
        [first, rest @ ..] => {
            if let Some(below) = fields.get_mut(*first) {
                remove(below, rest);
            }
        }
    }
}
