//! Who calls: the token in a header or a parameter, its user, and whether its scopes are enough.

use std::sync::Arc;

use axum::extract::{FromRequestParts, Request, State};
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use url::form_urlencoded;

use super::{Api, Failure};
use crate::database::tokens::{self, TokenUser, Validity};

/// The caller, where the request carries a token.
#[derive(Debug, Clone)]
pub struct Caller(pub Option<Arc<TokenUser>>);

impl Caller {
    /// The caller, or a refusal.
    pub fn known(&self) -> Result<&TokenUser, Failure> {
        self.0.as_deref().ok_or_else(Failure::unauthorized)
    }
}

impl<S: Sync> FromRequestParts<S> for Caller {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Failure> {
        Ok(parts.extensions.get::<Self>().cloned().unwrap_or(Self(None)))
    }
}

/// A caller that must be known.
pub struct User(pub Arc<TokenUser>);

impl<S: Sync> FromRequestParts<S> for User {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failure> {
        let caller = Caller::from_request_parts(parts, state).await?;
        caller.0.map(User).ok_or_else(Failure::unauthorized)
    }
}

/// Finds the caller before a handler runs, and refuses a token that doesn't reach.
pub async fn authenticate(State(api): State<Api>, mut request: Request, next: Next) -> Response {
    let Some(token) = presented(request.headers(), request.uri().query()) else {
        return next.run(request).await;
    };
    match admit(&api, &token, request.method(), request.uri().path()).await {
        Ok(user) => {
            request.extensions_mut().insert(Caller(Some(Arc::new(user))));
            next.run(request).await
        }
        Err(failure) => failure.into_response(),
    }
}

async fn admit(api: &Api, token: &str, method: &Method, path: &str) -> Result<TokenUser, Failure> {
    let client = api.pool.take().await?;
    let found = tokens::find(&client, &api.config.secrets.db_key_base, token).await?;
    let user = found.ok_or_else(Failure::unauthorized)?;
    match user.validity {
        Validity::Active => {}
        Validity::Expired => {
            let why = "Token is expired. You can either do re-authorization or token refresh.";
            return Err(Failure::invalid_token(why));
        }
        Validity::Revoked => {
            let why = "Token was revoked. You have to re-authorize from the user.";
            return Err(Failure::invalid_token(why));
        }
    }
    if user.blocked {
        return Err(Failure::message(
            StatusCode::FORBIDDEN,
            "403 Forbidden - Your account has been blocked.",
        ));
    }
    let wanted = scopes(method, path);
    if wanted.is_empty() || user.allows(wanted) { Ok(user) } else { Err(Failure::insufficient_scope(wanted)) }
}

/// The token as the client presents it (docs: api/rest/authentication).
fn presented(headers: &HeaderMap, query: Option<&str>) -> Option<String> {
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let bearer = || {
        let value = header(AUTHORIZATION.as_str())?;
        let (kind, token) = value.split_once(' ')?;
        kind.eq_ignore_ascii_case("bearer").then(|| token.trim().to_owned())
    };
    let parameter = || {
        let pairs = form_urlencoded::parse(query?.as_bytes());
        let mut tokens = pairs.filter(|(name, _)| name == "private_token" || name == "access_token");
        tokens.next().map(|(_, token)| token.into_owned())
    };
    header("private-token").or_else(bearer).or_else(parameter).filter(|token| !token.is_empty())
}

/// The scopes of which a token needs one; none needed for asking about itself.
fn scopes(method: &Method, path: &str) -> &'static [&'static str] {
    let reads = matches!(*method, Method::GET | Method::HEAD);
    match path {
        "/api/v4/personal_access_tokens/self" => &[],
        "/api/graphql" => &["api", "read_api"],
        "/api/v4/user" | "/api/v4/version" | "/api/v4/metadata" if reads => &["api", "read_user", "read_api"],
        _ if reads && path.starts_with("/api/v4/users") => &["api", "read_user", "read_api"],
        _ if reads => &["api", "read_api"],
        _ => &["api"],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_comes_by_header_or_parameter() {
        let mut headers = HeaderMap::new();
        assert_eq!(presented(&headers, None), None);
        assert_eq!(presented(&headers, Some("a=b&private_token=t%2D1")).as_deref(), Some("t-1"));
        headers.insert(AUTHORIZATION, "Bearer t2".parse().expect("a value"));
        assert_eq!(presented(&headers, None).as_deref(), Some("t2"));
        headers.insert("private-token", "t3".parse().expect("a value"));
        assert_eq!(presented(&headers, None).as_deref(), Some("t3"));
        headers.clear();
        headers.insert(AUTHORIZATION, "Basic eDp5".parse().expect("a value"));
        assert_eq!(presented(&headers, None), None);
    }

    #[test]
    fn writing_needs_the_whole_api() {
        assert_eq!(scopes(&Method::POST, "/api/v4/projects"), ["api"]);
        assert_eq!(scopes(&Method::GET, "/api/v4/projects"), ["api", "read_api"]);
        assert!(scopes(&Method::GET, "/api/v4/user").contains(&"read_user"));
        assert!(scopes(&Method::DELETE, "/api/v4/personal_access_tokens/self").is_empty());
    }
}
