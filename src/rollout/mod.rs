//! What each node is now, against what it should be: which nodes to converge, and why.
//!
//! Pure. A node is left alone only when what was asked of the node itself says so; no record of an
//! earlier run is consulted.

mod decide;
mod gitlab_secrets;
mod state;

pub use decide::{Decision, LostDisk, Question, Refusal, Rollout, Wanted, decide};
pub use gitlab_secrets::{Difference, added_by_node, differences};
pub use state::{
    CertificateState, Clock, DataDiskState, Files, Marker, NodeState, Os, Package, Service, ServiceState,
    Space, Stamp,
};

#[cfg(test)]
mod tests;
