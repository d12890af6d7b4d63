//! Large files (LFS): where they go to and come from, and their rows. Their content goes through Workhorse, which
//! checks size and hash on the way and says where it put it.

use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use crate::database::Client;
use axum::Json;
use axum::body::Body;
use axum::http::header::{AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, HeaderValue, LOCATION};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::{IntoResponse as _, Response};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::git_access::{Git, WORKHORSE_TYPE, authorize, from_workhorse, json_refusal};
use super::permission::Action;
use crate::database::Error;
use crate::database::projects::Project;
use crate::objects::Objects;
use crate::paths;
use crate::services::git_path::{Endpoint, is_oid};

/// The media type of LFS's requests and answers.
const TYPE: &str = "application/vnd.git-lfs+json";
/// Where Workhorse tells what it wrote.
pub const WRITTEN_HEADER: &str = "x-gitlab-workhorse-upload-path";
/// By which Rails asks Workhorse to send a file.
pub const SENDFILE_HEADER: &str = "x-sendfile";
/// The largest batch that is read, in bytes.
const LARGEST_BATCH: usize = 1 << 20;

/// Answers one of LFS's endpoints.
pub async fn answer(
    git: &Git,
    project: &str,
    endpoint: Endpoint,
    head: &Parts,
    body: Body,
) -> Result<Response, Error> {
    match (endpoint, &head.method) {
        (Endpoint::LfsBatch, &Method::POST) => batch(git, project, &head.headers, body).await,
        (Endpoint::LfsDownload { oid }, &Method::GET) => download(git, project, &oid, &head.headers).await,
        (Endpoint::LfsUpload { oid, size, authorize }, &Method::PUT) => {
            upload(git, project, &Object { oid, size }, authorize, &head.headers).await
        }
        _ => Ok(failure(StatusCode::METHOD_NOT_ALLOWED, "405 Method Not Allowed")),
    }
}

fn failure(status: StatusCode, message: &str) -> Response {
    (status, [(CONTENT_TYPE, TYPE)], Json(json!({"message": message})).to_string()).into_response()
}

/// An object, as clients name it.
#[derive(Debug, Clone, Deserialize)]
struct Object {
    oid: String,
    size: u64,
}

#[derive(Deserialize)]
struct Batch {
    operation: String,
    objects: Vec<Object>,
}

async fn batch(git: &Git, path: &str, headers: &HeaderMap, body: Body) -> Result<Response, Error> {
    let body = axum::body::to_bytes(body, LARGEST_BATCH).await.unwrap_or_default();
    let Ok(batch) = serde_json::from_slice::<Batch>(&body) else {
        return Ok(failure(StatusCode::UNPROCESSABLE_ENTITY, "the batch is not what LFS describes"));
    };
    let action = match batch.operation.as_str() {
        "download" => Action::Fetch,
        "upload" => Action::Push,
        other => return Ok(failure(StatusCode::BAD_REQUEST, &format!("there is no operation `{other}`"))),
    };
    let project = match authorize(git, headers, path, action).await? {
        Ok((_, project)) => project,
        Err(refusal) => return Ok(json_refusal(&refusal, TYPE)),
    };
    if !project.lfs_enabled {
        return Ok(failure(StatusCode::NOT_IMPLEMENTED, "Git LFS is not enabled for this project"));
    }
    let client = git.pool.take().await?;
    let origin = &git.config.application.origin;
    let base = format!("{origin}/{}.git/gitlab-lfs/objects", project.full_path);
    let login = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    let mut objects = Vec::new();
    for object in &batch.objects {
        let known = here(&client, &project, &object.oid).await?.is_some();
        objects.push(described(object, action, known, &base, login));
    }
    let body = json!({"transfer": "basic", "objects": objects});
    Ok(([(CONTENT_TYPE, TYPE)], body.to_string()).into_response())
}

/// One object of a batch: what is to be done with it, or why nothing can.
fn described(object: &Object, action: Action, known: bool, base: &str, login: Option<&str>) -> Value {
    let mut described = json!({"oid": object.oid, "size": object.size});
    let mut header = Map::new();
    if let Some(login) = login {
        header.insert("Authorization".to_owned(), json!(login));
    }
    let oid = &object.oid;
    match action {
        _ if !is_oid(oid) => {
            described["error"] = json!({"code": 422, "message": "the object's name is no SHA-256"});
        }
        Action::Fetch if known => {
            described["actions"] = json!({"download": {"href": format!("{base}/{oid}"), "header": header}});
        }
        Action::Fetch => {
            let message = "Object does not exist on the server or you don't have permissions to access it";
            described["error"] = json!({"code": 404, "message": message});
        }
        // What is here already needs no upload.
        Action::Push if known => {}
        Action::Push => {
            header.insert("Content-Type".to_owned(), json!("application/octet-stream"));
            let href = format!("{base}/{oid}/{}", object.size);
            described["actions"] = json!({"upload": {"href": href, "header": header}});
        }
    }
    described
}

/// The file of an object that belongs to the project.
async fn here(client: &Client, project: &Project, oid: &str) -> Result<Option<String>, Error> {
    let sql = "SELECT o.file FROM lfs_objects o JOIN lfs_objects_projects p ON p.lfs_object_id = o.id
               WHERE o.oid = $1 AND p.project_id = $2";
    Ok(client.query_opt(sql, &[&oid, &project.id]).await?.map(|row| row.get(0)))
}

async fn download(git: &Git, path: &str, oid: &str, headers: &HeaderMap) -> Result<Response, Error> {
    let project = match authorize(git, headers, path, Action::Fetch).await? {
        Ok((_, project)) => project,
        Err(refusal) => return Ok(json_refusal(&refusal, TYPE)),
    };
    let client = git.pool.take().await?;
    match here(&client, &project, oid).await? {
        Some(file) if file.starts_with('/') => {
            let headers = [("content-type", "application/octet-stream"), (SENDFILE_HEADER, &file)];
            Ok(headers.into_response())
        }
        Some(key) => Ok(from_bucket(git, &key).await),
        None => Ok(failure(StatusCode::NOT_FOUND, "404 Not Found")),
    }
}

fn objects(git: &Git) -> Option<Objects> {
    Objects::of(git.config.application.object_store.as_ref(), "lfs")
}

/// An object out of the object storage, or the way to it.
async fn from_bucket(git: &Git, key: &str) -> Response {
    let failed = |reason: String| {
        crate::terminal::complain(format!("lfs: {reason}"));
        failure(StatusCode::INTERNAL_SERVER_ERROR, "500 Internal Server Error")
    };
    let Some(objects) = objects(git) else {
        return failed(format!("{key} is on an object storage that isn't configured"));
    };
    if !objects.proxied() {
        return (StatusCode::FOUND, [(LOCATION, objects.address(key))]).into_response();
    }
    match objects.get(key).await {
        Ok(Some(found)) => {
            let length = found.headers().get(CONTENT_LENGTH).cloned();
            let mut response = Body::new(found.into_body()).into_response();
            response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
            if let Some(length) = length {
                response.headers_mut().insert(CONTENT_LENGTH, length);
            }
            response
        }
        Ok(None) => failure(StatusCode::NOT_FOUND, "404 Not Found"),
        Err(error) => failed(error.to_string()),
    }
}

async fn upload(
    git: &Git,
    path: &str,
    object: &Object,
    asked: bool,
    headers: &HeaderMap,
) -> Result<Response, Error> {
    if !from_workhorse(&git.config, headers) {
        return Ok(failure(StatusCode::FORBIDDEN, "an upload comes through Workhorse, which signs it"));
    }
    let project = match authorize(git, headers, path, Action::Push).await? {
        Ok((_, project)) => project,
        Err(refusal) => return Ok(json_refusal(&refusal, TYPE)),
    };
    let refuse = |error: std::io::Error| {
        crate::terminal::complain(format!("lfs: {error}"));
        failure(StatusCode::INSUFFICIENT_STORAGE, "the object can't be stored")
    };
    if asked {
        let folder = incoming();
        if let Err(error) = make(&folder) {
            return Ok(refuse(error));
        }
        let body = json!({"TempPath": folder, "LfsOid": object.oid, "LfsSize": object.size});
        return Ok(([(CONTENT_TYPE, WORKHORSE_TYPE)], body.to_string()).into_response());
    }
    let written = headers.get(WRITTEN_HEADER).and_then(|value| value.to_str().ok());
    let Some(written) = written.map(Path::new).filter(|file| file.parent() == Some(&incoming())) else {
        return Ok(failure(StatusCode::BAD_REQUEST, "Workhorse doesn't say where it put the object"));
    };
    let kept = if let Some(objects) = objects(git) {
        // Workhorse removes what it wrote.
        let key = name(&object.oid);
        objects.put(&key, written).await.map(|()| key).map_err(std::io::Error::other)
    } else {
        let place = root().join(name(&object.oid));
        keep(written, &place).map(|()| place.display().to_string())
    };
    match kept {
        Ok(location) => {
            note(git, &project, object, &location).await?;
            Ok(StatusCode::OK.into_response())
        }
        Err(error) => Ok(refuse(error)),
    }
}

fn root() -> PathBuf {
    Path::new(paths::SHARED).join("lfs-objects")
}

fn incoming() -> PathBuf {
    root().join("tmp/upload")
}

/// Where an object lies: the first four letters of its hash are two folders.
fn name(oid: &str) -> String {
    format!("{}/{}/{}", &oid[..2], &oid[2..4], &oid[4..])
}

fn make(folder: &Path) -> std::io::Result<()> {
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

fn keep(written: &Path, place: &Path) -> std::io::Result<()> {
    place.parent().map_or(Ok(()), make)?;
    std::fs::rename(written, place)
}

async fn note(git: &Git, project: &Project, object: &Object, location: &str) -> Result<(), Error> {
    let client = git.pool.take().await?;
    let sql = "WITH known AS (
                 INSERT INTO lfs_objects (oid, size, file) VALUES ($1, $2, $3)
                 ON CONFLICT (oid) DO UPDATE SET file = excluded.file RETURNING id)
               INSERT INTO lfs_objects_projects (lfs_object_id, project_id) SELECT id, $4 FROM known
               ON CONFLICT DO NOTHING";
    let size = i64::try_from(object.size).unwrap_or(i64::MAX);
    client.execute(sql, &[&object.oid, &size, &location, &project.id]).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const OID: &str = "4355a46b19d348dc2f57c046f8ef63d4538ebb936000f3c9ee954a27460dd865";
    const BASE: &str = "https://a.b/p.git/gitlab-lfs/objects";

    fn describe(oid: &str, action: Action, known: bool) -> Value {
        described(&Object { oid: oid.into(), size: 5 }, action, known, BASE, Some("Basic x"))
    }

    #[test]
    fn an_unknown_object_is_uploaded_and_a_known_one_isn_t() {
        let upload = &describe(OID, Action::Push, false)["actions"]["upload"];
        assert_eq!(upload["href"], format!("{BASE}/{OID}/5"));
        assert_eq!(upload["header"]["Authorization"], "Basic x");
        assert_eq!(describe(OID, Action::Push, true).get("actions"), None);
    }

    #[test]
    fn only_a_known_object_is_downloaded() {
        let known = describe(OID, Action::Fetch, true);
        assert_eq!(known["actions"]["download"]["href"], format!("{BASE}/{OID}"));
        assert_eq!(describe(OID, Action::Fetch, false)["error"]["code"], 404);
        assert_eq!(describe("../x", Action::Push, false)["error"]["code"], 422);
    }

    #[test]
    fn an_object_lies_under_its_hash() {
        assert_eq!(name(OID), format!("43/55/{}", &OID[4..]));
    }
}
