//! A router of a Gitaly Cluster.

use super::common::{self, Agent, everywhere};
use super::git_client::DEFAULT_STORAGE;
use super::{Conflict, Settings, Value};
use crate::deployment::{Deployment, Git, Node, NodeName, SecretName};
use crate::render::ports;

/// The database user and the database of Praefect, as the documentation names them and the role makes them.
const USER: &str = "praefect";
const DATABASE: &str = "praefect_production";

pub(super) fn settings(deployment: &Deployment, node: &Node) -> Result<Settings, Conflict> {
    let settings = off(node)?
        .with(&["praefect", "enable"], true)?
        // One of them migrates the database, and is configured before the others.
        .with(&["praefect", "auto_migrate"], deployment.is_deploy_node(node))?
        .merge(common::settings(deployment, node, Agent::BySetting)?)?;
    match &deployment.topology.git {
        Git::Cluster { gitalys, database, .. } => {
            settings.with(&["praefect", "configuration"], configuration(gitalys, database))
        }
        Git::OnNode | Git::Sharded(_) => Ok(settings),
    }
}

/// No role stands for Praefect, so that everything else of the package is switched off by name.
fn off(node: &Node) -> Result<Settings, Conflict> {
    let mut settings = Settings::default();
    for service in ["gitaly", "postgresql", "redis", "nginx", "puma", "sidekiq", "gitlab_workhorse"] {
        settings = settings.with(&[service, "enable"], false)?;
    }
    for service in ["prometheus", "alertmanager", "gitlab_exporter", "gitlab_kas"] {
        settings = settings.suggest(node, &[service, "enable"], false)?;
    }
    Ok(settings)
}

/// The hash that is written once: in Ruby a second assignment would replace the first.
fn configuration(gitalys: &[NodeName], database: &NodeName) -> Value {
    let storage = |(index, node)| {
        Value::map([
            ("storage", Git::clustered_storage(index).into()),
            ("address", Value::at("tcp://", node, ports::GITALY)),
            ("token", SecretName::PraefectInternalToken.into()),
        ])
    };
    let nodes = Value::List(gitalys.iter().enumerate().map(storage).collect());
    Value::map([
        ("listen_addr", everywhere(ports::PRAEFECT).into()),
        ("prometheus_listen_addr", everywhere(ports::PRAEFECT_METRICS).into()),
        ("auth", Value::map([("token", SecretName::PraefectExternalToken.into())])),
        (
            "database",
            Value::map([
                ("host", Value::node(database)),
                ("port", Value::port(ports::POSTGRES)),
                ("dbname", DATABASE.into()),
                ("user", USER.into()),
                ("password", SecretName::PraefectSqlPassword.into()),
            ]),
        ),
        (
            "virtual_storage",
            Value::List(vec![Value::map([("name", DEFAULT_STORAGE.into()), ("node", nodes)])]),
        ),
    ])
}
