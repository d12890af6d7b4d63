//! Projects (docs: api/projects).

use crate::database::Client;
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
use crate::database::access::{self, DEVELOPER, OWNER};
use crate::database::groups::{self, Group};
use crate::database::projects::{self, New, Project};
use crate::database::tokens::TokenUser;
use crate::jobs;

/// The storage of new repositories, as long as nobody weighs them otherwise.
const STORAGE: &str = "default";

pub fn routes() -> Router<Api> {
    Router::new().route("/projects", get(list).post(create)).route("/projects/{id}", get(show).delete(delete))
}

async fn shown(api: &Api, client: &Client, project: &Project) -> Result<Value, Failure> {
    let namespace = groups::by_id(client, project.namespace_id).await?;
    let namespace = namespace.ok_or_else(|| Failure::not_found("Namespace"))?;
    let application = &api.config.application;
    let web_url = format!("{}/{}", application.origin, project.full_path);
    let mut shown = json!({
        "id": project.id,
        "description": project.description,
        "name": project.name,
        "name_with_namespace": format!("{} / {}", namespace.full_name, project.name),
        "path": project.path,
        "path_with_namespace": project.full_path,
        "created_at": project.created_at,
        "default_branch": project.default_branch.as_deref().unwrap_or("main"),
        "topics": [],
        "ssh_url_to_repo": ssh_url(&application.ssh_host, application.ssh_port, &project.full_path),
        "http_url_to_repo": format!("{web_url}.git"),
        "web_url": web_url,
        "readme_url": null,
        "forks_count": 0,
        "avatar_url": null,
        "star_count": 0,
        "last_activity_at": project.last_activity_at,
        "visibility": access::visibility(project.visibility_level),
        "namespace": kin(api, &namespace),
        "empty_repo": project.default_branch.is_none(),
        "archived": project.marked_for_deletion_at.is_some(),
        "creator_id": project.creator_id,
        "import_status": "none",
        "marked_for_deletion_at": project.marked_for_deletion_at,
        "marked_for_deletion_on": project.marked_for_deletion_at,
        "repository_storage": project.repository_storage,
    });
    let settings = json!({
        "container_registry_enabled": false,
        "packages_enabled": true,
        "issues_enabled": true,
        "merge_requests_enabled": true,
        "jobs_enabled": true,
        "wiki_enabled": false,
        "snippets_enabled": false,
        "lfs_enabled": project.lfs_enabled,
        "shared_runners_enabled": true,
        "merge_method": "merge",
        "squash_option": "default_off",
        "only_allow_merge_if_pipeline_succeeds": false,
        "only_allow_merge_if_all_discussions_are_resolved": false,
    });
    if let (Value::Object(shown), Value::Object(settings)) = (&mut shown, settings) {
        shown.extend(settings);
    }
    Ok(shown)
}

/// An address for Git over SSH; the short form knows no port.
fn ssh_url(host: &str, port: u64, full_path: &str) -> String {
    if port == 22 {
        format!("git@{host}:{full_path}.git")
    } else {
        format!("ssh://git@{host}:{port}/{full_path}.git")
    }
}

fn kin(api: &Api, namespace: &Group) -> Value {
    let user = namespace.kind == "User";
    let below = if user { "" } else { "groups/" };
    json!({
        "id": namespace.id,
        "name": namespace.name,
        "path": namespace.path,
        "kind": if user { "user" } else { "group" },
        "full_path": namespace.full_path,
        "parent_id": namespace.parent_id,
        "avatar_url": null,
        "web_url": format!("{}/{below}{}", api.config.application.origin, namespace.full_path),
    })
}

async fn list(
    State(api): State<Api>,
    caller: Caller,
    OriginalUri(uri): OriginalUri,
    params: Params,
) -> Result<Response, Failure> {
    let page = Page::of(&params)?;
    let membership = params.flag("membership")?.unwrap_or(false) || params.flag("owned")?.unwrap_or(false);
    let (user, admin) = caller.0.as_ref().map_or((0, false), |user| (user.user_id, user.admin));
    let search = params.text("search").unwrap_or_default();
    let client = api.pool.take().await?;
    let (found, total) = projects::list(&client, user, admin && !membership, &search, page.limits()).await?;
    let mut items = Vec::new();
    for project in &found {
        items.push(shown(&api, &client, project).await?);
    }
    Ok(page.answer(&api, &uri, items, total))
}

async fn show(
    State(api): State<Api>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Json<Value>, Failure> {
    let client = api.pool.take().await?;
    let project = lookup::project(&client, &caller, &id, access::GUEST).await?;
    Ok(Json(shown(&api, &client, &project).await?))
}

async fn create(State(api): State<Api>, User(user): User, params: Params) -> Result<Response, Failure> {
    params.not_stood_in(&["initialize_with_readme", "import_url", "template_name", "template_project_id"])?;
    let (name, path) = (params.text("name"), params.text("path"));
    let Some(name) = name.clone().or_else(|| path.clone()).filter(|name| !name.is_empty()) else {
        let why = "name, path are missing, at least one parameter must be provided";
        return Err(Failure::bad_parameter(why));
    };
    let path = path.filter(|path| !path.is_empty()).unwrap_or_else(|| names::slug(&name));
    names::check(&path).map_err(|reason| Failure::validation("path", &[reason]))?;
    let visibility = params.one_of("visibility", &["private", "internal", "public"])?;
    let visibility_level = visibility.and_then(|name| access::visibility_level(&name));
    let mut client = api.pool.take().await?;
    let namespace = namespace(&client, &user, params.number("namespace_id")?).await?;
    let description = params.text("description").unwrap_or_default();
    let new = New {
        name: &name,
        path: &path,
        namespace: &namespace,
        description: &description,
        visibility_level: visibility_level.unwrap_or(access::PRIVATE),
        creator: user.user_id,
        lfs_enabled: params.flag("lfs_enabled")?.unwrap_or(true),
        storage: STORAGE,
    };
    let project = made(&api, &mut client, &new).await?;
    Ok((StatusCode::CREATED, Json(shown(&api, &client, &project).await?)).into_response())
}

async fn namespace(client: &Client, user: &TokenUser, id: Option<i64>) -> Result<Group, Failure> {
    let missing = || Failure::not_found("Namespace");
    let Some(id) = id else {
        return groups::by_path(client, &user.username).await?.ok_or_else(missing);
    };
    let namespace = groups::by_id(client, id).await?.ok_or_else(missing)?;
    match access::to_group(client, user, &namespace).await? {
        DEVELOPER.. => Ok(namespace),
        0 => Err(missing()),
        _ => Err(Failure::forbidden()),
    }
}

/// Rows and repository; no rows without a repository.
async fn made(api: &Api, client: &mut Client, new: &New<'_>) -> Result<Project, Failure> {
    if new.visibility_level > new.namespace.visibility_level && new.namespace.kind == "Group" {
        let why = "is not allowed in a group of lower visibility";
        return Err(Failure::validation("visibility_level", &[why]));
    }
    let transaction = client.transaction().await?;
    let Some(project) = projects::create(&transaction, new).await? else {
        let taken = ["has already been taken"];
        let message = json!({"name": taken, "path": taken, "project_namespace.name": taken});
        return Err(Failure::message(StatusCode::BAD_REQUEST, message));
    };
    let storage = api.storage(&project)?;
    storage.create(&project.repository()).await.map_err(|error| Failure::internal(error.to_string()))?;
    transaction.commit().await?;
    Ok(project)
}

/// Marks a project for deletion; one that is marked already goes for good when that is asked for.
async fn delete(
    State(api): State<Api>,
    caller: Caller,
    Path(id): Path<String>,
    params: Params,
) -> Result<Response, Failure> {
    let user = caller.known()?;
    let mut client = api.pool.take().await?;
    let project = lookup::project(&client, &caller, &id, OWNER).await?;
    if params.flag("permanently_remove")?.unwrap_or(false) {
        permanent(&project, params.text("full_path").as_deref())?;
        let arguments = json!([project.id, user.user_id, {}]);
        jobs::enqueue(&api.config, "ProjectDestroyWorker", arguments).await.map_err(Failure::internal)?;
    } else if project.marked_for_deletion_at.is_some() {
        let why = "Project has been already marked for deletion";
        return Err(Failure::message(StatusCode::BAD_REQUEST, why));
    } else {
        projects::mark(&mut client, &project).await?;
    }
    Ok((StatusCode::ACCEPTED, Json(json!({"message": "202 Accepted"}))).into_response())
}

fn permanent(project: &Project, full_path: Option<&str>) -> Result<(), Failure> {
    let refuse = |why: &str| Err(Failure::message(StatusCode::BAD_REQUEST, why));
    if project.marked_for_deletion_at.is_none() {
        return refuse("Project must be marked for deletion first.");
    }
    if full_path != Some(project.full_path.as_str()) {
        return refuse("`full_path` is incorrect. You must enter the complete path for the project.");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_for_ssh_names_its_port_where_it_is_another() {
        assert_eq!(ssh_url("gitlab.example.com", 22, "a/b"), "git@gitlab.example.com:a/b.git");
        assert_eq!(ssh_url("ssh.example.com", 2222, "a/b"), "ssh://git@ssh.example.com:2222/a/b.git");
    }
}
