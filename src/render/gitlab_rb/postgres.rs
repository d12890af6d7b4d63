//! A node of GitLab's database: one alone, or one of several under Patroni.

use super::common::{self, Agent, everywhere};
use super::{Conflict, Settings, Value};
use crate::architecture::Component;
use crate::deployment::{Database, Deployment, Node, NodeName, SecretName};
use crate::render::ports;

/// Who Patroni's REST interface knows.
const PATRONI_USER: &str = "patroni";

pub(super) fn settings(deployment: &Deployment, node: &Node) -> Result<Settings, Conflict> {
    match &deployment.topology.database {
        Database::Cluster { members, .. } => member(deployment, node, members),
        Database::OnNode | Database::Single(_) | Database::External(_) => single(deployment, node),
    }
}

/// Source: <https://docs.gitlab.com/administration/reference_architectures/2k_users/#configure-postgresql> (read
/// 2026-11).
fn single(deployment: &Deployment, node: &Node) -> Result<Settings, Conflict> {
    Settings::default()
        .with(&["roles"], vec!["postgres_role"])?
        .with(&["postgresql", "sql_user_password"], SecretName::SqlPasswordMd5)?
        .merge(only_postgres(node)?)?
        .merge(asked(deployment, &[Component::Rails, Component::Sidekiq])?)?
        .merge(common::settings(deployment, node, Agent::BySetting)?)
}

fn member(deployment: &Deployment, node: &Node, members: &[NodeName]) -> Result<Settings, Conflict> {
    Settings::default()
        .with(&["roles"], vec!["patroni_role", "pgbouncer_role"])?
        .with(&["postgresql", "listen_address"], "0.0.0.0")?
        .with(&["postgresql", "sql_user_password"], SecretName::SqlPasswordMd5)?
        .with(&["postgresql", "pgbouncer_user_password"], SecretName::PgbouncerPasswordMd5)?
        .with(&["postgresql", "sql_replication_password"], SecretName::ReplicationPasswordMd5)?
        .with(&["consul", "services"], vec!["postgresql"])?
        .with(&["pgbouncer", "databases"], local_pool())?
        .merge(patroni(node, members)?)?
        .merge(exporter(node)?)?
        .merge(asked_of_member(deployment, members)?)?
        .merge(common::settings(deployment, node, Agent::ByRole)?)
}

fn patroni(node: &Node, members: &[NodeName]) -> Result<Settings, Conflict> {
    // One slot for each member, and as many while a member is being cloned; one more sender than slots.
    let slots = i64::try_from(members.len() * 2).unwrap_or(i64::MAX);
    Settings::default()
        .with(&["patroni", "username"], PATRONI_USER)?
        .with(&["patroni", "password"], SecretName::PatroniPassword)?
        // Where passwords are asked for, replicas have to know theirs.
        // Source: <https://gitlab.com/gitlab-org/omnibus-gitlab/-/issues/6590> (read 2026-11).
        .with(&["patroni", "replication_password"], SecretName::ReplicationPassword)?
        .with(&["patroni", "connect_address"], Value::node(&node.name))?
        .with(&["patroni", "allowlist"], with_self(members.iter()))?
        // A member that can't be rewound is cloned from the leader instead of staying out.
        // Source: <https://docs.gitlab.com/administration/postgresql/replication_and_failover/> (read 2026-11).
        .with(&["patroni", "remove_data_directory_on_rewind_failure"], true)?
        .with(&["patroni", "postgresql", "max_replication_slots"], slots)?
        .with(&["patroni", "postgresql", "max_wal_senders"], slots + 1)
}

/// The member's own connection pool, through which Rails reads.
fn local_pool() -> Value {
    let database = Value::map([
        ("host", "127.0.0.1".into()),
        ("user", "pgbouncer".into()),
        ("password", SecretName::PgbouncerPasswordMd5.into()),
    ]);
    Value::map([("gitlabhq_production", database)])
}

/// Who is asked for a password: the connection pools, and the deploy node, which migrates past them. The members are
/// trusted by their addresses: a leader that died and comes back asks the new one as superuser, who has no password,
/// how far it has to be rewound, and stays out for good where it isn't answered.
/// Source: <https://docs.gitlab.com/administration/postgresql/replication_and_failover/> (read 2026-11).
fn asked_of_member(deployment: &Deployment, members: &[NodeName]) -> Result<Settings, Conflict> {
    let pools = deployment.nodes_of(Component::Pgbouncer).map(|node| &node.name);
    authentication(pools.chain([deployment.deploy_node()]), members.iter())
}

/// What a PostgreSQL alone listens on.
pub(super) fn only_postgres(node: &Node) -> Result<Settings, Conflict> {
    Settings::default()
        .with(&["postgresql", "listen_address"], "0.0.0.0")?
        .with(&["postgresql", "port"], Value::port(ports::POSTGRES))?
        .merge(exporter(node)?)
}

/// The nodes of these components are let in with a password, and nobody else from outside.
pub(super) fn asked(deployment: &Deployment, components: &[Component]) -> Result<Settings, Conflict> {
    let asked = components.iter().flat_map(|of| deployment.nodes_of(*of)).map(|node| &node.name);
    authentication(asked, std::iter::empty())
}

fn authentication<'a>(
    asked: impl Iterator<Item = &'a NodeName>,
    trusted: impl Iterator<Item = &'a NodeName>,
) -> Result<Settings, Conflict> {
    Settings::default()
        .with(&["postgresql", "md5_auth_cidr_addresses"], Value::List(asked.map(Value::cidr).collect()))?
        // The exporter, and Patroni's replication after a restart, come from here without a password.
        // Source: <https://gitlab.com/gitlab-org/omnibus-gitlab/-/issues/6181> (read 2026-11).
        .with(&["postgresql", "trust_auth_cidr_addresses"], with_self(trusted))
}

fn exporter(node: &Node) -> Result<Settings, Conflict> {
    let address = everywhere(ports::POSTGRES_EXPORTER);
    Settings::default().suggest(node, &["postgres_exporter", "listen_address"], address)
}

fn with_self<'a>(nodes: impl Iterator<Item = &'a NodeName>) -> Value {
    Value::List(nodes.map(Value::cidr).chain(["127.0.0.1/32".into()]).collect())
}
