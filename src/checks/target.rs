//! What is verified, and how patiently.

use std::collections::BTreeSet;
use std::net::IpAddr;

use camino::Utf8PathBuf;
use secrecy::SecretString;
use url::Url;

use super::catalogue::Check;
use super::group::GroupName;
use super::level::Level;
use super::question::Patience;

/// What is verified.
#[derive(Clone, Debug)]
pub struct Target {
    /// The deployment's name; absent for a GitLab that is known by its URL alone.
    pub deployment: Option<String>,
    /// Where people find it. It may have a path: the relative URL root.
    pub url: Url,
    /// The deployment's address, asked instead of what DNS says.
    pub address: Option<IpAddr>,
    /// The only CA to trust; without one, what this machine trusts.
    pub ca_pem: Option<String>,
    /// The nodes that can be asked.
    pub nodes: Vec<NodeTarget>,
    /// Whether this is the lab's stand-in by the spec's word; absent where nobody said.
    pub standin: Option<bool>,
    /// The version that the spec wants; absent where nobody said.
    pub wanted: Option<WantedVersion>,
    /// The access token, or why there is none; every check that needs it then skips with that reason.
    pub token: Result<SecretString, String>,
    /// The group inside which things are made, used and removed.
    pub group: GroupName,
    /// How Git's SSH is trusted.
    pub ssh: SshAccess,
    /// The way to the instance.
    pub proxy: Proxy,
}

/// The GitLab that should run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WantedVersion {
    /// Its version without the edition, as in `18.11.2`.
    pub version: String,
    /// Whether it is the Enterprise Edition.
    pub enterprise: bool,
}

/// How the host key of Git's SSH is known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SshAccess {
    /// The file with the keys that were pinned; without one, the first key seen is kept for the run.
    pub known_hosts: Option<Utf8PathBuf>,
    /// The name under which the key stands in that file; the host's own name otherwise.
    pub alias: Option<String>,
}

/// The way to the instance.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Proxy {
    /// Straight, whatever the environment says.
    #[default]
    None,
    /// As `HTTPS_PROXY`, `HTTP_PROXY` and `NO_PROXY` say.
    Environment,
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
    /// The CA's certificate on the node; without one, what the node trusts.
    pub ca: Option<Utf8PathBuf>,
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
#[derive(Clone, Debug)]
pub struct Options {
    /// How deep it looks.
    pub level: Level,
    /// Whether every check that writes is left out.
    pub read_only: bool,
    /// The only checks to report. Those that they depend on are asked too, and reported where they stand in the way.
    pub only: Option<BTreeSet<Check>>,
    /// How long a check may take.
    pub patience: Patience,
    /// A folder for what is made on the way, such as clones and keys. It is made for the owner alone, and removed
    /// at the end.
    pub scratch: Utf8PathBuf,
    /// The run's id, by which what is made on the instance is named.
    pub run_id: String,
}

impl Options {
    /// All checks of a level, with the usual patience.
    #[must_use]
    pub fn new(level: Level, scratch: Utf8PathBuf, run_id: String) -> Self {
        Self { level, read_only: false, only: None, patience: Patience::default(), scratch, run_id }
    }

    /// Whether a check is asked: it belongs to the level, and is named or needed by one that is.
    #[must_use]
    pub fn asks(&self, check: Check) -> bool {
        let needed = |only: &BTreeSet<Check>| only.iter().any(|named| named.needs(check));
        check.level() <= self.level && self.only.as_ref().is_none_or(needed)
    }

    /// Whether a check was asked for by name, or all were.
    #[must_use]
    pub fn names(&self, check: Check) -> bool {
        self.only.as_ref().is_none_or(|only| only.contains(&check))
    }
}
