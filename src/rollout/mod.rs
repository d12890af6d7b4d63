//! What each node is now, against what it should be: which nodes to converge, and why.
//!
//! Pure. A node is left alone only when what was asked of the node itself says so; no record of an
//! earlier run is consulted.

mod decide;
mod gitlab_secrets;
mod state;
mod steps;

pub use decide::{Decision, LostDisk, Question, Refusal, Rollout, Wanted, decide, is_built};
pub use gitlab_secrets::{Difference, RoleKey, added_by_node, differences, lacks, role_keys, tree_of_node};
pub use state::{
    CertificateState, Clock, DataDiskState, Files, Marker, NodeState, Os, Package, Service, ServiceState,
    Space, Stamp,
};
pub use steps::{Standing, Step, StepKind, steps};

#[cfg(test)]
mod tests;
