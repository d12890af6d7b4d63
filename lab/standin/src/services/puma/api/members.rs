//! Members of groups and projects (docs: `api/group_members`, `api/project_members`).

use crate::database::Client;
use axum::extract::{OriginalUri, Path, State};
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{delete, get};
use axum::{Json, Router};
use serde_json::{Value, json};
use tokio_postgres::Row;

use super::auth::Caller;
use super::page::Page;
use super::params::Params;
use super::{Api, Failure, lookup, users};
use crate::database::access::{DEVELOPER, GUEST, MAINTAINER, OWNER, REPORTER};

/// What somebody is a member of.
#[derive(Clone, Copy)]
enum Kind {
    Group,
    Project,
}

impl Kind {
    /// Its name in the database.
    const fn source(self) -> &'static str {
        match self {
            Self::Group => "Namespace",
            Self::Project => "Project",
        }
    }

    /// The thing's id, for a caller with a role.
    async fn find(self, client: &Client, caller: &Caller, id: &str, needed: i32) -> Result<i64, Failure> {
        Ok(match self {
            Self::Group => lookup::group(client, caller, id, needed).await?.id,
            Self::Project => lookup::project(client, caller, id, needed).await?.id,
        })
    }
}

pub fn routes() -> Router<Api> {
    [("groups", Kind::Group), ("projects", Kind::Project)].into_iter().fold(
        Router::new(),
        |router, (path, kind)| {
            let members =
                get(async move |api, caller, id, uri, params| list(kind, api, caller, id, uri, params).await)
                    .post(async move |api, caller, id, params| add(kind, api, caller, id, params).await);
            let member = delete(async move |api, caller, ids| remove(kind, api, caller, ids).await);
            router
                .route(&format!("/{path}/{{id}}/members"), members)
                .route(&format!("/{path}/{{id}}/members/{{user}}"), member)
        },
    )
}

const SELECT: &str = "
SELECT u.id, u.username, u.name, m.access_level FROM members m JOIN users u ON u.id = m.user_id
WHERE m.source_type = $1 AND m.source_id = $2";

fn shown(api: &Api, row: &Row) -> Value {
    let mut shown = users::brief(api, row.get("id"), row.get("username"), row.get("name"));
    shown["access_level"] = json!(row.get::<_, i32>("access_level"));
    shown["expires_at"] = Value::Null;
    shown
}

async fn list(
    kind: Kind,
    State(api): State<Api>,
    caller: Caller,
    Path(id): Path<String>,
    OriginalUri(uri): OriginalUri,
    params: Params,
) -> Result<Response, Failure> {
    let client = api.pool.take().await?;
    let source = kind.find(&client, &caller, &id, GUEST).await?;
    page_of(&api, &client, (kind, source), &uri, Page::of(&params)?).await
}

async fn page_of(
    api: &Api,
    client: &Client,
    (kind, source): (Kind, i64),
    uri: &Uri,
    page: Page,
) -> Result<Response, Failure> {
    let count = "SELECT count(*) FROM members WHERE source_type = $1 AND source_id = $2";
    let total = client.query_one(count, &[&kind.source(), &source]).await?.get(0);
    let (limit, offset) = page.limits();
    let sql = format!("{SELECT} ORDER BY u.id LIMIT $3 OFFSET $4");
    let rows = client.query(&sql, &[&kind.source(), &source, &limit, &offset]).await?;
    Ok(page.answer(api, uri, rows.iter().map(|row| shown(api, row)).collect(), total))
}

async fn add(
    kind: Kind,
    State(api): State<Api>,
    caller: Caller,
    Path(id): Path<String>,
    params: Params,
) -> Result<Response, Failure> {
    caller.known()?;
    params.need(&["access_level", "user_id"])?;
    params.not_stood_in(&["expires_at", "invite_source"])?;
    let user = params.number("user_id")?.unwrap_or_default();
    let level = params.number("access_level")?.and_then(|level| i32::try_from(level).ok());
    let level = level.filter(|level| [GUEST, REPORTER, DEVELOPER, MAINTAINER, OWNER].contains(level));
    let level = level.ok_or_else(|| Failure::bad_parameter("access_level does not have a valid value"))?;
    let client = api.pool.take().await?;
    let needed = if level == OWNER || matches!(kind, Kind::Group) { OWNER } else { MAINTAINER };
    let source = kind.find(&client, &caller, &id, needed).await?;
    if crate::database::users::by_id(&*client, user).await?.is_none() {
        return Err(Failure::not_found("User"));
    }
    let sql = "INSERT INTO members (user_id, source_type, source_id, access_level) VALUES ($1, $2, $3, $4)
               ON CONFLICT DO NOTHING";
    if client.execute(sql, &[&user, &kind.source(), &source, &level]).await? == 0 {
        return Err(Failure::message(StatusCode::CONFLICT, "Member already exists"));
    }
    let row = client.query_one(&format!("{SELECT} AND u.id = $3"), &[&kind.source(), &source, &user]).await?;
    Ok((StatusCode::CREATED, Json(shown(&api, &row))).into_response())
}

async fn remove(
    kind: Kind,
    State(api): State<Api>,
    caller: Caller,
    Path((id, user)): Path<(String, i64)>,
) -> Result<StatusCode, Failure> {
    caller.known()?;
    let client = api.pool.take().await?;
    let needed = if matches!(kind, Kind::Group) { OWNER } else { MAINTAINER };
    let source = kind.find(&client, &caller, &id, needed).await?;
    let sql = "DELETE FROM members WHERE user_id = $1 AND source_type = $2 AND source_id = $3";
    if client.execute(sql, &[&user, &kind.source(), &source]).await? == 0 {
        return Err(Failure::not_found("Member"));
    }
    Ok(StatusCode::NO_CONTENT)
}
