//! Git over HTTP: git's own `http-backend` answers, and what goes through it is never held in memory.

use std::process::Stdio;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path as Segment, Query, Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use futures_util::TryStreamExt as _;
use serde::Deserialize;
use tokio::io::{AsyncBufRead, AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::{Child, ChildStdin, Command};
use tokio_util::io::{ReaderStream, StreamReader};

use super::repositories::existing;
use super::{Answer, Refusal, git};
use crate::site::Gitaly;

/// The repository, and the service that info/refs is asked for.
#[derive(Deserialize)]
pub struct Asked {
    path: String,
    service: String,
}

/// `info/refs`, `git-upload-pack` and `git-receive-pack`.
pub async fn serve(
    State(gitaly): State<Arc<Gitaly>>,
    Segment((storage, endpoint)): Segment<(String, String)>,
    Query(asked): Query<Asked>,
    request: Request,
) -> Answer {
    existing(&gitaly, &storage, &asked.path)?;
    let root = gitaly.storage.iter().find(|one| one.name == storage).map(|one| one.path.clone());
    let command = backend(&root.unwrap_or_default(), &asked, &endpoint, &request);
    answer(command, request.into_body()).await.map_err(|reason| {
        crate::terminal::complain(format!("http-backend: {reason}"));
        Refusal(StatusCode::BAD_GATEWAY, reason)
    })
}

/// The environment by which a web server tells `http-backend` what is asked.
fn backend(root: &str, asked: &Asked, endpoint: &str, request: &Request) -> Command {
    let actor = git::actor(request.headers());
    let mut command = git::command(&actor);
    command
        .arg("http-backend")
        .env("GIT_PROJECT_ROOT", root)
        .env("GIT_HTTP_EXPORT_ALL", "1")
        .env("PATH_INFO", format!("/{}/{endpoint}", asked.path))
        .env("REQUEST_METHOD", request.method().as_str())
        // A user is what makes http-backend allow a push; who may push has been decided by Rails.
        .env("REMOTE_USER", if actor.id.is_empty() { "gitaly" } else { &actor.id })
        .env("REMOTE_ADDR", "127.0.0.1");
    if endpoint == "info/refs" {
        command.env("QUERY_STRING", format!("service={}", asked.service));
    }
    // Without a length, git reads to the end; with one, it would spin where a user goes away before it is reached.
    for (header, name) in [
        ("content-type", "CONTENT_TYPE"),
        ("content-encoding", "HTTP_CONTENT_ENCODING"),
        ("git-protocol", "HTTP_GIT_PROTOCOL"),
    ] {
        if let Some(value) = request.headers().get(header).and_then(|value| value.to_str().ok()) {
            command.env(name, value);
        }
    }
    command
}

async fn answer(mut command: Command, body: Body) -> Result<Response, String> {
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().map_err(|error| format!("git doesn't start: {error}"))?;
    let (Some(input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
        return Err("git has no pipes".to_owned());
    };
    tokio::spawn(feed(child, input, body));
    let mut output = BufReader::new(output);
    let (status, headers) = head(&mut output).await?;
    // git writes its head before it has read the request, and nginx stops sending a request that is answered.
    output.fill_buf().await.map_err(|error| error.to_string())?;
    Ok((status, headers, Body::from_stream(ReaderStream::new(output))).into_response())
}

/// Gives git the request's body, and sees it to its end.
async fn feed(mut child: Child, mut input: ChildStdin, body: Body) {
    let body = body.into_data_stream().map_err(std::io::Error::other);
    // A git that ends early, or a user who goes away, is in git's own complaint.
    let _ = tokio::io::copy(&mut StreamReader::new(body), &mut input).await;
    let _ = input.shutdown().await;
    drop(input);
    let _ = child.wait().await;
}

/// Reads the head that a CGI program writes.
async fn head(output: &mut (impl AsyncBufRead + Unpin)) -> Result<(StatusCode, HeaderMap), String> {
    let mut status = StatusCode::OK;
    let mut headers = HeaderMap::new();
    loop {
        let mut line = String::new();
        let length = output.read_line(&mut line).await.map_err(|error| error.to_string())?;
        if length == 0 {
            return Err("git ended without an answer".to_owned());
        }
        let line = line.trim_end();
        if line.is_empty() {
            return Ok((status, headers));
        }
        let (name, value) = line.split_once(':').ok_or_else(|| format!("git answers `{line}`"))?;
        let value = value.trim();
        if name.eq_ignore_ascii_case("status") {
            let code = value.split(' ').next().and_then(|code| code.parse().ok());
            status = code.ok_or_else(|| format!("git answers with status `{value}`"))?;
        } else {
            let name: axum::http::HeaderName = name.parse().map_err(|_| format!("git answers `{line}`"))?;
            headers.insert(name, value.parse().map_err(|_| format!("git answers `{line}`"))?);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_head_of_a_cgi_program_is_read() {
        let mut output = "Status: 404 Not Found\r\nContent-Type: text/plain\r\n\r\nrest".as_bytes();
        let (status, headers) = head(&mut output).await.expect("a head");
        assert_eq!((status, headers["content-type"].as_bytes()), (StatusCode::NOT_FOUND, &b"text/plain"[..]));
        assert_eq!(output, b"rest");
        assert!(head(&mut "".as_bytes()).await.is_err());
        assert!(head(&mut "Segmentation fault\n".as_bytes()).await.is_err());
    }
}
