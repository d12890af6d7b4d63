//! `gitlab-secrets.json`, compared key by key: bytes differ between nodes for good reasons.

use serde_json::{Map, Value};

/// A key on which a node and the store disagree. Values are never told.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Difference {
    /// The section, such as `gitlab_rails`.
    pub section: String,
    /// The key in it.
    pub key: String,
}

/// Keys that belong to one node, so that a difference means nothing.
/// Source: omnibus-gitlab 19.3.0 (`letsencrypt`, and the certificate PostgreSQL makes for itself).
const NODE_LOCAL: [(&str, &str); 3] =
    [("letsencrypt", "auto_enabled"), ("postgresql", "internal_certificate"), ("postgresql", "internal_key")];

/// The keys that both have, with another value.
#[must_use]
pub fn differences(store: &Value, node: &Value) -> Vec<Difference> {
    let mut found: Vec<_> = entries(node)
        .filter(|(section, key, value)| {
            store.get(section).and_then(|keys| keys.get(key)).is_some_and(|known| known != *value)
        })
        .filter(|(section, key, _)| !NODE_LOCAL.contains(&(section, key)))
        .map(|(section, key, _)| Difference { section: section.to_owned(), key: key.to_owned() })
        .collect();
    found.sort();
    found
}

/// The store with the keys that only the node has: the package made them, so all nodes must get them.
#[must_use]
pub fn added_by_node(store: &Value, node: &Value) -> Value {
    let mut merged = store.as_object().cloned().unwrap_or_default();
    for (section, key, value) in entries(node) {
        if NODE_LOCAL.contains(&(section, key)) {
            continue;
        }
        let keys = merged.entry(section).or_insert_with(|| Value::Object(Map::new()));
        if let Value::Object(keys) = keys {
            keys.entry(key).or_insert_with(|| value.clone());
        }
    }
    Value::Object(merged)
}

fn entries(tree: &Value) -> impl Iterator<Item = (&str, &str, &Value)> {
    tree.as_object().into_iter().flatten().flat_map(|(section, keys)| {
        keys.as_object()
            .into_iter()
            .flatten()
            .map(move |(key, value)| (section.as_str(), key.as_str(), value))
    })
}
