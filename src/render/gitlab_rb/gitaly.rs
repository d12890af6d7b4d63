//! A node with repositories.

use std::collections::BTreeMap;

use super::common::{self, Agent, everywhere};
use super::git_client::sharded_storage;
use super::settings::says;
use super::{Conflict, Settings, Value};
use crate::deployment::{Deployment, Git, Node, NodeName, SecretName};
use crate::render::ports;

/// Where the repositories lie. Since 18.0 the path is taken as it stands, and the package's own is this.
/// Source: <https://docs.gitlab.com/administration/reference_architectures/3k_users/#configure-gitaly> (read 2026-11).
const REPOSITORIES: &str = "/var/opt/gitlab/git-data/repositories";

pub(super) fn settings(deployment: &Deployment, node: &Node) -> Result<Settings, Conflict> {
    Settings::default()
        .with(&["roles"], vec!["gitaly_role"])?
        // Gitaly asks it at every push whether the push is allowed.
        .with(&["gitlab_rails", "internal_api_url"], deployment.gitlab.url.as_str())?
        .with(&["gitaly", "configuration"], configuration(deployment, node))?
        .merge(common::settings(deployment, node, Agent::BySetting)?)
}

/// The hash that is written once: in Ruby a second assignment would replace the first.
fn configuration(deployment: &Deployment, node: &Node) -> Value {
    let (storage, token) = role(deployment, &node.name);
    let storage = Value::map([("name", storage.into()), ("path", REPOSITORIES.into())]);
    let mut entries = vec![
        ("auth", Value::map([("token", token.into())])),
        ("listen_addr", everywhere(ports::GITALY).into()),
        ("storage", Value::List(vec![storage])),
    ];
    let suggested = [
        ("prometheus_listen_addr", Value::from(everywhere(ports::GITALY_METRICS))),
        ("pack_objects_cache", Value::map([("enabled", true.into())])),
    ];
    let unsaid = |(key, _): &(&str, Value)| !says(&node.settings, &["gitaly", "configuration", key]);
    entries.extend(suggested.into_iter().filter(unsaid));
    Value::Map(entries.into_iter().map(|(key, value)| (key.to_owned(), value)).collect::<BTreeMap<_, _>>())
}

/// The storage that the node has, and what is said to it: by Praefect, or by Rails itself.
fn role(deployment: &Deployment, name: &NodeName) -> (String, SecretName) {
    let place = |nodes: &[NodeName]| nodes.iter().position(|node| node == name).unwrap_or_default();
    match &deployment.topology.git {
        Git::Cluster { gitalys, .. } => {
            (Git::clustered_storage(place(gitalys)), SecretName::PraefectInternalToken)
        }
        Git::Sharded(nodes) => (sharded_storage(place(nodes)), SecretName::GitalyToken),
        Git::OnNode => (sharded_storage(0), SecretName::GitalyToken),
    }
}
