//! What can stand on the right side of an assignment in gitlab.rb.

use std::collections::BTreeMap;

use crate::deployment::{NodeName, SecretName};
use crate::spec::{SecretSource, SettingValue};

/// A leaf or a collection of leaves.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// `nil`.
    Nil,
    /// `true` or `false`.
    Bool(bool),
    /// A whole number.
    Integer(i64),
    /// A number with a fraction, as Ruby writes it.
    Decimal(String),
    /// A string, taken literally.
    Text(String),
    /// A list.
    List(Vec<Self>),
    /// A hash with string keys.
    Map(BTreeMap<String, Self>),
    /// A secret by name; its value stands in another file.
    Secret(SecretName),
    /// A secret that the user gives, by where it comes from; its value stands in the same file.
    Given(SecretSource),
    /// An address by name; its value is known once the nodes are made.
    Address(Address),
    /// Texts and addresses as one text; nothing else stands in it.
    Joined(Vec<Piece>),
}

/// A part of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// Text, taken literally.
    Text(String),
    /// An address by name.
    Address(Address),
}

/// Whose address is meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// The private address of a node.
    Node(NodeName),
    /// The same as a network of one address, `198.18.0.11/32`.
    Cidr(NodeName),
}

impl Address {
    /// The node whose address it is.
    #[must_use]
    pub const fn node(&self) -> &NodeName {
        match self {
            Self::Node(name) | Self::Cidr(name) => name,
        }
    }
}

impl Value {
    /// A hash with these entries.
    pub(super) fn map<const N: usize>(entries: [(&str, Self); N]) -> Self {
        Self::Map(entries.into_iter().map(|(key, value)| (key.to_owned(), value)).collect())
    }

    /// A node's address.
    pub(super) fn node(name: &NodeName) -> Self {
        Self::Address(Address::Node(name.clone()))
    }

    /// A node's address as a network of one.
    pub(super) fn cidr(name: &NodeName) -> Self {
        Self::Address(Address::Cidr(name.clone()))
    }

    /// A node's address with a port, after `scheme`: `tcp://198.18.0.11:8075`.
    pub(super) fn at(scheme: &str, name: &NodeName, port: u16) -> Self {
        Self::Joined(vec![
            Piece::Text(scheme.to_owned()),
            Piece::Address(Address::Node(name.clone())),
            Piece::Text(format!(":{port}")),
        ])
    }

    /// A port.
    pub(super) fn port(port: u16) -> Self {
        Self::Integer(port.into())
    }

    /// Calls `visit` for this value and all below it.
    pub fn walk<'a>(&'a self, visit: &mut impl FnMut(&'a Self)) {
        visit(self);
        match self {
            Self::List(items) => items.iter().for_each(|item| item.walk(visit)),
            Self::Map(entries) => entries.values().for_each(|value| value.walk(visit)),
            Self::Nil
            | Self::Bool(_)
            | Self::Integer(_)
            | Self::Decimal(_)
            | Self::Text(_)
            | Self::Secret(_)
            | Self::Given(_)
            | Self::Address(_)
            | Self::Joined(_) => {}
        }
    }
}

impl From<&SettingValue> for Value {
    fn from(value: &SettingValue) -> Self {
        match value {
            SettingValue::Null => Self::Nil,
            SettingValue::Bool(value) => Self::Bool(*value),
            SettingValue::Integer(value) => Self::Integer(*value),
            SettingValue::Decimal(text) => Self::Decimal(text.clone()),
            SettingValue::Text(text) => Self::Text(text.clone()),
            SettingValue::List(items) => Self::List(items.iter().map(Self::from).collect()),
            SettingValue::Map(entries) => {
                Self::Map(entries.iter().map(|(key, value)| (key.clone(), Self::from(value))).collect())
            }
            SettingValue::Secret(reference) => Self::Given(reference.source.clone()),
        }
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Self::Integer(value)
    }
}

impl From<&str> for Value {
    fn from(value: &str) -> Self {
        Self::Text(value.to_owned())
    }
}

impl From<String> for Value {
    fn from(value: String) -> Self {
        Self::Text(value)
    }
}

impl From<Address> for Value {
    fn from(value: Address) -> Self {
        Self::Address(value)
    }
}

impl From<SecretName> for Value {
    fn from(value: SecretName) -> Self {
        Self::Secret(value)
    }
}

impl<T: Into<Self>> From<Vec<T>> for Value {
    fn from(values: Vec<T>) -> Self {
        Self::List(values.into_iter().map(Into::into).collect())
    }
}
