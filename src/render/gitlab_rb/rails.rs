//! A node that serves the web interface, the API, and Git.

use super::common::everywhere;
use super::{Conflict, Settings, front, sidekiq};
use crate::deployment::{Database, Deployment, Node, SecretName, Sidekiq};
use crate::render::ports;

/// What the role writes while the deploy node migrates the database: the leader's own address, past the connection
/// pools. The bytes of gitlab.rb stay as they are.
const MIGRATION_PATH: &str = "/etc/gitlab/refarch-migrate.rb";

pub(super) fn settings(deployment: &Deployment, node: &Node) -> Result<Settings, Conflict> {
    Settings::default()
        .with(&["roles"], vec!["application_role"])?
        .with(&["external_url"], deployment.gitlab.url.as_str())?
        .with(&["gitaly", "enable"], false)?
        .with(&["postgresql", "enable"], false)?
        .with(&["puma", "listen"], "0.0.0.0")?
        .suggest(node, &["gitlab_workhorse", "prometheus_listen_addr"], everywhere(ports::WORKHORSE_METRICS))?
        .merge(front::tls(deployment)?)?
        .merge(front::behind_load_balancer(deployment, node)?)?
        .merge(sidekiq::application(deployment, node)?)?
        .merge(jobs(deployment, node)?)?
        .merge(deploy_node(deployment, node)?)
}

/// Background jobs, where they have no nodes of their own.
fn jobs(deployment: &Deployment, node: &Node) -> Result<Settings, Conflict> {
    match deployment.topology.sidekiq {
        Sidekiq::Own(_) => Settings::default().with(&["sidekiq", "enable"], false),
        Sidekiq::OnRails => sidekiq::jobs(node)?
            // Rails beside other components gets half of the processors.
            .suggest(node, &["puma", "worker_processes"], i64::from((node.machine.vcpu / 2).max(1))),
    }
}

/// What only the node does that seeds and migrates the database.
fn deploy_node(deployment: &Deployment, node: &Node) -> Result<Settings, Conflict> {
    if !deployment.is_deploy_node(node) {
        return Ok(Settings::default());
    }
    let settings =
        Settings::default().with(&["gitlab_rails", "initial_root_password"], SecretName::RootPassword)?;
    Ok(match deployment.topology.database {
        Database::Cluster { .. } => settings.reading_last(MIGRATION_PATH),
        Database::OnNode | Database::Single(_) | Database::External(_) => settings,
    })
}
