//! What the `node_state` module tells of a node.

use serde::{Deserialize, Serialize};

/// One node as it was found. Hashes are SHA-256 in hex.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub struct NodeState {
    /// The format; 2.
    pub version: u32,
    /// The GitLab package.
    pub package: Package,
    /// Hashes of the files that refarch delivers.
    pub files: Files,
    /// What `gitlab-ctl status` says; empty where it is not installed.
    pub services: Vec<Service>,
    /// What refarch wrote last, after the node's health check.
    pub stamp: Option<Stamp>,
    /// The data disks that were asked about.
    pub data_disks: Vec<DataDiskState>,
    /// The operating system.
    pub os: Os,
    /// Memory as the kernel reports it, in GB.
    pub memory_gb: f64,
    /// Processors as the kernel reports them.
    pub vcpu: u32,
    /// The file systems that GitLab writes to, each once.
    pub space: Vec<Space>,
    /// The certificate that the node serves; `None` where there is none.
    pub certificate: Option<CertificateState>,
    /// The node's clock at the moment of reading.
    pub clock: Clock,
}

/// The installed package.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Package {
    /// Its version, such as `18.11.2-ee.0`.
    pub installed: Option<String>,
    /// Whether it is held against upgrades.
    pub held: bool,
}

/// Hashes of the delivered files; `None` where there is none.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default)]
pub struct Files {
    /// `/etc/gitlab/gitlab.rb`.
    pub gitlab_rb: Option<String>,
    /// `/etc/gitlab/refarch-secrets.json`.
    pub refarch_secrets: Option<String>,
    /// `/etc/gitlab/gitlab-secrets.json`.
    pub gitlab_secrets: Option<String>,
    /// `/etc/gitlab/ssl/FQDN.crt`.
    pub certificate: Option<String>,
    /// `/etc/refarch/node.json`, from which a node without the GitLab package is configured.
    pub data: Option<String>,
    /// What was made of it, such as `/etc/haproxy/haproxy.cfg`.
    pub rendered: Option<String>,
}

/// One service under runit.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Service {
    /// As `gitlab-ctl` names it.
    pub name: String,
    /// Whether it runs.
    pub state: ServiceState,
    /// For how many seconds it has been so; `None` where runit keeps no record.
    pub since_s: Option<u64>,
}

/// Whether a service runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ServiceState {
    /// It runs.
    Run,
    /// It does not.
    Down,
}

/// What refarch writes on a node last, once it is healthy.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Stamp {
    /// The deployment's name.
    pub deployment: String,
    /// The deployment's suffix.
    pub suffix: String,
    /// The package's version.
    pub package: String,
    /// Hashes of the files that the node was configured with, as they were once it was healthy.
    #[serde(flatten)]
    pub files: Files,
}

/// One data disk.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct DataDiskState {
    /// Its name in the deployment.
    pub name: String,
    /// Whether the device is there.
    pub present: bool,
    /// The file system's type, if there is one.
    pub signature: Option<String>,
    /// The file system's UUID.
    pub uuid: Option<String>,
    /// Whether it is mounted.
    pub mounted: bool,
    /// What refarch wrote on it.
    pub marker: Option<Marker>,
}

/// Whose data a disk holds.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Marker {
    /// The deployment's name.
    pub deployment: String,
    /// The deployment's suffix.
    pub suffix: String,
    /// UUID of the file system it was written on.
    pub uuid: String,
    /// Whether the deployment was built when it was written.
    #[serde(default)]
    pub built: bool,
}

/// What a file system holds and has left.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Space {
    /// The first folder of GitLab's that leads to it.
    pub place: String,
    /// Its size in bytes.
    pub size_bytes: u64,
    /// Bytes that anyone may still write.
    pub free_bytes: u64,
    /// How many files it can hold; 0 where it sets no such limit.
    pub inodes: u64,
    /// How many more files it can hold.
    pub free_inodes: u64,
}

/// A certificate on a node.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct CertificateState {
    /// When it ends, in seconds since 1970; `None` where the file is no certificate.
    pub not_after_s: Option<i64>,
}

/// A node's clock.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub struct Clock {
    /// Seconds since 1970 as the node counts them.
    pub epoch_s: f64,
    /// Whether the kernel says that somebody keeps it right; `None` where it doesn't tell.
    pub synchronized: Option<bool>,
}

/// The operating system.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Os {
    /// `debian` or `ubuntu`, as in os-release.
    pub id: String,
    /// `13` or `24.04`.
    pub version: String,
    /// Debian's name of the processor architecture.
    pub architecture: String,
}
