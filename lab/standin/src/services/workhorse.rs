//! Workhorse: a reverse proxy between nginx and puma, over their sockets.

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::header::{CONNECTION, HeaderName, HeaderValue, UPGRADE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{Html, IntoResponse as _, Response};
use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;

use super::{Error, listen, page};
use crate::paths;

const SOCKET: &str = "/var/opt/gitlab/gitlab-workhorse/sockets/socket";
const PUMA: &str = "/var/opt/gitlab/gitlab-rails/sockets/gitlab.socket";
const FORWARDED: HeaderName = HeaderName::from_static("x-forwarded-for");

/// Serves on the socket.
pub async fn run() -> Result<(), Error> {
    let socket = listen::unix(SOCKET)?;
    let app = Router::new().fallback(forward);
    tokio::select! {
        end = async { axum::serve(socket, app).await } => {
            end.map_err(|error| Error::Stopped(error.to_string()))
        }
        () = listen::told_to_stop() => Ok(()),
    }
}

async fn forward(mut request: Request) -> Response {
    prepare(request.headers_mut());
    match ask_puma(request).await {
        Ok(response) => response,
        Err(reason) => {
            crate::terminal::complain(format!("puma: {reason}"));
            let mut response = (StatusCode::BAD_GATEWAY, Html(page::bad_gateway())).into_response();
            let notice = HeaderValue::from_static(paths::NOTICE);
            response.headers_mut().insert("x-gitlab-standin", notice);
            response
        }
    }
}

/// Drops what belongs to one hop only, and adds the hop from nginx, which comes over a socket.
fn prepare(headers: &mut HeaderMap) {
    headers.remove(CONNECTION);
    headers.remove(UPGRADE);
    headers.append(FORWARDED, HeaderValue::from_static("127.0.0.1"));
}

async fn ask_puma(request: Request) -> Result<Response, String> {
    let stream = UnixStream::connect(PUMA).await.map_err(|error| error.to_string())?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .map_err(|error| error.to_string())?;
    tokio::spawn(connection);
    let response = sender.send_request(request).await.map_err(|error| error.to_string())?;
    Ok(response.map(Body::new))
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
}
