//! `/api/v4` and `/api/graphql`: what an instance is tried with, in the shapes, codes and permissions that
//! GitLab's documentation gives. What isn't here answers 404, as an unknown endpoint does.

mod auth;
mod failure;
mod graphql;
mod instance;
mod personal_access_tokens;

pub use failure::Failure;

use std::sync::Arc;

use axum::Router;
use axum::http::StatusCode;
use axum::middleware::from_fn_with_state;
use axum::routing::{get, post};

use crate::config::Config;
use crate::database::Pool;

/// What every endpoint has at hand.
#[derive(Clone)]
pub struct Api {
    /// What reconfigure wrote.
    pub config: Arc<Config>,
    /// Connections to the database.
    pub pool: Pool,
}

/// The endpoints.
pub fn router(config: Arc<Config>) -> Router {
    let pool = Pool::new(config.database.clone());
    let api = Api { config, pool };
    let v4 = Router::new()
        .route("/version", get(instance::version))
        .route("/metadata", get(instance::metadata))
        .route("/user", get(instance::user))
        .merge(personal_access_tokens::routes())
        .fallback(async || unknown())
        .method_not_allowed_fallback(async || {
            Failure::error(StatusCode::METHOD_NOT_ALLOWED, "405 Not Allowed")
        });
    Router::new()
        .nest("/api/v4", v4)
        .route("/api/graphql", post(graphql::answer))
        .route_layer(from_fn_with_state(api.clone(), auth::authenticate))
        .with_state(api)
}

fn unknown() -> Failure {
    Failure::error(StatusCode::NOT_FOUND, "404 Not Found")
}

/// Bytes as hexadecimal digits.
fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
