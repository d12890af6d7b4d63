//! The database in which Praefect keeps which replica is current. Its user and database are made by the role.

use super::common::{self, Agent};
use super::postgres::{asked, only_postgres};
use super::{Conflict, Settings};
use crate::architecture::Component;
use crate::deployment::{Deployment, Node, SecretName};

pub(super) fn settings(deployment: &Deployment, node: &Node) -> Result<Settings, Conflict> {
    let mut roles = vec!["postgres_role"];
    if deployment.has(Component::Consul) {
        roles.push("consul_role");
    }
    Settings::default()
        .with(&["roles"], roles)?
        .with(&["postgresql", "sql_user_password"], SecretName::PraefectSqlPasswordMd5)?
        .merge(only_postgres(node)?)?
        .merge(asked(deployment, &[Component::Praefect])?)?
        .merge(common::settings(deployment, node, Agent::ByRole)?)
}
