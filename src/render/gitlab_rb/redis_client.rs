//! How Rails and Sidekiq reach Redis.

use super::{Conflict, Settings, Value};
use crate::deployment::{Deployment, Redis, RedisGroup, SecretName};
use crate::render::ports;

pub(super) fn settings(deployment: &Deployment) -> Result<Settings, Conflict> {
    match &deployment.topology.redis {
        Redis::OnNode => Ok(Settings::default()),
        Redis::Single(node) => address(Value::node(node), ports::REDIS)?
            .with(&["gitlab_rails", "redis_password"], SecretName::RedisPassword),
        Redis::Sentinel(group) => by_sentinel(group),
        Redis::Split { cache, persistent } => by_sentinel(persistent)?
            .with(&["gitlab_rails", "redis_cache_instance"], SecretName::RedisCacheUrl)?
            .with(&["gitlab_rails", "redis_cache_sentinels"], sentinels(cache)),
        Redis::External(server) => address(server.host.as_str().into(), server.port)?
            .with(&["gitlab_rails", "redis_ssl"], server.tls)?
            .with(&["gitlab_rails", "redis_password"], Value::Given(server.password.source.clone())),
    }
}

fn address(host: Value, port: u16) -> Result<Settings, Conflict> {
    Settings::default()
        .with(&["gitlab_rails", "redis_host"], host)?
        .with(&["gitlab_rails", "redis_port"], Value::port(port))
}

/// The primary is whom the Sentinels name.
fn by_sentinel(group: &RedisGroup) -> Result<Settings, Conflict> {
    Settings::default()
        .with(&["redis", "master_name"], group.master_name)?
        .with(&["redis", "master_password"], group.password)?
        .with(&["gitlab_rails", "redis_sentinels"], sentinels(group))
}

fn sentinels(group: &RedisGroup) -> Value {
    let sentinel = |node| Value::map([("host", Value::node(node)), ("port", Value::port(ports::SENTINEL))]);
    Value::List(group.nodes.iter().map(sentinel).collect())
}
