//! A replica gets what another Gitaly has: it asks the source for its references, fetches one pack with what it
//! lacks, and moves its own references in one transaction. Praefect says from where.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::{Path as Segment, State};
use axum::response::{IntoResponse as _, Response};
use futures_util::TryStreamExt as _;
use serde::Deserialize;
use serde_json::json;
use tokio::io::AsyncWriteExt as _;
use tokio::sync::Mutex;
use tokio_util::io::{ReaderStream, StreamReader};

use super::repositories::{existing, internal, make};
use super::{Answer, git, place};
use crate::repositories::{Actor, Repositories, Source};
use crate::site::Gitaly;

/// Two replications of one repository must not overtake each other.
static TURN: Mutex<()> = Mutex::const_new(());
/// The most commits that a replica says it has.
const HAVES: usize = 500;

/// A repository, and what the asker has of it.
#[derive(Deserialize)]
pub struct Lacking {
    path: String,
    have: Vec<String>,
}

/// Sends a pack with everything that is reachable here and not from what the asker has.
pub async fn pack(
    State(gitaly): State<Arc<Gitaly>>,
    Segment(storage): Segment<String>,
    Json(lacking): Json<Lacking>,
) -> Answer {
    let directory = existing(&gitaly, &storage, &lacking.path)?;
    let mut revisions = String::new();
    for sha in lacking.have.iter().filter(|sha| is_sha(sha)).take(HAVES) {
        if knows(&directory, sha).await.map_err(internal)? {
            let _ = writeln!(revisions, "^{sha}");
        }
    }
    let mut command = git::command(&Actor::default());
    command.arg("--git-dir").arg(&directory).args(["pack-objects", "--all", "--stdout", "-q", "--thin"]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
    let mut child = command.spawn().map_err(|error| internal(format!("git doesn't start: {error}")))?;
    let (Some(mut input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
        return Err(internal("git has no pipes"));
    };
    tokio::spawn(async move {
        let _ = input.write_all(revisions.as_bytes()).await;
        drop(input);
        let _ = child.wait().await;
    });
    Ok(Body::from_stream(ReaderStream::new(output)).into_response())
}

fn is_sha(text: &str) -> bool {
    matches!(text.len(), 40 | 64) && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

async fn knows(directory: &Path, sha: &str) -> Result<bool, String> {
    Ok(git::attempt(directory, &["cat-file", "-e", sha]).await?.code == 0)
}

/// A repository, and the Gitaly that has all of it.
#[derive(Deserialize)]
pub struct From {
    path: String,
    source: Source,
}

/// Makes this replica equal to the source.
pub async fn replicate(
    State(gitaly): State<Arc<Gitaly>>,
    Segment(storage): Segment<String>,
    Json(From { path, source }): Json<From>,
) -> Answer {
    let directory = place(&gitaly, &storage, &path)?;
    let _turn = TURN.lock().await;
    make(&directory).await?;
    let there = Repositories::of(&source.storage, &source.address);
    let wanted = there.references(&path).await.map_err(|error| internal(error.to_string()))?;
    let own = references(&directory).await.map_err(internal)?;
    if lacks(&directory, wanted.refs.values()).await.map_err(internal)? {
        let have: Vec<&str> = own.values().map(String::as_str).collect();
        let pack = there.pack(&path, &have).await.map_err(|error| internal(error.to_string()))?;
        keep(&directory, pack).await.map_err(internal)?;
    }
    move_references(&directory, &own, &wanted.refs).await.map_err(internal)?;
    if !wanted.head.is_empty() {
        git::run(&directory, &["symbolic-ref", "HEAD", &wanted.head]).await.map_err(internal)?;
    }
    Ok(Json(json!({})).into_response())
}

/// References with what they point to.
pub async fn references(directory: &Path) -> Result<BTreeMap<String, String>, String> {
    let listed = git::run(directory, &["for-each-ref", "--format=%(refname) %(objectname)"]).await?;
    let pair = |line: &str| line.split_once(' ').map(|(name, sha)| (name.to_owned(), sha.to_owned()));
    Ok(listed.lines().filter_map(pair).collect())
}

async fn lacks(directory: &Path, wanted: impl Iterator<Item = &String>) -> Result<bool, String> {
    for sha in wanted {
        if !knows(directory, sha).await? {
            return Ok(true);
        }
    }
    Ok(false)
}

async fn keep(directory: &Path, pack: Response) -> Result<(), String> {
    let mut command = git::command(&Actor::default());
    command.arg("--git-dir").arg(directory).args(["index-pack", "--stdin", "--fix-thin"]);
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped()).kill_on_drop(true);
    let mut child = command.spawn().map_err(|error| format!("git doesn't start: {error}"))?;
    let mut reader = StreamReader::new(pack.into_body().into_data_stream().map_err(std::io::Error::other));
    if let Some(mut input) = child.stdin.take() {
        tokio::io::copy(&mut reader, &mut input).await.map_err(|error| format!("the pack: {error}"))?;
        let _ = input.shutdown().await;
    }
    let ended = child.wait_with_output().await.map_err(|error| error.to_string())?;
    if ended.status.success() {
        Ok(())
    } else {
        Err(format!("the pack: {}", String::from_utf8_lossy(&ended.stderr).trim()))
    }
}

async fn move_references(
    directory: &Path,
    own: &BTreeMap<String, String>,
    wanted: &BTreeMap<String, String>,
) -> Result<(), String> {
    let changes = changes(own, wanted);
    if changes.is_empty() {
        return Ok(());
    }
    let mut command = git::command(&Actor::default());
    command.arg("--git-dir").arg(directory).args(["update-ref", "--stdin"]);
    let outcome = git::finish(command, &changes).await?;
    if outcome.code == 0 { Ok(()) } else { Err(outcome.complaint) }
}

/// What `update-ref` has to do; what is gone goes first, since a branch may have become a folder of branches.
fn changes(own: &BTreeMap<String, String>, wanted: &BTreeMap<String, String>) -> String {
    let gone = own.keys().filter(|name| !wanted.contains_key(*name)).map(|name| format!("delete {name}\n"));
    let moved = wanted.iter().filter(|(name, sha)| own.get(*name) != Some(sha));
    gone.chain(moved.map(|(name, sha)| format!("update {name} {sha}\n"))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_differs_is_moved() {
        let map = |pairs: &[(&str, &str)]| -> BTreeMap<String, String> {
            pairs.iter().map(|(name, sha)| ((*name).to_owned(), (*sha).to_owned())).collect()
        };
        let own = map(&[("refs/heads/a", "1"), ("refs/heads/b", "2"), ("refs/heads/c", "3")]);
        let wanted = map(&[("refs/heads/a", "1"), ("refs/heads/b", "9"), ("refs/heads/d", "4")]);
        assert_eq!(
            changes(&own, &wanted),
            "delete refs/heads/c\nupdate refs/heads/b 9\nupdate refs/heads/d 4\n"
        );
        assert_eq!(changes(&own, &own), "");
    }
}
