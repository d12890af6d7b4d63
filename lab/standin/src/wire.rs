//! One HTTP request over a UNIX socket or a TCP connection: how the stand-in's processes ask each other. Bodies
//! stream both ways, and a connection may be taken over by another protocol.

use std::time::Duration;

use axum::body::Body;
use axum::http::{Request, Response};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};

/// How long a connection may take: a firewall that drops says nothing.
const PATIENCE: Duration = Duration::from_secs(4);

/// Sends the request to `unix:PATH` or `tcp://HOST:PORT`; returns when the answer's head is there.
pub async fn send(address: &str, request: Request<Body>) -> Result<Response<Incoming>, String> {
    if let Some(path) = address.strip_prefix("unix:") {
        // `unix:///path` and `unix:/path` name the same socket.
        let path = format!("/{}", path.trim_start_matches('/'));
        let stream = UnixStream::connect(&path).await.map_err(|error| format!("{address}: {error}"))?;
        exchange(stream, request).await
    } else {
        let place = address.trim_start_matches("tcp://");
        let stream = match tokio::time::timeout(PATIENCE, TcpStream::connect(place)).await {
            Ok(connected) => connected.map_err(|error| format!("{address}: {error}"))?,
            Err(_) => return Err(format!("{address}: no connection within {} s", PATIENCE.as_secs())),
        };
        exchange(stream, request).await
    }
    .map_err(|error| if error.starts_with(address) { error } else { format!("{address}: {error}") })
}

async fn exchange<S>(stream: S, request: Request<Body>) -> Result<Response<Incoming>, String>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .map_err(|error| error.to_string())?;
    // It ends with the answer's body, or with whoever takes the connection over.
    tokio::spawn(connection.with_upgrades());
    sender.send_request(request).await.map_err(|error| error.to_string())
}
