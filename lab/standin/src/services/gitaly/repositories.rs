//! Repositories of a storage: making, removing and reading them, and merging.

use std::path::Path;
use std::sync::Arc;

use axum::Json;
use axum::extract::{Path as Segment, Query, State};
use axum::http::StatusCode;
use axum::response::IntoResponse as _;
use serde::Deserialize;
use serde_json::json;

use super::replicate::references;
use super::{Answer, Refusal, git, place};
use crate::hook;
use crate::paths;
use crate::repositories::{Commit, Merge};
use crate::site::Gitaly;

/// A repository, in a request's body or query.
#[derive(Deserialize)]
pub struct Named {
    path: String,
}

/// A repository and a revision in it.
#[derive(Deserialize)]
pub struct Revision {
    path: String,
    revision: String,
}

/// A repository and a branch of it.
#[derive(Deserialize)]
pub struct Head {
    path: String,
    branch: String,
}

/// A branch and the commit that it is expected to be at.
#[derive(Deserialize)]
pub struct At {
    path: String,
    branch: String,
    sha: String,
}

/// A repository and two revisions in it.
#[derive(Deserialize)]
pub struct Pair {
    path: String,
    source: String,
    target: String,
}

/// Something that git or the disk didn't do.
pub fn internal(reason: impl Into<String>) -> Refusal {
    Refusal(StatusCode::INTERNAL_SERVER_ERROR, reason.into())
}

fn no_such(what: &str) -> Refusal {
    Refusal(StatusCode::NOT_FOUND, format!("there is no {what}"))
}

/// Makes an empty repository. One that is there stays as it is.
pub async fn create(
    State(gitaly): State<Arc<Gitaly>>,
    Segment(storage): Segment<String>,
    Json(named): Json<Named>,
) -> Answer {
    make(&place(&gitaly, &storage, &named.path)?).await?;
    Ok(Json(json!({})).into_response())
}

/// Makes an empty repository where none is.
pub async fn make(directory: &Path) -> Result<(), Refusal> {
    if directory.is_dir() {
        return Ok(());
    }
    let mut command = git::command(&crate::repositories::Actor::default());
    command.args(["init", "--quiet", "--bare", "--initial-branch=main", "--template="]).arg(directory);
    let outcome = git::finish(command, "").await.map_err(internal)?;
    if outcome.code == 0 {
        return Ok(());
    }
    // Half a repository would be taken for a whole one next time.
    let _ = tokio::fs::remove_dir_all(directory).await;
    Err(internal(outcome.complaint))
}

/// Removes a repository. One that is gone is no error.
pub async fn delete(
    State(gitaly): State<Arc<Gitaly>>,
    Segment(storage): Segment<String>,
    Json(named): Json<Named>,
) -> Answer {
    let directory = place(&gitaly, &storage, &named.path)?;
    match tokio::fs::remove_dir_all(&directory).await {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(internal(error.to_string())),
        _ => Ok(Json(json!({})).into_response()),
    }
}

/// Branches and tags with what they point to.
pub async fn refs(
    State(gitaly): State<Arc<Gitaly>>,
    Segment(storage): Segment<String>,
    Query(named): Query<Named>,
) -> Answer {
    let directory = existing(&gitaly, &storage, &named.path)?;
    let refs = references(&directory).await.map_err(internal)?;
    // A HEAD that names no branch yet is still one to be cloned.
    let head = git::run(&directory, &["symbolic-ref", "HEAD"]).await.unwrap_or_default();
    Ok(Json(json!({"refs": refs, "head": head})).into_response())
}

/// A commit by its hash or a ref.
pub async fn commit(
    State(gitaly): State<Arc<Gitaly>>,
    Segment(storage): Segment<String>,
    Query(Revision { path, revision }): Query<Revision>,
) -> Answer {
    let directory = existing(&gitaly, &storage, &path)?;
    let fields = "--format=%H%x00%P%x00%s%x00%an%x00%ae%x00%aI%x00%cn%x00%ce%x00%cI%x00%B";
    let arguments = ["log", "-1", "--no-show-signature", fields, "--end-of-options", &revision, "--"];
    let shown = git::attempt(&directory, &arguments).await.map_err(internal)?;
    let read = if shown.code == 0 { read_commit(&shown.output) } else { None };
    read.map(|commit| Json(commit).into_response()).ok_or_else(|| no_such("such commit"))
}

fn read_commit(text: &str) -> Option<Commit> {
    let fields: Vec<String> = text.splitn(10, '\0').map(str::to_owned).collect();
    let [id, parents, title, name, email, date, made_by, address, made_at, message] =
        <[String; 10]>::try_from(fields).ok()?;
    Some(Commit {
        id,
        parent_ids: parents.split_whitespace().map(str::to_owned).collect(),
        title,
        message,
        author_name: name,
        author_email: email,
        authored_date: date,
        committer_name: made_by,
        committer_email: address,
        committed_date: made_at,
    })
}

/// Points HEAD to a branch, which is what a clone checks out.
pub async fn head(
    State(gitaly): State<Arc<Gitaly>>,
    Segment(storage): Segment<String>,
    Json(Head { path, branch }): Json<Head>,
) -> Answer {
    let directory = existing(&gitaly, &storage, &path)?;
    let branch = format!("refs/heads/{branch}");
    git::run(&directory, &["symbolic-ref", "HEAD", &branch]).await.map_err(internal)?;
    Ok(Json(json!({})).into_response())
}

/// Removes a branch that is still where it was seen last.
pub async fn remove_branch(
    State(gitaly): State<Arc<Gitaly>>,
    Segment(storage): Segment<String>,
    Json(At { path, branch, sha }): Json<At>,
) -> Answer {
    let directory = existing(&gitaly, &storage, &path)?;
    let branch = format!("refs/heads/{branch}");
    git::run(&directory, &["update-ref", "-d", &branch, &sha]).await.map_err(internal)?;
    Ok(Json(json!({})).into_response())
}

/// Whether two revisions merge.
pub async fn mergeable(
    State(gitaly): State<Arc<Gitaly>>,
    Segment(storage): Segment<String>,
    Json(Pair { path, source, target }): Json<Pair>,
) -> Answer {
    let directory = existing(&gitaly, &storage, &path)?;
    let source = resolve(&directory, &source).await?;
    let target = resolve(&directory, &target).await?;
    let merged = tree(&directory, &target, &source).await?;
    Ok(Json(json!({"mergeable": merged.is_some()})).into_response())
}

/// Merges into a branch, with the hooks that a push would meet.
pub async fn merge(
    State(gitaly): State<Arc<Gitaly>>,
    Segment(storage): Segment<String>,
    Json(merge): Json<Merge>,
) -> Answer {
    let directory = existing(&gitaly, &storage, &merge.path)?;
    let branch = format!("refs/heads/{}", merge.target_branch);
    let target = resolve(&directory, &branch).await?;
    let source = resolve(&directory, &merge.source_sha).await?;
    let Some(tree) = tree(&directory, &target, &source).await? else {
        return Ok((StatusCode::CONFLICT, Json(json!({"conflict": true}))).into_response());
    };
    let sha = commit_tree(&directory, &merge, &tree, [&target, &source]).await?;
    let change = format!("{target} {sha} {branch}\n");
    run_hook(&directory, &merge, "pre-receive", &change).await?;
    let update = ["update-ref", branch.as_str(), sha.as_str(), target.as_str()];
    git::run(&directory, &update).await.map_err(|reason| Refusal(StatusCode::PRECONDITION_FAILED, reason))?;
    // What is merged stays merged, whatever becomes of the news.
    let _ = run_hook(&directory, &merge, "post-receive", &change).await;
    Ok(Json(json!({"sha": sha})).into_response())
}

async fn commit_tree(
    directory: &Path,
    merge: &Merge,
    tree: &str,
    parents: [&str; 2],
) -> Result<String, Refusal> {
    let (name, email) = merge.author.rsplit_once('<').unwrap_or((&merge.author, "nobody@localhost>"));
    let (name, email) = (name.trim(), email.trim_end_matches('>'));
    let mut command = git::command(&crate::repositories::Actor::default());
    command.arg("--git-dir").arg(directory).args(["commit-tree", tree, "-p", parents[0], "-p", parents[1]]);
    for who in ["AUTHOR", "COMMITTER"] {
        command.env(format!("GIT_{who}_NAME"), name).env(format!("GIT_{who}_EMAIL"), email);
    }
    let outcome = git::finish(command, &merge.message).await.map_err(internal)?;
    if outcome.code == 0 { Ok(outcome.output) } else { Err(internal(outcome.complaint)) }
}

async fn run_hook(directory: &Path, merge: &Merge, name: &str, change: &str) -> Result<(), Refusal> {
    let Some(actor) = &merge.actor else { return Ok(()) };
    let mut command = tokio::process::Command::new(format!("{}/{name}", paths::HOOKS));
    command.current_dir(directory).envs(hook::environment(actor));
    let outcome = git::finish(command, change).await.map_err(internal)?;
    if outcome.code == 0 {
        return Ok(());
    }
    Err(Refusal(StatusCode::FORBIDDEN, outcome.complaint))
}

/// The tree of the merge; none when both sides changed the same lines.
async fn tree(directory: &Path, target: &str, source: &str) -> Result<Option<String>, Refusal> {
    let arguments = ["merge-tree", "--write-tree", "--no-messages", target, source];
    let outcome = git::attempt(directory, &arguments).await.map_err(internal)?;
    match outcome.code {
        0 => Ok(Some(outcome.output)),
        1 => Ok(None),
        _ => Err(internal(outcome.complaint)),
    }
}

async fn resolve(directory: &Path, revision: &str) -> Result<String, Refusal> {
    let commit = format!("{revision}^{{commit}}");
    let found =
        git::attempt(directory, &["rev-parse", "--verify", "--quiet", "--end-of-options", &commit]).await;
    let found = found.map_err(internal)?;
    if found.code == 0 { Ok(found.output) } else { Err(no_such(&format!("revision `{revision}`"))) }
}

/// The directory of a repository that has to be there.
pub fn existing(gitaly: &Gitaly, storage: &str, path: &str) -> Result<std::path::PathBuf, Refusal> {
    let directory = place(gitaly, storage, path)?;
    if directory.is_dir() { Ok(directory) } else { Err(no_such("such repository")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct World {
        _scratch: tempfile::TempDir,
        gitaly: Arc<Gitaly>,
        git_dir: std::path::PathBuf,
    }

    const PATH: &str = "@hashed/ab/cd/abcd.git";

    impl World {
        async fn new() -> Self {
            let scratch = tempfile::tempdir().expect("a directory");
            let storage = scratch.path().display();
            let text = format!(
                "socket_path = ''\nauth.token = ''\ngitlab = {{ url = '', secret = '' }}\n\
                 storage = [{{ name = 'default', path = '{storage}' }}]"
            );
            let gitaly = Arc::new(toml::from_str(&text).expect("a configuration"));
            let body = Json(Named { path: PATH.into() });
            create(State(Arc::clone(&gitaly)), segment(), body).await.expect("made");
            let git_dir = scratch.path().join(PATH);
            Self { _scratch: scratch, gitaly, git_dir }
        }

        /// A commit on a branch that holds one file.
        async fn commit(&self, branch: &str, parent: Option<&str>, content: &str) -> String {
            let feed = |arguments: Vec<String>, input: String| async move {
                let mut command = git::command(&crate::repositories::Actor::default());
                command.arg("--git-dir").arg(&self.git_dir).args(arguments);
                for who in ["AUTHOR", "COMMITTER"] {
                    command.env(format!("GIT_{who}_NAME"), "a").env(format!("GIT_{who}_EMAIL"), "a@b.c");
                }
                git::finish(command, &input).await.expect("git").output
            };
            let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
            let blob = feed(words("hash-object -w --stdin"), content.to_owned()).await;
            let tree = feed(words("mktree"), format!("100644 blob {blob}\tfile\n")).await;
            let mut arguments = words(&format!("commit-tree {tree}"));
            if let Some(parent) = parent {
                arguments.extend(["-p".to_owned(), parent.to_owned()]);
            }
            let sha = feed(arguments, format!("write {content}\n\nat length\n")).await;
            git::run(&self.git_dir, &["update-ref", &format!("refs/heads/{branch}"), &sha])
                .await
                .expect("ref");
            sha
        }

        async fn merge(&self, source: &str) -> Answer {
            let merge = Merge {
                path: PATH.into(),
                source_sha: source.into(),
                target_branch: "main".into(),
                message: "Merge it".into(),
                author: "Administrator <admin@example.com>".into(),
                actor: None,
            };
            super::merge(State(Arc::clone(&self.gitaly)), segment(), Json(merge)).await
        }

        async fn mergeable(&self, source: &str) -> bool {
            let pair = Pair { path: PATH.into(), source: source.into(), target: "main".into() };
            let answer = mergeable(State(Arc::clone(&self.gitaly)), segment(), Json(pair)).await;
            body(answer).await["mergeable"] == true
        }
    }

    fn segment() -> Segment<String> {
        Segment("default".to_owned())
    }

    async fn body(answer: Answer) -> serde_json::Value {
        let response = answer.expect("an answer");
        let bytes = axum::body::to_bytes(response.into_body(), 1 << 20).await.expect("a body");
        serde_json::from_slice(&bytes).expect("JSON")
    }

    #[tokio::test]
    async fn a_branch_is_merged_with_both_parents() {
        let world = World::new().await;
        let base = world.commit("main", None, "one").await;
        let source = world.commit("topic", Some(&base), "two").await;
        assert!(world.mergeable("refs/heads/topic").await);
        let merged = body(world.merge(&source).await).await["sha"].as_str().expect("a hash").to_owned();
        let revision = Query(Revision { path: PATH.into(), revision: "refs/heads/main".into() });
        let found = body(commit(State(Arc::clone(&world.gitaly)), segment(), revision).await).await;
        assert_eq!(found["id"], merged);
        assert_eq!(found["parent_ids"], json!([base, source]));
        assert_eq!(
            (&found["title"], &found["author_email"]),
            (&json!("Merge it"), &json!("admin@example.com"))
        );
    }

    #[tokio::test]
    async fn a_conflict_merges_nothing() {
        let world = World::new().await;
        let base = world.commit("main", None, "one").await;
        let source = world.commit("topic", Some(&base), "two").await;
        let ours = world.commit("main", Some(&base), "three").await;
        assert!(!world.mergeable(&source).await);
        let refused = world.merge(&source).await.expect("an answer");
        assert_eq!(refused.status(), StatusCode::CONFLICT);
        let named = Query(Named { path: PATH.into() });
        let refs = body(refs(State(Arc::clone(&world.gitaly)), segment(), named).await).await;
        assert_eq!(refs["refs"]["refs/heads/main"], ours);
    }

    #[tokio::test]
    async fn what_is_not_there_is_said() {
        let world = World::new().await;
        assert_eq!(world.merge("0123").await.expect_err("no revision").0, StatusCode::NOT_FOUND);
        let named = || Json(Named { path: PATH.into() });
        let state = || State(Arc::clone(&world.gitaly));
        assert!(create(state(), segment(), named()).await.is_ok(), "a second time changes nothing");
        assert!(delete(state(), segment(), named()).await.is_ok());
        assert!(delete(state(), segment(), named()).await.is_ok(), "it is gone already");
        let gone = refs(state(), segment(), Query(Named { path: PATH.into() })).await;
        assert_eq!(gone.expect_err("gone").0, StatusCode::NOT_FOUND);
    }
}
