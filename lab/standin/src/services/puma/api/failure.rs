//! Refusals, in the shapes that GitLab's REST API documents (docs: api/rest/troubleshooting, "Status codes",
//! and api/rest/authentication).

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use crate::database;

/// A refusal: its status and its body.
#[derive(Debug, PartialEq, Eq)]
pub struct Failure {
    status: StatusCode,
    body: Value,
}

impl Failure {
    /// `{"message": …}`
    pub fn message(status: StatusCode, message: impl Into<Value>) -> Self {
        Self { status, body: json!({"message": message.into()}) }
    }

    /// `{"error": …}`
    pub fn error(status: StatusCode, error: impl Into<Value>) -> Self {
        Self { status, body: json!({"error": error.into()}) }
    }

    /// Nobody, or nobody that is known.
    pub fn unauthorized() -> Self {
        Self::message(StatusCode::UNAUTHORIZED, "401 Unauthorized")
    }

    /// A token that was good once.
    pub fn invalid_token(why: &str) -> Self {
        let body = json!({"error": "invalid_token", "error_description": why});
        Self { status: StatusCode::UNAUTHORIZED, body }
    }

    /// A token that is good for something else.
    pub fn insufficient_scope(wanted: &[&str]) -> Self {
        let body = json!({
            "error": "insufficient_scope",
            "error_description": "The request requires higher privileges than provided by the access token.",
            "scope": wanted.join(" "),
        });
        Self { status: StatusCode::FORBIDDEN, body }
    }

    /// Somebody who may not.
    pub fn forbidden() -> Self {
        Self::message(StatusCode::FORBIDDEN, "403 Forbidden")
    }

    /// Not there, or not for this caller: the same answer.
    pub fn not_found(what: &str) -> Self {
        let what = if what.is_empty() { String::new() } else { format!("{what} ") };
        Self::message(StatusCode::NOT_FOUND, format!("404 {what}Not Found"))
    }

    /// A parameter's value that the endpoint refuses by its declaration.
    pub fn bad_parameter(why: impl Into<String>) -> Self {
        Self::error(StatusCode::BAD_REQUEST, why.into())
    }

    /// Values that the model refuses, by attribute.
    pub fn validation(attribute: &str, reasons: &[&str]) -> Self {
        Self::message(StatusCode::BAD_REQUEST, json!({attribute: reasons}))
    }

    /// Something behind Rails doesn't do what it should. The reason goes to the log.
    pub fn internal(reason: impl AsRef<str>) -> Self {
        crate::terminal::complain(format!("api: {}", reason.as_ref()));
        Self::message(StatusCode::INTERNAL_SERVER_ERROR, "500 Internal Server Error")
    }

    /// The status.
    #[cfg(test)]
    pub const fn status(&self) -> StatusCode {
        self.status
    }
}

impl From<database::Error> for Failure {
    fn from(error: database::Error) -> Self {
        Self::internal(error.to_string())
    }
}

impl From<tokio_postgres::Error> for Failure {
    fn from(error: tokio_postgres::Error) -> Self {
        database::Error::from(error).into()
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        (self.status, Json(self.body)).into_response()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_have_the_documented_shapes() {
        let body = |failure: Failure| failure.body;
        assert_eq!(body(Failure::unauthorized()), json!({"message": "401 Unauthorized"}));
        assert_eq!(body(Failure::not_found("Project")), json!({"message": "404 Project Not Found"}));
        assert_eq!(body(Failure::not_found("")), json!({"message": "404 Not Found"}));
        let taken = Failure::validation("path", &["has already been taken"]);
        assert_eq!(taken.status(), StatusCode::BAD_REQUEST);
        assert_eq!(body(taken), json!({"message": {"path": ["has already been taken"]}}));
        assert_eq!(body(Failure::insufficient_scope(&["api", "read_api"]))["scope"], "api read_api");
    }
}
