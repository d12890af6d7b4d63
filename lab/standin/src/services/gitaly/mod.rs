//! Gitaly: answers for its storages, and for the repositories in them, to who knows the token. The real one
//! speaks gRPC; this one speaks plain HTTP on the same socket, because only the stand-in's own processes ask it.
//! Whatever touches a repository is git itself.

mod git;
mod replicate;
mod repositories;
mod smart_http;
mod ssh;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use axum::Router;
use axum::extract::{Path as Segment, Request, State};
use axum::http::StatusCode;
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post};

use super::{listen, metrics};
use crate::config;
use crate::services::Error;
use crate::site::Gitaly;

const METADATA: &str = ".gitaly-metadata";

/// Serves on the socket, and on TCP where configured.
pub async fn run() -> Result<(), Error> {
    let gitaly = Arc::new(config::gitaly()?);
    for storage in &gitaly.storage {
        claim(&storage.path)?;
    }
    let app = router(&gitaly);
    let socket = listen::unix(&gitaly.socket_path)?;
    let stopped = |error: std::io::Error| Error::Stopped(error.to_string());
    let on_port = async {
        match &gitaly.listen_addr {
            Some(place) => axum::serve(listen::tcp(place).await?, app.clone()).await.map_err(stopped),
            None => std::future::pending().await,
        }
    };
    let monitored = async {
        match &gitaly.prometheus_listen_addr {
            Some(place) => metrics::serve(place, "gitaly", metrics::none).await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        end = monitored => end,
        end = async { axum::serve(socket, app.clone()).await } => end.map_err(stopped),
        end = on_port => end,
        () = listen::told_to_stop() => Ok(()),
    }
}

fn router(gitaly: &Arc<Gitaly>) -> Router {
    Router::new()
        .route("/storages/{name}", get(storage))
        .route("/storages/{name}/repositories", post(repositories::create).delete(repositories::delete))
        .route("/storages/{name}/refs", get(repositories::refs))
        .route("/storages/{name}/commit", get(repositories::commit))
        .route("/storages/{name}/head", post(repositories::head))
        .route("/storages/{name}/branch", delete(repositories::remove_branch))
        .route("/storages/{name}/merge", post(repositories::merge))
        .route("/storages/{name}/mergeable", post(repositories::mergeable))
        .route("/storages/{name}/disk", post(disk))
        .route("/storages/{name}/pack", post(replicate::pack))
        .route("/storages/{name}/replicate", post(replicate::replicate))
        .route("/storages/{name}/http/{*endpoint}", get(smart_http::serve).post(smart_http::serve))
        .route("/storages/{name}/ssh", post(ssh::serve))
        .layer(from_fn_with_state(Arc::clone(gitaly), authenticate))
        .with_state(Arc::clone(gitaly))
}

/// Why something isn't done, with the status that says it.
#[derive(Debug)]
struct Refusal(StatusCode, String);

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        (self.0, self.1).into_response()
    }
}

type Answer = Result<Response, Refusal>;

/// The directory of a repository, whether it is there or not.
fn place(gitaly: &Gitaly, storage: &str, path: &str) -> Result<PathBuf, Refusal> {
    let Some(storage) = gitaly.storage.iter().find(|one| one.name == storage) else {
        return Err(unknown_storage(storage));
    };
    git::directory(&storage.path, path)
        .ok_or_else(|| Refusal(StatusCode::BAD_REQUEST, format!("`{path}` is no path of a repository")))
}

fn unknown_storage(name: &str) -> Refusal {
    Refusal(StatusCode::NOT_FOUND, format!("storage name \"{name}\" is not known to this Gitaly"))
}

/// Writes the storage's metadata, as Gitaly does when it starts.
fn claim(path: &str) -> Result<(), Error> {
    let metadata = Path::new(path).join(METADATA);
    if metadata.exists() {
        return Ok(());
    }
    let id = crate::secrets::password();
    std::fs::write(&metadata, format!("{{\"gitaly_filesystem_id\":\"{id}\"}}\n"))
        .map_err(|error| Error::Stopped(format!("cannot write `{}`: {error}", metadata.display())))
}

async fn authenticate(State(gitaly): State<Arc<Gitaly>>, request: Request, next: Next) -> Response {
    let given = request.headers().get("authorization").and_then(|value| value.to_str().ok());
    if known(given, &gitaly.auth.token) {
        next.run(request).await
    } else {
        (StatusCode::UNAUTHORIZED, "permission denied: the token is not this Gitaly's").into_response()
    }
}

/// Whether the token that was given is the right one; an empty one is anybody's.
pub fn known(given: Option<&str>, token: &str) -> bool {
    token.is_empty() || given.and_then(|given| given.strip_prefix("Bearer ")) == Some(token)
}

async fn storage(State(gitaly): State<Arc<Gitaly>>, Segment(name): Segment<String>) -> Response {
    let Some(storage) = gitaly.storage.iter().find(|storage| storage.name == name) else {
        return unknown_storage(&name).into_response();
    };
    if let Ok(metadata) = std::fs::read_to_string(Path::new(&storage.path).join(METADATA)) {
        let metadata: serde_json::Value = serde_json::from_str(&metadata).unwrap_or_default();
        axum::Json(serde_json::json!({"filesystem_id": metadata["gitaly_filesystem_id"]})).into_response()
    } else {
        let reason = format!("storage \"{name}\" has lost {METADATA} in {}", storage.path);
        (StatusCode::SERVICE_UNAVAILABLE, reason).into_response()
    }
}

/// Writes to the storage and reads it back.
async fn disk(State(gitaly): State<Arc<Gitaly>>, Segment(name): Segment<String>) -> Answer {
    let storage = gitaly.storage.iter().find(|storage| storage.name == name);
    let storage = storage.ok_or_else(|| unknown_storage(&name))?;
    let probe =
        Path::new(&storage.path).join(format!(".probe-{}", crate::secrets::password().replace('/', "_")));
    let tried = async {
        tokio::fs::write(&probe, "probe").await?;
        let read = tokio::fs::read(&probe).await;
        tokio::fs::remove_file(&probe).await?;
        read
    };
    match tried.await {
        Ok(content) if content == b"probe" => Ok(axum::Json(serde_json::json!({})).into_response()),
        Ok(_) => {
            Err(repositories::internal(format!("{}: reads something else than was written", storage.path)))
        }
        Err(error) => Err(repositories::internal(format!("{}: {error}", storage.path))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_token_has_to_fit() {
        assert!(known(Some("Bearer t"), "t"));
        assert!(!known(Some("Bearer x"), "t"));
        assert!(!known(None, "t"));
        assert!(known(None, ""));
    }
}
