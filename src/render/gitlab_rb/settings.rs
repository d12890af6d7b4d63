//! A set of assignments, each key once.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::ops::Bound;

use super::Value;
use crate::deployment::{Node, SecretName};
use crate::spec::{SecretSource, SettingTree, SettingValue};

/// The assignments of one gitlab.rb, by path: `["nginx", "listen_port"]` is `nginx['listen_port']`.
/// A path of one part is a call, as in `external_url 'https://…'`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Settings {
    assignments: BTreeMap<Vec<String>, Value>,
    carried: Vec<SecretName>,
    read_last: Option<&'static str>,
}

/// Two contributions that set the same key, or one inside the other. In Ruby the later assignment
/// would silently replace the earlier.
#[derive(Debug, thiserror::Error, miette::Diagnostic, PartialEq, Eq)]
#[error("failed to put gitlab.rb together: `{first}` and `{second}` set the same key")]
#[diagnostic(code(refarch::render::conflict), help("this is a bug in refarch: report it with this message"))]
pub struct Conflict {
    /// The key that stood there.
    pub first: String,
    /// The key that came.
    pub second: String,
}

impl Settings {
    /// Adds one assignment.
    ///
    /// # Errors
    /// When the key, or one above or below it, is set already.
    pub fn with(mut self, path: &[&str], value: impl Into<Value>) -> Result<Self, Conflict> {
        self.insert(path.iter().map(|part| (*part).to_owned()).collect(), value.into())?;
        Ok(self)
    }

    /// Adds an assignment that the user's settings of `node` may replace: whatever they say at this path, or below or
    /// above it, stands instead.
    ///
    /// # Errors
    /// As [`Settings::with`].
    pub fn suggest(self, node: &Node, path: &[&str], value: impl Into<Value>) -> Result<Self, Conflict> {
        if says(&node.settings, path) { Ok(self) } else { self.with(path, value) }
    }

    /// Adds a hash of which the user's settings of `node` may replace each entry. It is written once: in Ruby a second
    /// assignment would replace the first.
    ///
    /// # Errors
    /// As [`Settings::with`].
    pub fn suggest_hash<const N: usize>(
        self,
        node: &Node,
        path: &[&str],
        entries: [(&str, Value); N],
    ) -> Result<Self, Conflict> {
        let unsaid = entries.into_iter().filter(|(key, _)| !says(&node.settings, &[path, &[key]].concat()));
        let hash: BTreeMap<String, Value> = unsaid.map(|(key, value)| (key.to_owned(), value)).collect();
        if hash.is_empty() { Ok(self) } else { self.with(path, Value::Map(hash)) }
    }

    /// Has the node given a secret that its gitlab.rb doesn't name, because its role needs it.
    #[must_use]
    pub fn carrying(mut self, secret: SecretName) -> Self {
        self.carried.push(secret);
        self
    }

    /// Has gitlab.rb end by reading a file of more settings, where there is one.
    #[must_use]
    pub fn reading_last(mut self, path: &'static str) -> Self {
        self.read_last = Some(path);
        self
    }

    /// The file that gitlab.rb reads last, where there is one.
    #[must_use]
    pub const fn read_last(&self) -> Option<&'static str> {
        self.read_last
    }

    /// Adds all of `other`.
    ///
    /// # Errors
    /// As [`Settings::with`].
    pub fn merge(mut self, other: Self) -> Result<Self, Conflict> {
        for (path, value) in other.assignments {
            self.insert(path, value)?;
        }
        self.carried.extend(other.carried);
        self.read_last = self.read_last.or(other.read_last);
        Ok(self)
    }

    /// Adds what the user sets. Maps are merged with what stands there; a leaf is never replaced.
    ///
    /// # Errors
    /// When a leaf is set already, which the spec's rules refuse before.
    pub fn overlay(mut self, user: &SettingTree) -> Result<Self, Conflict> {
        for (name, value) in user {
            self.put(vec![name.clone()], value.into())?;
        }
        Ok(self)
    }

    /// The assignments, ordered by path.
    pub fn iter(&self) -> impl Iterator<Item = (&[String], &Value)> {
        self.assignments.iter().map(|(path, value)| (path.as_slice(), value))
    }

    /// The named secrets that are referred to or carried, each once.
    #[must_use]
    pub fn secrets(&self) -> Vec<SecretName> {
        let mut names = self.carried.clone();
        for value in self.assignments.values() {
            value.walk(&mut |leaf| {
                if let Value::Secret(name) = leaf {
                    names.push(*name);
                }
            });
        }
        names.sort_unstable();
        names.dedup();
        names
    }

    /// The secrets that the user gives and that are referred to, each once.
    #[must_use]
    pub fn given(&self) -> Vec<SecretSource> {
        let mut sources = Vec::new();
        for value in self.assignments.values() {
            value.walk(&mut |leaf| {
                if let Value::Given(source) = leaf {
                    sources.push(source.clone());
                }
            });
        }
        sources.sort_unstable();
        sources.dedup();
        sources
    }

    /// Sets a value, key by key where the keys below are set one by one: a first name has no value of its own, and the
    /// keys that stand there already stay.
    fn put(&mut self, path: Vec<String>, value: Value) -> Result<(), Conflict> {
        let is_below = |known: &Vec<String>| known.len() > path.len() && known.starts_with(&path);
        let one_by_one = path.len() == 1 || self.assignments.keys().any(is_below);
        match (value, self.assignments.get_mut(&path)) {
            (Value::Map(new), Some(Value::Map(old))) => fill(old, new, &path),
            (Value::Map(new), None) if one_by_one => {
                for (key, value) in new {
                    self.put([path.as_slice(), &[key]].concat(), value)?;
                }
                Ok(())
            }
            (value, _) => self.insert(path, value),
        }
    }

    fn insert(&mut self, path: Vec<String>, value: Value) -> Result<(), Conflict> {
        let above = (1..=path.len())
            .map(|length| &path[..length])
            .find(|known| self.assignments.contains_key(*known));
        // Paths are in order, so that what stands below one follows it.
        let below = || {
            let from = (Bound::Included(path.as_slice()), Bound::Unbounded);
            let next = self.assignments.range::<[String], _>(from).next();
            next.map(|(known, _)| known.as_slice()).filter(|known| known.starts_with(&path))
        };
        if let Some(first) = above.or_else(below) {
            return Err(Conflict { first: display(first), second: display(&path) });
        }
        self.assignments.insert(path, value);
        Ok(())
    }
}

/// Whether the user's settings say anything at a path, below it, or above it as a value.
pub(super) fn says(user: &SettingTree, path: &[&str]) -> bool {
    let Some((name, rest)) = path.split_first() else { return true };
    match user.get(*name) {
        None => false,
        Some(SettingValue::Map(below)) => says(below, rest),
        Some(_) => true,
    }
}

/// Adds entries to a hash, and to the hashes in it.
fn fill(
    old: &mut BTreeMap<String, Value>,
    new: BTreeMap<String, Value>,
    path: &[String],
) -> Result<(), Conflict> {
    for (key, value) in new {
        let path = [path, std::slice::from_ref(&key)].concat();
        match (old.get_mut(&key), value) {
            (None, value) => drop(old.insert(key, value)),
            (Some(Value::Map(old)), Value::Map(new)) => fill(old, new, &path)?,
            (Some(_), _) => return Err(Conflict { first: display(&path), second: display(&path) }),
        }
    }
    Ok(())
}

/// A path as it stands in gitlab.rb.
pub(super) fn display(path: &[String]) -> String {
    let mut text = String::new();
    for (depth, part) in path.iter().enumerate() {
        if depth == 0 {
            text.push_str(part);
        } else {
            let _ = write!(text, "[{}]", super::ruby::quote(part));
        }
    }
    text
}
