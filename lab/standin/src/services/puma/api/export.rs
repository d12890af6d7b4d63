//! Exports of projects: Sidekiq makes the archive and puts it where uploads are, Rails hands it out
//! (docs: `api/project_import_export`).

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Value, json};

use super::auth::Caller;
use super::stored::Room;
use super::{Api, Failure, lookup};
use crate::database::access::MAINTAINER;
use crate::{jobs, paths};

pub fn routes() -> Router<Api> {
    Router::new()
        .route("/projects/{id}/export", get(status).post(schedule))
        .route("/projects/{id}/export/download", get(download))
}

async fn schedule(
    State(api): State<Api>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Response, Failure> {
    let user = caller.known()?;
    let client = api.pool.take().await?;
    let project = lookup::project(&client, &caller, &id, MAINTAINER).await?;
    let sql = "INSERT INTO project_export_jobs (project_id, status) VALUES ($1, 'queued')
               ON CONFLICT (project_id) DO UPDATE SET status = 'queued'";
    client.execute(sql, &[&project.id]).await?;
    let arguments = json!([user.user_id, project.id]);
    jobs::enqueue(&api.config, "ProjectExportWorker", arguments).await.map_err(Failure::internal)?;
    Ok((StatusCode::ACCEPTED, Json(json!({"message": "202 Accepted"}))).into_response())
}

async fn status(
    State(api): State<Api>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Json<Value>, Failure> {
    let client = api.pool.take().await?;
    let project = lookup::project(&client, &caller, &id, MAINTAINER).await?;
    let sql = "SELECT j.status, j.export_file IS NOT NULL FROM project_export_jobs j WHERE j.project_id = $1";
    let row = client.query_opt(sql, &[&project.id]).await?;
    let (state, there) = row.map_or_else(|| ("none".to_owned(), false), |row| (row.get(0), row.get(1)));
    let state = named(&state, there);
    let origin = &api.config.application.origin;
    let mut body = json!({
        "id": project.id,
        "description": project.description,
        "name": project.name,
        "path": project.path,
        "path_with_namespace": project.full_path,
        "created_at": project.created_at,
        "export_status": state,
    });
    if state == "finished" {
        body["_links"] = json!({
            "api_url": format!("{origin}/api/v4/projects/{}/export/download", project.id),
            "web_url": format!("{origin}/{}/download_export", project.full_path),
        });
    }
    Ok(Json(body))
}

/// The documented name of a state; an export that failed leaves none, or the one before it.
fn named(state: &str, there: bool) -> &'static str {
    match (state, there) {
        ("queued" | "started", true) => "regeneration_in_progress",
        ("queued", false) => "queued",
        ("started", false) => "started",
        (_, true) => "finished",
        _ => "none",
    }
}

async fn download(
    State(api): State<Api>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Response, Failure> {
    let client = api.pool.take().await?;
    let project = lookup::project(&client, &caller, &id, MAINTAINER).await?;
    let sql = "SELECT export_file FROM project_export_jobs WHERE project_id = $1";
    let row = client.query_opt(sql, &[&project.id]).await?;
    let file = row.and_then(|row| row.get::<_, Option<String>>(0)).ok_or_else(|| Failure::not_found(""))?;
    let name = format!("{}_export.tar.gz", project.full_path.replace('/', "_"));
    Room::of(&api.config, "uploads", paths::UPLOADS).send(&file, &name).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_export_leaves_what_was_there() {
        assert_eq!(named("failed", false), "none");
        assert_eq!(named("failed", true), "finished");
        assert_eq!(named("started", true), "regeneration_in_progress");
        assert_eq!(named("queued", false), "queued");
    }
}
