//! Which secrets a deployment needs, by name, and how each is made. Values never come here.
//!
//! Two kinds exist. *Named secrets* stand in `refarch-secrets.json` on the nodes that need them.
//! *Shared secrets* are the keys of `gitlab-secrets.json` that all nodes must agree on; they are
//! decided before the first node, because the package fills what is missing differently on each.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::Deployment;
use crate::spec::GitlabVersion;

/// The name of a secret that refarch makes and gitlab.rb refers to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SecretName {
    /// The password of `root` at the first sign-in; used only when the database is seeded.
    RootPassword,
}

impl SecretName {
    /// The key in `refarch-secrets.json`.
    #[must_use]
    pub const fn key(self) -> &'static str {
        match self {
            Self::RootPassword => "root_password",
        }
    }

    /// How its value is made.
    #[must_use]
    pub const fn kind(self) -> SecretKind {
        match self {
            Self::RootPassword => SecretKind::Alphanumeric(32),
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

/// The named secrets that this deployment's gitlab.rb files refer to.
#[must_use]
pub fn needed_secrets(_deployment: &Deployment) -> Vec<SecretName> {
    vec![SecretName::RootPassword]
}

/// The keys that are decided before the first node, for one version.
///
/// Source: omnibus-gitlab 18.0.0 to 19.3.0, the code that fills `gitlab-secrets.json`. Certificates
/// (`registry.internal_certificate`, `postgresql.internal_certificate`) are left to the package: they
/// are taken into the store after the first node was configured.
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
