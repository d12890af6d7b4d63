//! Requests on their way to a Gitaly: reads to any replica that is current, writes to the primary and from there to
//! the others. The request itself goes on as it came, but for the storage's name and the token.

use std::sync::Arc;

use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::header::{AUTHORIZATION, CONNECTION, CONTENT_LENGTH, HOST, HeaderValue, UPGRADE};
use axum::http::request::Parts;
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse as _, Response};
use futures_util::{StreamExt as _, stream};
use hyper::upgrade::OnUpgrade;
use rand::RngExt as _;
use serde_json::{Value, json};

use super::{Cluster, names};
use crate::praefect::database::{Begun, CannotWrite};
use crate::praefect::routing::{self, Refusal};
use crate::repositories::Repositories;
use crate::site::{Node, VirtualStorage};
use crate::{frames, wire};

/// The largest JSON body.
const LARGEST: usize = 1 << 20;

/// Why a request isn't served, with the status that says it.
struct Refused(StatusCode, String);

impl From<crate::database::Error> for Refused {
    fn from(error: crate::database::Error) -> Self {
        Self(StatusCode::SERVICE_UNAVAILABLE, error.to_string())
    }
}

impl From<Refusal> for Refused {
    fn from(refusal: Refusal) -> Self {
        Self(StatusCode::SERVICE_UNAVAILABLE, refusal.to_string())
    }
}

impl From<CannotWrite> for Refused {
    fn from(error: CannotWrite) -> Self {
        match error {
            CannotWrite::Missing => missing(),
            other => Self(StatusCode::SERVICE_UNAVAILABLE, other.to_string()),
        }
    }
}

fn missing() -> Refused {
    Refused(StatusCode::NOT_FOUND, "there is no such repository".to_owned())
}

/// What a request does.
#[derive(Debug, PartialEq, Eq)]
enum Does {
    Ask,
    Create,
    Delete,
    Read,
    Write,
}

fn does(method: &Method, endpoint: &str, service: &str) -> Option<Does> {
    Some(match (method.as_str(), endpoint) {
        ("GET", "") => Does::Ask,
        ("POST", "repositories") => Does::Create,
        ("DELETE", "repositories") => Does::Delete,
        ("POST", "ssh") if service == "git-receive-pack" => Does::Write,
        ("GET", "refs" | "commit" | "http/info/refs")
        | ("POST", "mergeable" | "pack" | "http/git-upload-pack" | "ssh") => Does::Read,
        ("POST", "head" | "merge" | "http/git-receive-pack") | ("DELETE", "branch") => Does::Write,
        _ => return None,
    })
}

/// A request, taken apart.
struct Asked<'a> {
    storage: &'a VirtualStorage,
    endpoint: String,
    path: String,
    head: Parts,
    body: Body,
}

/// Serves a request.
pub async fn serve(State(cluster): State<Arc<Cluster>>, request: Request) -> Response {
    match route(&cluster, request).await {
        Ok(response) => response,
        Err(Refused(status, reason)) => {
            if status.is_server_error() {
                crate::terminal::complain(&reason);
            }
            (status, reason).into_response()
        }
    }
}

async fn route(cluster: &Arc<Cluster>, request: Request) -> Result<Response, Refused> {
    let (head, body) = request.into_parts();
    let unknown = || Refused(StatusCode::NOT_FOUND, "Praefect doesn't know that request".to_owned());
    let rest = head.uri.path().strip_prefix("/storages/").ok_or_else(unknown)?;
    let (name, endpoint) = rest.split_once('/').unwrap_or((rest, ""));
    let storage = cluster.storage(name).ok_or_else(|| {
        Refused(
            StatusCode::NOT_FOUND,
            format!("storage name \"{name}\" is not a virtual storage of this Praefect"),
        )
    })?;
    let endpoint = endpoint.to_owned();
    let query = |key: &str| {
        let pairs = url::form_urlencoded::parse(head.uri.query().unwrap_or_default().as_bytes());
        pairs.into_iter().find(|(name, _)| name == key).map(|(_, value)| value.into_owned())
    };
    let service = query("service").unwrap_or_default();
    let does = does(&head.method, &endpoint, &service).ok_or_else(unknown)?;
    let in_query = query("path");
    let (path, body) = match in_query {
        Some(path) => (path, body),
        None => in_body(body).await?,
    };
    let asked = Asked { storage, endpoint, path, head, body };
    match does {
        Does::Ask => Ok(Json(json!({"filesystem_id": "praefect"})).into_response()),
        Does::Create => {
            let Asked { path, .. } = asked;
            create(cluster, storage, &path).await
        }
        Does::Delete => {
            let Asked { path, .. } = asked;
            delete(cluster, storage, &path).await
        }
        Does::Read => read(cluster, asked).await,
        Does::Write => write(cluster, asked).await,
    }
}

async fn in_body(body: Body) -> Result<(String, Body), Refused> {
    let bytes = axum::body::to_bytes(body, LARGEST).await;
    let bytes = bytes.map_err(|error| Refused(StatusCode::BAD_REQUEST, error.to_string()))?;
    let content: Value = serde_json::from_slice(&bytes).unwrap_or_default();
    let path = content["path"].as_str().unwrap_or_default().to_owned();
    Ok((path, Body::from(bytes)))
}

fn node<'a>(storage: &'a VirtualStorage, name: &str) -> Result<&'a Node, Refused> {
    let found = storage.node.iter().find(|node| node.storage == name);
    found.ok_or_else(|| {
        Refused(StatusCode::SERVICE_UNAVAILABLE, format!("{name} is no node of this Praefect"))
    })
}

async fn create(cluster: &Cluster, storage: &VirtualStorage, path: &str) -> Result<Response, Refused> {
    if cluster.records.find(&storage.name, path).await?.is_some() {
        return Ok(Json(json!({})).into_response());
    }
    let chance = usize::from(rand::rng().random::<u16>());
    let route = routing::creation(&names(storage), &cluster.healthy(&storage.name), chance)?;
    let make = async |name: &str| -> Result<(), Refused> {
        let address = node(storage, name)?.reached();
        let made = Repositories::of(name, &address).create(path).await;
        made.map_err(|error| Refused(StatusCode::SERVICE_UNAVAILABLE, error.to_string()))
    };
    make(&route.primary).await?;
    let mut on = vec![route.primary.clone()];
    for secondary in &route.secondaries {
        match make(secondary).await {
            Ok(()) => on.push(secondary.clone()),
            Err(Refused(_, reason)) => crate::terminal::complain(format!("{path}: {reason}")),
        }
    }
    if on.len() * 2 <= storage.node.len() {
        return Err(Refusal::NoQuorum.into());
    }
    cluster.records.created(&storage.name, path, &route.primary, &on).await?;
    Ok(Json(json!({})).into_response())
}

async fn delete(cluster: &Cluster, storage: &VirtualStorage, path: &str) -> Result<Response, Refused> {
    cluster.records.deleted(&storage.name, path).await?;
    for node in &storage.node {
        let address = node.reached();
        if let Err(error) = Repositories::of(&node.storage, &address).delete(path).await {
            crate::terminal::complain(format!("{path}: {}: {error}", node.storage));
        }
    }
    Ok(Json(json!({})).into_response())
}

async fn read(cluster: &Cluster, asked: Asked<'_>) -> Result<Response, Refused> {
    let Asked { storage, endpoint, path, mut head, body } = asked;
    let record = cluster.records.find(&storage.name, &path).await?.ok_or_else(missing)?;
    let mut reason = Refused::from(Refusal::Unavailable);
    for name in record.readable(&cluster.healthy(&storage.name)) {
        let node = node(storage, &name)?;
        // A node that just went down is found out here, before anything of the body is sent.
        if let Err(error) = Repositories::of(&name, &node.reached()).answers().await {
            cluster.note(&storage.name, &name, false);
            reason = Refused(StatusCode::SERVICE_UNAVAILABLE, error.to_string());
            continue;
        }
        let upgrade = head.extensions.remove::<OnUpgrade>();
        let response = forward(node, &endpoint, &head, body).await?;
        return Ok(match upgrade {
            Some(from) if response.status() == StatusCode::SWITCHING_PROTOCOLS => {
                let answer = head_of(&response);
                tokio::spawn(relay(from, response, async {}));
                answer
            }
            _ => response,
        });
    }
    Err(reason)
}

async fn write(cluster: &Arc<Cluster>, asked: Asked<'_>) -> Result<Response, Refused> {
    let Asked { storage, endpoint, path, mut head, body } = asked;
    let begun = begin(cluster, storage, &path).await?;
    let primary = node(storage, &begun.route.primary)?;
    let upgrade = head.extensions.remove::<OnUpgrade>();
    let response = forward(primary, &endpoint, &head, body).await?;
    let spread = spread(Arc::clone(cluster), storage.clone(), path, primary.clone(), begun);
    if response.status() == StatusCode::SWITCHING_PROTOCOLS {
        let answer = head_of(&response);
        if let Some(from) = upgrade {
            tokio::spawn(relay(from, response, spread));
        }
        return Ok(answer);
    }
    let (mut head, body) = response.into_parts();
    // With a length, the answer would end before the secondaries have the write.
    head.headers.remove(CONTENT_LENGTH);
    let rest = stream::once(async move {
        spread.await;
        Ok(Bytes::new())
    });
    Ok(Response::from_parts(head, Body::from_stream(body.into_data_stream().chain(rest))))
}

/// Begins a write at a primary that answers; one that doesn't is no candidate any more.
async fn begin(cluster: &Cluster, storage: &VirtualStorage, path: &str) -> Result<Begun, Refused> {
    loop {
        let record = cluster.records.find(&storage.name, path).await?.ok_or_else(missing)?;
        let route = record.writable(&names(storage), &cluster.healthy(&storage.name))?;
        let primary = node(storage, &route.primary)?;
        if let Err(error) = Repositories::of(&primary.storage, &primary.reached()).answers().await {
            crate::terminal::complain(format!("{}: {error}", primary.storage));
            cluster.note(&storage.name, &primary.storage, false);
            continue;
        }
        let healthy = cluster.healthy(&storage.name);
        return Ok(cluster.records.begin(&storage.name, path, &names(storage), &healthy).await?);
    }
}

/// Takes a write to the secondaries. Who doesn't get it stays behind in the records, and reconciliation sees to it.
async fn spread(cluster: Arc<Cluster>, storage: VirtualStorage, path: String, primary: Node, begun: Begun) {
    let Begun { route, generation } = begun;
    cluster.replicate(&storage, &path, generation, &primary, &route.secondaries).await;
}

/// Sends a request on to a node.
async fn forward(node: &Node, endpoint: &str, head: &Parts, body: Body) -> Result<Response, Refused> {
    let query = head.uri.query().map(|query| format!("?{query}")).unwrap_or_default();
    let slash = if endpoint.is_empty() { "" } else { "/" };
    let target = format!("/storages/{}{slash}{endpoint}{query}", node.storage);
    let mut builder = axum::http::Request::builder().method(&head.method).uri(target);
    for (name, value) in &head.headers {
        if name != AUTHORIZATION && name != HOST {
            builder = builder.header(name, value);
        }
    }
    builder = builder.header(HOST, "gitaly").header(AUTHORIZATION, format!("Bearer {}", node.token));
    let failed = |reason: String| Refused(StatusCode::SERVICE_UNAVAILABLE, reason);
    let request = builder.body(body).map_err(|error| failed(error.to_string()))?;
    let response = wire::send(&node.address, request).await.map_err(failed)?;
    if response.status() == StatusCode::UNAUTHORIZED {
        // The token between here and there is wrong, which the asker's own isn't.
        return Err(failed(format!("7:permission denied by {}", node.storage)));
    }
    Ok(response.map(Body::new))
}

/// The head of an answer that hands the connection over.
fn head_of(response: &Response) -> Response {
    let mut answer = StatusCode::SWITCHING_PROTOCOLS.into_response();
    answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("upgrade"));
    if let Some(protocol) = response.headers().get(UPGRADE) {
        answer.headers_mut().insert(UPGRADE, protocol.clone());
    }
    answer
}

/// Talks between GitLab Shell and git; `before_the_end` is done before git's end is told.
async fn relay(from: OnUpgrade, response: Response, before_the_end: impl Future<Output = ()>) {
    let talked = async {
        let client = from.await.map_err(std::io::Error::other)?;
        let server = hyper::upgrade::on(response).await.map_err(std::io::Error::other)?;
        let (mut from_client, mut to_client) = tokio::io::split(hyper_util::rt::TokioIo::new(client));
        let (mut from_server, mut to_server) = tokio::io::split(hyper_util::rt::TokioIo::new(server));
        let feeder = tokio::spawn(async move {
            let _ = tokio::io::copy(&mut from_client, &mut to_server).await;
            let _ = tokio::io::AsyncWriteExt::shutdown(&mut to_server).await;
        });
        let end = loop {
            match frames::read(&mut from_server).await? {
                frames::Frame::End(code) => break code,
                frame => frames::write(&mut to_client, &frame).await?,
            }
        };
        before_the_end.await;
        feeder.abort();
        frames::write(&mut to_client, &frames::Frame::End(end)).await?;
        tokio::io::AsyncWriteExt::shutdown(&mut to_client).await
    };
    if let Err(error) = talked.await {
        crate::terminal::complain(format!("ssh: {error}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_and_writes_are_told_apart() {
        let post = |endpoint: &str, service: &str| does(&Method::POST, endpoint, service);
        assert_eq!(does(&Method::GET, "http/info/refs", "git-receive-pack"), Some(Does::Read));
        assert_eq!(post("http/git-receive-pack", "git-receive-pack"), Some(Does::Write));
        assert_eq!(post("ssh", "git-receive-pack"), Some(Does::Write));
        assert_eq!(post("ssh", "git-upload-pack"), Some(Does::Read));
        assert_eq!(does(&Method::DELETE, "branch", ""), Some(Does::Write));
        assert_eq!(post("replicate", ""), None, "that is between Gitalys");
    }
}
