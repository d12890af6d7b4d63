//! The questions that `verify` asks of a deployment, one file each.
//!
//! A check says what it asked, what it saw, what it wanted, why that matters and what to do. It passes only on
//! evidence: one that can't look is a skip with its reason, and nothing turns a skip into a pass. Checks ask the
//! world and change nothing in it; what a verdict looks like on paper is the report's business.

mod api;
mod behind_proxy;
mod catalogue;
mod cluster;
mod dns;
mod function;
mod group;
mod level;
mod node;
mod node_health;
mod node_state;
mod page;
pub mod preflight;
mod question;
mod readiness;
mod readiness_outside;
mod redirect;
mod sign_in;
mod size;
mod ssh;
mod standin;
mod target;
mod tcp;
mod tls;
mod verdict;
mod verify;

pub use catalogue::{Check, UnknownCheck};
pub use cluster::{
    Cluster, ClusterState, Flow, Lost, Member, Reached, RedisGroup, VERSION as CLUSTER_VERSION, asks,
    held_by, judge as judge_cluster, redis_leader, scan,
};
pub use group::{GroupName, NoGroupName};
pub use level::{Level, UnknownLevel};
pub use node_state::{NodeFacts, Offset};
pub use question::Patience;
pub(crate) use question::{Miss, Question};
pub use target::{Machine, NodeHealth, NodeTarget, Options, Proxy, SshAccess, Target, WantedVersion};
pub use verdict::{Counts, Outcome, Verdict};
pub use verify::{Interrupted, judge_nodes, tell, verify};
