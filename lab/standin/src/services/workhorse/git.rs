//! Git over HTTP: Rails says whether it may be and which Gitaly has the repository; then it goes there.

use axum::body::Body;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use serde_json::Value;

use super::{Rails, Word};
use crate::repositories::{Actor, Repositories};
use crate::site::StorageAddress;

/// What git's user reads when no Gitaly answers.
const NO_GITALY: &str =
    "The git server, Gitaly, is not available at this time. Please contact your administrator.";

/// Serves `info/refs`, a fetch or a push.
pub async fn serve(rails: &Rails, request: Request) -> Result<Response, String> {
    let (head, body) = request.into_parts();
    let asked = head.uri.path_and_query().map(ToString::to_string).unwrap_or_default();
    let granted = match rails.authorize(&head, &asked).await? {
        Word::Granted(granted) => granted,
        Word::Answer(response) => return Ok(response),
    };
    let endpoint = head.uri.path().split_once(".git/").map(|(_, rest)| rest.to_owned()).unwrap_or_default();
    let service = head.uri.query().and_then(|query| query.strip_prefix("service="));
    let service = service.unwrap_or(&endpoint).to_owned();
    let (address, storage, path) = target(&granted);
    let repositories = Repositories::of(&storage, &address);
    let request = Request::from_parts(head, body);
    let answer = repositories.smart_http(&path, &actor(&granted), &service, &endpoint, request).await;
    Ok(match answer {
        Ok(response) if response.status() == StatusCode::UNAUTHORIZED => {
            // Gitaly refuses this node, which the user can't mend by logging in.
            crate::terminal::complain("gitaly: permission denied: the token is not that Gitaly's");
            unavailable()
        }
        Ok(response) => response.map(Body::new),
        Err(error) => {
            crate::terminal::complain(format!("gitaly: {error}"));
            unavailable()
        }
    })
}

fn unavailable() -> Response {
    (StatusCode::SERVICE_UNAVAILABLE, NO_GITALY).into_response()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn target(granted: &Value) -> (StorageAddress, String, String) {
    let server = &granted["GitalyServer"];
    let address =
        StorageAddress { gitaly_address: text(&server["address"]), gitaly_token: text(&server["token"]) };
    let repository = &granted["Repository"];
    (address, text(&repository["storage_name"]), text(&repository["relative_path"]))
}

fn actor(granted: &Value) -> Actor {
    Actor {
        id: text(&granted["GL_ID"]),
        repository: text(&granted["GL_REPOSITORY"]),
        project_path: text(&granted["GL_PROJECT_PATH"]),
        username: text(&granted["GL_USERNAME"]),
        protocol: "http".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn rails_says_where_and_for_whom() {
        let granted = json!({
            "GL_ID": "user-1",
            "GitalyServer": {"address": "unix:/x", "token": "t"},
            "Repository": {"storage_name": "default", "relative_path": "@hashed/a.git"},
        });
        let (address, storage, path) = target(&granted);
        assert_eq!(
            (address.gitaly_token.as_str(), storage.as_str(), path.as_str()),
            ("t", "default", "@hashed/a.git")
        );
        assert_eq!(actor(&granted).id, "user-1");
    }
}
