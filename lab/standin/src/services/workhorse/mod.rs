//! Workhorse: the reverse proxy between nginx and puma. What is large goes past Rails: git's packs straight to
//! Gitaly, uploads to disk and files from it, after Rails has said that they may.

mod files;
mod git;

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::{CONNECTION, HeaderName, HeaderValue, UPGRADE};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, StatusCode};
use axum::middleware::{Next, from_fn};
use axum::response::{Html, IntoResponse as _, Response};
use hyper::body::Incoming;

use super::git_path::{self, Endpoint};
use super::puma::{WORKHORSE_HEADER, WORKHORSE_TYPE, WRITTEN_HEADER};
use super::{Error, listen, metrics, page};
use crate::{config, paths, token, wire};

const PUMA: &str = "unix:/var/opt/gitlab/gitlab-rails/sockets/gitlab.socket";
const FORWARDED: HeaderName = HeaderName::from_static("x-forwarded-for");

/// Serves on the socket.
pub async fn run() -> Result<(), Error> {
    let rails = Arc::new(Rails { secret: config::secret(paths::WORKHORSE_SECRET)? });
    let socket = listen::unix(paths::WORKHORSE_SOCKET)?;
    let app = Router::new().fallback(serve).layer(from_fn(notice)).with_state(rails);
    let monitored = config::workhorse_metrics()?;
    tokio::select! {
        end = metrics::serve(&monitored, "workhorse", metrics::none) => end,
        end = async { axum::serve(socket, app).await } => {
            end.map_err(|error| Error::Stopped(error.to_string()))
        }
        () = listen::told_to_stop() => Ok(()),
    }
}

async fn notice(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    response.headers_mut().insert("x-gitlab-standin", HeaderValue::from_static(paths::NOTICE));
    response
}

async fn serve(State(rails): State<Arc<Rails>>, mut request: Request) -> Response {
    prepare(request.headers_mut());
    let asked = git_path::parse(request.uri().path()).map(|(_, endpoint)| endpoint);
    let outcome = match (asked, request.method()) {
        (Some(Endpoint::InfoRefs), &Method::GET)
        | (Some(Endpoint::UploadPack | Endpoint::ReceivePack), &Method::POST) => {
            git::serve(&rails, request).await
        }
        (Some(Endpoint::LfsUpload { oid, size, authorize: false }), &Method::PUT) => {
            files::upload(&rails, request, &oid, size).await
        }
        _ => rails.pass_on(request).await,
    };
    outcome.unwrap_or_else(|reason| {
        crate::terminal::complain(format!("puma: {reason}"));
        (StatusCode::BAD_GATEWAY, Html(page::bad_gateway())).into_response()
    })
}

/// Drops what belongs to one hop only, and adds the hop from nginx, which comes over a socket.
fn prepare(headers: &mut HeaderMap) {
    headers.remove(CONNECTION);
    headers.remove(UPGRADE);
    // Only Workhorse itself may say these.
    headers.remove(WORKHORSE_HEADER);
    headers.remove(WRITTEN_HEADER);
    headers.append(FORWARDED, HeaderValue::from_static("127.0.0.1"));
}

/// Rails, and the secret with which it knows this Workhorse.
struct Rails {
    secret: String,
}

/// What Rails said to a question that Workhorse asked for itself.
enum Word {
    /// It may, and how.
    Granted(serde_json::Value),
    /// What the client gets instead.
    Answer(Response),
}

impl Rails {
    /// Hands a request to Rails, and its answer back; a file that Rails names is sent from disk.
    async fn pass_on(&self, request: Request) -> Result<Response, String> {
        files::sent(wire::send(PUMA, request).await?.map(Body::new)).await
    }

    /// Asks whether a request may be, with its head but without its body.
    async fn authorize(&self, head: &Parts, path: &str) -> Result<Word, String> {
        let response = self.signed(head, path, None).await?;
        let kind = response.headers().get("content-type").and_then(|value| value.to_str().ok());
        if response.status() != StatusCode::OK || kind != Some(WORKHORSE_TYPE) {
            return Ok(Word::Answer(response.map(Body::new)));
        }
        let body = axum::body::to_bytes(Body::new(response.into_body()), 1 << 20).await;
        let body = body.map_err(|error| error.to_string())?;
        serde_json::from_slice(&body).map(Word::Granted).map_err(|error| error.to_string())
    }

    /// The head of a request, signed, with an empty body.
    async fn signed(
        &self,
        head: &Parts,
        path: &str,
        extra: Option<(&str, &str)>,
    ) -> Result<axum::http::Response<Incoming>, String> {
        let mut builder = Request::builder().method(&head.method).uri(path);
        let of_the_body = ["content-length", "transfer-encoding", "content-encoding", "expect"];
        for (name, value) in &head.headers {
            if !of_the_body.contains(&name.as_str()) {
                builder = builder.header(name, value);
            }
        }
        if let Some((name, value)) = extra {
            builder = builder.header(name, value);
        }
        let signature = token::sign(&self.secret, token::WORKHORSE).unwrap_or_default();
        let request = builder.header(WORKHORSE_HEADER, signature).body(Body::empty());
        wire::send(PUMA, request.map_err(|error| error.to_string())?).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hop_is_added_on_the_right() {
        let mut headers = HeaderMap::new();
        headers.append(FORWARDED, HeaderValue::from_static("198.18.0.1"));
        headers.append(CONNECTION, HeaderValue::from_static("close"));
        prepare(&mut headers);
        let hops: Vec<_> = headers.get_all(FORWARDED).iter().collect();
        assert_eq!(hops, ["198.18.0.1", "127.0.0.1"]);
        assert!(!headers.contains_key(CONNECTION));
    }

    #[test]
    fn nobody_signs_for_workhorse() {
        let mut headers = HeaderMap::new();
        headers.append(WORKHORSE_HEADER, HeaderValue::from_static("forged"));
        headers.append(WRITTEN_HEADER, HeaderValue::from_static("/another/user/s/file"));
        prepare(&mut headers);
        assert!(!headers.contains_key(WORKHORSE_HEADER) && !headers.contains_key(WRITTEN_HEADER));
    }
}
