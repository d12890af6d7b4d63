//! Encryption of columns with `db_key_base`, as Rails does it for tokens: AES-256-GCM with a key derived from
//! `db_key_base`. It exists so that a gitlab-secrets.json that doesn't belong to the database is noticed.

use aes_gcm::aead::{Aead as _, KeyInit as _};
use aes_gcm::{Aes256Gcm, Nonce};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hkdf::Hkdf;
use rand::RngExt as _;
use sha2::Sha256;

const NONCE: usize = 12;
const PURPOSE: &[u8] = b"application_settings.runners_registration_token";

fn cipher(db_key_base: &str) -> Option<Aes256Gcm> {
    let mut key = [0_u8; 32];
    Hkdf::<Sha256>::new(None, db_key_base.as_bytes()).expand(PURPOSE, &mut key).ok()?;
    Aes256Gcm::new_from_slice(&key).ok()
}

/// Encrypts a value; none when there is no key.
#[must_use]
pub fn seal(db_key_base: &str, plain: &str) -> Option<String> {
    if db_key_base.is_empty() {
        return None;
    }
    let nonce: [u8; NONCE] = rand::rng().random();
    let sealed = cipher(db_key_base)?.encrypt(&Nonce::from(nonce), plain.as_bytes()).ok()?;
    Some(STANDARD.encode([nonce.as_slice(), &sealed].concat()))
}

/// Decrypts a value; none when the key is not the one that it was encrypted with.
#[must_use]
pub fn open(db_key_base: &str, sealed: &str) -> Option<String> {
    let bytes = STANDARD.decode(sealed).ok()?;
    let (nonce, sealed) = bytes.split_first_chunk::<NONCE>()?;
    let plain = cipher(db_key_base)?.decrypt(&Nonce::from(*nonce), sealed).ok()?;
    String::from_utf8(plain).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn opens_with_the_same_key_only() {
        let sealed = seal("one key", "token").expect("a key");
        assert_eq!(open("one key", &sealed).as_deref(), Some("token"));
        assert_eq!(open("other key", &sealed), None);
        assert_eq!(open("one key", "garbage"), None);
        assert_eq!(seal("", "token"), None);
    }
}
