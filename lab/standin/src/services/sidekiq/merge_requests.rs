//! Whether a merge request can be merged, and merging it.

use serde_json::Value;

use super::workers::Work;
use crate::database::merge_requests::{self, MergeRequest, NO_BRANCH};
use crate::database::projects::{self, Project};
use crate::repositories::{Actor, Merge, Merged};

/// Something that Sidekiq tries again later.
fn failed(error: impl std::fmt::Display) -> String {
    format!("StandardError: {error}")
}

async fn load(work: &Work, id: i64) -> Result<Option<(MergeRequest, Project)>, String> {
    let client = work.pool.take().await.map_err(failed)?;
    let Some(request) = merge_requests::by_id(&*client, id).await.map_err(failed)? else { return Ok(None) };
    let project = projects::by_id(&*client, request.project_id).await.map_err(failed)?;
    Ok(project.map(|project| (request, project)))
}

async fn note(
    work: &Work,
    id: i64,
    status: &str,
    error: Option<&str>,
    head: Option<&str>,
) -> Result<(), String> {
    let client = work.pool.take().await.map_err(failed)?;
    merge_requests::checked(&*client, id, status, error, head).await.map_err(failed)
}

/// Finds out whether it can be merged. One that is gone by now is no failure.
pub async fn check(work: &Work, id: i64) -> Result<(), String> {
    let Some((request, project)) = load(work, id).await? else { return Ok(()) };
    let storage = work.storage(&project)?;
    let repository = project.repository();
    let refs = storage.refs(&repository).await.map_err(failed)?;
    let head = |branch: &str| refs.get(&format!("refs/heads/{branch}"));
    let (Some(source), Some(target)) = (head(&request.source_branch), head(&request.target_branch)) else {
        return note(work, id, "cannot_be_merged", Some(NO_BRANCH), None).await;
    };
    let fits = storage.mergeable(&repository, source, target).await.map_err(failed)?;
    let status = if fits { "can_be_merged" } else { "cannot_be_merged" };
    note(work, id, status, None, Some(source)).await
}

/// Merges it, for the user who asked.
pub async fn merge(work: &Work, id: i64, user: i64, wishes: &Value) -> Result<(), String> {
    let Some((request, project)) = load(work, id).await? else { return Ok(()) };
    if request.detailed_status() != "mergeable" {
        return Ok(());
    }
    let sql = "SELECT username, name, email FROM users WHERE id = $1";
    let client = work.pool.take().await.map_err(failed)?;
    let row = client.query_one(sql, &[&user]).await.map_err(failed)?;
    let (username, name, email): (String, String, String) = (row.get(0), row.get(1), row.get(2));
    drop(client);
    let Some(head) = request.head.clone() else { return Ok(()) };
    let actor = Actor {
        id: format!("user-{user}"),
        repository: format!("project-{}", project.id),
        project_path: project.full_path.clone(),
        username,
        protocol: "web".to_owned(),
    };
    let merge = Merge {
        path: project.repository(),
        source_sha: head.clone(),
        target_branch: request.target_branch.clone(),
        message: message(&request, &project, wishes["commit_message"].as_str()),
        author: format!("{name} <{email}>"),
        actor: Some(actor),
    };
    match work.storage(&project)?.merge(&merge).await.map_err(failed)? {
        Merged::At(commit) => {
            let client = work.pool.take().await.map_err(failed)?;
            merge_requests::merged(&*client, id, &commit, user).await.map_err(failed)?;
            if wishes["should_remove_source_branch"] != true {
                return Ok(());
            }
            let storage = work.storage(&project)?;
            storage.remove_branch(&merge.path, &request.source_branch, &head).await.map_err(failed)
        }
        Merged::Conflict => note(work, id, "cannot_be_merged", Some("Merge conflict"), None).await,
    }
}

/// The message that GitLab gives a merge commit (docs: `user/project/merge_requests/commit_templates`).
fn message(request: &MergeRequest, project: &Project, given: Option<&str>) -> String {
    given.map_or_else(
        || {
            let (source, target) = (&request.source_branch, &request.target_branch);
            let (title, path, iid) = (&request.title, &project.full_path, request.iid);
            format!("Merge branch '{source}' into '{target}'\n\n{title}\n\nSee merge request {path}!{iid}")
        },
        str::to_owned,
    )
}
