//! What the instance says about itself and about the caller.

use axum::Json;
use axum::extract::State;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::auth::User;
use super::{Api, Failure};

fn version_of(api: &Api) -> String {
    format!("{}-ee", api.config.application.version)
}

/// Eleven digits, as a commit of GitLab's would have. There is none, so the version makes them.
fn revision(version: &str) -> String {
    crate::hex(&Sha256::digest(version.as_bytes())).chars().take(11).collect()
}

/// `GET /version`
pub async fn version(State(api): State<Api>, User(_): User) -> Json<Value> {
    let version = version_of(&api);
    let revision = revision(&version);
    Json(json!({"version": version, "revision": revision}))
}

/// `GET /metadata`
pub async fn metadata(State(api): State<Api>, User(_): User) -> Json<Value> {
    Json(metadata_of(&api))
}

/// What REST and GraphQL both show.
pub fn metadata_of(api: &Api) -> Value {
    let version = version_of(api);
    json!({
        "revision": revision(&version),
        "version": version,
        "kas": {"enabled": false, "externalUrl": null, "externalK8sProxyUrl": null, "version": null},
        "enterprise": true,
    })
}

/// `GET /user`
pub async fn user(State(api): State<Api>, User(user): User) -> Result<Json<Value>, Failure> {
    let client = api.pool.take().await?;
    let sql = "SELECT iso8601(created_at), state FROM users WHERE id = $1";
    let row = client.query_one(sql, &[&user.user_id]).await?;
    let mut shown = brief(&api, user.user_id, &user.username, &user.name);
    shown["created_at"] = json!(row.get::<_, String>(0));
    shown["state"] = json!(row.get::<_, String>(1));
    shown["email"] = json!(user.email);
    shown["bot"] = json!(false);
    shown["external"] = json!(false);
    shown["two_factor_enabled"] = json!(false);
    shown["can_create_group"] = json!(true);
    shown["can_create_project"] = json!(true);
    if user.admin {
        shown["is_admin"] = json!(true);
    }
    Ok(Json(shown))
}

/// A user as others see it.
pub fn brief(api: &Api, id: i64, username: &str, name: &str) -> Value {
    json!({
        "id": id,
        "username": username,
        "name": name,
        "state": "active",
        "locked": false,
        "avatar_url": null,
        "web_url": format!("{}/{username}", api.config.application.origin),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_revision_is_stable() {
        assert_eq!(revision("19.3.0-ee").len(), 11);
        assert_eq!(revision("19.3.0-ee"), revision("19.3.0-ee"));
    }
}
