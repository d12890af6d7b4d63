//! Pools: further nodes of a component, which do other work than the rest.

use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::Serialize;

use super::super::refusal::Refusal;
use super::super::rule;
use super::super::values::written_as_string;
use super::MachineSize;
use crate::spec::SettingTree;

/// Further nodes that are alike, beside the component's other ones.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Pool {
    /// Its name, which its nodes bear: `acme-sidekiq-urgent-1`.
    pub name: PoolName,
    /// How many nodes it has. Default: 1.
    #[schemars(range(min = 1), default = "one")]
    pub count: u32,
    /// How large each machine is. Default: as the component's.
    #[schemars(default)]
    pub machine: MachineSize,
    /// Values for the gitlab.rb of its nodes, over those of `settings`. Default: none.
    #[serde(skip_serializing_if = "SettingTree::is_empty")]
    #[schemars(default)]
    pub settings: SettingTree,
}

/// How many nodes a pool has that doesn't say.
pub(super) const fn one() -> u32 {
    1
}

/// The name of a pool: fit for host names, and never taken for a number.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PoolName(String);

written_as_string!(PoolName, {
    "type": "string",
    "description": "1 to 16 lower-case letters and digits, beginning with a letter.",
    "pattern": "^[a-z][a-z0-9]*$",
    "maxLength": 16,
});

impl fmt::Display for PoolName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for PoolName {
    type Err = Refusal;

    fn from_str(text: &str) -> Result<Self, Refusal> {
        let begins = text.starts_with(|c: char| c.is_ascii_lowercase());
        if begins && text.len() <= 16 && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit()) {
            return Ok(Self(text.to_owned()));
        }
        let help = "use 1 to 16 lower-case letters and digits; begin with a letter, as in `name: urgent`";
        Err(Refusal::new(&rule::POOL_NAME, "this is not a name for a pool", help))
    }
}

/// The schema of a component's nodes, with pools.
pub(super) fn with_pools(mut nodes: Schema, generator: &mut SchemaGenerator) -> Schema {
    let mut pools = generator.subschema_for::<Vec<Pool>>();
    let about = "Further nodes that do other work, in groups of their own. Default: none.";
    pools.insert("description".to_owned(), about.into());
    if let Some(serde_json::Value::Object(properties)) = nodes.get_mut("properties") {
        properties.insert("pools".to_owned(), pools.to_value());
    }
    nodes
}
