//! Signed tokens (JWT, HS256) with which the processes of one instance know each other: GitLab Shell and Gitaly
//! sign with the shell's secret, Workhorse with its own.
//! <https://docs.gitlab.com/development/internal_api/#authentication>

use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::{Value, json};
use sha2::Sha256;

/// Seconds for which a token is good.
const LIFETIME: u64 = 60;
/// Seconds by which the clocks of two nodes may differ.
const LEEWAY: u64 = 30;

/// Who signs: GitLab Shell and Gitaly.
pub const SHELL: &str = "gitlab-shell";
/// Who signs: Workhorse.
pub const WORKHORSE: &str = "gitlab-workhorse";

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

fn mac(secret: &str, text: &str) -> Option<Hmac<Sha256>> {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.trim().as_bytes()).ok()?;
    mac.update(text.as_bytes());
    Some(mac)
}

/// A token that is good for a minute; none when there is no secret.
#[must_use]
pub fn sign(secret: &str, issuer: &str) -> Option<String> {
    if secret.trim().is_empty() {
        return None;
    }
    let encode = |value: Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let head = encode(json!({"alg": "HS256", "typ": "JWT"}));
    let claims = encode(json!({"iss": issuer, "iat": now(), "exp": now() + LIFETIME}));
    let text = format!("{head}.{claims}");
    let signature = URL_SAFE_NO_PAD.encode(mac(secret, &text)?.finalize().into_bytes());
    Some(format!("{text}.{signature}"))
}

/// Whether a token was signed with this secret, by this issuer, and is still good.
#[must_use]
pub fn fits(secret: &str, issuer: &str, token: &str) -> bool {
    !secret.trim().is_empty() && claims(secret, token).is_some_and(|claims| current(&claims, issuer))
}

fn current(claims: &Value, issuer: &str) -> bool {
    let until = claims["exp"].as_u64().unwrap_or_default();
    claims["iss"] == issuer && until + LEEWAY > now()
}

fn claims(secret: &str, token: &str) -> Option<Value> {
    let (text, signature) = token.rsplit_once('.')?;
    let signature = URL_SAFE_NO_PAD.decode(signature).ok()?;
    mac(secret, text)?.verify_slice(&signature).ok()?;
    let (head, claims) = text.split_once('.')?;
    let read =
        |part: &str| -> Option<Value> { serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).ok()?).ok() };
    // A token that names another algorithm would be checked by one that nobody chose.
    (read(head)?["alg"] == "HS256").then(|| read(claims)).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_secret_and_the_issuer_fit() {
        let token = sign("secret", SHELL).expect("a secret");
        assert!(fits("secret", SHELL, &token));
        assert!(fits("secret\n", SHELL, &token));
        assert!(!fits("other", SHELL, &token));
        assert!(!fits("secret", WORKHORSE, &token));
        assert!(!fits("", SHELL, &token));
        assert_eq!(sign("", SHELL), None);
    }

    #[test]
    fn a_changed_token_is_refused() {
        let token = sign("secret", SHELL).expect("a secret");
        let (head, rest) = token.split_once('.').expect("a head");
        let (_, signature) = rest.split_once('.').expect("claims");
        let forged = URL_SAFE_NO_PAD.encode(json!({"iss": SHELL, "exp": u64::MAX - LEEWAY}).to_string());
        assert!(!fits("secret", SHELL, &format!("{head}.{forged}.{signature}")));
        assert!(!fits("secret", SHELL, "x"));
    }

    #[test]
    fn an_old_token_is_refused() {
        let claims = |until| json!({"iss": SHELL, "exp": until});
        assert!(current(&claims(now()), SHELL));
        assert!(!current(&claims(now() - LEEWAY - 1), SHELL));
    }
}
