//! The status of a deployment as a document, and the schema of it.

use schemars::{JsonSchema, schema_for};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The version of the document; it grows when a reader of the old one would misunderstand.
pub const STATUS_VERSION: u32 = 1;

/// What `refarch status --json` prints.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Status {
    /// The version of this format.
    pub version: u32,
    /// The version of refarch that asked.
    pub refarch: String,
    /// When it was asked, as RFC 3339.
    pub asked: String,
    /// How long asking took, in milliseconds.
    pub duration_ms: u64,
    /// What the spec says.
    pub deployment: SpecStatus,
    /// Where state, secrets and logs are kept.
    pub work_directory: WorkDirectory,
    /// The run that is at work right now; absent where none is. Nodes are not asked meanwhile.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at_work: Option<AtWork>,
    /// What the provider says exists.
    pub exists: Existing,
    /// Every node of the spec, and what it says of itself.
    pub nodes: Vec<NodeStatus>,
    /// What was verified last; absent where no run came to it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_verdict: Option<LastVerdict>,
    /// What `refarch up` would do to the nodes. What Terraform would do is asked by `refarch plan`.
    pub changes: Changes,
}

/// What the spec says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct SpecStatus {
    /// The deployment's name.
    pub name: String,
    /// Where people find it.
    pub url: String,
    /// Whether its package is refarch's lab stand-in, which is not GitLab.
    pub standin: bool,
    /// The architecture's name.
    pub architecture: String,
    /// Where the nodes come from.
    pub provider: String,
    /// The package's version, as in `18.11.2-ee.0`.
    pub package: String,
}

/// Where state, secrets and logs are kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct WorkDirectory {
    /// The folder.
    pub path: String,
    /// Whether it is there. Asking for the status never makes it.
    pub exists: bool,
}

/// A run at work.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct AtWork {
    /// What was typed.
    pub command: String,
    /// Whose it is.
    pub user: String,
    /// The process id of refarch.
    pub process: u32,
    /// Since when, as RFC 3339.
    pub since: String,
    /// The program that works for it; it goes on where only refarch was killed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub program: Option<String>,
    /// Whether refarch itself was killed, and only that program is left.
    pub killed: bool,
}

/// What the provider says exists.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Existing {
    /// All in a word.
    pub state: ExistingWord,
    /// The work directory that owns the name, where that is another one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// The network; absent where there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub network: Option<NetworkStatus>,
    /// Every host that the provider knows of.
    pub hosts: Vec<HostStatus>,
    /// Every data disk that the provider knows of.
    pub disks: Vec<DiskStatus>,
}

/// What exists, in a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ExistingWord {
    /// Nothing of it.
    Nothing,
    /// Some of it: something is missing, stands still, or is too much.
    Part,
    /// Every node of the spec runs, and its disks are there.
    All,
    /// The name is owned by another work directory.
    Elsewhere,
}

/// The network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct NetworkStatus {
    /// Its addresses.
    pub cidr: String,
    /// Whether it is there, and not only recorded.
    pub present: bool,
}

/// A host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct HostStatus {
    /// Its name.
    pub name: String,
    /// Whether it runs.
    pub running: bool,
    /// Its address.
    pub address: String,
    /// Whether the spec has a node of that name.
    pub wanted: bool,
}

/// A data disk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct DiskStatus {
    /// Its name.
    pub name: String,
    /// Whether it is there, and not only recorded.
    pub present: bool,
}

/// A node of the spec, and what it says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct NodeStatus {
    /// Its name.
    pub name: String,
    /// Why nothing is known of it; absent where it answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unknown: Option<String>,
    /// Whether it should carry GitLab's package; load balancers and the lab's object storage have one of their own.
    pub gitlab: bool,
    /// The version of the installed package; absent where nothing is installed or known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub package: Option<String>,
    /// Its services.
    pub services: Vec<ServiceStatus>,
}

/// A service of a node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ServiceStatus {
    /// As `gitlab-ctl` names it.
    pub name: String,
    /// Whether it runs.
    pub running: bool,
}

/// What was verified last.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct LastVerdict {
    /// What all findings together said: `pass`, `fail` or `unproven`.
    pub outcome: String,
    /// How deep it was looked.
    pub level: String,
    /// When it began, as RFC 3339.
    pub started: String,
    /// How many checks ended how.
    pub counts: VerdictCounts,
    /// The verdict's file.
    pub report: String,
}

/// How many checks ended how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct VerdictCounts {
    /// Saw what they wanted.
    pub pass: u64,
    /// Saw something that deserves attention.
    pub warn: u64,
    /// Saw something else than they wanted.
    pub fail: u64,
    /// Could not look.
    pub skip: u64,
}

/// What `refarch up` would do to the nodes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Changes {
    /// All in a word.
    pub state: ChangesWord,
    /// Nodes that would be made, because they are not there or don't run.
    pub make: Vec<String>,
    /// Hosts that would be removed, because the spec doesn't have them.
    pub remove: Vec<String>,
    /// Nodes that would be configured, and why.
    pub configure: Vec<Configure>,
    /// Nodes that would be left alone.
    pub leave: Vec<String>,
    /// What would stop `refarch up` before it changes a node.
    pub refused: Vec<String>,
    /// Why it can't be said of some nodes, or of all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unknown: Option<String>,
}

/// What would change, in a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ChangesWord {
    /// No node would be touched.
    Nothing,
    /// Some would.
    Some,
    /// `refarch up` would stop.
    Refused,
    /// It can't be said.
    Unknown,
}

/// A node that would be configured.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Configure {
    /// Which.
    pub node: String,
    /// Why.
    pub reasons: Vec<String>,
}

/// The status as a JSON document, indented, with a line feed at its end.
#[must_use]
pub fn status_json(status: &Status) -> String {
    super::document::pretty(status)
}

/// The JSON Schema of what [`status_json`] makes.
#[must_use]
pub fn status_schema() -> Value {
    let mut schema = schema_for!(Status);
    schema.insert("title".into(), "Status of refarch status".into());
    schema.into()
}
