//! What can stand in `settings`.

use std::borrow::Cow;
use std::collections::BTreeMap;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Serialize, Serializer};

use super::super::secret::SecretReference;
use crate::architecture::Component;

/// Settings by the first name of gitlab.rb, as `gitlab_rails`.
pub type SettingTree = BTreeMap<String, SettingValue>;

/// Values for gitlab.rb. Where several blocks set the same key, a node's own wins over its component's, and a
/// component's over `all`; maps are merged, everything else is replaced.
#[derive(Clone, Debug, Default, PartialEq, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Settings {
    /// For every node. Default: none.
    #[serde(skip_serializing_if = "SettingTree::is_empty")]
    #[schemars(default)]
    pub all: SettingTree,
    /// For the node of a 1k. Default: none.
    #[serde(skip_serializing_if = "SettingTree::is_empty")]
    #[schemars(default)]
    pub all_in_one: SettingTree,
}

impl Settings {
    /// What the nodes of a component are given, unless they have settings of their own.
    #[must_use]
    pub fn of(&self, component: Component) -> SettingTree {
        match component {
            Component::AllInOne => merged(self.all.clone(), &self.all_in_one),
            _ => self.all.clone(),
        }
    }

    /// Whether nothing is set.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.all.is_empty() && self.all_in_one.is_empty()
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
