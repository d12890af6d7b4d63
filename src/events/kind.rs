//! What can happen in a run, as data with a version.

use std::collections::BTreeMap;
use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::Finding;

/// The version of the event format; it grows when a reader of the old one would misunderstand.
pub const VERSION: u32 = 1;

/// One thing that happened in a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// The format's version.
    pub v: u32,
    /// When it happened.
    pub time: Timestamp,
    /// The run's id, the name of its directory.
    pub run: String,
    /// What happened.
    pub event: Kind,
}

/// A part of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Asks whether the run can work at all.
    Preflight,
    /// Writes the files.
    Render,
    /// Finds out what would change.
    Plan,
    /// Makes the nodes.
    Provision,
    /// Fills in what Terraform's outputs made known.
    Bind,
    /// Configures the nodes.
    Configure,
    /// Proves the result.
    Verify,
    /// Removes everything.
    Destroy,
}

impl fmt::Display for Phase {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Preflight => "preflight",
            Self::Render => "render",
            Self::Plan => "plan",
            Self::Provision => "provision",
            Self::Bind => "bind",
            Self::Configure => "configure",
            Self::Verify => "verify",
            Self::Destroy => "destroy",
        })
    }
}

/// How grave a diagnostic is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// The command failed because of it.
    Error,
    /// It deserves attention.
    Warning,
}

/// How many resources a plan or an apply touches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Changes {
    /// Made anew, replacements included.
    pub add: u64,
    /// Changed in place.
    pub change: u64,
    /// Removed, replacements included.
    pub remove: u64,
}

impl Changes {
    /// Whether nothing is touched.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.add == 0 && self.change == 0 && self.remove == 0
    }
}

/// Where the work on one Terraform resource stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ResourceStatus {
    /// Terraform has begun.
    Started,
    /// It is still at it.
    Progress,
    /// It is done.
    Done,
    /// It failed.
    Failed,
}

/// What one task did on one node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TaskStatus {
    /// It has begun.
    Started,
    /// All was as wanted already.
    Ok,
    /// It changed something.
    Changed,
    /// It did not apply.
    Skipped,
    /// It failed.
    Failed,
    /// It failed, and the playbook says that this is no harm.
    Ignored,
    /// The node could not be reached.
    Unreachable,
}

/// What a playbook counted for one node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct NodeStatus {
    /// Tasks that ended well, the changed ones included.
    pub ok: u64,
    /// Tasks that changed something.
    pub changed: u64,
    /// Tasks that failed.
    pub failures: u64,
    /// How often the node could not be reached.
    pub unreachable: u64,
    /// Tasks that did not apply.
    pub skipped: u64,
    /// Failed tasks that a rescue block made good.
    pub rescued: u64,
    /// Failed tasks that count as no harm.
    pub ignored: u64,
}

/// A program that refarch started, as the lock and the events name it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Child {
    /// Its name, such as `terraform`.
    pub tool: String,
    /// Its process id, which is its session's and its group's as well.
    pub pid: u32,
    /// When the kernel started it, in clock ticks since boot: with the pid it names one process for good.
    pub start_ticks: u64,
    /// Since when it runs.
    pub since: Timestamp,
}

/// What a run is waiting for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WaitingFor {
    /// A program that a killed run left behind.
    Leftover(Child),
    /// A program that was interrupted and is finishing what it can't leave half done.
    Interrupted {
        /// The program.
        tool: String,
        /// What it is still at, such as resource addresses.
        unfinished: Vec<String>,
        /// What a further interrupt would do.
        next: String,
    },
    /// Something in the world, said in words.
    World {
        /// What, such as `sshd on demo-all-in-one-1`.
        what: String,
    },
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Kind {
    /// A run begins.
    RunStarted {
        /// The command as the user gave it.
        command: String,
        /// The deployment's name.
        deployment: String,
        /// refarch's own version.
        refarch: String,
    },
    /// A run ended.
    RunFinished {
        /// Its exit code.
        exit: u8,
        /// How long it took.
        seconds: f64,
    },
    /// A phase begins.
    PhaseStarted {
        /// Which.
        phase: Phase,
    },
    /// A phase is done.
    PhaseFinished {
        /// Which.
        phase: Phase,
        /// How long it took.
        seconds: f64,
    },
    /// A phase, or a part of it, had nothing to do.
    PhaseSkipped {
        /// Which.
        phase: Phase,
        /// The node that was left alone; absent for the phase as a whole.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        node: Option<String>,
        /// What the world was asked, and what it answered.
        proof: String,
    },
    /// A phase failed.
    PhaseFailed {
        /// Which.
        phase: Phase,
        /// What went wrong, in one line.
        message: String,
        /// Where the whole output is.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        log: Option<String>,
    },
    /// A step of the configuration begins: the nodes that are worked on at the same time.
    StepStarted {
        /// Which, counted from 1.
        number: usize,
        /// How many there are.
        of: usize,
        /// What is done, to which nodes.
        what: String,
        /// Why now.
        why: String,
    },
    /// A step of the configuration is done.
    StepFinished {
        /// Which, counted from 1.
        number: usize,
        /// How many there are.
        of: usize,
        /// How long it took.
        seconds: f64,
    },
    /// What Terraform would do.
    PlanSummary {
        /// How many resources.
        changes: Changes,
    },
    /// A resource is not as Terraform left it.
    ResourceDrift {
        /// Its address.
        address: String,
        /// What happened to it, in Terraform's word.
        action: String,
    },
    /// Work on one resource.
    Resource {
        /// Its address.
        address: String,
        /// What is done to it, in Terraform's word.
        action: String,
        /// Where that stands.
        status: ResourceStatus,
        /// For how long.
        seconds: f64,
    },
    /// Data goes, because the user gave it up beforehand.
    DataGivenUp {
        /// The node.
        node: String,
        /// The data disk.
        disk: String,
        /// The file system that held the data, as far as it was known.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        uuid: Option<String>,
        /// How it goes.
        how: String,
    },
    /// What Terraform did.
    ApplySummary {
        /// How many resources.
        changes: Changes,
    },
    /// A play begins.
    PlayStarted {
        /// Its name.
        play: String,
    },
    /// A task on a node.
    NodeTask {
        /// The node.
        node: String,
        /// The task's name.
        task: String,
        /// Where it is written, as `file:line`.
        path: String,
        /// What it did.
        status: TaskStatus,
        /// What it said; never its result's body.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        message: Option<String>,
        /// How long it took.
        seconds: f64,
    },
    /// What a playbook counted, by node.
    PlaybookSummary {
        /// Which playbook.
        playbook: String,
        /// The counts.
        nodes: BTreeMap<String, NodeStatus>,
    },
    /// A check's answer.
    Finding(Finding),
    /// Something deserves attention, and the run goes on.
    Warning {
        /// What.
        message: String,
        /// What to do about it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        help: Option<String>,
    },
    /// A tool's own error or warning, with its place.
    Diagnostic {
        /// The tool.
        tool: String,
        /// How grave.
        severity: Severity,
        /// In one line.
        summary: String,
        /// In full.
        detail: String,
        /// What it speaks of, such as a resource's address.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        address: Option<String>,
        /// Where, as `file:line`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        place: Option<String>,
    },
    /// A program was started.
    ChildStarted {
        /// The program.
        child: Child,
        /// The command as a user would type it.
        command: String,
    },
    /// A program ended.
    ChildFinished {
        /// The program's name.
        tool: String,
        /// How it ended: `exit 0`, `signal 9`.
        status: String,
        /// Whether refarch interrupted it.
        interrupted: bool,
        /// How long it ran.
        seconds: f64,
    },
    /// The run waits.
    Waiting {
        /// For what.
        waiting_for: WaitingFor,
    },
    /// A line worth saying to the user.
    Note {
        /// The line.
        message: String,
    },
    /// A reader was too slow and missed events; the file has them all.
    Missed {
        /// How many.
        count: u64,
    },
}
