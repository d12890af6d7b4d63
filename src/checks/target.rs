//! What is verified, and how patiently.

use std::net::IpAddr;

use camino::Utf8PathBuf;
use url::Url;

use super::catalogue::Level;
use super::question::Patience;

/// What is verified.
#[derive(Clone, Debug)]
pub struct Target {
    /// The deployment's name.
    pub deployment: String,
    /// Where people find it.
    pub url: Url,
    /// The deployment's address, asked instead of what DNS says.
    pub address: Option<IpAddr>,
    /// The only CA to trust; without one, what this machine trusts.
    pub ca_pem: Option<String>,
    /// The nodes that can be asked.
    pub nodes: Vec<NodeTarget>,
    /// Whether the spec says that this is the lab's stand-in.
    pub standin: bool,
}

/// One node, reached over SSH.
#[derive(Clone, Debug)]
pub struct NodeTarget {
    /// The node's name, which is also its name in the SSH configuration.
    pub name: String,
    /// The rendered SSH configuration.
    pub ssh_config: Utf8PathBuf,
    /// How GitLab on this node is asked; absent where the node serves no web pages.
    pub health: Option<NodeHealth>,
    /// The size it should have.
    pub machine: Machine,
}

/// How GitLab is asked on a node itself, past DNS and load balancers.
#[derive(Clone, Debug)]
pub struct NodeHealth {
    /// A URL of GitLab; its path is replaced by that of each check.
    pub url: Url,
    /// What curl resolves instead of asking DNS: `HOST:PORT:ADDRESS`.
    pub resolve: String,
    /// The CA's certificate on the node.
    pub ca: Utf8PathBuf,
}

/// The size of a node by its architecture.
#[derive(Clone, Debug, PartialEq)]
pub struct Machine {
    /// Processors.
    pub vcpu: u32,
    /// Memory.
    pub memory_gb: f64,
    /// Why its size can't be judged, where it only pretends to have one; a whole reason, as in `size is simulated: …`.
    pub simulated: Option<String>,
}

/// How a verification is done.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// How deep it looks.
    pub level: Level,
    /// How long a check may take.
    pub patience: Patience,
}
