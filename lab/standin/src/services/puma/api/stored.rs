//! Files that come in and go out: written beside their place and renamed into it, or put into a bucket when they
//! are whole, so that a cut connection leaves nothing behind.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use axum::body::Body;
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_TYPE, HeaderValue, LOCATION};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use http_body_util::BodyExt as _;
use sha2::{Digest as _, Sha256};
use tokio::fs::{self, File};
use tokio::io::AsyncWriteExt as _;
use tokio_util::io::ReaderStream;

use super::Failure;
use crate::config::Config;
use crate::objects::Objects;

/// Where the files of a kind are kept: a directory, or a bucket.
pub struct Room {
    directory: &'static str,
    objects: Option<Objects>,
}

impl Room {
    /// The room of a kind, which has the directory where it has no bucket.
    #[must_use]
    pub fn of(config: &Config, kind: &str, directory: &'static str) -> Self {
        Self { directory, objects: Objects::of(config.application.object_store.as_ref(), kind) }
    }

    /// Begins a file of that name.
    pub async fn begin(&self, name: &str) -> Result<Incoming, Failure> {
        match &self.objects {
            None => Incoming::at(Path::new(self.directory).join(name)).await,
            Some(objects) => {
                let waiting = format!("tmp/{}", crate::hex(&rand::random::<[u8; 16]>()));
                let mut incoming = Incoming::at(Path::new(self.directory).join(waiting)).await?;
                incoming.bucket = Some((objects.clone(), name.to_owned()));
                Ok(incoming)
            }
        }
    }

    /// A file as an answer, to be saved under its name.
    pub async fn send(&self, location: &str, name: &str) -> Result<Response, Failure> {
        if location.starts_with('/') {
            return send(Path::new(location), name).await;
        }
        let Some(objects) = &self.objects else {
            return Err(Failure::internal(format!(
                "{location} is on an object storage that isn't configured"
            )));
        };
        if !objects.proxied() {
            return Ok((StatusCode::FOUND, [(LOCATION, objects.address(location))]).into_response());
        }
        let found = objects.get(location).await.map_err(|error| Failure::internal(error.to_string()))?;
        let found = found.ok_or_else(|| Failure::not_found("File"))?;
        let length = found.headers().get(CONTENT_LENGTH).cloned();
        let mut response = Body::new(found.into_body()).into_response();
        to_be_saved(response.headers_mut(), name);
        if let Some(length) = length {
            response.headers_mut().insert(CONTENT_LENGTH, length);
        }
        Ok(response)
    }
}

/// A file that came in.
#[derive(Debug, PartialEq, Eq)]
pub struct Received {
    /// Bytes.
    pub size: i64,
    /// SHA-256 of the content, in hexadecimal digits.
    pub sha256: String,
    /// Where it is: a path on this node, or a key in its bucket, which begins with no slash.
    pub location: String,
}

/// A file that is coming in.
pub struct Incoming {
    place: PathBuf,
    part: PathBuf,
    file: File,
    hash: Sha256,
    size: i64,
    kept: bool,
    bucket: Option<(Objects, String)>,
}

fn failed(path: &Path) -> impl FnOnce(std::io::Error) -> Failure {
    let path = path.display().to_string();
    move |error| Failure::internal(format!("{path}: {error}"))
}

impl Incoming {
    /// Begins a file.
    pub async fn at(place: PathBuf) -> Result<Self, Failure> {
        let directory = place.parent().unwrap_or(Path::new("/"));
        fs::create_dir_all(directory).await.map_err(failed(directory))?;
        let part = directory.join(format!(".part-{}", crate::hex(&rand::random::<[u8; 8]>())));
        let file = File::create(&part).await.map_err(failed(&part))?;
        Ok(Self { place, part, file, hash: Sha256::new(), size: 0, kept: false, bucket: None })
    }

    /// Adds to it.
    pub async fn write(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        self.file.write_all(bytes).await.map_err(failed(&self.part))?;
        self.hash.update(bytes);
        self.size += i64::try_from(bytes.len()).unwrap_or(i64::MAX);
        Ok(())
    }

    /// Adds a whole body.
    pub async fn fill(&mut self, mut body: Body) -> Result<(), Failure> {
        while let Some(frame) = body.frame().await {
            let frame =
                frame.map_err(|error| Failure::bad_parameter(format!("the body ended early: {error}")))?;
            if let Ok(bytes) = frame.into_data() {
                self.write(&bytes).await?;
            }
        }
        Ok(())
    }

    /// Puts it in its place.
    pub async fn keep(mut self) -> Result<Received, Failure> {
        self.file.sync_all().await.map_err(failed(&self.part))?;
        let location = if let Some((objects, key)) = &self.bucket {
            // The part is removed when this ends, whatever the object storage says.
            let put = objects.put(key, &self.part).await;
            put.map_err(|error| Failure::internal(error.to_string()))?;
            key.clone()
        } else {
            fs::rename(&self.part, &self.place).await.map_err(failed(&self.place))?;
            self.kept = true;
            self.place.display().to_string()
        };
        Ok(Received { size: self.size, sha256: crate::hex(&self.hash.clone().finalize()), location })
    }
}

impl Drop for Incoming {
    fn drop(&mut self) {
        if !self.kept {
            let _ = std::fs::remove_file(&self.part);
        }
    }
}

async fn send(path: &Path, name: &str) -> Result<Response, Failure> {
    let file = match File::open(path).await {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Err(Failure::not_found("File")),
        Err(error) => return Err(failed(path)(error)),
    };
    let size = file.metadata().await.map_err(failed(path))?.len();
    let mut response = Body::from_stream(ReaderStream::new(file)).into_response();
    to_be_saved(response.headers_mut(), name);
    response.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(size));
    Ok(response)
}

fn to_be_saved(headers: &mut HeaderMap, name: &str) {
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    let plain: String = name.chars().filter(|char| char.is_ascii_graphic() && *char != '"').collect();
    if let Ok(value) = HeaderValue::from_str(&format!("attachment; filename=\"{plain}\"")) {
        headers.insert(CONTENT_DISPOSITION, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_file_is_there_whole_or_not_at_all() {
        let scratch = tempfile::tempdir().expect("a directory");
        let place = scratch.path().join("a/b");
        let mut incoming = Incoming::at(place.clone()).await.expect("begun");
        incoming.fill(Body::from("hello")).await.expect("written");
        assert!(!place.exists());
        let received = incoming.keep().await.expect("kept");
        assert_eq!(received.size, 5);
        assert!(received.sha256.starts_with("2cf24dba5fb0a30e"));
        assert_eq!(std::fs::read(&place).expect("there"), b"hello");
        drop(Incoming::at(place.clone()).await.expect("begun"));
        assert_eq!(std::fs::read_dir(scratch.path().join("a")).expect("there").count(), 1);
    }
}
