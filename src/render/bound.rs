//! What Terraform made: the outputs that every module gives, as values.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::deployment::NodeName;

/// The outputs of a module (`modules/contract.schema.json`), as far as rendering needs them.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Bound {
    /// The nodes by name.
    pub nodes: BTreeMap<NodeName, BoundNode>,
    /// How each node is reached.
    pub access: BTreeMap<NodeName, Access>,
    /// Where the instance is reached.
    pub endpoints: Endpoints,
}

/// One node as it was made.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct BoundNode {
    /// The provider's own id.
    pub provider_id: String,
    /// The address that other nodes use.
    pub private_address: String,
    /// Data disks by name.
    pub data_disks: BTreeMap<String, BoundDisk>,
}

/// One data disk as it was made.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct BoundDisk {
    /// The provider's own id.
    pub provider_id: String,
    /// The stable path of the device on its node.
    pub path: String,
}

/// How SSH gets to a node.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Access {
    /// Address or name.
    pub host: String,
    /// Port of the admin SSH.
    pub port: u16,
    /// User to log in as.
    pub user: String,
    /// What to go through, if anything.
    pub proxy_command: Option<String>,
}

/// Where the instance is reached.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Endpoints {
    /// The address that the URL's name must lead to.
    pub external: External,
}

/// The way in for users.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct External {
    /// IP address or name.
    pub address: String,
}
