//! What can stand in `settings`.

use std::borrow::Cow;
use std::collections::BTreeMap;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Serialize, Serializer};

use super::super::nodes;
use super::super::secret::SecretReference;
use crate::architecture::Component;

/// Settings by the first name of gitlab.rb, as `gitlab_rails`.
pub type SettingTree = BTreeMap<String, SettingValue>;

/// Values for gitlab.rb. Where several blocks set the same key, a node's own wins over its component's, and a
/// component's over `all`; maps are merged, everything else is replaced.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Settings {
    /// For every node.
    pub all: SettingTree,
    /// For the nodes of single components.
    pub components: BTreeMap<Component, SettingTree>,
}

impl Settings {
    /// What the nodes of a component are given, unless they have settings of their own.
    #[must_use]
    pub fn of(&self, component: Component) -> SettingTree {
        match self.components.get(&component) {
            Some(own) => merged(self.all.clone(), own),
            None => self.all.clone(),
        }
    }

    /// Whether nothing is set.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.all.is_empty() && self.components.values().all(SettingTree::is_empty)
    }
}

/// The components whose nodes have a gitlab.rb.
pub(in super::super) fn components() -> impl Iterator<Item = Component> {
    nodes::components().filter(|component| component.has_package())
}

/// As a spec writes it: `all`, and beside it the components.
impl Serialize for Settings {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let own = self.components.iter().map(|(component, tree)| (component.name(), tree));
        let blocks = [("all", &self.all)].into_iter().chain(own).filter(|(_, tree)| !tree.is_empty());
        serializer.collect_map(blocks)
    }
}

impl JsonSchema for Settings {
    fn schema_name() -> Cow<'static, str> {
        "Settings".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let tree = generator.subschema_for::<SettingTree>();
        let of = |about: &str| {
            let mut property = tree.clone();
            property.insert("description".to_owned(), format!("For {about}. Default: none.").into());
            property.to_value()
        };
        let mut properties = serde_json::Map::new();
        properties.insert("all".to_owned(), of("every node"));
        for component in components() {
            let nodes = format!("the nodes of {}", nodes::about(component));
            properties.insert(component.name().to_owned(), of(&nodes));
        }
        json_schema!({
            "description": "Values for gitlab.rb. Where several blocks set the same key, a node's own wins over its component's, and a component's over `all`; maps are merged, everything else is replaced.",
            "type": "object",
            "properties": properties,
            "additionalProperties": false,
        })
    }
}

/// A value for gitlab.rb.
#[derive(Clone, Debug, PartialEq)]
pub enum SettingValue {
    /// Ruby's `nil`, by which many keys are switched off.
    Null,
    /// True or false.
    Bool(bool),
    /// A whole number.
    Integer(i64),
    /// A number with a fraction, as it is written in Ruby.
    Decimal(String),
    /// Text, taken literally.
    Text(String),
    /// A list.
    List(Vec<Self>),
    /// Keys with values.
    Map(BTreeMap<String, Self>),
    /// A secret by reference.
    Secret(SecretReference),
}

/// Puts `over` on top of `base`: maps are merged, everything else is replaced.
#[must_use]
pub fn merged(mut base: SettingTree, over: &SettingTree) -> SettingTree {
    for (key, value) in over {
        let merged_value = match (base.remove(key), value) {
            (Some(SettingValue::Map(below)), SettingValue::Map(above)) => {
                SettingValue::Map(merged(below, above))
            }
            _ => value.clone(),
        };
        base.insert(key.clone(), merged_value);
    }
    base
}

impl SettingValue {
    /// Calls `visit` for each reference to a secret.
    pub fn references<'v>(&'v self, visit: &mut impl FnMut(&'v SecretReference)) {
        match self {
            Self::Secret(reference) => visit(reference),
            Self::List(items) => items.iter().for_each(|item| item.references(visit)),
            Self::Map(entries) => entries.values().for_each(|value| value.references(visit)),
            Self::Null | Self::Bool(_) | Self::Integer(_) | Self::Decimal(_) | Self::Text(_) => {}
        }
    }
}

impl Serialize for SettingValue {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => serializer.serialize_unit(),
            Self::Bool(value) => serializer.serialize_bool(*value),
            Self::Integer(value) => serializer.serialize_i64(*value),
            Self::Decimal(value) | Self::Text(value) => serializer.serialize_str(value),
            Self::List(items) => items.serialize(serializer),
            Self::Map(entries) => entries.serialize(serializer),
            Self::Secret(reference) => reference.serialize(serializer),
        }
    }
}

impl JsonSchema for SettingValue {
    fn schema_name() -> Cow<'static, str> {
        "SettingValue".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        // Which keys there are depends on the version, and a list of two thousand would help no editor.
        json_schema!({
            "description": "Text, a number, true, false, null, a list, a block of keys, or a secret by reference: `{secret: {env: NAME}}`, `{secret: {file: PATH}}`.",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{SettingTree, SettingValue, merged};

    fn tree(json: &serde_json::Value) -> SettingTree {
        let serde_json::Value::Object(entries) = json else { panic!("a block") };
        entries.iter().map(|(key, value)| (key.clone(), of(value))).collect()
    }

    fn of(value: &serde_json::Value) -> SettingValue {
        match value {
            serde_json::Value::Object(_) => SettingValue::Map(tree(value)),
            serde_json::Value::Array(items) => SettingValue::List(items.iter().map(of).collect()),
            serde_json::Value::Null => SettingValue::Null,
            serde_json::Value::Bool(value) => SettingValue::Bool(*value),
            other => SettingValue::Text(other.to_string()),
        }
    }

    #[test]
    fn maps_merge_and_everything_else_is_replaced() {
        let base = tree(&serde_json::json!({"a": {"x": 1, "y": [1, 2], "z": {"p": 1}}, "b": 1}));
        let over = tree(&serde_json::json!({"a": {"y": [3], "z": {"q": 2}, "w": null}, "c": {}}));
        let wanted = tree(
            &serde_json::json!({"a": {"x": 1, "y": [3], "z": {"p": 1, "q": 2}, "w": null}, "b": 1, "c": {}}),
        );
        assert_eq!(merged(base, &over), wanted);
    }

    #[test]
    fn a_map_replaces_what_is_none_and_the_other_way_round() {
        let map = tree(&serde_json::json!({"a": {"x": 1}}));
        let scalar = tree(&serde_json::json!({"a": true}));
        assert_eq!(merged(map.clone(), &scalar), scalar);
        assert_eq!(merged(scalar, &map), map);
    }
}
