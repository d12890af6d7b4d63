//! `managed`: services that the customer or a cloud provides instead of nodes.

use schemars::JsonSchema;
use serde::Serialize;

use super::SecretReference;
use super::block::{Block, Field, Placed};
use super::managed_values::{endpoint, flag, host, port, word};
use super::problem::{Findings, Problem};
use super::rule;
use super::secret;
use super::types::Size;
use crate::architecture::Component;

/// Services that are provided instead of nodes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Managed {
    /// GitLab's database. It takes the place of the nodes of PostgreSQL and `PgBouncer`, and of Consul, which serves them.
    /// Default: the architecture's nodes.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "ManagedPostgres", default)]
    pub postgres: Option<ManagedPostgres>,
    /// Queues, sessions and caches. It takes the place of the nodes of Redis. Default: the architecture's nodes.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "ManagedRedis", default)]
    pub redis: Option<ManagedRedis>,
    /// Uploads, artifacts, packages and the like. Default: on the lab, a host with an S3-compatible server; on a 1k, the
    /// node's own disk.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "ManagedObjectStorage", default)]
    pub object_storage: Option<ManagedObjectStorage>,
}

/// Who provides PostgreSQL.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(deny_unknown_fields)]
pub enum ManagedPostgres {
    /// A server that refarch doesn't make. It must let the user make the database's extensions.
    External(ExternalPostgres),
}

/// Who provides Redis.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(deny_unknown_fields)]
pub enum ManagedRedis {
    /// A server that refarch doesn't make: one primary, neither Redis Cluster nor serverless, that evicts nothing.
    External(ExternalRedis),
}

/// Who provides object storage.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(deny_unknown_fields)]
pub enum ManagedObjectStorage {
    /// An S3-compatible server that refarch doesn't make, with a bucket for each kind of object.
    External(ExternalObjectStorage),
}

const POSTGRES_PORT: u16 = 5432;
const REDIS_PORT: u16 = 6379;

/// What is taken where a spec says nothing, for reader and schema.
mod default {
    pub(super) const fn postgres_port() -> u16 {
        super::POSTGRES_PORT
    }

    pub(super) const fn redis_port() -> u16 {
        super::REDIS_PORT
    }

    pub(super) const fn tls() -> bool {
        true
    }

    pub(super) fn user() -> String {
        "gitlab".to_owned()
    }

    pub(super) fn database() -> String {
        "gitlabhq_production".to_owned()
    }

    pub(super) fn region() -> String {
        "us-east-1".to_owned()
    }
}

/// A PostgreSQL server that refarch doesn't make.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct ExternalPostgres {
    /// Its name or address.
    pub host: String,
    /// Its port. Default: 5432.
    #[schemars(default = "default::postgres_port")]
    pub port: u16,
    /// The user that GitLab connects as. Default: `gitlab`.
    #[schemars(default = "default::user")]
    pub user: String,
    /// The database. Default: `gitlabhq_production`.
    #[schemars(default = "default::database")]
    pub database: String,
    /// The user's password.
    pub password: SecretReference,
}

/// A Redis server that refarch doesn't make.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct ExternalRedis {
    /// Its name or address.
    pub host: String,
    /// Its port. Default: 6379.
    #[schemars(default = "default::redis_port")]
    pub port: u16,
    /// Whether it speaks TLS. Default: true.
    #[schemars(default = "default::tls")]
    pub tls: bool,
    /// Its password.
    pub password: SecretReference,
}

/// An S3-compatible object storage that refarch doesn't make.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct ExternalObjectStorage {
    /// Its address, with scheme and perhaps a port.
    pub endpoint: String,
    /// Its region. Default: `us-east-1`, which most servers that have none accept.
    #[schemars(default = "default::region")]
    pub region: String,
    /// Each bucket's name begins with it: one bucket a kind of object, as `acme-artifacts`.
    pub bucket_prefix: String,
    /// The access key's name.
    pub access_key: SecretReference,
    /// The access key's secret.
    pub secret_key: SecretReference,
}

impl Managed {
    /// Whether nothing is provided.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The key that takes the nodes of a component away. Consul stands there for Patroni and `PgBouncer`; without it,
    /// Prometheus is given the nodes by name.
    ///
    /// Source: <https://docs.gitlab.com/administration/reference_architectures/3k_users/>, footnote on external
    /// PostgreSQL (read 2026-08).
    pub(super) const fn without(&self, component: Component) -> Option<&'static str> {
        match component {
            Component::Postgres | Component::Pgbouncer | Component::Consul if self.postgres.is_some() => {
                Some("managed.postgres")
            }
            Component::Redis | Component::RedisCache | Component::RedisPersistent if self.redis.is_some() => {
                Some("managed.redis")
            }
            _ => None,
        }
    }
}

/// `managed` as far as it could be read, and where Redis stands.
#[derive(Clone, Debug, Default)]
pub(super) struct ManagedDraft {
    pub(super) managed: Managed,
    redis: Option<Placed<()>>,
}

/// Reads the block behind `managed`.
pub(super) fn read(field: &Field<'_>, text: &str, findings: &mut Findings) -> Option<ManagedDraft> {
    let mut block = Block::of(field, "`managed: {postgres: {external: {…}}}`", findings)?;
    let mut draft = ManagedDraft::default();
    if let Some(field) = block.optional("postgres") {
        let chosen = external(&field, POSTGRES, findings);
        draft.managed.postgres =
            chosen.and_then(|field| postgres(&field, text, findings)).map(ManagedPostgres::External);
    }
    if let Some(field) = block.optional("redis") {
        draft.redis = Some(Placed { value: (), at: field.key_at.clone() });
        let chosen = external(&field, REDIS, findings);
        draft.managed.redis =
            chosen.and_then(|field| redis(&field, text, findings)).map(ManagedRedis::External);
    }
    if let Some(field) = block.optional("object_storage") {
        let chosen = external(&field, OBJECT_STORAGE, findings);
        draft.managed.object_storage = chosen
            .and_then(|field| object_storage(&field, text, findings))
            .map(ManagedObjectStorage::External);
    }
    block.close(&[], findings);
    Some(draft)
}

const POSTGRES: &str =
    "`postgres: {external: {host: db.acme.example, password: {secret: {env: DB_PASSWORD}}}}`";
const REDIS: &str =
    "`redis: {external: {host: redis.acme.example, password: {secret: {env: REDIS_PASSWORD}}}}`";
const OBJECT_STORAGE: &str = "`object_storage: {external: {endpoint: \"https://s3.acme.example\", bucket_prefix: acme, \
                              access_key: {secret: {env: S3_KEY}}, secret_key: {secret: {env: S3_SECRET}}}}`";

fn external<'t>(field: &Field<'t>, example: &str, findings: &mut Findings) -> Option<Field<'t>> {
    field.choice(&["external"], example, findings).map(|(_, chosen)| chosen)
}

fn postgres(field: &Field<'_>, text: &str, findings: &mut Findings) -> Option<ExternalPostgres> {
    let mut block = Block::of(field, POSTGRES, findings)?;
    let example = "`host: db.acme.example`";
    let server = block.required("host", example).and_then(|field| host(&field, example, findings));
    if let Some(server) = &server {
        not_aurora(server, findings);
    }
    let port = block
        .optional("port")
        .map_or(Some(default::postgres_port()), |field| port(&field, POSTGRES_PORT, findings));
    let user = block
        .optional("user")
        .map_or_else(|| Some(default::user()), |field| word(&field, "`user: gitlab`", findings));
    let database = block.optional("database").map_or_else(
        || Some(default::database()),
        |field| word(&field, "`database: gitlabhq_production`", findings),
    );
    let password = password(&mut block, "password", text, findings);
    block.close(&[], findings);
    Some(ExternalPostgres {
        host: server?.value,
        port: port?,
        user: user?,
        database: database?,
        password: password?,
    })
}

fn redis(field: &Field<'_>, text: &str, findings: &mut Findings) -> Option<ExternalRedis> {
    let mut block = Block::of(field, REDIS, findings)?;
    let example = "`host: redis.acme.example`";
    let server = block.required("host", example).and_then(|field| host(&field, example, findings));
    if let Some(server) = &server {
        one_primary(server, findings);
    }
    let port = block
        .optional("port")
        .map_or(Some(default::redis_port()), |field| port(&field, REDIS_PORT, findings));
    let tls =
        block.optional("tls").map_or(Some(default::tls()), |field| flag(&field, "`tls: false`", findings));
    let password = password(&mut block, "password", text, findings);
    block.close(&[], findings);
    Some(ExternalRedis { host: server?.value, port: port?, tls: tls?, password: password? })
}

fn object_storage(field: &Field<'_>, text: &str, findings: &mut Findings) -> Option<ExternalObjectStorage> {
    let mut block = Block::of(field, OBJECT_STORAGE, findings)?;
    let server = block.required("endpoint", "`endpoint: https://s3.acme.example`");
    let server = server.and_then(|field| endpoint(&field, findings));
    let region = block
        .optional("region")
        .map_or_else(|| Some(default::region()), |field| word(&field, "`region: eu-central-1`", findings));
    let example = "`bucket_prefix: acme`";
    let prefix = block.required("bucket_prefix", example).and_then(|field| word(&field, example, findings));
    let access_key = password(&mut block, "access_key", text, findings);
    let secret_key = password(&mut block, "secret_key", text, findings);
    block.close(&[], findings);
    Some(ExternalObjectStorage {
        endpoint: server?,
        region: region?,
        bucket_prefix: prefix?,
        access_key: access_key?,
        secret_key: secret_key?,
    })
}

fn password(
    block: &mut Block<'_>,
    key: &'static str,
    text: &str,
    findings: &mut Findings,
) -> Option<SecretReference> {
    let field = block.required(key, &format!("`{key}: {{secret: {{env: NAME}}}}`"))?;
    secret::read(&field, text, findings)
}

/// Amazon Aurora, and what GitLab has not tested, as far as a name tells.
/// Source: <https://docs.gitlab.com/administration/reference_architectures/>, "Recommended cloud providers and services"
/// (read 2026-08).
fn not_aurora(server: &Placed<String>, findings: &mut Findings) {
    let is_amazon = server.value.contains(".rds.amazonaws.com");
    let kind = if is_amazon && server.value.contains(".cluster-") {
        "Amazon Aurora, which GitLab doesn't support, or a Multi-AZ cluster, which it hasn't tested"
    } else if is_amazon && server.value.contains(".proxy-") {
        "an RDS Proxy, with which GitLab hasn't been tested"
    } else {
        return;
    };
    let message = format!("`{}` is {kind}", server.value);
    findings.add(Problem::new(&rule::MANAGED_POSTGRES, message).at(server.at.clone(), "this server"));
}

/// Redis Cluster and serverless Redis, as far as a name tells.
/// Source: <https://docs.gitlab.com/install/requirements/>, Redis (read 2026-08).
fn one_primary(server: &Placed<String>, findings: &mut Findings) {
    let kind = if server.value.starts_with("clustercfg.") {
        "Redis Cluster"
    } else if server.value.contains(".serverless.") {
        "a serverless Redis"
    } else {
        return;
    };
    let message = format!("`{}` is {kind}, which GitLab can't use", server.value);
    findings.add(Problem::new(&rule::MANAGED_REDIS, message).at(server.at.clone(), "this server"));
}

/// Warns of one Redis where the architecture has two.
/// Source: <https://docs.gitlab.com/administration/reference_architectures/>, "Redis" (read 2026-08).
pub(super) fn check(draft: &ManagedDraft, size: Size, findings: &mut Findings) {
    let Some(redis) = &draft.redis else { return };
    if size < Size::TenK {
        return;
    }
    let message = format!("a {size} has two Redis, one for what can be lost, and this is one for everything");
    findings.add(Problem::new(&rule::MANAGED_REDIS_SINGLE, message).at(redis.at.clone(), "one Redis"));
}
