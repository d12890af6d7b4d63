//! Git over HTTP as Rails sees it: Workhorse asks whether a request may be, and is told which Gitaly to ask. What
//! Workhorse didn't sign learns nothing.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::Request;
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE, LOCATION, WWW_AUTHENTICATE};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use super::lfs;
use super::permission::{self, Action, Denied, Who};
use crate::config::Config;
use crate::database::tokens::{self, Validity};
use crate::database::{Error, Pool};
use crate::services::git_path::{self, Endpoint};
use crate::token;

/// The header that carries Workhorse's signature.
pub const WORKHORSE_HEADER: &str = "gitlab-workhorse-api-request";
/// The type of answers that are meant for Workhorse alone.
pub const WORKHORSE_TYPE: &str = "application/vnd.gitlab-workhorse+json";

/// Scopes that let a token fetch (docs: `user/profile/personal_access_tokens`).
const FETCH: [&str; 3] = ["api", "read_repository", "write_repository"];
/// Scopes that let a token push.
const PUSH: [&str; 2] = ["api", "write_repository"];

/// What Git's endpoints have at hand.
#[derive(Clone)]
pub struct Git {
    /// What reconfigure wrote.
    pub config: Arc<Config>,
    /// Connections to the database.
    pub pool: Pool,
}

/// Answers a request of git or LFS; none for any other.
pub async fn answer(git: &Git, request: Request<Body>) -> Option<Response> {
    let path = request.uri().path().to_owned();
    let query = request.uri().query().unwrap_or_default().to_owned();
    if let Some(place) = git_path::redirect(&path, &query) {
        return Some((StatusCode::MOVED_PERMANENTLY, [(LOCATION, place)]).into_response());
    }
    let (project, endpoint) = git_path::parse(&path)?;
    let (head, body) = request.into_parts();
    let outcome = match endpoint {
        Endpoint::InfoRefs | Endpoint::UploadPack | Endpoint::ReceivePack => {
            smart_http(git, project, &endpoint, &head).await
        }
        lfs_endpoint => lfs::answer(git, project, lfs_endpoint, &head, body).await,
    };
    Some(outcome.unwrap_or_else(|error| {
        crate::terminal::complain(format!("git: {error}"));
        plain(StatusCode::INTERNAL_SERVER_ERROR, "500 Internal Server Error")
    }))
}

async fn smart_http(git: &Git, project: &str, endpoint: &Endpoint, head: &Parts) -> Result<Response, Error> {
    let Some(action) = action(&head.method, endpoint, head.uri.query().unwrap_or_default()) else {
        return Ok(plain(StatusCode::FORBIDDEN, "Git over HTTP needs a service that is allowed"));
    };
    if !from_workhorse(&git.config, &head.headers) {
        return Ok(plain(StatusCode::FORBIDDEN, "this is for Workhorse, which signs what it asks"));
    }
    let (who, project) = match authorize(git, &head.headers, project, action).await? {
        Ok(authorized) => authorized,
        Err(refusal) => return Ok(refusal.text()),
    };
    let actor = who.actor(&project, "http");
    let gitaly = permission::gitaly(&git.config, &project);
    let body = json!({
        "GL_ID": actor.id,
        "GL_USERNAME": actor.username,
        "GL_REPOSITORY": actor.repository,
        "GL_PROJECT_PATH": actor.project_path,
        "GitalyServer": {"address": gitaly["address"], "token": gitaly["token"]},
        "Repository": gitaly["repository"],
    });
    Ok(([(CONTENT_TYPE, WORKHORSE_TYPE)], body.to_string()).into_response())
}

/// What a request does to the repository.
fn action(method: &Method, endpoint: &Endpoint, query: &str) -> Option<Action> {
    match (endpoint, method.as_str(), query) {
        (Endpoint::InfoRefs, "GET", "service=git-upload-pack") | (Endpoint::UploadPack, "POST", _) => {
            Some(Action::Fetch)
        }
        (Endpoint::InfoRefs, "GET", "service=git-receive-pack") | (Endpoint::ReceivePack, "POST", _) => {
            Some(Action::Push)
        }
        _ => None,
    }
}

/// Whether Workhorse signed the request.
#[must_use]
pub fn from_workhorse(config: &Config, headers: &HeaderMap) -> bool {
    let given = headers.get(WORKHORSE_HEADER).and_then(|value| value.to_str().ok());
    given.is_some_and(|given| token::fits(&config.signing.workhorse, token::WORKHORSE, given))
}

/// Why a request isn't answered.
#[derive(Debug)]
pub enum Refusal {
    /// Who asks has to say who they are, or isn't who they say.
    Unauthenticated {
        /// The instance, for the address of the help page.
        origin: String,
    },
    /// They may not.
    Denied(Denied),
}

impl Refusal {
    /// Status and words.
    #[must_use]
    pub fn parts(&self) -> (StatusCode, String) {
        match self {
            Self::Unauthenticated { origin } => (
                StatusCode::UNAUTHORIZED,
                format!(
                    "HTTP Basic: Access denied. A token is needed that is right, not expired, and has the scope \
                     for it. See {origin}/help/topics/git/troubleshooting_git.md"
                ),
            ),
            Self::Denied(denied) => (denied.status, denied.reason.to_owned()),
        }
    }

    /// As git shows it to its user.
    #[must_use]
    pub fn text(&self) -> Response {
        let (status, reason) = self.parts();
        challenge(plain(status, &reason))
    }
}

/// Asks for a login where there was none or a wrong one.
#[must_use]
pub fn challenge(mut response: Response) -> Response {
    if response.status() == StatusCode::UNAUTHORIZED {
        let ask = axum::http::HeaderValue::from_static("Basic realm=\"GitLab\"");
        response.headers_mut().insert(WWW_AUTHENTICATE, ask);
    }
    response
}

fn plain(status: StatusCode, text: &str) -> Response {
    (status, [(CONTENT_TYPE, "text/plain; charset=utf-8")], text.to_owned()).into_response()
}

/// Who asks and the project, when they may do this to it.
pub async fn authorize(
    git: &Git,
    headers: &HeaderMap,
    path: &str,
    action: Action,
) -> Result<Result<(Who, crate::database::projects::Project), Refusal>, Error> {
    let unauthenticated = || Refusal::Unauthenticated { origin: git.config.application.origin.clone() };
    let client = git.pool.take().await?;
    let mut scopes_suffice = true;
    let who = match password(headers) {
        None => Who::Anybody,
        Some(password) => {
            let found = tokens::find(&client, &git.config.secrets.db_key_base, &password).await?;
            let Some(user) = found.filter(|user| user.validity == Validity::Active && user.allows(&FETCH))
            else {
                return Ok(Err(unauthenticated()));
            };
            scopes_suffice = action == Action::Fetch || user.allows(&PUSH);
            Who::User(Box::new(user))
        }
    };
    let outcome = permission::project(&client, &who, path, action).await?;
    Ok(match outcome {
        Ok(_) if !scopes_suffice => Err(Refusal::Denied(Denied {
            status: StatusCode::FORBIDDEN,
            reason: "You are not allowed to push code to this project: the token has no scope for it.",
        })),
        Ok(project) => Ok((who, project)),
        // Who hasn't said who they are is asked first, whether the project is there or not.
        Err(_) if matches!(who, Who::Anybody) => Err(unauthenticated()),
        Err(denied) => Err(Refusal::Denied(denied)),
    })
}

/// The token in HTTP's Basic login. GitLab takes any name beside it.
fn password(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(AUTHORIZATION)?.to_str().ok()?;
    let (kind, login) = value.split_once(' ')?;
    if !kind.eq_ignore_ascii_case("basic") {
        return None;
    }
    let login = String::from_utf8(STANDARD.decode(login.trim()).ok()?).ok()?;
    login.split_once(':').map(|(_, password)| password.to_owned())
}

/// An answer in JSON for LFS clients.
#[must_use]
pub fn json_refusal(refusal: &Refusal, content_type: &'static str) -> Response {
    let (status, reason) = refusal.parts();
    challenge((status, [(CONTENT_TYPE, content_type)], Json(json!({"message": reason}))).into_response())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fetches_and_pushes_are_told_apart() {
        let (get, post) = (Method::GET, Method::POST);
        let refs = |query| action(&get, &Endpoint::InfoRefs, query);
        assert_eq!(refs("service=git-upload-pack"), Some(Action::Fetch));
        assert_eq!(refs("service=git-receive-pack"), Some(Action::Push));
        assert_eq!(refs(""), None, "the dumb protocol is refused");
        assert_eq!(action(&post, &Endpoint::ReceivePack, ""), Some(Action::Push));
        assert_eq!(action(&get, &Endpoint::UploadPack, ""), None);
    }

    #[test]
    fn the_token_is_the_password_of_any_name() {
        let mut headers = HeaderMap::new();
        assert_eq!(password(&headers), None);
        let login = format!("Basic {}", STANDARD.encode("oauth2:glpat-a:b"));
        headers.insert(AUTHORIZATION, login.parse().expect("a header"));
        assert_eq!(password(&headers).as_deref(), Some("glpat-a:b"));
        headers.insert(AUTHORIZATION, "Bearer x".parse().expect("a header"));
        assert_eq!(password(&headers), None);
    }

    #[test]
    fn who_has_to_log_in_is_asked_to() {
        let response = Refusal::Unauthenticated { origin: "https://a.b".into() }.text();
        assert_eq!(response.headers()[WWW_AUTHENTICATE], "Basic realm=\"GitLab\"");
        let denied = Refusal::Denied(permission::NOT_FOUND).text();
        assert_eq!(denied.status(), StatusCode::NOT_FOUND);
        assert!(!denied.headers().contains_key(WWW_AUTHENTICATE));
    }
}
