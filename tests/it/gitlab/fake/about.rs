//! Who asks, and what the instance says of itself.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

use super::Shared;
use super::answer::Answer;
use super::route::{Endpoint as E, Request};
use super::state::Token;
use super::switches::Lie;

const SIGN_IN: &str = r#"<!DOCTYPE html>
<html><head><title>Sign in · GitLab</title></head><body>
<form class="new_user" action="/users/sign_in" method="post">
<input name="user[login]"><input type="password" name="user[password]"><button>Sign in</button></form>
</body></html>
"#;

/// Scopes that allow any call of the API.
const ALL: [&str; 1] = ["api"];
/// Scopes that allow a call that only reads.
const READ: [&str; 2] = ["api", "read_api"];
/// Scopes that allow to ask who one is.
const ABOUT: [&str; 3] = ["api", "read_api", "read_user"];

/// Lets the request in, or says why not.
pub fn admit(shared: &Shared, request: &Request) -> Result<(), Answer> {
    let git = matches!(request.endpoint, E::GitRefs | E::GitUploadPack | E::GitReceivePack);
    let lfs = matches!(request.endpoint, E::LfsBatch | E::LfsPut | E::LfsGet | E::LfsVerify);
    match request.endpoint {
        E::Front | E::SignIn | E::Readiness => return Ok(()),
        // Anyone may ask; what the answer holds depends on who does.
        E::Graphql if offered(request).is_none() => return Ok(()),
        _ => {}
    }
    let offered = if git || lfs { basic(request) } else { offered(request) };
    let state = shared.state();
    let known = offered.as_deref().and_then(|token| state.tokens.get(token));
    let Some(token) = known else { return Err(stranger(git, lfs)) };
    refusal(token, request, git || lfs).map_or(Ok(()), Err)
}

fn refusal(token: &Token, request: &Request, of_git: bool) -> Option<Answer> {
    let invalid = |what: &str| {
        let answer = Answer::json(401, &json!({"error": "invalid_token", "error_description": what}));
        Some(if of_git { stranger(true, false) } else { answer })
    };
    if token.revoked {
        return invalid("Token was revoked. You have to re-authorize from the user.");
    }
    if token.expired {
        return invalid("Token is expired. You can either do re-authorization or token refresh.");
    }
    let enough: &[&str] = match request.endpoint {
        E::TokenSelf | E::RevokeSelf => return None,
        E::User | E::Version | E::Metadata => &ABOUT,
        _ if request.writes() => &ALL,
        _ => &READ,
    };
    let has = |scope: &&str| token.scopes.iter().any(|had| had == scope);
    if enough.iter().any(has) {
        return None;
    }
    Some(if of_git { stranger(true, false) } else { insufficient(enough) })
}

/// The answer to a token whose scopes are not enough.
pub fn insufficient(scopes: &[&str]) -> Answer {
    let error = json!({
        "error": "insufficient_scope",
        "error_description": "The request requires higher privileges than provided by the access token.",
        "scope": scopes.join(" "),
    });
    Answer::json(403, &error)
}

/// The answer to who is not known.
pub fn stranger(git: bool, lfs: bool) -> Answer {
    if lfs {
        return Answer::message(401, "HTTP Basic: Access denied.")
            .header("lfs-authenticate", "Basic realm=\"GitLab\"");
    }
    if git {
        return Answer::bytes(401, "text/plain", "HTTP Basic: Access denied. If a password was provided for Git authentication, the password was incorrect or you're required to use a token instead of a password.\n")
            .header("www-authenticate", "Basic realm=\"GitLab\"");
    }
    Answer::message(401, "401 Unauthorized")
}

fn offered(request: &Request) -> Option<String> {
    let bearer = || request.header("authorization")?.strip_prefix("Bearer ");
    request.header("private-token").or_else(bearer).map(ToOwned::to_owned)
}

fn basic(request: &Request) -> Option<String> {
    let encoded = request.header("authorization")?.strip_prefix("Basic ")?;
    let pair = String::from_utf8(BASE64_STANDARD.decode(encoded.trim()).ok()?).ok()?;
    pair.split_once(':').map(|(_, token)| token.to_owned())
}

/// The token that the request came with, wherever it stands.
pub fn token(request: &Request) -> Option<String> {
    offered(request).or_else(|| basic(request))
}

pub fn answer(shared: &Shared, request: &Request) -> Answer {
    let switches = shared.switches();
    let version = switches.version.clone();
    match request.endpoint {
        E::Front => Answer::empty(302).header("location", format!("{}/users/sign_in", shared.url)),
        E::SignIn => Answer::bytes(200, "text/html; charset=utf-8", SIGN_IN),
        E::Readiness => Answer::json(200, &json!({"status": "ok", "master_check": [{"status": "ok"}]})),
        E::Version => Answer::json(200, &json!({"version": version, "revision": "0123456789a"})),
        E::Metadata => Answer::json(200, &metadata(&version)),
        E::Graphql => {
            let stale = switches.lies(Lie::GraphqlOtherVersion);
            let version = if stale { "18.10.0-ee".to_owned() } else { version };
            let known = offered(request).is_some_and(|token| shared.state().tokens.contains_key(&token));
            graphql(request, known.then(|| metadata(&version)).as_ref())
        }
        E::User => user(shared, request),
        E::RevokeSelf => {
            let mut state = shared.state();
            let token =
                offered(request).and_then(|token| state.tokens.get_mut(&token).map(|it| it.revoked = true));
            Answer::empty(if token.is_some() { 204 } else { 400 })
        }
        _ => token_self(shared, request),
    }
}

fn metadata(version: &str) -> Value {
    json!({
        "version": version,
        "revision": "0123456789a",
        "kas": {"enabled": false, "externalUrl": null, "externalK8sProxyUrl": null, "version": null},
        "enterprise": version.ends_with("-ee"),
    })
}

fn graphql(request: &Request, metadata: Option<&Value>) -> Answer {
    let query = request.parameter("query").unwrap_or_default();
    if !query.contains("metadata") {
        let error = json!({"errors": [{"message": "No query string was present"}]});
        return Answer::json(200, &error);
    }
    Answer::json(200, &json!({"data": {"metadata": metadata}}))
}

fn user(shared: &Shared, request: &Request) -> Answer {
    let state = shared.state();
    let admin = offered(request).is_some_and(|token| state.tokens[&token].admin);
    let user = json!({
        "id": 1, "username": if admin { "root" } else { "ada" }, "name": "Administrator", "state": "active",
        "locked": false, "bot": false, "email": "root@gitlab.acme.example", "can_create_group": admin,
        "can_create_project": true, "web_url": format!("{}/root", shared.url),
    });
    let flag = if admin { json!({"is_admin": true}) } else { json!({}) };
    let mut user = user;
    if let (Some(user), Some(flag)) = (user.as_object_mut(), flag.as_object()) {
        user.extend(flag.clone());
    }
    Answer::json(200, &user)
}

fn token_self(shared: &Shared, request: &Request) -> Answer {
    let state = shared.state();
    let Some(token) = offered(request).and_then(|token| state.tokens.get(&token)) else {
        return stranger(false, false);
    };
    let token = json!({
        "id": 7, "name": "refarch-verify", "description": null, "revoked": token.revoked,
        "created_at": "2026-01-01T00:00:00.000Z", "scopes": token.scopes, "user_id": 1,
        "last_used_at": null, "active": !token.revoked && !token.expired, "expires_at": token.expires_at,
    });
    Answer::json(200, &token)
}
