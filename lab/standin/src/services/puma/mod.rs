//! Rails: the health endpoints, the pages in front of sign-in, and the API.

mod api;
mod git_access;
mod internal;
mod lfs;
mod load_balancing;
mod permission;

pub use git_access::{WORKHORSE_HEADER, WORKHORSE_TYPE};
pub use lfs::{SENDFILE_HEADER, WRITTEN_HEADER};

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use axum::extract::{ConnectInfo, Query, Request, State};
use axum::http::header::{CONTENT_TYPE, HeaderName, HeaderValue, LOCATION};
use axum::http::{Extensions, HeaderMap, StatusCode};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use axum::{Extension, Router};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use self::load_balancing::Hosts;
use super::client_ip::client_ip;
use super::{Error, listen, metrics, page};
use crate::config::Config;
use crate::database::Pool;
use crate::site::REDIS_ROLES;
use crate::{health, paths};

const SOCKET: &str = "/var/opt/gitlab/gitlab-rails/sockets/gitlab.socket";
const NOTICE_HEADER: HeaderName = HeaderName::from_static("x-gitlab-standin");

/// Serves on the socket and on TCP.
pub async fn run() -> Result<(), Error> {
    let config = Arc::new(Config::read()?);
    let hosts = Hosts::default();
    let app = router(Arc::clone(&config), hosts.clone());
    let socket = listen::unix(SOCKET)?;
    let port = listen::tcp(&config.application.puma_listen).await?;
    let on_port = app.clone().into_make_service_with_connect_info::<SocketAddr>();
    let stopped = |error: std::io::Error| Error::Stopped(error.to_string());
    let exported = async {
        match &config.application.puma_exporter {
            Some(place) => metrics::serve(place, "puma", metrics::none).await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        end = exported => end,
        () = hosts.watch(&config) => Ok(()),
        end = async { axum::serve(socket, app).await } => end.map_err(stopped),
        end = async { axum::serve(port, on_port).await } => end.map_err(stopped),
        () = listen::told_to_stop() => Ok(()),
    }
}

fn router(config: Arc<Config>, hosts: Hosts) -> Router {
    let pool = Pool::new(config.database.clone());
    let monitored = Router::new()
        .route("/-/health", get(async || "GitLab OK"))
        .route("/-/liveness", get(async || axum::Json(json!({"status": "ok"}))))
        .route("/-/readiness", get(readiness))
        .route("/-/metrics", get(async move || metrics::answer("puma", &[hosts.sample()])))
        .route_layer(from_fn_with_state(Arc::clone(&config), allowlist));
    Router::new()
        .route("/", get(async || (StatusCode::FOUND, [(LOCATION, "/users/sign_in")])))
        .route("/users/sign_in", get(sign_in).post(no_sessions))
        .route("/robots.txt", get(async || "User-Agent: *\nDisallow: /\n"))
        .merge(monitored)
        .fallback(other)
        .with_state(Arc::clone(&config))
        .merge(api::router(Arc::clone(&config)))
        .merge(internal::router(Arc::clone(&config), pool.clone()))
        .layer(Extension(git_access::Git { config, pool }))
        .layer(from_fn(notice))
}

async fn notice(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    response.headers_mut().insert(NOTICE_HEADER, HeaderValue::from_static(paths::NOTICE));
    response
}

async fn sign_in(State(config): State<Arc<Config>>) -> Html<String> {
    Html(page::sign_in(&config.application.version))
}

async fn no_sessions() -> (StatusCode, Html<String>) {
    (StatusCode::NOT_IMPLEMENTED, Html(page::no_sessions()))
}

/// Git's and LFS's requests, which begin with a project's path, and whatever isn't there.
async fn other(Extension(git): Extension<git_access::Git>, request: Request) -> Response {
    git_access::answer(&git, request).await.unwrap_or_else(not_found)
}

fn not_found() -> Response {
    (StatusCode::NOT_FOUND, Html(page::not_found())).into_response()
}

/// Whoever isn't on the list learns nothing, not even that there is something.
async fn allowlist(State(config): State<Arc<Config>>, request: Request, next: Next) -> Response {
    let peer = peer(request.extensions());
    let forwarded = forwarded(request.headers());
    let client = client_ip(peer, forwarded.iter().map(String::as_str), &config.application.trusted_proxies);
    if config.application.monitoring_whitelist.iter().any(|net| net.contains(&client)) {
        next.run(request).await
    } else {
        not_found()
    }
}

/// The other end of the connection; over the socket, it is the node itself.
fn peer(extensions: &Extensions) -> IpAddr {
    let connection = extensions.get::<ConnectInfo<SocketAddr>>();
    connection.map_or(IpAddr::V4(Ipv4Addr::LOCALHOST), |ConnectInfo(address)| address.ip())
}

fn forwarded(headers: &HeaderMap) -> Vec<String> {
    let values = headers.get_all("x-forwarded-for").iter();
    values.filter_map(|value| value.to_str().ok()).map(str::to_owned).collect()
}

#[derive(Deserialize)]
struct Scope {
    all: Option<String>,
}

async fn readiness(State(config): State<Arc<Config>>, Query(scope): Query<Scope>) -> Response {
    let mut checks = vec![("master_check".to_owned(), vec![json!({"status": "ok"})])];
    // Any value but an empty one asks for everything, as Rails reads it.
    if scope.all.is_some_and(|all| !all.is_empty()) {
        checks.extend(all_checks(&config).await);
    }
    let failed = checks.iter().flat_map(|(_, results)| results).any(|result| result["status"] != "ok");
    let mut body = Map::new();
    body.insert("status".to_owned(), json!(if failed { "failed" } else { "ok" }));
    body.extend(checks.into_iter().map(|(name, results)| (name, Value::Array(results))));
    let status = if failed { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK };
    (status, [(CONTENT_TYPE, "application/json; charset=utf-8")], Value::Object(body).to_string())
        .into_response()
}

async fn all_checks(config: &Config) -> Vec<(String, Vec<Value>)> {
    let mut checks = vec![("db_check".to_owned(), vec![result("Db", health::database(config).await)])];
    for role in REDIS_ROLES {
        let Some(connection) = config.redis(role) else { continue };
        let outcome = result(role, health::redis(connection).await);
        checks.push((format!("{role}_check"), vec![outcome]));
    }
    let mut storages = Vec::new();
    for (name, storage) in &config.application.storages {
        let mut outcome = result("Gitaly", health::gitaly(name, storage).await);
        outcome["labels"] = json!({"shard": name});
        storages.push(outcome);
    }
    checks.push(("gitaly_check".to_owned(), storages));
    checks
}

fn result(what: &str, outcome: Result<(), String>) -> Value {
    match outcome {
        Ok(()) => json!({"status": "ok"}),
        Err(reason) => {
            let message = format!("unexpected {what} check result: {reason}");
            json!({"status": "failed", "message": message})
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_check_says_why() {
        assert_eq!(result("Db", Ok(())), json!({"status": "ok"}));
        let failed = result("Db", Err("gone".to_owned()));
        assert_eq!(failed["status"], "failed");
        assert_eq!(failed["message"], "unexpected Db check result: gone");
    }

    #[test]
    fn several_forwarded_headers_are_all_read() {
        let mut headers = HeaderMap::new();
        headers.append("x-forwarded-for", HeaderValue::from_static("127.0.0.1"));
        headers.append("x-forwarded-for", HeaderValue::from_static("198.18.0.1"));
        assert_eq!(forwarded(&headers), ["127.0.0.1", "198.18.0.1"]);
    }
}
