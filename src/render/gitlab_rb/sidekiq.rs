//! A node with background jobs.

use super::common::{self, Agent};
use super::{
    Conflict, Settings, Value, allowlist, database_client, git_client, object_storage, redis_client,
};
use crate::deployment::{Deployment, Node};
use crate::render::ports;

pub(super) fn settings(deployment: &Deployment, node: &Node) -> Result<Settings, Conflict> {
    Settings::default()
        .with(&["roles"], vec!["sidekiq_role"])?
        .with(&["external_url"], deployment.gitlab.url.as_str())?
        .with(&["letsencrypt", "enable"], false)?
        .merge(application(deployment, node)?)?
        .merge(jobs(node)?)?
        // As many processes as processors; Ruby runs one thread at a time in each.
        .suggest(node, &["sidekiq", "queue_groups"], vec!["*"; node.machine.vcpu as usize])?
        .merge(health(node)?)
}

/// What Rails and Sidekiq have in common: everything that the application's own configuration says of other nodes.
pub(super) fn application(deployment: &Deployment, node: &Node) -> Result<Settings, Conflict> {
    allowlist::settings(deployment, node)?
        .merge(database_client::settings(deployment)?)?
        .merge(redis_client::settings(deployment)?)?
        .merge(git_client::settings(deployment)?)?
        .merge(object_storage::client(deployment, node)?)?
        .merge(common::settings(deployment, node, Agent::BySetting)?)
}

/// Metrics of the jobs, which Prometheus asks for from its own node.
pub(super) fn jobs(node: &Node) -> Result<Settings, Conflict> {
    Settings::default().suggest(node, &["sidekiq", "listen_address"], "0.0.0.0")
}

/// The health check that the node itself is asked for.
/// Source: <https://docs.gitlab.com/administration/sidekiq/#configure-health-checks> (read 2026-11).
fn health(node: &Node) -> Result<Settings, Conflict> {
    Settings::default()
        .suggest(node, &["sidekiq", "health_checks_enabled"], true)?
        .suggest(node, &["sidekiq", "health_checks_listen_address"], "127.0.0.1")?
        .suggest(node, &["sidekiq", "health_checks_listen_port"], Value::port(ports::SIDEKIQ_HEALTH))
}
