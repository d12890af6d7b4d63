//! Takes connections, finds what is asked, lets faults happen, and counts.

use std::convert::Infallible;
use std::sync::Arc;

use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request as HttpRequest, Response};
use hyper_util::rt::TokioIo;
use serde_json::json;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use super::answer::{Answer, Body};
use super::route::{self, Endpoint as E, Request};
use super::switches::{Fault, Writes};
use super::{Seen, Shared, about, git, groups, merging, pipelines, projects, storing};

/// Takes connections until the fake goes.
pub async fn serve(shared: Arc<Shared>, listener: TcpListener, tls: Option<TlsAcceptor>) {
    let mut open = tokio::task::JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let (shared, tls) = (shared.clone(), tls.clone());
        open.spawn(async move {
            match tls {
                Some(tls) => {
                    // A handshake that the client refuses is the client's affair.
                    if let Ok(stream) = tls.accept(stream).await {
                        connection(shared, TokioIo::new(stream)).await;
                    }
                }
                None => connection::<TokioIo<TcpStream>>(shared, TokioIo::new(stream)).await,
            }
        });
        while open.try_join_next().is_some() {}
    }
}

async fn connection<S>(shared: Arc<Shared>, stream: S)
where
    S: hyper::rt::Read + hyper::rt::Write + Unpin,
{
    let service = service_fn(move |request| {
        let shared = shared.clone();
        async move { Ok::<_, Infallible>(one(shared, request).await) }
    });
    // A connection that was cut on purpose ends in an error.
    let _ = hyper::server::conn::http1::Builder::new().serve_connection(stream, service).await;
}

async fn one(shared: Arc<Shared>, request: HttpRequest<Incoming>) -> Response<Body> {
    let _flight = shared.take_off();
    let (parts, body) = request.into_parts();
    let path = parts.uri.path();
    let Some(path) = path.strip_prefix(shared.root.as_str()) else {
        return Answer::html(404, "Not Found").into_response();
    };
    let Some((endpoint, names)) = route::find(parts.method.as_str(), path) else {
        shared.note_unknown(parts.method.as_str(), path);
        return Answer::json(404, &json!({"error": "404 Not Found"})).into_response();
    };
    let Ok(body) = body.collect().await else { return Answer::empty(400).into_response() };
    let raw_query = parts.uri.query().unwrap_or_default().to_owned();
    let query = url::form_urlencoded::parse(raw_query.as_bytes()).into_owned().collect();
    let method = parts.method.as_str().to_owned();
    let request = Request {
        endpoint,
        method,
        path: path.to_owned(),
        names,
        query,
        raw_query,
        headers: parts.headers,
        body: body.to_bytes(),
    };
    let path = path.to_owned();
    tokio::time::sleep(shared.latency).await;
    let fault = shared.switches().take(endpoint);
    if fault == Some(Fault::Slow) {
        shared.note(Seen { endpoint, path, writes: request.writes(), status: 0 });
        return std::future::pending().await;
    }
    let work = shared.clone();
    let answer = tokio::task::spawn_blocking(move || {
        let answer = spoiled(&work, &request, fault.as_ref());
        work.note(Seen { endpoint, path, writes: request.writes(), status: answer.status });
        answer
    });
    answer.await.expect("the fake does not panic").into_response()
}

/// The answer, with what is switched to go wrong with it.
fn spoiled(shared: &Shared, request: &Request, fault: Option<&Fault>) -> Answer {
    match fault {
        None | Some(Fault::Slow) => answer(shared, request),
        Some(Fault::Status(502)) => Answer::html(502, "502 GitLab is not responding"),
        Some(Fault::Status(503)) => Answer::html(503, "503 Service Unavailable"),
        Some(Fault::Status(404)) => Answer::json(404, &json!({"error": "404 Not Found"})),
        Some(Fault::Status(status)) => Answer::message(*status, format!("{status} Internal Server Error")),
        Some(Fault::Says(status, message)) => Answer::json(*status, message),
        Some(Fault::Html) => Answer::html(200, "Welcome"),
        Some(Fault::Truncated) => {
            let mut whole = answer(shared, request);
            whole.body.truncate(whole.body.len() / 2);
            whole
        }
        Some(Fault::OtherShape) => {
            let whole = answer(shared, request);
            Answer { body: br#"{"surprise":[1,2,3]}"#.to_vec(), ..whole }
        }
        Some(Fault::RedirectLoop) => {
            Answer::empty(302).header("location", format!("{}{}", shared.url, request.path))
        }
        Some(Fault::Cut) => {
            let whole = answer(shared, request);
            let body = if whole.body.is_empty() { b"    ".to_vec() } else { whole.body };
            Answer { cut: true, body, ..whole }
        }
        Some(Fault::RateLimited(_)) => {
            Answer::bytes(429, "text/plain", "Retry later\n").header("retry-after", "0")
        }
        Some(Fault::Busy(_)) => Answer::html(503, "503 Service Unavailable").header("retry-after", "1"),
        Some(Fault::Unauthorized) => {
            let git = matches!(request.endpoint, E::GitRefs | E::GitUploadPack | E::GitReceivePack);
            about::stranger(git, request.endpoint == E::LfsBatch)
        }
        Some(Fault::Forbidden) => about::insufficient(&["api"]),
    }
}

fn answer(shared: &Shared, request: &Request) -> Answer {
    if let Err(refused) = about::admit(shared, request) {
        return refused;
    }
    let git = matches!(request.endpoint, E::GitRefs | E::GitUploadPack | E::GitReceivePack);
    if git {
        shared.look_for_leaks();
        return git::serve(shared, request);
    }
    let writes = shared.switches().writes;
    if request.writes() && request.endpoint != E::RevokeSelf && writes == Writes::Refused {
        return Answer::message(403, "You cannot perform write operations on a read-only instance");
    }
    let stores = matches!(request.endpoint, E::CreateUpload | E::PutPackage | E::LfsPut);
    if stores && writes == Writes::DiskFull {
        return Answer::message(500, "500 Internal Server Error");
    }
    match request.endpoint {
        E::Front
        | E::SignIn
        | E::Readiness
        | E::Version
        | E::Metadata
        | E::Graphql
        | E::User
        | E::TokenSelf
        | E::RevokeSelf => about::answer(shared, request),
        E::ListGroups | E::CreateGroup | E::Group | E::DeleteGroup | E::Subgroups => {
            groups::answer(shared, request)
        }
        E::CreateUpload
        | E::Upload
        | E::PutPackage
        | E::Package
        | E::LfsBatch
        | E::LfsPut
        | E::LfsGet
        | E::LfsVerify => storing::answer(shared, request),
        E::CreateIssue
        | E::ListIssues
        | E::Issue
        | E::UpdateIssue
        | E::Branch
        | E::CreateMergeRequest
        | E::ListMergeRequests
        | E::MergeRequest
        | E::Merge => merging::answer(shared, request),
        E::Runners | E::Pipelines | E::Pipeline | E::PipelineJobs | E::Job | E::Trace | E::Artifact => {
            pipelines::answer(shared, request)
        }
        _ => projects::answer(shared, request),
    }
}
