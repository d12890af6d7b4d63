//! How Rails and Sidekiq reach the repositories.

use std::collections::BTreeMap;

use super::database_client::way_to;
use super::{Conflict, Settings, Value};
use crate::deployment::{Deployment, Git, SecretName};
use crate::render::ports;

/// GitLab requires a storage of this name.
/// Source: <https://docs.gitlab.com/administration/gitaly/configure_gitaly/> (read 2026-11).
pub(super) const DEFAULT_STORAGE: &str = "default";

pub(super) fn settings(deployment: &Deployment) -> Result<Settings, Conflict> {
    let storages = &["gitlab_rails", "repositories_storages"];
    match &deployment.topology.git {
        Git::OnNode => Ok(Settings::default()),
        Git::Sharded(nodes) => {
            let storage = |(index, node)| {
                let address = Value::at("tcp://", node, ports::GITALY);
                (sharded_storage(index), Value::map([("gitaly_address", address)]))
            };
            let map: BTreeMap<_, _> = nodes.iter().enumerate().map(storage).collect();
            Settings::default()
                .with(storages, Value::Map(map))?
                .with(&["gitlab_rails", "gitaly_token"], SecretName::GitalyToken)
        }
        Git::Cluster { praefects, .. } => {
            let storage = Value::map([
                ("gitaly_address", Value::at("tcp://", way_to(deployment, praefects), ports::PRAEFECT)),
                ("gitaly_token", SecretName::PraefectExternalToken.into()),
            ]);
            Settings::default().with(storages, Value::map([(DEFAULT_STORAGE, storage)]))
        }
    }
}

/// The storage of the Gitaly node at this place, where each keeps a share of its own.
pub(super) fn sharded_storage(index: usize) -> String {
    if index == 0 { DEFAULT_STORAGE.to_owned() } else { Git::clustered_storage(index) }
}
