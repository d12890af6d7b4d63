//! What the module `host_state` tells of one host. Its documentation says where each answer comes from.

use serde::Deserialize;

use crate::checks::cluster::Asked as Told;
use crate::rollout::{Clock, DataDiskState};

/// The version of the module's format that is understood here.
pub const VERSION: u32 = 1;

/// What one host is, before anything is made on it.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct HostState {
    /// Of the format.
    pub version: u32,
    /// What it runs, and as whom it was asked.
    pub system: Told<System>,
    /// How large it is.
    pub size: Told<Size>,
    /// The file systems that GitLab needs.
    pub places: Told<Places>,
    /// The data disks that were asked about.
    pub data_disks: Told<Disks>,
    /// How fast a disk writes; absent where that was not to be measured.
    pub speed: Option<Told<Speed>>,
    /// Its clock.
    pub clock: Told<Clock>,
    /// Its locales.
    pub locale: Told<Locale>,
    /// Its time zone.
    pub time_zone: Told<TimeZone>,
    /// Its swap.
    pub swap: Told<Swap>,
    /// Mandatory access control.
    pub access_control: Told<AccessControl>,
    /// Firewalls of its own.
    pub firewall: Told<Firewall>,
    /// The mask of new files.
    pub umask: Told<Umask>,
    /// What listens on the node's ports.
    pub ports: Told<Ports>,
    /// What another GitLab left.
    pub leftovers: Told<Leftovers>,
    /// What the servers of packages answer; absent where there are none.
    pub sources: Option<Told<Sources>>,
    /// Which connections it could open; absent where that was not to be tried.
    pub flows: Option<Told<Flows>>,
}

/// What a host runs.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct System {
    /// As in os-release.
    pub id: Option<String>,
    /// As in os-release.
    pub version: Option<String>,
    /// Debian's name of the processor architecture.
    pub architecture: String,
    /// The version of its Python.
    pub python: String,
    /// As whom it was asked, after becoming root.
    pub uid: u32,
}

/// How large a host is.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Size {
    /// Processors.
    pub vcpu: u32,
    /// Memory in GiB.
    pub memory_gb: f64,
}

/// Folders and the file systems behind them.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Places {
    /// Each folder that is there.
    pub places: Vec<Place>,
}

/// A folder and the file system behind it.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Place {
    /// The folder.
    #[serde(rename = "place")]
    pub folder: String,
    /// Where its file system is mounted.
    pub mount: String,
    /// What that holds, in GiB.
    pub size_gb: f64,
    /// What is left, in GiB.
    pub free_gb: f64,
    /// Whether programs can't be run from there.
    pub noexec: bool,
    /// Whether nothing can be written there.
    pub read_only: bool,
}

/// The data disks of a host.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Disks {
    /// Each that was asked about.
    pub disks: Vec<Disk>,
}

/// One data disk.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Disk {
    /// Where it is.
    pub path: String,
    /// What files lie where it will be mounted.
    #[serde(default)]
    pub covers: Vec<String>,
    /// The same as any run reads of it.
    #[serde(flatten)]
    pub state: DataDiskState,
}

/// How fast a disk writes.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Speed {
    /// Where that was measured.
    pub folder: String,
    /// Small writes a second, each waited for.
    pub writes_per_s: f64,
}

/// The locales of a host.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Locale {
    /// Those of UTF-8, a few.
    pub utf8: Vec<String>,
}

/// The time zone of a host.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct TimeZone {
    /// Its name.
    pub name: String,
}

/// The swap of a host.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Swap {
    /// In KiB.
    pub kib: u64,
}

/// Mandatory access control of a host.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct AccessControl {
    /// `enforcing`, `permissive` or `disabled`.
    pub selinux: String,
    /// Whether `AppArmor` is on.
    pub apparmor: bool,
    /// Programs that `SELinux` needs and that are not there.
    pub missing_tools: Vec<String>,
}

/// Firewalls of a host's own.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Firewall {
    /// Those that run.
    pub active: Vec<String>,
}

/// The mask of new files.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Umask {
    /// Its bits.
    pub mask: u32,
}

/// What listens on the node's ports.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Ports {
    /// Each port that is in use.
    pub used: Vec<UsedPort>,
}

/// A port that is in use.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct UsedPort {
    /// Which.
    pub port: u16,
    /// By which program.
    pub program: String,
}

/// What another GitLab left.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Leftovers {
    /// GitLab packages that are installed.
    pub packages: Vec<String>,
    /// Folders of GitLab's that hold anything.
    pub folders: Vec<String>,
    /// Whether refarch began to configure it.
    pub begun: bool,
    /// What refarch wrote last.
    pub stamp: Option<HostStamp>,
}

/// Whose node a host is.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct HostStamp {
    /// The deployment's name.
    pub deployment: Option<String>,
    /// The deployment's suffix.
    pub suffix: Option<String>,
}

/// What the servers of packages answer.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Sources {
    /// Each that was asked.
    pub sources: Vec<Source>,
}

/// What a server of packages answers.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Source {
    /// What was asked for.
    pub url: String,
    /// The status; absent where no answer came.
    pub status: Option<u16>,
    /// Why no answer came.
    pub error: Option<String>,
}

/// Which connections a host could open.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Flows {
    /// How many were tried.
    pub count: usize,
    /// Those that could not be opened.
    pub closed: Vec<ClosedFlow>,
    /// The ports on which something listened already.
    pub taken: Vec<TakenPort>,
}

/// A connection that could not be opened.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct ClosedFlow {
    /// The node that it leads to.
    pub to: String,
    /// Where.
    pub port: u16,
    /// By which transport.
    pub protocol: String,
    /// `refused`, `dropped`, or the system's name of an error.
    pub why: String,
}

/// A port on which something listened already.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct TakenPort {
    /// Which.
    pub port: u16,
    /// By which transport.
    pub protocol: String,
}
