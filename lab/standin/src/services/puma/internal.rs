//! The internal API: GitLab Shell and Gitaly's hooks ask it whether a fetch or a push may be, and tell it what
//! came of it. Whoever doesn't sign with the shell's secret is refused.
//! <https://docs.gitlab.com/development/internal_api/>

use std::sync::Arc;

use axum::extract::{Query, Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use redis::AsyncCommands as _;
use serde::Deserialize;
use serde_json::{Value, json};

use super::permission::{self, Action, Denied, Who};
use crate::config::Config;
use crate::database::{self, Pool};
use crate::internal_api::HEADER;
use crate::{health, jobs, redis_link, token};

/// For how long a push in the making counts as one, in seconds.
const COUNTED_FOR: i64 = 600;

/// What every endpoint has at hand.
#[derive(Clone)]
pub struct Internal {
    config: Arc<Config>,
    pool: Pool,
}

/// Rails couldn't answer.
struct Failed(String);

impl<E: std::fmt::Display> From<E> for Failed {
    fn from(error: E) -> Self {
        Self(error.to_string())
    }
}

impl IntoResponse for Failed {
    fn into_response(self) -> Response {
        crate::terminal::complain(format!("internal: {}", self.0));
        message(StatusCode::INTERNAL_SERVER_ERROR, "500 Internal Server Error")
    }
}

fn message(status: StatusCode, text: &str) -> Response {
    (status, Json(json!({"message": text}))).into_response()
}

/// The endpoints.
pub fn router(config: Arc<Config>, pool: Pool) -> Router {
    let internal = Internal { config, pool };
    Router::new()
        .route("/api/v4/internal/check", get(check))
        .route("/api/v4/internal/allowed", post(allowed))
        .route("/api/v4/internal/discover", get(discover))
        .route("/api/v4/internal/authorized_keys", get(authorized_keys))
        .route("/api/v4/internal/pre_receive", post(pre_receive))
        .route("/api/v4/internal/post_receive", post(post_receive))
        .route_layer(from_fn_with_state(internal.clone(), signed))
        .with_state(internal)
}

async fn signed(State(internal): State<Internal>, request: Request, next: Next) -> Response {
    if is_signed(&internal.config.signing.shell, request.headers()) {
        next.run(request).await
    } else {
        message(StatusCode::UNAUTHORIZED, "401 Unauthorized")
    }
}

fn is_signed(secret: &str, headers: &HeaderMap) -> bool {
    let given = headers.get(HEADER).and_then(|value| value.to_str().ok());
    given.is_some_and(|given| token::fits(secret, token::SHELL, given))
}

async fn check(State(internal): State<Internal>) -> Json<Value> {
    let redis = match internal.config.redis("shared_state") {
        Some(connection) => health::redis(connection).await.is_ok(),
        None => false,
    };
    Json(json!({
        "api_version": "v4",
        "gitlab_version": internal.config.application.version,
        "gitlab_rev": crate::paths::NOTICE,
        "redis": redis,
    }))
}

/// Ids come as numbers and as text.
#[derive(Deserialize)]
struct Asker {
    key_id: Option<Value>,
    user_id: Option<Value>,
}

fn id(value: &Value) -> Option<i64> {
    value.as_i64().or_else(|| value.as_str()?.parse().ok())
}

impl Asker {
    async fn find(&self, client: &database::Client) -> Result<Result<Who, Denied>, database::Error> {
        if let Some(key) = self.key_id.as_ref().and_then(id) {
            permission::by_key(client, key).await
        } else if let Some(user) = self.user_id.as_ref().and_then(id) {
            permission::by_user(client, user).await
        } else {
            Ok(Err(permission::NOT_FOUND))
        }
    }
}

#[derive(Deserialize)]
struct Question {
    #[serde(flatten)]
    asker: Asker,
    action: String,
    #[serde(default)]
    project: String,
    #[serde(default)]
    gl_repository: String,
    #[serde(default)]
    protocol: String,
}

async fn allowed(
    State(internal): State<Internal>,
    Json(question): Json<Question>,
) -> Result<Response, Failed> {
    let action = match question.action.as_str() {
        "git-upload-pack" | "git-upload-archive" => Action::Fetch,
        "git-receive-pack" => Action::Push,
        _ => {
            return Ok(refused(
                StatusCode::UNAUTHORIZED,
                "The command you're trying to execute is not allowed.",
            ));
        }
    };
    let client = internal.pool.take().await?;
    let who = match question.asker.find(&client).await? {
        Ok(who) => who,
        Err(denied) => return Ok(denial(&denied)),
    };
    let name = if question.gl_repository.is_empty() { &question.project } else { &question.gl_repository };
    let name = name.trim_start_matches('/').trim_end_matches(".git");
    match permission::project(&client, &who, name, action).await? {
        Ok(project) => {
            let actor = who.actor(&project, &question.protocol);
            Ok(Json(json!({
                "status": true,
                "gl_repository": actor.repository,
                "gl_project_path": actor.project_path,
                "gl_id": actor.id,
                "gl_username": actor.username,
                "git_config_options": [],
                "gitaly": permission::gitaly(&internal.config, &project),
            }))
            .into_response())
        }
        Err(denied) => Ok(denial(&denied)),
    }
}

/// A refusal has status 401 whatever kind it is, but for what isn't there.
fn denial(denied: &Denied) -> Response {
    let hidden = denied.status == StatusCode::NOT_FOUND;
    refused(if hidden { StatusCode::NOT_FOUND } else { StatusCode::UNAUTHORIZED }, denied.reason)
}

fn refused(status: StatusCode, reason: &str) -> Response {
    (status, Json(json!({"status": false, "message": reason}))).into_response()
}

/// The user of a key, or of an id; a deploy key belongs to nobody.
async fn discover(State(internal): State<Internal>, Query(asker): Query<Asker>) -> Result<Response, Failed> {
    let client = internal.pool.take().await?;
    Ok(match asker.find(&client).await? {
        Ok(Who::User(user)) => {
            Json(json!({"id": user.user_id, "name": user.name, "username": user.username})).into_response()
        }
        Ok(Who::Anybody | Who::Key(_)) => Json(Value::Null).into_response(),
        Err(denied) => message(denied.status, denied.reason),
    })
}

#[derive(Deserialize)]
struct Shown {
    key: String,
}

/// A key by its content without type and comment, for a sshd that asks instead of reading a file.
async fn authorized_keys(
    State(internal): State<Internal>,
    Query(shown): Query<Shown>,
) -> Result<Response, Failed> {
    let client = internal.pool.take().await?;
    let sql = "SELECT id, title, key FROM keys WHERE split_part(key, ' ', 2) = $1";
    let Some(row) = client.query_opt(sql, &[&shown.key]).await? else {
        return Ok(message(StatusCode::NOT_FOUND, "404 Key Not Found"));
    };
    let (id, title, key): (i64, String, String) = (row.get("id"), row.get("title"), row.get("key"));
    Ok(Json(json!({"id": id, "title": title, "key": key})).into_response())
}

#[derive(Deserialize)]
struct Push {
    gl_repository: String,
    #[serde(default)]
    identifier: String,
    #[serde(default)]
    changes: String,
}

impl Push {
    fn counter(&self) -> String {
        format!("git-receive-pack-reference-counter:{}", self.gl_repository)
    }
}

async fn redis(config: &Config) -> Result<redis::aio::MultiplexedConnection, String> {
    redis_link::open(config.redis("shared_state").ok_or("no Redis is configured")?).await
}

async fn pre_receive(State(internal): State<Internal>, Json(push): Json<Push>) -> Result<Response, Failed> {
    let mut redis = redis(&internal.config).await?;
    let counter = push.counter();
    let _: i64 = redis.incr(&counter, 1).await?;
    let _: bool = redis.expire(&counter, COUNTED_FOR).await?;
    Ok(Json(json!({"reference_counter_increased": true})).into_response())
}

async fn post_receive(State(internal): State<Internal>, Json(push): Json<Push>) -> Result<Response, Failed> {
    let mut redis = redis(&internal.config).await?;
    let left: i64 = redis.decr(push.counter(), 1).await?;
    let arguments = json!([push.gl_repository, push.identifier, push.changes]);
    jobs::enqueue(&internal.config, "PostReceive", arguments).await?;
    let client = internal.pool.take().await?;
    let id = push.gl_repository.trim_start_matches("project-").parse().unwrap_or_default();
    let project = database::projects::by_id(&*client, id).await?;
    let messages: Vec<Value> = project
        .and_then(|project| {
            let main = project.default_branch.clone()?;
            let branch = new_branch(&push.changes).filter(|branch| **branch != main)?;
            let url = format!("{}/{}", internal.config.application.origin, project.full_path);
            Some(json!({"type": "basic", "message": invitation(&url, branch)}))
        })
        .into_iter()
        .collect();
    Ok(Json(json!({"reference_counter_decreased": left >= 0, "messages": messages})).into_response())
}

/// The branch that a push made, when it made one and nothing else.
fn new_branch(changes: &str) -> Option<&str> {
    let mut lines = changes.lines();
    let (line, None) = (lines.next()?, lines.next()) else { return None };
    let [before, after, name] = line.split(' ').collect::<Vec<_>>().try_into().ok()?;
    let nothing = |sha: &str| sha.bytes().all(|byte| byte == b'0');
    (nothing(before) && !nothing(after)).then(|| name.strip_prefix("refs/heads/"))?
}

fn invitation(project: &str, branch: &str) -> String {
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    let query = query.append_pair("merge_request[source_branch]", branch).finish();
    format!("To create a merge request for {branch}, visit:\n  {project}/-/merge_requests/new?{query}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_shell_s_secret_signs() {
        let signed = |secret: &str, issuer| {
            let mut headers = HeaderMap::new();
            let token = token::sign(secret, issuer).expect("a secret");
            headers.insert(HEADER, token.parse().expect("a header"));
            is_signed("right", &headers)
        };
        assert!(signed("right", token::SHELL));
        assert!(!signed("wrong", token::SHELL));
        assert!(!signed("right", token::WORKHORSE));
        assert!(!is_signed("right", &HeaderMap::new()));
    }

    #[test]
    fn ids_are_numbers_or_text() {
        assert_eq!((id(&json!(7)), id(&json!("7")), id(&json!("x"))), (Some(7), Some(7), None));
    }

    #[test]
    fn a_new_branch_invites_to_a_merge_request() {
        let zero = "0".repeat(40);
        let one = "1".repeat(40);
        let new = format!("{zero} {one} refs/heads/a/b c\n");
        assert_eq!(new_branch(&format!("{zero} {one} refs/heads/topic\n")), Some("topic"));
        assert_eq!(new_branch(&new), None, "a ref has no spaces");
        assert_eq!(new_branch(&format!("{one} {zero} refs/heads/topic\n")), None);
        assert_eq!(new_branch(&format!("{zero} {one} refs/tags/v1\n")), None);
        let text = invitation("https://gitlab.example.com/a/b", "topic");
        assert!(text.ends_with("new?merge_request%5Bsource_branch%5D=topic"), "{text}");
    }
}
