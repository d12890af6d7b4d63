//! Which secrets a deployment needs, by name, and how each is made. Values never come here.
//!
//! Two kinds exist. *Named secrets* stand in `refarch-secrets.json` on the nodes that need them.
//! *Shared secrets* are the keys of `gitlab-secrets.json` that all nodes must agree on; they are
//! decided before the first node, because the package fills what is missing differently on each.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Database, Deployment, Git, Objects, Redis};
use crate::spec::GitlabVersion;

/// The name of a secret that refarch makes and gitlab.rb refers to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SecretName {
    /// The password of `root` at the first sign-in; used only when the database is seeded.
    RootPassword,
    /// The password of the database user `gitlab`.
    SqlPassword,
    /// The same as PostgreSQL keeps it.
    SqlPasswordMd5,
    /// The password of the database user `pgbouncer`, who looks up other users.
    PgbouncerPassword,
    /// The same as PostgreSQL keeps it.
    PgbouncerPasswordMd5,
    /// The password of the database user `gitlab-consul`, who tells `PgBouncer` of a new leader.
    ConsulDatabasePassword,
    /// The same as PostgreSQL keeps it.
    ConsulDatabasePasswordMd5,
    /// The password of the database user `gitlab_replicator`.
    ReplicationPassword,
    /// The same as PostgreSQL keeps it.
    ReplicationPasswordMd5,
    /// The password of Patroni's REST interface.
    PatroniPassword,
    /// The password of the only Redis.
    RedisPassword,
    /// The password of the Redis for what can be lost.
    RedisCachePassword,
    /// The password of the Redis for what must not be lost.
    RedisPersistentPassword,
    /// The cache's address with its password, as Rails takes it.
    RedisCacheUrl,
    /// What Rails says to Gitaly, where no Praefect stands between.
    GitalyToken,
    /// What Rails says to Praefect.
    PraefectExternalToken,
    /// What Praefect says to Gitaly.
    PraefectInternalToken,
    /// The password of the database user `praefect`.
    PraefectSqlPassword,
    /// The same as PostgreSQL keeps it.
    PraefectSqlPasswordMd5,
    /// The name of the object storage's access key.
    ObjectStorageAccessKey,
    /// Its secret.
    ObjectStorageSecretKey,
}

/// The name of Redis for what can be lost, by which Sentinels and addresses know it.
/// Source: the documentation's example, <https://docs.gitlab.com/administration/reference_architectures/10k_users/>.
pub const REDIS_CACHE: &str = "gitlab-redis-cache";
/// The name of Redis for what must not be lost.
pub const REDIS_PERSISTENT: &str = "gitlab-redis-persistent";
/// The name of the only Redis.
pub const REDIS: &str = "gitlab-redis";

impl SecretName {
    /// The key in `refarch-secrets.json`.
    #[must_use]
    pub const fn key(self) -> &'static str {
        match self {
            Self::RootPassword => "root_password",
            Self::SqlPassword => "sql_password",
            Self::SqlPasswordMd5 => "sql_password_md5",
            Self::PgbouncerPassword => "pgbouncer_password",
            Self::PgbouncerPasswordMd5 => "pgbouncer_password_md5",
            Self::ConsulDatabasePassword => "consul_database_password",
            Self::ConsulDatabasePasswordMd5 => "consul_database_password_md5",
            Self::ReplicationPassword => "replication_password",
            Self::ReplicationPasswordMd5 => "replication_password_md5",
            Self::PatroniPassword => "patroni_password",
            Self::RedisPassword => "redis_password",
            Self::RedisCachePassword => "redis_cache_password",
            Self::RedisPersistentPassword => "redis_persistent_password",
            Self::RedisCacheUrl => "redis_cache_url",
            Self::GitalyToken => "gitaly_token",
            Self::PraefectExternalToken => "praefect_external_token",
            Self::PraefectInternalToken => "praefect_internal_token",
            Self::PraefectSqlPassword => "praefect_sql_password",
            Self::PraefectSqlPasswordMd5 => "praefect_sql_password_md5",
            Self::ObjectStorageAccessKey => "object_storage_access_key",
            Self::ObjectStorageSecretKey => "object_storage_secret_key",
        }
    }

    /// Where its value comes from.
    #[must_use]
    pub const fn recipe(self) -> Recipe {
        match self {
            Self::SqlPasswordMd5 => Recipe::PostgresMd5 { password: Self::SqlPassword, user: "gitlab" },
            Self::PgbouncerPasswordMd5 => {
                Recipe::PostgresMd5 { password: Self::PgbouncerPassword, user: "pgbouncer" }
            }
            Self::ConsulDatabasePasswordMd5 => {
                Recipe::PostgresMd5 { password: Self::ConsulDatabasePassword, user: "gitlab-consul" }
            }
            Self::ReplicationPasswordMd5 => {
                Recipe::PostgresMd5 { password: Self::ReplicationPassword, user: "gitlab_replicator" }
            }
            Self::PraefectSqlPasswordMd5 => {
                Recipe::PostgresMd5 { password: Self::PraefectSqlPassword, user: "praefect" }
            }
            Self::RedisCacheUrl => Recipe::RedisUrl { password: Self::RedisCachePassword, host: REDIS_CACHE },
            Self::ObjectStorageAccessKey => Recipe::Random(SecretKind::Alphanumeric(20)),
            Self::ObjectStorageSecretKey => Recipe::Random(SecretKind::Alphanumeric(40)),
            _ => Recipe::Random(SecretKind::Alphanumeric(32)),
        }
    }
}

impl fmt::Display for SecretName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.key())
    }
}

/// How a random value is made. Alphabets are safe in Ruby, URLs and shells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SecretKind {
    /// So many letters and digits.
    Alphanumeric(usize),
    /// So many random bytes as lower-case hex.
    Hex(usize),
    /// So many random bytes as standard base64.
    Base64(usize),
    /// An RSA key of so many bits, as PEM.
    RsaPem(u16),
}

/// Where the value of a named secret comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recipe {
    /// It is drawn.
    Random(SecretKind),
    /// MD5 of a password and its user's name, in hex, as PostgreSQL keeps it and `gitlab-ctl pg-password-md5` prints
    /// it. It opens the database as the password does.
    PostgresMd5 {
        /// The password.
        password: SecretName,
        /// The database user.
        user: &'static str,
    },
    /// `redis://:PASSWORD@HOST`.
    RedisUrl {
        /// The password.
        password: SecretName,
        /// The host, or the name that Sentinels know.
        host: &'static str,
    },
}

/// A key of `gitlab-secrets.json`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SharedSecret {
    /// The section, such as `gitlab_rails`.
    pub section: &'static str,
    /// The key in the section.
    pub key: &'static str,
    /// What stands there.
    pub kind: SharedSecretKind,
}

/// The shape of a value in `gitlab-secrets.json`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SharedSecretKind {
    /// One value.
    One(SecretKind),
    /// A list with one value: the encryption keys of Active Record, which rotate by growing.
    ListOfOne(SecretKind),
}

/// The named secrets that this deployment's nodes need, each after what it is derived from.
#[must_use]
pub fn needed_secrets(deployment: &Deployment) -> Vec<SecretName> {
    let mut names = vec![SecretName::RootPassword];
    match &deployment.topology.database {
        Database::OnNode | Database::External(_) => {}
        Database::Single(_) => names.extend([SecretName::SqlPassword, SecretName::SqlPasswordMd5]),
        Database::Cluster { .. } => names.extend([
            SecretName::SqlPassword,
            SecretName::SqlPasswordMd5,
            SecretName::PgbouncerPassword,
            SecretName::PgbouncerPasswordMd5,
            SecretName::ConsulDatabasePassword,
            SecretName::ConsulDatabasePasswordMd5,
            SecretName::ReplicationPassword,
            SecretName::ReplicationPasswordMd5,
            SecretName::PatroniPassword,
        ]),
    }
    match &deployment.topology.redis {
        Redis::OnNode | Redis::External(_) => {}
        Redis::Single(_) | Redis::Sentinel(_) => names.push(SecretName::RedisPassword),
        Redis::Split { .. } => names.extend([
            SecretName::RedisCachePassword,
            SecretName::RedisPersistentPassword,
            SecretName::RedisCacheUrl,
        ]),
    }
    match &deployment.topology.git {
        Git::OnNode => {}
        Git::Sharded(_) => names.push(SecretName::GitalyToken),
        Git::Cluster { .. } => names.extend([
            SecretName::PraefectExternalToken,
            SecretName::PraefectInternalToken,
            SecretName::PraefectSqlPassword,
            SecretName::PraefectSqlPasswordMd5,
        ]),
    }
    if let Objects::Lab(_) = deployment.topology.objects {
        names.extend([SecretName::ObjectStorageAccessKey, SecretName::ObjectStorageSecretKey]);
    }
    names
}

/// The keys that are decided before the first node, for one version.
///
/// Source: omnibus-gitlab 18.0.0 to 19.3.0, the code that fills `gitlab-secrets.json`. Certificates
/// (`registry.internal_certificate`, `postgresql.internal_certificate`) are left to the package: they
/// are taken into the store after the first node was configured.
///
/// The key that signs `OpenID Connect`'s tokens is as long as the package makes it: to be quicker by a second once is no
/// reason to hand out a weaker one.
#[must_use]
pub fn shared_secrets(version: GitlabVersion) -> Vec<SharedSecret> {
    use SecretKind::{Alphanumeric, Base64, Hex, RsaPem};
    let one = |section, key, kind| SharedSecret { section, key, kind: SharedSecretKind::One(kind) };
    let list = |section, key, kind| SharedSecret { section, key, kind: SharedSecretKind::ListOfOne(kind) };
    let mut keys = vec![
        one("gitlab_rails", "secret_key_base", Hex(64)),
        one("gitlab_rails", "db_key_base", Hex(64)),
        one("gitlab_rails", "otp_key_base", Hex(64)),
        one("gitlab_rails", "encrypted_settings_key_base", Hex(64)),
        one("gitlab_rails", "openid_connect_signing_key", RsaPem(4096)),
        list("gitlab_rails", "active_record_encryption_primary_key", Alphanumeric(32)),
        list("gitlab_rails", "active_record_encryption_deterministic_key", Alphanumeric(32)),
        one("gitlab_rails", "active_record_encryption_key_derivation_salt", Alphanumeric(32)),
        one("gitlab_shell", "secret_token", Hex(64)),
        one("gitlab_workhorse", "secret_token", Base64(32)),
        one("gitlab_kas", "api_secret_key", Base64(32)),
        one("gitlab_kas", "private_api_secret_key", Base64(32)),
        one("gitlab_kas", "websocket_token_secret_key", Base64(72)),
        one("registry", "http_secret", Hex(64)),
        one("mailroom", "incoming_email_auth_token", Base64(32)),
        one("mailroom", "service_desk_email_auth_token", Base64(32)),
    ];
    if version >= GitlabVersion::new(18, 4, 0) {
        keys.push(one("gitlab_rails", "signed_cookie_salt", Alphanumeric(32)));
        keys.push(one("gitlab_rails", "authenticated_encrypted_cookie_salt", Alphanumeric(32)));
    }
    keys
}
