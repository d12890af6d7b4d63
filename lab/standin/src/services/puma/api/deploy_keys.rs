//! Deploy keys of a project (docs: `api/deploy_keys`).

use axum::extract::{OriginalUri, Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use axum::{Json, Router};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tokio_postgres::Row;

use super::auth::Caller;
use super::page::Page;
use super::params::Params;
use super::{Api, Failure, lookup};
use crate::database::access::MAINTAINER;
use crate::jobs;

/// Kinds of key that GitLab takes (docs: user/ssh).
const KINDS: [&str; 7] = [
    "ssh-ed25519",
    "ssh-rsa",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "sk-ssh-ed25519@openssh.com",
    "sk-ecdsa-sha2-nistp256@openssh.com",
];

const SELECT: &str = "
SELECT k.id, k.title, k.key, k.fingerprint_sha256, iso8601(k.created_at) AS created_at,
       iso8601(k.expires_at) AS expires_at, d.can_push
FROM keys k JOIN deploy_keys_projects d ON d.deploy_key_id = k.id";

pub fn routes() -> Router<Api> {
    Router::new()
        .route("/projects/{id}/deploy_keys", get(list).post(create))
        .route("/projects/{id}/deploy_keys/{key}", get(show).delete(delete))
}

fn shown(row: &Row) -> Value {
    json!({
        "id": row.get::<_, i64>("id"),
        "title": row.get::<_, String>("title"),
        "key": row.get::<_, String>("key"),
        "fingerprint_sha256": row.get::<_, String>("fingerprint_sha256"),
        "created_at": row.get::<_, String>("created_at"),
        "expires_at": row.get::<_, Option<String>>("expires_at"),
        "can_push": row.get::<_, bool>("can_push"),
    })
}

/// The fingerprint of a public key as OpenSSH shows it; none when it is no key.
fn fingerprint(key: &str) -> Option<String> {
    let mut words = key.split_whitespace();
    let (kind, content) = (words.next()?, words.next()?);
    let blob = STANDARD.decode(content).ok()?;
    let (length, rest) = blob.split_first_chunk::<4>()?;
    let named = rest.get(..usize::try_from(u32::from_be_bytes(*length)).ok()?)?;
    let known = KINDS.contains(&kind) && named == kind.as_bytes();
    known.then(|| format!("SHA256:{}", STANDARD_NO_PAD.encode(Sha256::digest(&blob))))
}

async fn list(
    State(api): State<Api>,
    caller: Caller,
    Path(id): Path<String>,
    OriginalUri(uri): OriginalUri,
    params: Params,
) -> Result<Response, Failure> {
    let page = Page::of(&params)?;
    let client = api.pool.take().await?;
    let project = lookup::project(&client, &caller, &id, MAINTAINER).await?;
    let count = "SELECT count(*) FROM deploy_keys_projects WHERE project_id = $1";
    let total = client.query_one(count, &[&project.id]).await?.get(0);
    let (limit, offset) = page.limits();
    let sql = format!("{SELECT} WHERE d.project_id = $1 ORDER BY k.id LIMIT $2 OFFSET $3");
    let rows = client.query(&sql, &[&project.id, &limit, &offset]).await?;
    Ok(page.answer(&api, &uri, rows.iter().map(shown).collect(), total))
}

async fn show(
    State(api): State<Api>,
    caller: Caller,
    Path((id, key)): Path<(String, i64)>,
) -> Result<Json<Value>, Failure> {
    let client = api.pool.take().await?;
    let project = lookup::project(&client, &caller, &id, MAINTAINER).await?;
    let sql = format!("{SELECT} WHERE d.project_id = $1 AND k.id = $2");
    let row = client.query_opt(&sql, &[&project.id, &key]).await?;
    row.as_ref().map(shown).map(Json).ok_or_else(|| Failure::not_found("Deploy Key"))
}

async fn create(
    State(api): State<Api>,
    caller: Caller,
    Path(id): Path<String>,
    params: Params,
) -> Result<Response, Failure> {
    let user = caller.known()?;
    params.need(&["key", "title"])?;
    let (title, key) = (params.required("title")?, params.required("key")?);
    let can_push = params.flag("can_push")?.unwrap_or(false);
    let expires_at = params.text("expires_at").filter(|text| !text.is_empty());
    let mut client = api.pool.take().await?;
    let project = lookup::project(&client, &caller, &id, MAINTAINER).await?;
    let fingerprint =
        fingerprint(&key).ok_or_else(|| Failure::validation("deploy_key.key", &["is invalid"]))?;
    let transaction = client.transaction().await?;
    // A key that another project has is joined to this one.
    let insert = "INSERT INTO keys (user_id, title, key, fingerprint_sha256, type, expires_at)
                  VALUES ($1, $2, $3, $4, 'DeployKey', $5::text::timestamptz)
                  ON CONFLICT (fingerprint_sha256) DO UPDATE SET fingerprint_sha256 = excluded.fingerprint_sha256
                  RETURNING id, type";
    let key = key.trim();
    let values: [&dyn crate::database::Value; 5] = [&user.user_id, &title, &key, &fingerprint, &expires_at];
    let row = transaction.query_one(insert, &values).await.map_err(unreadable_date)?;
    let number: i64 = row.get("id");
    let join = "INSERT INTO deploy_keys_projects (deploy_key_id, project_id, can_push) VALUES ($1, $2, $3)
                ON CONFLICT DO NOTHING";
    let personal = row.get::<_, Option<String>>("type").is_none();
    if personal || transaction.execute(join, &[&number, &project.id, &can_push]).await? == 0 {
        return Err(Failure::validation("deploy_key.fingerprint_sha256", &["has already been taken"]));
    }
    transaction.commit().await?;
    let arguments = json!(["add_key", format!("key-{number}"), key]);
    jobs::enqueue(&api.config, "AuthorizedKeysWorker", arguments).await.map_err(Failure::internal)?;
    let sql = format!("{SELECT} WHERE d.project_id = $1 AND k.id = $2");
    let row = client.query_one(&sql, &[&project.id, &number]).await?;
    Ok((StatusCode::CREATED, Json(shown(&row))).into_response())
}

/// PostgreSQL reads the date, and says so when it can't.
fn unreadable_date(error: tokio_postgres::Error) -> Failure {
    use tokio_postgres::error::SqlState;
    let about_time = [SqlState::INVALID_DATETIME_FORMAT, SqlState::DATETIME_FIELD_OVERFLOW];
    if error.code().is_some_and(|code| about_time.contains(code)) {
        Failure::bad_parameter("expires_at is invalid")
    } else {
        error.into()
    }
}

/// Takes the key from the project; a key that no project has is removed.
async fn delete(
    State(api): State<Api>,
    caller: Caller,
    Path((id, key)): Path<(String, i64)>,
) -> Result<StatusCode, Failure> {
    caller.known()?;
    let mut client = api.pool.take().await?;
    let project = lookup::project(&client, &caller, &id, MAINTAINER).await?;
    let transaction = client.transaction().await?;
    let leave = "DELETE FROM deploy_keys_projects WHERE project_id = $1 AND deploy_key_id = $2";
    if transaction.execute(leave, &[&project.id, &key]).await? == 0 {
        return Err(Failure::not_found("Deploy Key"));
    }
    let remove = "DELETE FROM keys k WHERE k.id = $1
                  AND NOT EXISTS (SELECT 1 FROM deploy_keys_projects d WHERE d.deploy_key_id = k.id)";
    let gone = transaction.execute(remove, &[&key]).await? == 1;
    transaction.commit().await?;
    if gone {
        let arguments = json!(["remove_key", format!("key-{key}")]);
        jobs::enqueue(&api.config, "AuthorizedKeysWorker", arguments).await.map_err(Failure::internal)?;
    }
    Ok(StatusCode::NO_CONTENT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_has_the_fingerprint_that_openssh_shows() {
        let mut blob = vec![0, 0, 0, 11];
        blob.extend(b"ssh-ed25519");
        blob.extend([0, 0, 0, 32]);
        blob.extend([7; 32]);
        let key = format!("ssh-ed25519 {} someone@host", STANDARD.encode(&blob));
        let shown = fingerprint(&key).expect("a fingerprint");
        assert!(shown.starts_with("SHA256:") && !shown.ends_with('='));
        assert_eq!(fingerprint("ssh-ed25519 AAAA"), None);
        assert_eq!(fingerprint("hello"), None);
        assert_eq!(fingerprint(&key.replacen("ssh-ed25519", "ssh-rsa", 1)), None);
    }
}
