//! Personal access tokens. The database knows a digest only, peppered with `db_key_base`, so that a token
//! lives and dies with the secrets that it was made under.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};
use tokio_postgres::Row;

use super::Client;

use super::Error;

/// How much of `db_key_base` peppers a digest.
const PEPPER: usize = 32;

/// Whether a token may still be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Validity {
    /// It may.
    Active,
    /// Its day has come (expiry is at midnight UTC of the given date).
    Expired,
    /// Somebody took it back.
    Revoked,
}

/// A token and whose it is.
#[derive(Debug, Clone)]
pub struct TokenUser {
    /// The token's id.
    pub token_id: i64,
    /// What it may be used for.
    pub scopes: Vec<String>,
    /// Whether it may still be used.
    pub validity: Validity,
    /// The user's id.
    pub user_id: i64,
    /// The user's login.
    pub username: String,
    /// The user's name.
    pub name: String,
    /// Whether the user is an administrator.
    pub admin: bool,
    /// Whether the user is blocked.
    pub blocked: bool,
}

impl TokenUser {
    /// Whether the token carries one of the scopes.
    #[must_use]
    pub fn allows(&self, scopes: &[&str]) -> bool {
        self.scopes.iter().any(|scope| scopes.contains(&scope.as_str()))
    }
}

/// What the database keeps of a token.
#[must_use]
pub fn digest(db_key_base: &str, token: &str) -> String {
    let pepper = db_key_base.as_bytes();
    let mut hash = Sha256::new();
    hash.update(token.as_bytes());
    hash.update(&pepper[..pepper.len().min(PEPPER)]);
    STANDARD.encode(hash.finalize())
}

/// Whose token it is; none when nobody's. An expired or revoked one is found, too, because Git and the API
/// say so. Notes that it was used, every ten minutes at most, as GitLab does.
pub async fn find(client: &Client, db_key_base: &str, token: &str) -> Result<Option<TokenUser>, Error> {
    if token.is_empty() {
        return Ok(None);
    }
    let sql = "SELECT t.id, t.scopes, t.revoked, t.expires_at <= (now() AT TIME ZONE 'UTC')::date AS expired,
                      coalesce(t.last_used_at < now() - interval '10 minutes', true) AS unused_lately,
                      u.id AS user_id, u.username, u.name, u.admin, u.state <> 'active' AS blocked
               FROM personal_access_tokens t JOIN users u ON u.id = t.user_id WHERE t.token_digest = $1";
    let Some(row) = client.query_opt(sql, &[&digest(db_key_base, token)]).await? else { return Ok(None) };
    let found = from_row(&row);
    if found.validity == Validity::Active && row.get("unused_lately") {
        let sql = "UPDATE personal_access_tokens SET last_used_at = now() WHERE id = $1";
        // A database that takes no writes must not refuse who only reads.
        if let Err(error) = client.execute(sql, &[&found.token_id]).await {
            crate::terminal::complain(format!("token {}: {}", found.token_id, Error::from(error)));
        }
    }
    Ok(Some(found))
}

fn from_row(row: &Row) -> TokenUser {
    let validity = match (row.get("revoked"), row.get("expired")) {
        (true, _) => Validity::Revoked,
        (false, true) => Validity::Expired,
        (false, false) => Validity::Active,
    };
    TokenUser {
        token_id: row.get("id"),
        scopes: row.get("scopes"),
        validity,
        user_id: row.get("user_id"),
        username: row.get("username"),
        name: row.get("name"),
        admin: row.get("admin"),
        blocked: row.get("blocked"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_depends_on_token_and_key() {
        let one = digest("key", "glpat-a");
        assert_eq!(one, digest("key", "glpat-a"));
        assert_ne!(one, digest("key", "glpat-b"));
        assert_ne!(one, digest("other", "glpat-a"));
        assert!(!one.contains("glpat"));
    }

    #[test]
    fn a_long_key_peppers_with_its_beginning() {
        let key = "x".repeat(128);
        assert_eq!(digest(&key, "t"), digest(&"x".repeat(PEPPER), "t"));
    }
}
