//! Merge requests (docs: `api/merge_requests`). Whether one can be merged, and the merge itself, are Sidekiq's
//! work: where nobody takes the job, nothing happens, and the answers show it.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use axum::extract::{OriginalUri, Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, put};
use axum::{Json, Router};
use serde_json::{Value, json};

use super::auth::Caller;
use super::page::Page;
use super::params::Params;
use super::{Api, Failure, lookup, users};
use crate::database::access::DEVELOPER;
use crate::database::merge_requests::{self, MergeRequest, New};
use crate::database::projects::Project;
use crate::jobs;

/// How long an answer waits for Sidekiq's merge.
const PATIENCE: Duration = Duration::from_secs(3);
const BETWEEN_LOOKS: Duration = Duration::from_millis(50);

pub fn routes() -> Router<Api> {
    Router::new()
        .route("/projects/{id}/merge_requests", get(list).post(create))
        .route("/projects/{id}/merge_requests/{iid}", get(show))
        .route("/projects/{id}/merge_requests/{iid}/merge", put(merge))
}

fn shown(api: &Api, project: &Project, request: &MergeRequest) -> Value {
    let user = |(id, username, name): &(i64, String, String)| users::brief(api, *id, username, name);
    let iid = request.iid;
    let draft = request.title.starts_with("Draft:");
    let merge_user = request.merge_user.as_ref().map(user);
    let mut shown = json!({
        "id": request.id,
        "iid": iid,
        "project_id": project.id,
        "title": request.title,
        "description": request.description,
        "state": request.state,
        "created_at": request.created_at,
        "updated_at": request.updated_at,
        "closed_by": null,
        "closed_at": null,
        "target_branch": request.target_branch,
        "source_branch": request.source_branch,
        "user_notes_count": 0,
        "upvotes": 0,
        "downvotes": 0,
        "author": user(&request.author),
        "assignees": [],
        "assignee": null,
        "reviewers": [],
        "source_project_id": project.id,
        "target_project_id": project.id,
        "labels": [],
        "draft": draft,
        "work_in_progress": draft,
        "milestone": null,
        "web_url": format!("{}/{}/-/merge_requests/{iid}", api.config.application.origin, project.full_path),
        "reference": format!("!{iid}"),
        "references": {
            "short": format!("!{iid}"),
            "relative": format!("!{iid}"),
            "full": format!("{}!{iid}", project.full_path),
        },
    });
    let merging = json!({
        "merged_by": merge_user,
        "merge_user": merge_user,
        "merged_at": request.merged_at,
        "prepared_at": request.prepared_at,
        "merge_when_pipeline_succeeds": false,
        "merge_status": request.public_status(),
        "detailed_merge_status": request.detailed_status(),
        "merge_error": request.merge_error,
        "sha": request.head,
        "merge_commit_sha": request.merge_commit,
        "squash_commit_sha": null,
        "discussion_locked": null,
        "should_remove_source_branch": request.remove_source,
        "force_remove_source_branch": request.remove_source,
        "squash": false,
        "has_conflicts": request.detailed_status() == "conflict",
        "blocking_discussions_resolved": true,
    });
    if let (Value::Object(shown), Value::Object(merging)) = (&mut shown, merging) {
        shown.extend(merging);
    }
    shown
}

async fn list(
    State(api): State<Api>,
    caller: Caller,
    Path(id): Path<String>,
    OriginalUri(uri): OriginalUri,
    params: Params,
) -> Result<Response, Failure> {
    let page = Page::of(&params)?;
    let state = params.one_of("state", &["opened", "closed", "locked", "merged", "all"])?;
    let state = state.filter(|state| state != "all");
    let client = api.pool.take().await?;
    let project = lookup::code(&client, &caller, &id).await?;
    let found = merge_requests::list(&*client, project.id, state.as_deref(), page.limits()).await?;
    let items = found.0.iter().map(|request| shown(&api, &project, request)).collect();
    Ok(page.answer(&api, &uri, items, found.1))
}

async fn branches(api: &Api, project: &Project) -> Result<BTreeMap<String, String>, Failure> {
    let refs = api.storage(project)?.refs(&project.repository()).await;
    refs.map_err(|error| Failure::internal(error.to_string()))
}

async fn create(
    State(api): State<Api>,
    caller: Caller,
    Path(id): Path<String>,
    params: Params,
) -> Result<Response, Failure> {
    let user = caller.known()?;
    params.need(&["title", "source_branch", "target_branch"])?;
    params.not_stood_in(&["target_project_id"])?;
    let (title, description) = (params.required("title")?, params.text("description"));
    let (source, target) = (params.required("source_branch")?, params.required("target_branch")?);
    let remove_source = params.flag("remove_source_branch")?.unwrap_or(false);
    let client = api.pool.take().await?;
    let project = lookup::project(&client, &caller, &id, DEVELOPER).await?;
    if source == target {
        let why = ["You can't use same project/branch for source and target"];
        return Err(Failure::message(StatusCode::UNPROCESSABLE_ENTITY, json!(why)));
    }
    if let Some(iid) = merge_requests::open_between(&*client, project.id, &source, &target).await? {
        let why = [format!("Another open merge request already exists for this source branch: !{iid}")];
        return Err(Failure::message(StatusCode::CONFLICT, json!(why)));
    }
    let branches = branches(&api, &project).await?;
    let head = |branch: &str| branches.get(&format!("refs/heads/{branch}"));
    let Some(commit) = head(&source) else {
        return Err(Failure::validation("source_branch", &["does not exist"]));
    };
    if head(&target).is_none() {
        return Err(Failure::validation("target_branch", &["does not exist"]));
    }
    let new = New {
        project: project.id,
        title: &title,
        description: description.as_deref(),
        author: user.user_id,
        source: &source,
        target: &target,
        remove_source,
        head: commit,
    };
    let request = merge_requests::create(&*client, &new).await?;
    look_at(&api, &request).await.map_err(Failure::internal)?;
    Ok((StatusCode::CREATED, Json(shown(&api, &project, &request))).into_response())
}

/// Asks Sidekiq whether it can be merged.
async fn look_at(api: &Api, request: &MergeRequest) -> Result<(), String> {
    jobs::enqueue(&api.config, "MergeRequestMergeabilityCheckWorker", json!([request.id])).await
}

async fn one(api: &Api, project: &Project, iid: i32) -> Result<MergeRequest, Failure> {
    let client = api.pool.take().await?;
    let found = merge_requests::by_iid(&*client, project.id, iid).await?;
    found.ok_or_else(|| Failure::not_found("Merge Request"))
}

/// Shows one. What nobody has looked at since the last push is looked at now, in the background.
async fn show(
    State(api): State<Api>,
    caller: Caller,
    Path((id, iid)): Path<(String, i32)>,
) -> Result<Json<Value>, Failure> {
    let project = lookup::code(&*api.pool.take().await?, &caller, &id).await?;
    let mut request = one(&api, &project, iid).await?;
    if request.state == "opened" && request.merge_status == "unchecked" {
        match look_at(&api, &request).await {
            Ok(()) => {
                "checking".clone_into(&mut request.merge_status);
                let sql = "UPDATE merge_requests SET merge_status = 'checking'
                           WHERE id = $1 AND merge_status = 'unchecked'";
                api.pool.take().await?.execute(sql, &[&request.id]).await?;
            }
            Err(reason) => crate::terminal::complain(format!("api: {reason}")),
        }
    }
    Ok(Json(shown(&api, &project, &request)))
}

async fn merge(
    State(api): State<Api>,
    caller: Caller,
    Path((id, iid)): Path<(String, i32)>,
    params: Params,
) -> Result<Json<Value>, Failure> {
    let user = caller.known()?;
    params.not_stood_in(&["squash", "auto_merge", "merge_when_pipeline_succeeds"])?;
    let project = lookup::code(&*api.pool.take().await?, &caller, &id).await?;
    if lookup::project(&*api.pool.take().await?, &caller, &id, DEVELOPER).await.is_err() {
        return Err(Failure::unauthorized());
    }
    let request = one(&api, &project, iid).await?;
    if request.detailed_status() != "mergeable" {
        return Err(Failure::message(StatusCode::METHOD_NOT_ALLOWED, "405 Method Not Allowed"));
    }
    if params.text("sha").is_some_and(|sha| request.head.as_deref() != Some(&sha)) {
        return Err(Failure::message(StatusCode::CONFLICT, "SHA does not match HEAD of source branch"));
    }
    let wishes = json!({
        "should_remove_source_branch": params.flag("should_remove_source_branch")?.unwrap_or(request.remove_source),
        "commit_message": params.text("merge_commit_message"),
    });
    let arguments = json!([request.id, user.user_id, wishes]);
    jobs::enqueue(&api.config, "MergeWorker", arguments).await.map_err(Failure::internal)?;
    let request = settled(&api, &project, iid).await?;
    if request.state == "opened" && request.merge_error.is_some() {
        return Err(Failure::message(StatusCode::UNPROCESSABLE_ENTITY, "Branch cannot be merged"));
    }
    Ok(Json(shown(&api, &project, &request)))
}

/// The merge request when Sidekiq is done with it, or as it is when nobody takes the job.
async fn settled(api: &Api, project: &Project, iid: i32) -> Result<MergeRequest, Failure> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let request = one(api, project, iid).await?;
        if request.state != "opened" || request.merge_error.is_some() || Instant::now() > deadline {
            return Ok(request);
        }
        tokio::time::sleep(BETWEEN_LOOKS).await;
    }
}
