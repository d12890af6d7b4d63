//! The node of the 1k architecture, which runs everything that isn't the customer's own.

use super::{Conflict, Settings, allowlist, database_client, front, object_storage, redis_client};
use crate::deployment::{Database, Deployment, Node, Redis, SecretName};

pub(super) fn settings(deployment: &Deployment, node: &Node) -> Result<Settings, Conflict> {
    let settings = Settings::default()
        .with(&["external_url"], deployment.gitlab.url.as_str())?
        .with(&["gitlab_rails", "initial_root_password"], SecretName::RootPassword)?
        .merge(allowlist::settings(deployment, node)?)?
        .merge(front::tls(deployment)?)?
        .merge(database_client::settings(deployment)?)?
        .merge(redis_client::settings(deployment)?)?
        .merge(object_storage::client(deployment, node)?)?;
    let off = |settings: Settings, service, off| {
        if off { settings.with(&[service, "enable"], false) } else { Ok(settings) }
    };
    let settings =
        off(settings, "postgresql", matches!(deployment.topology.database, Database::External(_)))?;
    off(settings, "redis", matches!(deployment.topology.redis, Redis::External(_)))
}
