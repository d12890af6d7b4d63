//! Files: an upload is written to disk while its size and hash are counted, and a file that Rails names is sent.

use std::path::{Path, PathBuf};

use axum::body::Body;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::http::header::CONTENT_LENGTH;
use axum::response::{IntoResponse as _, Response};
use futures_util::StreamExt as _;
use rand::RngExt as _;
use sha2::{Digest as _, Sha256};
use tokio::fs::{File, OpenOptions};
use tokio::io::AsyncWriteExt as _;
use tokio_util::io::ReaderStream;

use super::{Rails, Word};
use crate::services::puma::{SENDFILE_HEADER, WRITTEN_HEADER};

/// How many bytes too many are read before a body is given up.
const PATIENCE: u64 = 64 << 20;

/// Takes an LFS object in: Rails says where to, and is told when it is whole.
pub async fn upload(rails: &Rails, request: Request, oid: &str, size: u64) -> Result<Response, String> {
    let (head, body) = request.into_parts();
    let path = head.uri.path().to_owned();
    let granted = match rails.authorize(&head, &format!("{path}/authorize")).await? {
        Word::Granted(granted) => granted,
        Word::Answer(response) => return Ok(response),
    };
    let folder = PathBuf::from(granted["TempPath"].as_str().unwrap_or_default());
    let incoming = Incoming::new(&folder);
    let outcome = match incoming.receive(body, size).await {
        Ok(Received { sha256, length }) if sha256 == oid && length == size => {
            let written = incoming.path.display().to_string();
            rails
                .signed(&head, &path, Some((WRITTEN_HEADER, &written)))
                .await
                .map(|answer| answer.map(Body::new))
        }
        Ok(Received { length, .. }) if length > size => {
            Ok((StatusCode::PAYLOAD_TOO_LARGE, "the object is larger than its request says").into_response())
        }
        Ok(_) => Ok((StatusCode::BAD_REQUEST, "the object's size or SHA-256 is not what its request says")
            .into_response()),
        Err(error) => {
            crate::terminal::complain(format!("upload: {error}"));
            Ok((StatusCode::INTERNAL_SERVER_ERROR, "the object can't be stored").into_response())
        }
    };
    // Rails has moved it away when all went well.
    let _ = tokio::fs::remove_file(&incoming.path).await;
    outcome
}

/// A file in the making.
struct Incoming {
    path: PathBuf,
}

struct Received {
    sha256: String,
    length: u64,
}

impl Incoming {
    fn new(folder: &Path) -> Self {
        let name: [u8; 16] = rand::rng().random();
        Self { path: folder.join(crate::hex(&name)) }
    }

    /// Writes the body down. What is longer than it should be is read on for a while and not kept: nginx takes
    /// an answer for a failure that comes while it is still sending.
    async fn receive(&self, body: Body, longest: u64) -> std::io::Result<Received> {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&self.path).await?;
        let mut hash = Sha256::new();
        let mut length = 0;
        let mut body = body.into_data_stream();
        while let Some(chunk) = body.next().await {
            let chunk = chunk.map_err(std::io::Error::other)?;
            length += chunk.len() as u64;
            if length > longest.saturating_add(PATIENCE) {
                break;
            }
            if length > longest {
                continue;
            }
            hash.update(&chunk);
            file.write_all(&chunk).await?;
        }
        file.sync_all().await?;
        Ok(Received { sha256: crate::hex(&hash.finalize()), length })
    }
}

/// The answer with the file that Rails named as its body, or as it is.
pub async fn sent(response: Response) -> Result<Response, String> {
    let (mut head, body) = response.into_parts();
    let Some(path) = head.headers.remove(SENDFILE_HEADER) else {
        return Ok(Response::from_parts(head, body));
    };
    let path = path.to_str().map_err(|error| error.to_string())?.to_owned();
    let Ok(file) = File::open(&path).await else {
        crate::terminal::complain(format!("sendfile: `{path}` can't be read"));
        return Ok((StatusCode::NOT_FOUND, "404 Not Found").into_response());
    };
    let length = file.metadata().await.map_err(|error| error.to_string())?.len();
    head.headers.insert(CONTENT_LENGTH, length.into());
    Ok(Response::from_parts(head, Body::from_stream(ReaderStream::new(file))))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HELLO: &str = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";

    #[tokio::test]
    async fn what_comes_in_is_counted_and_hashed() {
        let folder = tempfile::tempdir().expect("a directory");
        let incoming = Incoming::new(folder.path());
        let received = incoming.receive(Body::from("hello"), 5).await.expect("written");
        assert_eq!((received.sha256.as_str(), received.length), (HELLO, 5));
        assert_eq!(std::fs::read(&incoming.path).expect("a file"), b"hello");
        let longer = Incoming::new(folder.path()).receive(Body::from("hello!"), 5).await.expect("read");
        assert!(longer.length > 5);
        assert_ne!(longer.sha256, HELLO);
        let chunks = ["hello", " and", " more"].map(Ok::<_, std::io::Error>);
        let body = Body::from_stream(futures_util::stream::iter(chunks));
        let incoming = Incoming::new(folder.path());
        assert_eq!(incoming.receive(body, 5).await.expect("read to its end").length, 14);
        assert_eq!(std::fs::read(&incoming.path).expect("a file"), b"hello", "what is too much is not kept");
    }

    #[tokio::test]
    async fn a_named_file_is_sent_and_its_name_isn_t() {
        let folder = tempfile::tempdir().expect("a directory");
        let file = folder.path().join("file");
        std::fs::write(&file, "hello").expect("written");
        let named = |path: &Path| {
            [("content-type", "text/x-a"), (SENDFILE_HEADER, &path.display().to_string())].into_response()
        };
        let response = sent(named(&file)).await.expect("an answer");
        assert!(!response.headers().contains_key(SENDFILE_HEADER));
        assert_eq!(response.headers()["content-type"], "text/x-a");
        assert_eq!(response.headers()[CONTENT_LENGTH], "5");
        let body = axum::body::to_bytes(response.into_body(), 10).await.expect("a body");
        assert_eq!(&body[..], b"hello");
        let gone = sent(named(&folder.path().join("gone"))).await.expect("an answer");
        assert_eq!(gone.status(), StatusCode::NOT_FOUND);
    }
}
