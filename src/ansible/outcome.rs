//! What came of a playbook that ran to its end.

use std::collections::BTreeMap;

use camino::Utf8PathBuf;
use jiff::Timestamp;
use serde_json::Value;

use super::Error;
use crate::events::NodeStatus;

/// A task that failed on a node, or a node that could not be reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The node.
    pub node: String,
    /// The task.
    pub task: String,
    /// Where it is written, as `file:line`.
    pub path: String,
    /// What it said.
    pub message: String,
    /// Whether the node could not be reached.
    pub unreachable: bool,
}

/// What the module `node_state` found on a node, and when by this machine's clock.
#[derive(Clone, Debug, PartialEq)]
pub struct Told {
    /// What it found.
    pub state: Value,
    /// When the node was asked.
    pub from: Timestamp,
    /// When its answer was there.
    pub until: Timestamp,
}

/// What came of a playbook that ran to its end, with or without failures.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// What was counted, by node.
    pub stats: BTreeMap<String, NodeStatus>,
    /// What failed where, for the nodes that the counts call failed or unreachable.
    pub failures: Vec<Failure>,
    /// What the module `node_state` found, by node.
    pub states: BTreeMap<String, Told>,
    pub(super) command: String,
    pub(super) tail: Vec<String>,
    pub(super) log: Utf8PathBuf,
}

impl Outcome {
    /// How many tasks changed something, on all nodes together.
    #[must_use]
    pub fn changed(&self) -> u64 {
        self.stats.values().map(|node| node.changed).sum()
    }

    /// Why a node told nothing.
    #[must_use]
    pub fn why_silent(&self, node: &str) -> String {
        let failure = self.failures.iter().find(|failure| failure.node == node);
        // What Ansible says of a node that it can't reach goes on for lines; the first says what happened.
        let first = |message: &str| message.lines().next().unwrap_or_default().trim().to_owned();
        failure.map_or_else(|| "Ansible says nothing of it".to_owned(), |failure| first(&failure.message))
    }

    /// The outcome if no node failed.
    pub fn success(self) -> Result<Self, Error> {
        if self.failures.is_empty() {
            return Ok(self);
        }
        Err(Error::Failed { command: self.command, failures: self.failures, tail: self.tail, log: self.log })
    }
}
