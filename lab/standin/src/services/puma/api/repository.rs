//! Branches (docs: api/branches), as Gitaly has them.

use axum::extract::{OriginalUri, Path, State};
use axum::response::Response;
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Value, json};

use super::auth::Caller;
use super::page::Page;
use super::params::Params;
use super::{Api, Failure, lookup};
use crate::database::projects::Project;

pub fn routes() -> Router<Api> {
    Router::new()
        .route("/projects/{id}/repository/branches", get(list))
        .route("/projects/{id}/repository/branches/{branch}", get(show))
}

async fn project(api: &Api, caller: &Caller, id: &str) -> Result<Project, Failure> {
    lookup::code(&*api.pool.take().await?, caller, id).await
}

async fn branch(api: &Api, project: &Project, name: &str, head: &str) -> Result<Value, Failure> {
    let storage = api.storage(project)?;
    let found = storage.commit(&project.repository(), head).await;
    let commit = found.map_err(|error| Failure::internal(error.to_string()))?;
    let commit = commit.ok_or_else(|| Failure::not_found("Commit"))?;
    let web_url = format!("{}/{}", api.config.application.origin, project.full_path);
    let short: String = commit.id.chars().take(8).collect();
    let mut shown = serde_json::to_value(&commit).unwrap_or_default();
    shown["short_id"] = json!(short);
    shown["created_at"] = shown["committed_date"].clone();
    shown["web_url"] = json!(format!("{web_url}/-/commit/{}", commit.id));
    let default = project.default_branch.as_deref().unwrap_or("main") == name;
    Ok(json!({
        "name": name,
        "merged": false,
        "protected": default,
        "default": default,
        "developers_can_push": false,
        "developers_can_merge": false,
        "can_push": true,
        "web_url": format!("{web_url}/-/tree/{name}"),
        "commit": shown,
    }))
}

async fn refs(api: &Api, project: &Project) -> Result<Vec<(String, String)>, Failure> {
    let refs = api.storage(project)?.refs(&project.repository()).await;
    let refs = refs.map_err(|error| Failure::internal(error.to_string()))?;
    let branches = refs
        .into_iter()
        .filter_map(|(name, head)| Some((name.strip_prefix("refs/heads/")?.to_owned(), head)));
    Ok(branches.collect())
}

async fn list(
    State(api): State<Api>,
    caller: Caller,
    Path(id): Path<String>,
    OriginalUri(uri): OriginalUri,
    params: Params,
) -> Result<Response, Failure> {
    let page = Page::of(&params)?;
    let project = project(&api, &caller, &id).await?;
    let branches = refs(&api, &project).await?;
    let total = i64::try_from(branches.len()).unwrap_or(i64::MAX);
    let (limit, offset) = page.limits();
    let (limit, offset) =
        (usize::try_from(limit).unwrap_or(0), usize::try_from(offset).unwrap_or(usize::MAX));
    let mut items = Vec::new();
    for (name, head) in branches.iter().skip(offset).take(limit) {
        items.push(branch(&api, &project, name, head).await?);
    }
    Ok(page.answer(&api, &uri, items, total))
}

async fn show(
    State(api): State<Api>,
    caller: Caller,
    Path((id, name)): Path<(String, String)>,
) -> Result<Json<Value>, Failure> {
    let project = project(&api, &caller, &id).await?;
    let branches = refs(&api, &project).await?;
    let found = branches.iter().find(|(branch, _)| *branch == name);
    let (name, head) = found.ok_or_else(|| Failure::not_found("Branch"))?;
    branch(&api, &project, name, head).await.map(Json)
}
