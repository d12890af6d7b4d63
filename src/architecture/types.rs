//! The shape of a file in `reference-architectures/`.

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

use super::{Component, Ports};

/// One reference architecture.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Architecture {
    /// The name in the spec, such as `1k`.
    pub name: String,
    /// The documentation's own title.
    pub title: String,
    /// Users it is documented for.
    pub users: u32,
    /// Requests a second it is documented for.
    pub rps: RequestRate,
    /// Whether every component survives the loss of a node.
    pub highly_available: bool,
    /// GitLab tiers in which it is available.
    pub tiers: Vec<String>,
    /// Where the figures were read.
    pub source: Source,
    /// Its components in the documentation's order.
    pub components: IndexMap<Component, ComponentSize>,
    /// Who connects to whom, which is one table for all sizes and not part of their files.
    #[serde(skip)]
    pub ports: Ports,
}

/// Requests a second, by kind.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct RequestRate {
    /// Requests to the API.
    pub api: u32,
    /// Page views.
    pub web: u32,
    /// Git pulls.
    pub pull: u32,
    /// Git pushes.
    pub push: u32,
}

/// Where figures were read, and when.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Source {
    /// The page's address.
    pub page: String,
    /// Year and month of the reading.
    pub read: String,
}

/// How many nodes a component has, and how large each is.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct ComponentSize {
    /// Number of nodes.
    pub nodes: u32,
    /// Virtual CPUs of each node.
    pub vcpu: u32,
    /// Memory of each node in GB, as the documentation prints it.
    pub memory_gb: f64,
    /// The documentation's example machine types.
    pub machine_types: MachineTypes,
    /// Disk sizes of each node.
    pub disks: Disks,
}

/// Example machine types by cloud.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct MachineTypes {
    /// Amazon EC2 instance type.
    pub aws: String,
    /// Google Compute Engine machine type.
    pub gcp: String,
    /// Azure virtual machine size, without its `Standard_` prefix.
    pub azure: String,
}

/// Disk sizes in GB (10⁹ bytes are not meant: clouds sell GiB under this name).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Disks {
    /// The disk that holds the system.
    pub root_gb: u32,
    /// The disk that holds the component's data, for those that keep some.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data_gb: Option<u32>,
    /// What the disk of data should be able to do, where the documentation says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub iops: Option<Iops>,
}

/// Operations a second that a disk should be able to do at first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Iops {
    /// Reads.
    pub read: u32,
    /// Writes.
    pub write: u32,
}

/// A data file that can't be read, which is a bug of refarch.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
#[error("failed to read the reference architecture: {0}")]
#[diagnostic(
    code(refarch::architecture::data),
    help("this is a bug in refarch: report it with this message")
)]
pub struct Error(pub String);

impl Architecture {
    /// Reads one architecture from the text of its file.
    ///
    /// # Errors
    /// When the text is not of this shape.
    pub fn from_yaml(text: &str) -> Result<Self, Error> {
        crate::spec::read_yaml(text).map_err(Error)
    }

    /// The sums over all nodes, which are ours: the documentation prints none.
    #[must_use]
    pub fn totals(&self) -> (u32, u32, f64) {
        self.components.values().fold((0, 0, 0.0), |(nodes, vcpu, memory), size| {
            (
                nodes + size.nodes,
                vcpu + size.nodes * size.vcpu,
                memory + f64::from(size.nodes) * size.memory_gb,
            )
        })
    }
}
