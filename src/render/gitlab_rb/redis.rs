//! A node with Redis: one alone, or one of a group that Sentinels watch.

use super::common::{self, Agent, everywhere};
use super::{Conflict, Settings, Value};
use crate::architecture::Component;
use crate::deployment::{Deployment, Node, Redis, RedisGroup, SecretName};
use crate::render::ports;

pub(super) fn settings(deployment: &Deployment, node: &Node) -> Result<Settings, Conflict> {
    let kind = match (&deployment.topology.redis, node.component) {
        (Redis::Split { cache, .. }, Component::RedisCache) => watched(deployment, node, cache)?,
        (Redis::Sentinel(group) | Redis::Split { persistent: group, .. }, _) => {
            watched(deployment, node, group)?
        }
        (Redis::OnNode | Redis::Single(_) | Redis::External(_), _) => single(deployment, node)?,
    };
    let exporter = everywhere(ports::REDIS_EXPORTER);
    let settings = kind.suggest(node, &["redis_exporter", "listen_address"], exporter)?;
    match node.component {
        Component::RedisCache => settings.merge(eviction(node)?),
        _ => Ok(settings),
    }
}

/// Source: <https://docs.gitlab.com/administration/reference_architectures/2k_users/#configure-redis> (read 2026-11).
fn single(deployment: &Deployment, node: &Node) -> Result<Settings, Conflict> {
    Settings::default()
        .with(&["roles"], vec!["redis_master_role"])?
        .with(&["redis", "bind"], "0.0.0.0")?
        .with(&["redis", "port"], Value::port(ports::REDIS))?
        .with(&["redis", "password"], SecretName::RedisPassword)?
        .merge(exporter_login(node, SecretName::RedisPassword)?)?
        .merge(common::settings(deployment, node, Agent::BySetting)?)
}

/// One of a group. The first is the primary of a fresh build; later, who is it stands with the Sentinels, and a node that
/// was made anew is told to follow that one: with its empty data it must lead nobody, not even until a Sentinel sees it.
fn watched(deployment: &Deployment, node: &Node, group: &RedisGroup) -> Result<Settings, Conflict> {
    let leader = group.leader_for(&node.name);
    let role = if *leader == node.name { "redis_master_role" } else { "redis_replica_role" };
    let mut roles = vec!["redis_sentinel_role", role];
    if deployment.has(Component::Consul) {
        roles.push("consul_role");
    }
    Settings::default()
        .with(&["roles"], roles)?
        .with(&["redis", "bind"], Value::node(&node.name))?
        .with(&["redis", "port"], Value::port(ports::REDIS))?
        .with(&["redis", "password"], group.password)?
        .with(&["redis", "master_name"], group.master_name)?
        .with(&["redis", "master_password"], group.password)?
        .with(&["redis", "master_ip"], Value::node(leader))?
        .with(&["sentinel", "bind"], "0.0.0.0")?
        .with(&["sentinel", "quorum"], i64::try_from(group.quorum()).unwrap_or(i64::MAX))?
        .merge(exporter_login(node, group.password)?)?
        .merge(common::settings(deployment, node, Agent::ByRole)?)
}

/// How the exporter logs in. The documentation's flag would show the password to whoever lists processes; the exporter
/// takes it from its environment as well.
/// Source: <https://github.com/oliver006/redis_exporter/issues/328> (read 2026-11).
fn exporter_login(node: &Node, password: SecretName) -> Result<Settings, Conflict> {
    let address = Value::at("redis://", &node.name, ports::REDIS);
    Settings::default()
        .suggest_hash(node, &["redis_exporter", "flags"], [("redis.addr", address)])?
        .suggest_hash(node, &["redis_exporter", "env"], [("REDIS_PASSWORD", password.into())])
}

/// What can be lost gives way when memory is short, at nine tenths of it.
fn eviction(node: &Node) -> Result<Settings, Conflict> {
    let limit = format!("{:.0}mb", (node.machine.memory_gb * 900.0).floor());
    Settings::default()
        .suggest(node, &["redis", "maxmemory"], limit)?
        .suggest(node, &["redis", "maxmemory_policy"], "allkeys-lru")?
        .suggest(node, &["redis", "maxmemory_samples"], 5_i64)
}
