//! The evaluated settings as a tree, with the few ways of reading it that reconfigure needs.

use serde_json::{Map, Value};

use crate::manifest::Version;

/// Everything that gitlab.rb set.
#[derive(Debug, Clone)]
pub struct Settings {
    values: Map<String, Value>,
    version: Version,
}

impl Settings {
    /// Settings for a version of the package.
    #[must_use]
    pub fn new(values: Map<String, Value>, version: Version) -> Self {
        Self { values, version }
    }

    /// The version that reads them.
    #[must_use]
    pub fn version(&self) -> Version {
        self.version
    }

    /// Top-level names and their values.
    pub fn sections(&self) -> impl Iterator<Item = (&String, &Value)> {
        self.values.iter()
    }

    /// The value at a path; an empty hash, which reading a key leaves behind, is no value.
    #[must_use]
    pub fn at(&self, path: &[&str]) -> Option<&Value> {
        let (first, rest) = path.split_first()?;
        let found = rest.iter().try_fold(self.values.get(*first)?, |value, key| value.get(key))?;
        match found {
            Value::Null => None,
            Value::Object(map) if map.is_empty() => None,
            other => Some(other),
        }
    }

    /// A string, or a number as one.
    #[must_use]
    pub fn text(&self, path: &[&str]) -> Option<String> {
        match self.at(path)? {
            Value::String(text) => Some(text.clone()),
            Value::Number(number) => Some(number.to_string()),
            _ => None,
        }
    }

    /// A string, or the default.
    #[must_use]
    pub fn text_or(&self, path: &[&str], default: &str) -> String {
        self.text(path).unwrap_or_else(|| default.to_owned())
    }

    /// True or false, if set.
    #[must_use]
    pub fn flag(&self, path: &[&str]) -> Option<bool> {
        match self.at(path)? {
            Value::Bool(flag) => Some(*flag),
            Value::String(text) => Some(text == "true" || text == "on"),
            _ => None,
        }
    }

    /// A number, or one written as a string.
    #[must_use]
    pub fn number(&self, path: &[&str]) -> Option<u64> {
        match self.at(path)? {
            Value::Number(number) => number.as_u64(),
            Value::String(text) => text.parse().ok(),
            _ => None,
        }
    }

    /// A list of strings; a single string is a list of one.
    #[must_use]
    pub fn list(&self, path: &[&str]) -> Option<Vec<String>> {
        match self.at(path)? {
            Value::Array(items) => Some(
                items
                    .iter()
                    .map(|item| item.as_str().map_or_else(|| item.to_string(), str::to_owned))
                    .collect(),
            ),
            Value::String(text) => Some(vec![text.clone()]),
            _ => None,
        }
    }

    /// Sets a value, making the hashes on the way.
    pub fn set(&mut self, path: &[&str], value: Value) {
        let Some((last, before)) = path.split_last() else { return };
        let mut map = &mut self.values;
        for key in before {
            let slot = map.entry(*key).or_insert_with(|| Value::Object(Map::new()));
            if !slot.is_object() {
                *slot = Value::Object(Map::new());
            }
            let Value::Object(inner) = slot else { return };
            map = inner;
        }
        map.insert((*last).to_owned(), value);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn settings(value: Value) -> Settings {
        let Value::Object(map) = value else { panic!("not a hash") };
        Settings::new(map, Version::new(18, 11, 2))
    }

    #[test]
    fn a_hash_that_only_reading_made_is_no_value() {
        let tree = settings(json!({"gitlab_rails": {"object_store": {}, "db_port": "6432"}}));
        assert_eq!(tree.at(&["gitlab_rails", "object_store"]), None);
        assert_eq!(tree.number(&["gitlab_rails", "db_port"]), Some(6432));
    }

    #[test]
    fn set_makes_the_way() {
        let mut tree = settings(json!({}));
        tree.set(&["gitaly", "configuration", "auth", "token"], json!("x"));
        assert_eq!(tree.text(&["gitaly", "configuration", "auth", "token"]).as_deref(), Some("x"));
    }
}
