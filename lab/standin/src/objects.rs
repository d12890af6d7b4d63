//! The client of the object storage: requests that are signed in their address (AWS signature version 4), so that
//! the same addresses serve users who are led there. Rails and Sidekiq each use what their own gitlab.rb says.

use std::path::Path;
use std::time::Duration;

use axum::body::Body;
use axum::http::{Method, Request, Response, StatusCode};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use rusty_s3::{Bucket, Credentials, S3Action as _, UrlStyle};
use tokio::fs::File;
use tokio_util::io::ReaderStream;
use url::Url;

use crate::site::{ObjectStore, Place};
use crate::wire;

/// For how long a signed address opens.
const VALID: Duration = Duration::from_mins(10);

/// Why an object isn't where it should be.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The object storage doesn't answer, or not as one does.
    #[error("object storage at {endpoint}: {reason}")]
    Unavailable {
        /// Its address.
        endpoint: String,
        /// What went wrong.
        reason: String,
    },
    /// It refuses.
    #[error("object storage, bucket `{bucket}`: {status} ({code})")]
    Refused {
        /// The bucket.
        bucket: String,
        /// HTTP's status.
        status: StatusCode,
        /// S3's word for it, such as `SignatureDoesNotMatch`.
        code: String,
    },
    /// The file can't be read.
    #[error("{0}")]
    File(#[from] std::io::Error),
}

/// The objects of one kind.
#[derive(Debug, Clone)]
pub struct Objects {
    endpoint: String,
    place: Place,
    bucket: Bucket,
    credentials: Credentials,
}

impl Objects {
    /// The objects of a kind; none where this kind is on the local disk.
    #[must_use]
    pub fn of(store: Option<&ObjectStore>, kind: &str) -> Option<Self> {
        let store = store?;
        let place = store.buckets.get(kind)?.clone();
        let endpoint: Url = store.endpoint.parse().ok()?;
        let style = if store.path_style { UrlStyle::Path } else { UrlStyle::VirtualHost };
        let bucket = Bucket::new(endpoint, style, place.bucket.clone(), store.region.clone()).ok()?;
        let credentials = Credentials::new(&store.access_key, &store.secret_key);
        Some(Self { endpoint: store.endpoint.clone(), place, bucket, credentials })
    }

    /// Whether downloads go through GitLab.
    #[must_use]
    pub fn proxied(&self) -> bool {
        self.place.proxy_download
    }

    /// An address by which anyone gets the object for a while.
    #[must_use]
    pub fn address(&self, key: &str) -> String {
        self.bucket.get_object(Some(&self.credentials), key).sign(VALID).to_string()
    }

    /// Puts a file into the bucket.
    pub async fn put(&self, key: &str, file: &Path) -> Result<(), Error> {
        let file = File::open(file).await?;
        let length = file.metadata().await?.len();
        self.put_body(key, Body::from_stream(ReaderStream::new(file)), length).await
    }

    /// Puts a body of a known length into the bucket.
    pub async fn put_body(&self, key: &str, body: Body, length: u64) -> Result<(), Error> {
        let url = self.bucket.put_object(Some(&self.credentials), key).sign(VALID);
        self.send(Method::PUT, &url, body, Some(length)).await.map(drop)
    }

    /// The object; none when there is none of that name.
    pub async fn get(&self, key: &str) -> Result<Option<Response<Incoming>>, Error> {
        let url = self.bucket.get_object(Some(&self.credentials), key).sign(VALID);
        match self.send(Method::GET, &url, Body::empty(), None).await {
            Ok(response) => Ok(Some(response)),
            Err(Error::Refused { code, .. }) if code == "NoSuchKey" => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Removes an object; one that is gone is no error.
    pub async fn delete(&self, key: &str) -> Result<(), Error> {
        let url = self.bucket.delete_object(Some(&self.credentials), key).sign(VALID);
        self.send(Method::DELETE, &url, Body::empty(), None).await.map(drop)
    }

    async fn send(
        &self,
        method: Method,
        url: &Url,
        body: Body,
        length: Option<u64>,
    ) -> Result<Response<Incoming>, Error> {
        let unavailable = |reason: String| Error::Unavailable { endpoint: self.endpoint.clone(), reason };
        let host = url.host_str().unwrap_or_default();
        let port = url.port_or_known_default().unwrap_or(80);
        let named = url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
        let asked = format!("{}?{}", url.path(), url.query().unwrap_or_default());
        let mut request = Request::builder().method(method).uri(asked).header("host", named);
        if let Some(length) = length {
            request = request.header("content-length", length);
        }
        let request = request.body(body).map_err(|error| unavailable(error.to_string()))?;
        let response = wire::send(&format!("tcp://{host}:{port}"), request).await.map_err(unavailable)?;
        if response.status().is_success() {
            return Ok(response);
        }
        let status = response.status();
        let said = response.into_body().collect().await.map(http_body_util::Collected::to_bytes);
        let code = code(&String::from_utf8_lossy(&said.unwrap_or_default()));
        Err(Error::Refused { bucket: self.place.bucket.clone(), status, code })
    }
}

/// S3's word for an error, from the XML that it answers with.
fn code(xml: &str) -> String {
    let inside = xml.split_once("<Code>").and_then(|(_, rest)| rest.split_once("</Code>"));
    inside.map_or_else(|| "no reason given".to_owned(), |(code, _)| code.to_owned())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn store(endpoint: &str) -> ObjectStore {
        let place = |bucket: &str| Place { bucket: bucket.to_owned(), proxy_download: false };
        ObjectStore {
            endpoint: endpoint.to_owned(),
            region: "us-east-1".into(),
            access_key: "AKIA".into(),
            secret_key: "secret".into(),
            path_style: true,
            buckets: BTreeMap::from([("lfs".to_owned(), place("acme-lfs"))]),
        }
    }

    #[test]
    fn an_address_is_signed_and_holds_no_secret() {
        let store = store("http://198.18.0.9:9000");
        let objects = Objects::of(Some(&store), "lfs").expect("a bucket");
        let address = objects.address("ab/cd/ef");
        assert!(address.starts_with("http://198.18.0.9:9000/acme-lfs/ab/cd/ef?"), "{address}");
        assert!(address.contains("X-Amz-Signature=") && !address.contains("secret"));
        assert!(Objects::of(Some(&store), "uploads").is_none());
        assert!(Objects::of(None, "lfs").is_none());
    }

    #[test]
    fn a_refusal_is_read() {
        let xml = "<Error><Code>SignatureDoesNotMatch</Code><Message>x</Message></Error>";
        assert_eq!(code(xml), "SignatureDoesNotMatch");
        assert_eq!(code(""), "no reason given");
    }

    /// A server that answers every request with the same words.
    async fn answering(head: &'static str, body: &'static str) -> String {
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let place = format!("http://{}", listener.local_addr().expect("bound"));
        tokio::spawn(async move {
            while let Ok((mut connection, _)) = listener.accept().await {
                let mut request = [0; 4096];
                let _ = connection.read(&mut request).await;
                let answer =
                    format!("{head}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len());
                let _ = connection.write_all(answer.as_bytes()).await;
            }
        });
        place
    }

    #[tokio::test]
    async fn wrong_credentials_and_a_missing_object_are_told_apart() {
        let refusing =
            answering("HTTP/1.1 403 Forbidden", "<Error><Code>SignatureDoesNotMatch</Code></Error>").await;
        let objects = Objects::of(Some(&store(&refusing)), "lfs").expect("a bucket");
        let refused = objects.put_body("a", Body::from("x"), 1).await.expect_err("refused").to_string();
        assert_eq!(refused, "object storage, bucket `acme-lfs`: 403 Forbidden (SignatureDoesNotMatch)");
        let empty = answering("HTTP/1.1 404 Not Found", "<Error><Code>NoSuchKey</Code></Error>").await;
        let objects = Objects::of(Some(&store(&empty)), "lfs").expect("a bucket");
        assert!(objects.get("a").await.expect("an answer").is_none());
    }
}
