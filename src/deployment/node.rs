//! One machine of a deployment, and its name.

use std::fmt;

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

use crate::architecture::Component;
use crate::spec::{DeploymentName, PoolName, SettingTree};

/// The name of a node: deployment, component, perhaps a pool, and index, as in `acme-rails-1`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct NodeName(String);

impl NodeName {
    /// The name of the `index`-th node (counted from 1) of a component.
    #[must_use]
    pub fn new(deployment: &DeploymentName, component: Component, index: u32) -> Self {
        Self(format!("{deployment}-{}-{index}", component.name().replace('_', "-")))
    }

    /// The name of the `index`-th node (counted from 1) of a component's pool.
    #[must_use]
    pub fn of_pool(deployment: &DeploymentName, component: Component, pool: &PoolName, index: u32) -> Self {
        Self(format!("{deployment}-{}-{pool}-{index}", component.name().replace('_', "-")))
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for NodeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One machine.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// Its name, unique in the deployment.
    pub name: NodeName,
    /// What it is for.
    pub component: Component,
    /// Index of the zone it stands in, counted from 0.
    pub zone: u32,
    /// Debian's name of the processor architecture.
    pub architecture: &'static str,
    /// How large it is.
    pub machine: Machine,
    /// Size of the disk that holds the system, in GB.
    pub root_disk_gb: u32,
    /// Disks that outlive the node, by name.
    pub data_disks: IndexMap<String, DataDisk>,
    /// What the user sets in its gitlab.rb, after all blocks that say so were merged.
    pub settings: SettingTree,
}

/// How large a machine is.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Machine {
    /// Virtual CPUs.
    pub vcpu: u32,
    /// Memory in GB.
    pub memory_gb: f64,
}

/// A disk that holds data and outlives its node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DataDisk {
    /// Size in GB.
    pub size_gb: u32,
    /// Where it is mounted.
    pub mount: &'static str,
}
