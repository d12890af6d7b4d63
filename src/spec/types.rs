//! What a valid spec says, as plain values: nothing here knows about YAML or places in a file.
//!
//! The JSON Schema is made from these types, so their doc comments are what an editor shows.

use std::fmt;
use std::str::FromStr;

use camino::Utf8PathBuf;
use schemars::JsonSchema;
use serde::Serialize;

use super::managed::Managed;
use super::modifications::Modifications;
use super::nodes::Nodes;
use super::refusal::Refusal;
use super::rule;
use super::settings::Settings;
use super::tls::Tls;
use super::values::{Cidr, DeploymentName, ExternalUrl, GitlabVersion, PackageUrl, Sha256};
use crate::architecture::Choice;

/// The format of specs that this refarch reads: the number behind the key `refarch`.
pub const FORMAT: u32 = 1;

/// A GitLab installation, described in one file.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Spec {
    /// The deployment's name. It starts the name of every node and of everything that is made for it.
    pub name: DeploymentName,
    /// The reference architecture to build: the one that is named, or the one that was chosen. The schema gets the three keys
    /// that say it by hand, for a spec has one of them.
    #[schemars(skip)]
    pub architecture: Size,
    /// How it was chosen, where it isn't named.
    #[serde(skip)]
    pub choice: Option<Choice>,
    /// What GitLab is installed, and under which address people reach it.
    pub gitlab: Gitlab,
    /// Where the nodes are made: exactly one provider.
    pub provider: Provider,
    /// Where the certificate of GitLab's address comes from: exactly one source. Default: `private_ca`.
    #[schemars(default)]
    pub tls: Tls,
    /// Departures from the architecture that the documentation supports. Default: none.
    #[serde(skip_serializing_if = "Modifications::is_empty")]
    #[schemars(default)]
    pub modifications: Modifications,
    /// Services that are provided instead of nodes. Default: none.
    #[serde(skip_serializing_if = "Managed::is_empty")]
    #[schemars(default)]
    pub managed: Managed,
    /// Where nodes differ from the architecture, or one from another. Default: nowhere.
    #[serde(skip_serializing_if = "Nodes::is_empty")]
    #[schemars(default)]
    pub nodes: Nodes,
    /// Values for gitlab.rb, per component. Default: none.
    #[serde(skip_serializing_if = "Settings::is_empty")]
    #[schemars(default)]
    pub settings: Settings,
}

/// The size of a reference architecture.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, JsonSchema)]
pub enum Size {
    /// Up to 1,000 users or 20 requests a second: everything on one node.
    #[serde(rename = "1k")]
    OneK,
    /// Up to 2,000 users or 40 requests a second: a node or two for each kind of work, not highly available.
    #[serde(rename = "2k")]
    TwoK,
    /// Up to 3,000 users or 60 requests a second, highly available.
    #[serde(rename = "3k")]
    ThreeK,
    /// Up to 5,000 users or 100 requests a second, highly available.
    #[serde(rename = "5k")]
    FiveK,
    /// Up to 10,000 users or 200 requests a second, highly available.
    #[serde(rename = "10k")]
    TenK,
    /// Up to 25,000 users or 500 requests a second, highly available.
    #[serde(rename = "25k")]
    TwentyFiveK,
    /// Up to 50,000 users or 1,000 requests a second, highly available.
    #[serde(rename = "50k")]
    FiftyK,
}

impl Size {
    /// Every size, smallest first.
    pub const ALL: &'static [Self] =
        &[Self::OneK, Self::TwoK, Self::ThreeK, Self::FiveK, Self::TenK, Self::TwentyFiveK, Self::FiftyK];

    /// The name that a spec uses.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::OneK => "1k",
            Self::TwoK => "2k",
            Self::ThreeK => "3k",
            Self::FiveK => "5k",
            Self::TenK => "10k",
            Self::TwentyFiveK => "25k",
            Self::FiftyK => "50k",
        }
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Size {
    type Err = Refusal;

    fn from_str(text: &str) -> Result<Self, Refusal> {
        Self::ALL.iter().find(|size| size.as_str() == text).copied().ok_or_else(|| {
            let names: Vec<String> = Self::ALL.iter().map(|size| format!("`{size}`")).collect();
            Refusal::new(
                &rule::ARCHITECTURE,
                "this is not the name of a reference architecture",
                format!("set `architecture` to one of {}", names.join(", ")),
            )
        })
    }
}

/// What GitLab is installed, and under which address people reach it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Gitlab {
    /// The GitLab version, as a quoted x.y.z.
    pub version: GitlabVersion,
    /// The address under which people reach GitLab: https and a host name.
    pub url: ExternalUrl,
    /// Where the gitlab-ee package comes from: exactly one source.
    pub package: Package,
    /// Networks that may ask GitLab for its health and metrics, besides the node itself. Default: none.
    #[schemars(default)]
    pub monitoring_allowlist: Vec<Cidr>,
}

/// Where the gitlab-ee package comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(deny_unknown_fields)]
pub enum Package {
    /// The lab's stand-in package, which is not GitLab: it proves the topology and nothing else.
    /// Only with `provider: {lab: {}}`.
    Standin {},
    /// A .deb file on this machine.
    File {
        /// The file, relative to the folder that the spec lies in.
        #[schemars(with = "String")]
        path: Utf8PathBuf,
    },
    /// A .deb file that each node downloads.
    Url {
        /// Where the file is.
        url: PackageUrl,
        /// The file's SHA-256, as 64 hexadecimal digits.
        sha256: Sha256,
    },
    /// An apt repository that holds gitlab-ee.
    Repository {
        /// The repository's address, as in an apt source.
        url: PackageUrl,
        /// The distribution, as in an apt source: `trixie`.
        distribution: String,
        /// The repository's components, as in an apt source.
        #[schemars(length(min = 1))]
        components: Vec<String>,
        /// The public key that signs the repository: a file on this machine, relative to the folder that the
        /// spec lies in.
        #[schemars(with = "String")]
        key_file: Utf8PathBuf,
    },
}

impl Package {
    /// The names of the sources, as a spec writes them.
    pub const SOURCES: &'static [&'static str] = &["standin", "file", "url", "repository"];

    /// The name of this source, as a spec writes it.
    #[must_use]
    pub const fn source(&self) -> &'static str {
        match self {
            Self::Standin {} => "standin",
            Self::File { .. } => "file",
            Self::Url { .. } => "url",
            Self::Repository { .. } => "repository",
        }
    }

    /// Whether what gets installed is the lab's stand-in and not GitLab.
    #[must_use]
    pub const fn is_standin(&self) -> bool {
        matches!(self, Self::Standin {})
    }
}

/// Where the nodes are made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(deny_unknown_fields)]
pub enum Provider {
    /// On this machine, as lightweight hosts. Needs Linux and root.
    Lab(Lab),
}

impl Provider {
    /// The names of the providers, as a spec writes them.
    pub const NAMES: &'static [&'static str] = &["lab"];

    /// The name of this provider, as a spec writes it.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Lab(_) => "lab",
        }
    }
}

/// The lab has no settings.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Lab {}
