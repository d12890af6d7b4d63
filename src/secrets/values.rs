//! Random values of the kinds that GitLab's secrets have.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use data_encoding::HEXLOWER;
use md5::{Digest as _, Md5};
use rand::distr::{Alphanumeric, SampleString as _};
use rand::{Rng as _, RngExt as _};
use rcgen::{KeyPair, PKCS_RSA_SHA256, RsaKeySize};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Map, Value};

use super::Error;
use crate::deployment::{Recipe, SecretKind, SecretName, SharedSecret, SharedSecretKind};

/// Makes one value.
///
/// # Errors
/// Only for RSA keys, when the library refuses.
pub fn value(kind: SecretKind) -> Result<SecretString, Error> {
    let mut random = rand::rng();
    Ok(match kind {
        SecretKind::Alphanumeric(length) => Alphanumeric.sample_string(&mut random, length),
        SecretKind::Hex(bytes) => HEXLOWER.encode(&bytes_of(bytes)),
        SecretKind::Base64(bytes) => STANDARD.encode(bytes_of(bytes)),
        SecretKind::RsaPem(bits) => rsa(bits)?,
    }
    .into())
}

/// Works out a secret that follows from another. `of` gives the values of the others.
///
/// # Errors
/// As [`value`].
pub fn named(
    name: SecretName,
    of: impl Fn(SecretName) -> Option<SecretString>,
) -> Result<SecretString, Error> {
    let known = |password: SecretName| {
        of(password).ok_or_else(|| Error::Make {
            what: "a derived secret",
            message: format!("`{password}` comes later"),
        })
    };
    match name.recipe() {
        Recipe::Random(kind) => value(kind),
        Recipe::PostgresMd5 { password, user } => {
            let mut hasher = Md5::new();
            hasher.update(known(password)?.expose_secret());
            hasher.update(user);
            Ok(HEXLOWER.encode(&hasher.finalize()).into())
        }
        Recipe::RedisUrl { password, host } => {
            Ok(format!("redis://:{}@{host}", known(password)?.expose_secret()).into())
        }
    }
}

/// Makes the tree of `gitlab-secrets.json` with these keys.
///
/// # Errors
/// As [`value`].
pub fn shared_tree(secrets: &[SharedSecret]) -> Result<Value, Error> {
    let mut tree = Map::new();
    for secret in secrets {
        let made = match secret.kind {
            SharedSecretKind::One(kind) => Value::from(value(kind)?.expose_secret()),
            SharedSecretKind::ListOfOne(kind) => Value::from(vec![value(kind)?.expose_secret().to_owned()]),
        };
        let section = tree.entry(secret.section).or_insert_with(|| Value::Object(Map::new()));
        if let Value::Object(keys) = section {
            keys.insert(secret.key.to_owned(), made);
        }
    }
    Ok(Value::Object(tree))
}

/// Six letters and digits that tell two deployments of one name apart. Not a secret.
#[must_use]
pub fn suffix() -> String {
    const ALPHABET: &[u8] = b"abcdefghijklmnopqrstuvwxyz0123456789";
    let mut random = rand::rng();
    (0..6).map(|_| char::from(ALPHABET[random.random_range(0..ALPHABET.len())])).collect()
}

/// A personal access token as GitLab writes them: the default prefix and 20 characters.
/// Source: docs.gitlab.com, security/tokens, "Token prefixes" (read 2026-11).
#[must_use]
pub fn access_token() -> SecretString {
    const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut random = rand::rng();
    let letters = (0..20).map(|_| char::from(ALPHABET[random.random_range(0..ALPHABET.len())]));
    format!("glpat-{}", letters.collect::<String>()).into()
}

fn bytes_of(count: usize) -> Vec<u8> {
    let mut bytes = vec![0; count];
    rand::rng().fill_bytes(&mut bytes);
    bytes
}

fn rsa(bits: u16) -> Result<String, Error> {
    let size = match bits {
        2048 => RsaKeySize::_2048,
        3072 => RsaKeySize::_3072,
        _ => RsaKeySize::_4096,
    };
    KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, size)
        .map(|pair| pair.serialize_pem())
        .map_err(|error| Error::Make { what: "an RSA key", message: error.to_string() })
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret as _;

    use super::{named, shared_tree, suffix, value};
    use crate::deployment::{SecretKind, SecretName, shared_secrets};
    use crate::spec::GitlabVersion;

    #[test]
    fn values_have_the_length_that_gitlab_expects() {
        let length = |kind| value(kind).expect("no RSA key").expose_secret().len();
        assert_eq!(length(SecretKind::Alphanumeric(32)), 32);
        assert_eq!(length(SecretKind::Hex(64)), 128);
        assert_eq!(length(SecretKind::Base64(32)), 44);
        assert_eq!(suffix().len(), 6);
    }

    /// PostgreSQL's own answer to `SELECT md5('secret' || 'gitlab')`.
    #[test]
    fn derived_values_follow_from_their_password() {
        let of = |name| (name == SecretName::SqlPassword).then(|| "secret".into());
        let md5 = named(SecretName::SqlPasswordMd5, of).expect("the password is known");
        assert_eq!(md5.expose_secret(), "63d52d8660eb1da2ae2ccfbd1a0f455d");
        assert!(named(SecretName::RedisCacheUrl, of).is_err(), "its password is not known");
    }

    #[test]
    fn no_value_is_made_twice() {
        let tree = shared_tree(&shared_secrets(GitlabVersion::new(18, 11, 2))).expect("a tree");
        assert_ne!(tree["gitlab_rails"]["db_key_base"], tree["gitlab_rails"]["otp_key_base"]);
        assert!(tree["gitlab_rails"]["active_record_encryption_primary_key"].is_array());
        let key = tree["gitlab_rails"]["openid_connect_signing_key"].as_str().expect("PEM");
        assert!(key.starts_with("-----BEGIN"), "a PEM begins with its kind");
    }
}
