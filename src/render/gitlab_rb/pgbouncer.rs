//! A connection pool that leads to the database's leader, which Consul tells it.

use super::common::{self, Agent, everywhere};
use super::{Conflict, Settings, Value};
use crate::deployment::{Deployment, Node, SecretName};
use crate::render::ports;

pub(super) fn settings(deployment: &Deployment, node: &Node) -> Result<Settings, Conflict> {
    let user = |password: SecretName| Value::map([("password", password.into())]);
    let users = Value::map([
        ("gitlab-consul", user(SecretName::ConsulDatabasePasswordMd5)),
        ("pgbouncer", user(SecretName::PgbouncerPasswordMd5)),
    ]);
    let exporter = everywhere(ports::PGBOUNCER_EXPORTER);
    Settings::default()
        .with(&["roles"], vec!["pgbouncer_role"])?
        .with(&["pgbouncer", "admin_users"], vec!["pgbouncer", "gitlab-consul"])?
        .with(&["pgbouncer", "users"], users)?
        .with(&["pgbouncer_exporter", "listen_address"], exporter)?
        .with(&["consul", "watchers"], vec!["postgresql"])?
        .merge(common::settings(deployment, node, Agent::ByRole)?)
        // For `.pgpass`, by which Consul's watcher reloads PgBouncer.
        .map(|settings| settings.carrying(SecretName::PgbouncerPassword))
}
