//! `managed`: services that the customer or a cloud provides instead of nodes.

use schemars::JsonSchema;
use serde::Serialize;

use super::SecretReference;

/// A PostgreSQL server that refarch doesn't make.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct ExternalPostgres {
    /// Its name or address.
    pub host: String,
    /// Its port. Default: 5432.
    pub port: u16,
    /// The user that GitLab connects as. Default: `gitlab`.
    pub user: String,
    /// The database. Default: `gitlabhq_production`.
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
    pub port: u16,
    /// Whether it speaks TLS. Default: yes.
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
    pub region: String,
    /// Each bucket's name begins with it: one bucket a kind of object, as `acme-artifacts`.
    pub bucket_prefix: String,
    /// The access key's name.
    pub access_key: SecretReference,
    /// The access key's secret.
    pub secret_key: SecretReference,
}
