//! The servers of Consul.

use super::common::{self, Agent};
use super::{Conflict, Settings};
use crate::deployment::{Deployment, Node};

pub(super) fn settings(deployment: &Deployment, node: &Node) -> Result<Settings, Conflict> {
    Settings::default().with(&["roles"], vec!["consul_role"])?.merge(common::settings(
        deployment,
        node,
        Agent::ByRole,
    )?)
}
