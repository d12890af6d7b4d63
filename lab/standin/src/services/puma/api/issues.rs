//! Issues (docs: api/issues).

use crate::database::Client;
use axum::extract::{OriginalUri, Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Value, json};
use tokio_postgres::Row;

use super::auth::Caller;
use super::page::Page;
use super::params::Params;
use super::{Api, Failure, lookup, users};
use crate::database::access::{GUEST, REPORTER};
use crate::database::projects::Project;

const SELECT: &str = "
SELECT i.id, i.iid, i.title, i.description, i.state, i.confidential, i.labels, iso8601(i.created_at) AS created_at,
       iso8601(i.updated_at) AS updated_at, iso8601(i.closed_at) AS closed_at,
       u.id AS author_id, u.username, u.name
FROM issues i JOIN users u ON u.id = i.author_id";

pub fn routes() -> Router<Api> {
    Router::new()
        .route("/projects/{id}/issues", get(list).post(create))
        .route("/projects/{id}/issues/{iid}", get(show).put(update))
}

fn shown(api: &Api, project: &Project, row: &Row) -> Value {
    let iid: i32 = row.get("iid");
    let origin = &api.config.application.origin;
    let own = format!("{origin}/api/v4/projects/{}", project.id);
    json!({
        "id": row.get::<_, i64>("id"),
        "iid": iid,
        "project_id": project.id,
        "title": row.get::<_, String>("title"),
        "description": row.get::<_, Option<String>>("description"),
        "state": row.get::<_, String>("state"),
        "created_at": row.get::<_, String>("created_at"),
        "updated_at": row.get::<_, String>("updated_at"),
        "closed_at": row.get::<_, Option<String>>("closed_at"),
        "labels": row.get::<_, Vec<String>>("labels"),
        "milestone": null,
        "assignees": [],
        "assignee": null,
        "author": users::brief(api, row.get("author_id"), row.get("username"), row.get("name")),
        "type": "ISSUE",
        "issue_type": "issue",
        "user_notes_count": 0,
        "merge_requests_count": 0,
        "upvotes": 0,
        "downvotes": 0,
        "due_date": null,
        "confidential": row.get::<_, bool>("confidential"),
        "discussion_locked": null,
        "web_url": format!("{origin}/{}/-/issues/{iid}", project.full_path),
        "references": {
            "short": format!("#{iid}"),
            "relative": format!("#{iid}"),
            "full": format!("{}#{iid}", project.full_path),
        },
        "_links": {"self": format!("{own}/issues/{iid}"), "project": own},
    })
}

async fn one(api: &Api, client: &Client, project: &Project, iid: i32) -> Result<Value, Failure> {
    let sql = format!("{SELECT} WHERE i.project_id = $1 AND i.iid = $2");
    let row = client.query_opt(&sql, &[&project.id, &iid]).await?;
    Ok(shown(api, project, &row.ok_or_else(|| Failure::not_found("Issue"))?))
}

async fn list(
    State(api): State<Api>,
    caller: Caller,
    Path(id): Path<String>,
    OriginalUri(uri): OriginalUri,
    params: Params,
) -> Result<Response, Failure> {
    let page = Page::of(&params)?;
    let state = params.one_of("state", &["opened", "closed", "all"])?;
    let state = state.filter(|state| state != "all");
    let client = api.pool.take().await?;
    let project = lookup::project(&client, &caller, &id, GUEST).await?;
    let condition = "i.project_id = $1 AND ($2::varchar IS NULL OR i.state = $2)";
    let count = format!("SELECT count(*) FROM issues i WHERE {condition}");
    let total = client.query_one(&count, &[&project.id, &state]).await?.get(0);
    let (limit, offset) = page.limits();
    let sql = format!("{SELECT} WHERE {condition} ORDER BY i.id DESC LIMIT $3 OFFSET $4");
    let rows = client.query(&sql, &[&project.id, &state, &limit, &offset]).await?;
    let items = rows.iter().map(|row| shown(&api, &project, row)).collect();
    Ok(page.answer(&api, &uri, items, total))
}

async fn show(
    State(api): State<Api>,
    caller: Caller,
    Path((id, iid)): Path<(String, i32)>,
) -> Result<Json<Value>, Failure> {
    let client = api.pool.take().await?;
    let project = lookup::project(&client, &caller, &id, GUEST).await?;
    one(&api, &client, &project, iid).await.map(Json)
}

fn labels(params: &Params) -> Option<Vec<String>> {
    let text = params.text("labels")?;
    Some(text.split(',').map(|label| label.trim().to_owned()).filter(|label| !label.is_empty()).collect())
}

async fn create(
    State(api): State<Api>,
    caller: Caller,
    Path(id): Path<String>,
    params: Params,
) -> Result<Response, Failure> {
    let user = caller.known()?;
    let title = params.required("title")?;
    let description = params.text("description");
    let confidential = params.flag("confidential")?.unwrap_or(false);
    let labels = labels(&params).unwrap_or_default();
    let client = api.pool.take().await?;
    let project = lookup::project(&client, &caller, &id, GUEST).await?;
    let sql = "WITH counted AS (UPDATE projects SET last_issue_iid = last_issue_iid + 1 WHERE id = $1
                                RETURNING last_issue_iid)
               INSERT INTO issues (project_id, iid, title, description, author_id, confidential, labels)
               SELECT $1, last_issue_iid, $2, $3, $4, $5, $6 FROM counted RETURNING iid";
    let values: [&dyn crate::database::Value; 6] =
        [&project.id, &title, &description, &user.user_id, &confidential, &labels];
    let iid = client.query_one(sql, &values).await?.get(0);
    Ok((StatusCode::CREATED, Json(one(&api, &client, &project, iid).await?)).into_response())
}

/// Changes what is given; closing and reopening is an event.
async fn update(
    State(api): State<Api>,
    caller: Caller,
    Path((id, iid)): Path<(String, i32)>,
    params: Params,
) -> Result<Json<Value>, Failure> {
    caller.known()?;
    let event = params.one_of("state_event", &["close", "reopen"])?;
    let state = event.map(|event| if event == "close" { "closed" } else { "opened" });
    let (title, description) = (params.text("title"), params.text("description"));
    let (confidential, labels) = (params.flag("confidential")?, labels(&params));
    if state.is_none()
        && title.is_none()
        && description.is_none()
        && confidential.is_none()
        && labels.is_none()
    {
        let why = "title, description, confidential, labels, state_event are missing, at least one parameter must be \
                   provided";
        return Err(Failure::bad_parameter(why));
    }
    let client = api.pool.take().await?;
    let project = lookup::project(&client, &caller, &id, REPORTER).await?;
    let sql = "UPDATE issues SET title = coalesce($3, title), description = coalesce($4, description),
                      confidential = coalesce($5, confidential), labels = coalesce($6, labels),
                      state = coalesce($7, state), updated_at = now(),
                      closed_at = CASE $7 WHEN 'closed' THEN now() WHEN 'opened' THEN NULL ELSE closed_at END
               WHERE project_id = $1 AND iid = $2";
    let values: [&dyn crate::database::Value; 7] =
        [&project.id, &iid, &title, &description, &confidential, &labels, &state];
    client.execute(sql, &values).await?;
    one(&api, &client, &project, iid).await.map(Json)
}
