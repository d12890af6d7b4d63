//! What Rails, Sidekiq, Workhorse and GitLab Shell ask a Gitaly about repositories. A repository is named by its
//! path within the storage, such as `@hashed/ab/cd/abcd….git`.

use std::collections::BTreeMap;

use axum::body::Body;
use axum::http::request::Builder;
use axum::http::{Method, Request, Response, StatusCode};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use url::form_urlencoded::Serializer;

use crate::site::StorageAddress;
use crate::wire;

/// Why a Gitaly didn't do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It doesn't answer.
    #[error("14:failed to connect to Gitaly: {0}")]
    Unavailable(String),
    /// It refuses.
    #[error("{reason}")]
    Refused {
        /// Its status.
        status: StatusCode,
        /// Its words.
        reason: String,
    },
}

/// For whom and for what something is done: what the hooks of a repository are told.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Actor {
    /// `user-ID` or `key-ID`.
    pub id: String,
    /// `project-ID`.
    pub repository: String,
    /// Path of the project.
    pub project_path: String,
    /// Name of the user.
    pub username: String,
    /// `http`, `ssh` or `web`.
    pub protocol: String,
}

/// A merge to be made.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Merge {
    /// The repository.
    pub path: String,
    /// What is merged.
    pub source_sha: String,
    /// The branch that it is merged into.
    pub target_branch: String,
    /// The merge commit's message.
    pub message: String,
    /// `Name <address>` of who merges.
    pub author: String,
    /// For whom; the hooks run when it is there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actor: Option<Actor>,
}

/// What came of a merge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Merged {
    /// The branch now points to this commit.
    At(String),
    /// Both sides changed the same lines.
    Conflict,
}

/// A commit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Commit {
    /// Its hash.
    pub id: String,
    /// Its parents.
    pub parent_ids: Vec<String>,
    /// First line of the message.
    pub title: String,
    /// The message.
    pub message: String,
    /// Who wrote it.
    pub author_name: String,
    /// Their address.
    pub author_email: String,
    /// When, in RFC 3339.
    pub authored_date: String,
    /// Who committed it.
    pub committer_name: String,
    /// Their address.
    pub committer_email: String,
    /// When, in RFC 3339.
    pub committed_date: String,
}

/// A Gitaly that has all of a repository.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Source {
    /// How it is reached.
    pub address: StorageAddress,
    /// The name of its storage.
    pub storage: String,
}

/// The references of a repository.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct References {
    /// Branches and tags with what they point to.
    pub refs: BTreeMap<String, String>,
    /// The reference that HEAD names.
    #[serde(default)]
    pub head: String,
}

/// The repositories of one storage.
#[derive(Debug, Clone, Copy)]
pub struct Repositories<'a> {
    name: &'a str,
    storage: &'a StorageAddress,
}

impl<'a> Repositories<'a> {
    /// Those of a storage.
    #[must_use]
    pub fn of(name: &'a str, storage: &'a StorageAddress) -> Self {
        Self { name, storage }
    }

    /// Gitaly answers, knows the token and has the storage.
    pub async fn answers(&self) -> Result<(), Error> {
        self.ask(Method::GET, "", &[], None).await.map(drop)
    }

    /// What tells this storage's disk from any other.
    pub async fn filesystem(&self) -> Result<String, Error> {
        let answer = self.ask(Method::GET, "", &[], None).await?;
        Ok(answer["filesystem_id"].as_str().unwrap_or_default().to_owned())
    }

    /// The storage can be read and written.
    pub async fn disk(&self) -> Result<(), Error> {
        self.ask(Method::POST, "/disk", &[], None).await.map(drop)
    }

    /// Makes an empty repository; one that is there stays as it is.
    pub async fn create(&self, path: &str) -> Result<(), Error> {
        let body = serde_json::json!({"path": path});
        self.ask(Method::POST, "/repositories", &[], Some(body)).await.map(drop)
    }

    /// Removes a repository; one that is gone is no error.
    pub async fn delete(&self, path: &str) -> Result<(), Error> {
        let body = serde_json::json!({"path": path});
        self.ask(Method::DELETE, "/repositories", &[], Some(body)).await.map(drop)
    }

    /// Branches and tags with what they point to.
    pub async fn refs(&self, path: &str) -> Result<BTreeMap<String, String>, Error> {
        Ok(self.references(path).await?.refs)
    }

    /// All references, and HEAD.
    pub async fn references(&self, path: &str) -> Result<References, Error> {
        let answer = self.ask(Method::GET, "/refs", &[("path", path)], None).await?;
        Ok(serde_json::from_value(answer).unwrap_or_default())
    }

    /// A pack with everything but what is had already.
    pub async fn pack(&self, path: &str, have: &[&str]) -> Result<axum::response::Response, Error> {
        let body = serde_json::json!({"path": path, "have": have});
        let builder = self.request(Method::POST, "/pack", &[]).header("content-type", "application/json");
        let response = self.send(builder, Body::from(body.to_string())).await?;
        if response.status().is_success() {
            Ok(response.map(Body::new))
        } else {
            Err(refusal(response).await)
        }
    }

    /// Makes the replica here equal to another Gitaly's.
    pub async fn replicate(&self, path: &str, source: &Source) -> Result<(), Error> {
        let body = serde_json::json!({"path": path, "source": source});
        self.ask(Method::POST, "/replicate", &[], Some(body)).await.map(drop)
    }

    /// A commit; none when the repository has none of that name.
    pub async fn commit(&self, path: &str, revision: &str) -> Result<Option<Commit>, Error> {
        let query = [("path", path), ("revision", revision)];
        match self.ask(Method::GET, "/commit", &query, None).await {
            Ok(answer) => Ok(serde_json::from_value(answer).ok()),
            Err(Error::Refused { status: StatusCode::NOT_FOUND, .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Points HEAD to a branch, which is what a clone checks out.
    pub async fn head(&self, path: &str, branch: &str) -> Result<(), Error> {
        let body = serde_json::json!({"path": path, "branch": branch});
        self.ask(Method::POST, "/head", &[], Some(body)).await.map(drop)
    }

    /// Removes a branch that is still at the commit.
    pub async fn remove_branch(&self, path: &str, branch: &str, sha: &str) -> Result<(), Error> {
        let body = serde_json::json!({"path": path, "branch": branch, "sha": sha});
        self.ask(Method::DELETE, "/branch", &[], Some(body)).await.map(drop)
    }

    /// Merges into a branch.
    pub async fn merge(&self, merge: &Merge) -> Result<Merged, Error> {
        let body = serde_json::to_value(merge).unwrap_or_default();
        match self.ask(Method::POST, "/merge", &[], Some(body)).await {
            Ok(answer) => Ok(Merged::At(answer["sha"].as_str().unwrap_or_default().to_owned())),
            Err(Error::Refused { status: StatusCode::CONFLICT, .. }) => Ok(Merged::Conflict),
            Err(error) => Err(error),
        }
    }

    /// Whether `source` merges into `target` without a conflict.
    pub async fn mergeable(&self, path: &str, source: &str, target: &str) -> Result<bool, Error> {
        let body = serde_json::json!({"path": path, "source": source, "target": target});
        let answer = self.ask(Method::POST, "/mergeable", &[], Some(body)).await?;
        Ok(answer["mergeable"] == true)
    }

    /// Git over HTTP: the request's method, Git headers and body go to Gitaly as they are.
    pub async fn smart_http(
        &self,
        path: &str,
        actor: &Actor,
        service: &str,
        endpoint: &str,
        request: Request<Body>,
    ) -> Result<Response<Incoming>, Error> {
        let query = [("path", path), ("service", service)];
        let mut builder = self.request(request.method().clone(), &format!("/http/{endpoint}"), &query);
        for name in ["content-type", "content-encoding", "git-protocol"] {
            if let Some(value) = request.headers().get(name) {
                builder = builder.header(name, value);
            }
        }
        self.send(for_actor(builder, actor), request.into_body()).await
    }

    /// Git over SSH: the connection belongs to git afterwards, as `stream` frames it.
    pub async fn ssh(
        &self,
        path: &str,
        actor: &Actor,
        service: &str,
        git_protocol: Option<&str>,
    ) -> Result<hyper::upgrade::Upgraded, Error> {
        let query = [("path", path), ("service", service)];
        let mut builder = for_actor(self.request(Method::POST, "/ssh", &query), actor);
        builder = builder.header("connection", "upgrade").header("upgrade", crate::frames::PROTOCOL);
        if let Some(version) = git_protocol {
            builder = builder.header("git-protocol", version);
        }
        let response = self.send(builder, Body::empty()).await?;
        if response.status() != StatusCode::SWITCHING_PROTOCOLS {
            return Err(refusal(response).await);
        }
        hyper::upgrade::on(response).await.map_err(|error| Error::Unavailable(error.to_string()))
    }

    fn request(&self, method: Method, endpoint: &str, query: &[(&str, &str)]) -> Builder {
        let query = Serializer::new(String::new()).extend_pairs(query).finish();
        Request::builder()
            .method(method)
            .uri(format!("/storages/{}{endpoint}?{query}", self.name))
            .header("host", "gitaly")
            .header("authorization", format!("Bearer {}", self.storage.gitaly_token))
    }

    async fn send(&self, builder: Builder, body: Body) -> Result<Response<Incoming>, Error> {
        let request = builder.body(body).map_err(|error| Error::Unavailable(error.to_string()))?;
        wire::send(&self.storage.gitaly_address, request).await.map_err(Error::Unavailable)
    }

    async fn ask(
        &self,
        method: Method,
        endpoint: &str,
        query: &[(&str, &str)],
        body: Option<Value>,
    ) -> Result<Value, Error> {
        let mut builder = self.request(method, endpoint, query);
        let mut content = Body::empty();
        if let Some(body) = body {
            builder = builder.header("content-type", "application/json");
            content = Body::from(body.to_string());
        }
        let response = self.send(builder, content).await?;
        if !response.status().is_success() {
            return Err(refusal(response).await);
        }
        let body = response.into_body().collect().await;
        let body = body.map_err(|error| Error::Unavailable(error.to_string()))?.to_bytes();
        Ok(serde_json::from_slice(&body).unwrap_or_default())
    }
}

fn for_actor(mut builder: Builder, actor: &Actor) -> Builder {
    for (name, value) in [
        ("gl-id", &actor.id),
        ("gl-repository", &actor.repository),
        ("gl-project-path", &actor.project_path),
        ("gl-username", &actor.username),
        ("gl-protocol", &actor.protocol),
    ] {
        builder = builder.header(name, value);
    }
    builder
}

async fn refusal(response: Response<Incoming>) -> Error {
    let status = response.status();
    let body = response.into_body().collect().await.map(http_body_util::Collected::to_bytes);
    let reason = String::from_utf8_lossy(&body.unwrap_or_default()).trim().to_owned();
    Error::Refused { status, reason }
}
