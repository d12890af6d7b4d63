//! Groups (docs: api/groups).

use axum::extract::{OriginalUri, Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Value, json};

use super::auth::{Caller, User};
use super::page::Page;
use super::params::Params;
use super::{Api, Failure, lookup, names};
use crate::database::access::{self, MAINTAINER, OWNER};
use crate::database::groups::{self, Group, New};
use crate::jobs;

pub fn routes() -> Router<Api> {
    Router::new()
        .route("/groups", get(list).post(create))
        .route("/groups/{id}", get(show).delete(delete))
        .route("/groups/{id}/subgroups", get(subgroups))
}

fn shown(api: &Api, group: &Group) -> Value {
    json!({
        "id": group.id,
        "web_url": format!("{}/groups/{}", api.config.application.origin, group.full_path),
        "name": group.name,
        "path": group.path,
        "description": group.description,
        "visibility": access::visibility(group.visibility_level),
        "share_with_group_lock": false,
        "require_two_factor_authentication": false,
        "two_factor_grace_period": 48,
        "project_creation_level": "developer",
        "auto_devops_enabled": null,
        "subgroup_creation_level": "maintainer",
        "emails_enabled": true,
        "mentions_disabled": null,
        "lfs_enabled": true,
        "avatar_url": null,
        "request_access_enabled": true,
        "full_name": group.full_name,
        "full_path": group.full_path,
        "created_at": group.created_at,
        "parent_id": group.parent_id,
        "marked_for_deletion_on": group.marked_for_deletion_on,
    })
}

async fn list(
    State(api): State<Api>,
    caller: Caller,
    OriginalUri(uri): OriginalUri,
    params: Params,
) -> Result<Response, Failure> {
    page_of(&api, &caller, None, &uri, &params).await
}

async fn subgroups(
    State(api): State<Api>,
    caller: Caller,
    Path(id): Path<String>,
    OriginalUri(uri): OriginalUri,
    params: Params,
) -> Result<Response, Failure> {
    let client = api.pool.take().await?;
    let parent = lookup::group(&client, &caller, &id, access::GUEST).await?;
    drop(client);
    page_of(&api, &caller, Some(parent.id), &uri, &params).await
}

async fn page_of(
    api: &Api,
    caller: &Caller,
    parent: Option<i64>,
    uri: &axum::http::Uri,
    params: &Params,
) -> Result<Response, Failure> {
    let page = Page::of(params)?;
    let (user, everything) = caller.0.as_ref().map_or((0, false), |user| (user.user_id, user.admin));
    let search = params.text("search").unwrap_or_default();
    let client = api.pool.take().await?;
    let (found, total) = groups::list(&client, parent, user, everything, &search, page.limits()).await?;
    Ok(page.answer(api, uri, found.iter().map(|group| shown(api, group)).collect(), total))
}

async fn show(
    State(api): State<Api>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Json<Value>, Failure> {
    let client = api.pool.take().await?;
    let group = lookup::group(&client, &caller, &id, access::GUEST).await?;
    let mut shown = shown(&api, &group);
    shown["shared_with_groups"] = json!([]);
    shown["projects"] = json!([]);
    shown["shared_projects"] = json!([]);
    Ok(Json(shown))
}

async fn create(State(api): State<Api>, User(user): User, params: Params) -> Result<Response, Failure> {
    params.need(&["name", "path"])?;
    let (name, path) = (params.required("name")?, params.required("path")?);
    let visibility = params.one_of("visibility", &["private", "internal", "public"])?;
    let visibility_level = visibility.and_then(|name| access::visibility_level(&name));
    let refused = |reasons: &str| {
        let message = format!("Failed to save group {{:path=>[\"{reasons}\"]}}");
        Failure::message(StatusCode::BAD_REQUEST, message)
    };
    names::check(&path).map_err(refused)?;
    let mut client = api.pool.take().await?;
    let caller = Caller(Some(user.clone()));
    let parent = match params.number("parent_id")? {
        Some(id) => Some(lookup::group(&client, &caller, &id.to_string(), MAINTAINER).await?),
        None => None,
    };
    let visibility_level = visibility_level.unwrap_or(access::PRIVATE);
    if parent.as_ref().is_some_and(|parent| visibility_level > parent.visibility_level) {
        let why =
            "Failed to save group {:visibility_level=>[\"is not allowed in a group of lower visibility\"]}";
        return Err(Failure::message(StatusCode::BAD_REQUEST, why));
    }
    let description = params.text("description").unwrap_or_default();
    let new = New {
        name: &name,
        path: &path,
        parent: parent.as_ref(),
        description: &description,
        visibility_level,
        owner: user.user_id,
    };
    let transaction = client.transaction().await?;
    let Some(id) = groups::create(&transaction, &new).await? else {
        return Err(refused("has already been taken"));
    };
    transaction.commit().await?;
    let group = groups::by_id(&*client, id).await?.ok_or_else(|| Failure::not_found("Group"))?;
    Ok((StatusCode::CREATED, Json(shown(&api, &group))).into_response())
}

/// Marks a group for deletion; a subgroup that is marked already goes for good when that is asked for.
async fn delete(
    State(api): State<Api>,
    caller: Caller,
    Path(id): Path<String>,
    params: Params,
) -> Result<Response, Failure> {
    let user = caller.known()?;
    let mut client = api.pool.take().await?;
    let group = lookup::group(&client, &caller, &id, OWNER).await?;
    if params.flag("permanently_remove")?.unwrap_or(false) {
        permanent(&group, params.text("full_path").as_deref())?;
        let arguments = json!([group.id, user.user_id]);
        jobs::enqueue(&api.config, "GroupDestroyWorker", arguments).await.map_err(Failure::internal)?;
    } else if group.marked_for_deletion_on.is_some() {
        let why = "Group has been already marked for deletion";
        return Err(Failure::message(StatusCode::BAD_REQUEST, why));
    } else {
        groups::mark(&mut client, &group).await?;
    }
    Ok((StatusCode::ACCEPTED, Json(json!({"message": "202 Accepted"}))).into_response())
}

fn permanent(group: &Group, full_path: Option<&str>) -> Result<(), Failure> {
    let refuse = |why: &str| Err(Failure::message(StatusCode::BAD_REQUEST, why));
    if group.parent_id.is_none() {
        return refuse("`permanently_remove` option is only available for subgroups.");
    }
    if group.marked_for_deletion_on.is_none() {
        return refuse("Group must be marked for deletion first.");
    }
    if full_path != Some(group.full_path.as_str()) {
        return refuse("`full_path` is incorrect. You must enter the complete path for the subgroup.");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group(parent_id: Option<i64>, marked: bool) -> Group {
        Group {
            id: 2,
            name: "b".into(),
            path: "b".into(),
            kind: "Group".into(),
            parent_id,
            full_path: "a/b".into(),
            full_name: "A / B".into(),
            description: String::new(),
            visibility_level: 0,
            created_at: String::new(),
            marked_for_deletion_on: marked.then(|| "2026-02-01".into()),
        }
    }

    #[test]
    fn only_a_marked_subgroup_goes_for_good() {
        assert!(permanent(&group(Some(1), true), Some("a/b")).is_ok());
        assert!(permanent(&group(Some(1), true), Some("a/c")).is_err());
        assert!(permanent(&group(Some(1), true), None).is_err());
        assert!(permanent(&group(Some(1), false), Some("a/b")).is_err());
        assert!(permanent(&group(None, true), Some("a/b")).is_err());
    }
}
