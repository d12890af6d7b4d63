//! The token that asks, about itself (docs: `api/personal_access_tokens`, "self").

use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Value, json};

use super::auth::User;
use super::{Api, Failure};

pub fn routes() -> Router<Api> {
    Router::new().route("/personal_access_tokens/self", get(show).delete(revoke))
}

async fn show(State(api): State<Api>, User(user): User) -> Result<Json<Value>, Failure> {
    let client = api.pool.take().await?;
    let sql = "SELECT name, revoked, iso8601(created_at) AS created_at, scopes, iso8601(last_used_at) AS last_used_at,
                      expires_at::text AS expires_at
               FROM personal_access_tokens WHERE id = $1";
    let row = client.query_one(sql, &[&user.token_id]).await?;
    Ok(Json(json!({
        "id": user.token_id,
        "name": row.get::<_, String>("name"),
        "revoked": row.get::<_, bool>("revoked"),
        "created_at": row.get::<_, String>("created_at"),
        "description": null,
        "scopes": row.get::<_, Vec<String>>("scopes"),
        "user_id": user.user_id,
        "last_used_at": row.get::<_, Option<String>>("last_used_at"),
        "active": true,
        "expires_at": row.get::<_, String>("expires_at"),
    })))
}

async fn revoke(State(api): State<Api>, User(user): User) -> Result<StatusCode, Failure> {
    let client = api.pool.take().await?;
    let sql = "UPDATE personal_access_tokens SET revoked = true WHERE id = $1";
    client.execute(sql, &[&user.token_id]).await?;
    Ok(StatusCode::NO_CONTENT)
}
