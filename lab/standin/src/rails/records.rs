//! `gitlab-standin records`: answers the runner's Ruby, a line of JSON for a line of JSON.

use std::io::BufRead as _;

use crate::database::Client;
use serde_json::{Value, json};
use tokio_postgres::Row;

use crate::config::Config;
use crate::database::{self, tokens};
use crate::terminal::{complain, say};

/// Why a question has no answer: the class that Rails would raise, and its message.
type Failure = (&'static str, String);

impl From<tokio_postgres::Error> for Unanswered {
    fn from(error: tokio_postgres::Error) -> Self {
        let taken = error.code() == Some(&tokio_postgres::error::SqlState::UNIQUE_VIOLATION);
        let class = if taken { "RecordNotUnique" } else { "StatementInvalid" };
        Self((class, database::Error::from(error).to_string()))
    }
}

struct Unanswered(Failure);

/// Answers until the other side closes the pipe; returns the exit code.
#[must_use]
pub fn serve() -> u8 {
    let opened = Config::read().map_err(|error| error.to_string()).and_then(|config| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| error.to_string())?;
        let client =
            runtime.block_on(database::connect(&config.database)).map_err(|error| error.to_string())?;
        Ok((config, runtime, client))
    });
    let (config, runtime, client) = match opened {
        Ok(opened) => opened,
        Err(reason) => {
            complain(reason);
            return 1;
        }
    };
    for line in std::io::stdin().lock().lines() {
        let Ok(line) = line else { return 1 };
        let question = serde_json::from_str(&line).unwrap_or_default();
        say(match runtime.block_on(answer(&client, &config.secrets.db_key_base, &question)) {
            Ok(rows) => json!({"rows": rows}).to_string(),
            Err(Unanswered((class, message))) => {
                json!({"error": {"class": class, "message": message}}).to_string()
            }
        });
    }
    0
}

async fn answer(client: &Client, key: &str, question: &Value) -> Result<Vec<Value>, Unanswered> {
    let wanted = &question["where"];
    match question["table"].as_str() {
        Some("users") => Ok(client.query(USERS, &[wanted]).await?.iter().map(row).collect()),
        Some("personal_access_tokens") => {
            let rows = if let Some(token) = question["token"].as_str() {
                let sql = format!("{TOKENS} WHERE token_digest = $1");
                client.query(&sql, &[&tokens::digest(key, token)]).await?
            } else if question["save"].is_object() {
                save(client, key, &question["save"]).await?
            } else {
                client.query(&format!("{TOKENS} WHERE {WANTED} ORDER BY id"), &[wanted]).await?
            };
            Ok(rows.iter().map(row).collect())
        }
        _ => Err(Unanswered(("StatementInvalid", "there is no such table".to_owned()))),
    }
}

fn row(row: &Row) -> Value {
    row.get(0)
}

/// Each condition that is given has to hold.
const USERS: &str = "
SELECT to_jsonb(u) - 'encrypted_password' FROM users u
WHERE to_jsonb(u) - 'encrypted_password' @> coalesce(nullif($1::jsonb, 'null'), '{}') ORDER BY id";

const TOKENS: &str = "SELECT to_jsonb(t) - 'token_digest' FROM personal_access_tokens t";

const WANTED: &str = "
to_jsonb(t) - 'token_digest' @> (coalesce(nullif($1::jsonb, 'null'), '{}') - 'active')
AND (NOT coalesce($1::jsonb, '{}') ? 'active'
     OR (NOT revoked AND expires_at > (now() AT TIME ZONE 'UTC')::date) = ($1::jsonb -> 'active')::boolean)";

async fn save(client: &Client, key: &str, given: &Value) -> Result<Vec<Row>, Unanswered> {
    let digest = given["token"].as_str().map(|token| tokens::digest(key, token));
    let scopes: Vec<&str> =
        given["scopes"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let (user, name) = (given["user_id"].as_i64(), given["name"].as_str());
    let (expires_at, revoked) = (given["expires_at"].as_str(), given["revoked"].as_bool());
    let shown = "to_jsonb(personal_access_tokens) - 'token_digest'";
    if let Some(id) = given["id"].as_i64() {
        let sql = format!(
            "UPDATE personal_access_tokens
             SET name = $2, scopes = $3, expires_at = $4::text::date, revoked = $5,
                 token_digest = coalesce($6, token_digest)
             WHERE id = $1 RETURNING {shown}"
        );
        return Ok(client.query(&sql, &[&id, &name, &scopes, &expires_at, &revoked, &digest]).await?);
    }
    let sql = format!(
        "INSERT INTO personal_access_tokens (user_id, name, scopes, expires_at, revoked, token_digest)
         VALUES ($1, $2, $3, $4::text::date, $5, $6) RETURNING {shown}"
    );
    Ok(client.query(&sql, &[&user, &name, &scopes, &expires_at, &revoked, &digest]).await?)
}
