//! Projects and their deploy keys.

use serde_json::{Value, json};

use super::answer::Answer;
use super::route::{Endpoint as E, Request};
use super::state::{DeployKey, Project};
use super::{Shared, git, groups, ssh};

pub fn answer(shared: &Shared, request: &Request) -> Answer {
    match request.endpoint {
        E::CreateProject => return create(shared, request),
        E::ListProjects | E::GroupProjects => return list(shared, request),
        _ => {}
    }
    let id = shared.state().project(&request.names[0]);
    let Some(id) = id else { return Answer::not_found("Project") };
    match request.endpoint {
        E::CreateDeployKey => add_key(shared, request, id),
        E::DeployKeys => {
            let state = shared.state();
            let keys: Vec<Value> =
                state.keys.values().filter(|key| key.project == id).map(key_json).collect();
            Answer::json(200, &json!(keys))
        }
        E::DeployKey | E::DeleteDeployKey => key(shared, request),
        E::DeleteProject => delete(shared, request, id),
        _ => Answer::json(200, &project_json(shared, id)),
    }
}

fn create(shared: &Shared, request: &Request) -> Answer {
    let Some(name) = request.parameter("name").or_else(|| request.parameter("path")) else {
        return Answer::missing("name, path");
    };
    let path = request.parameter("path").unwrap_or_else(|| name.clone());
    let id = {
        let mut state = shared.state();
        let group = request.parameter("namespace_id").and_then(|id| state.group(&id));
        let Some(group) = group else { return Answer::message(400, json!({"namespace": ["is not valid"]})) };
        if state.projects.values().any(|project| project.group == group && project.path == path) {
            return Answer::message(400, json!({"path": ["has already been taken"]}));
        }
        let id = state.next_id();
        let description = request.parameter("description").unwrap_or_default();
        let visibility = request.parameter("visibility").unwrap_or_else(|| "private".to_owned());
        let project = Project { id, name, path, group, description, visibility, ..Project::default() };
        state.projects.insert(id, project);
        id
    };
    git::make(shared, id, request.parameter("initialize_with_readme").as_deref() == Some("true"));
    ssh::write_map(shared);
    Answer::json(201, &project_json(shared, id))
}

fn list(shared: &Shared, request: &Request) -> Answer {
    let ids: Vec<u64> = {
        let state = shared.state();
        let group = request.names.first().and_then(|name| state.group(name));
        if request.endpoint == E::GroupProjects && group.is_none() {
            return Answer::not_found("Group");
        }
        state
            .projects
            .values()
            .filter(|it| group.is_none_or(|group| it.group == group))
            .map(|it| it.id)
            .collect()
    };
    let all: Vec<Value> = ids.into_iter().map(|id| project_json(shared, id)).collect();
    groups::page(&all, request)
}

fn project_json(shared: &Shared, id: u64) -> Value {
    let empty = git::head(shared, id).is_none();
    let state = shared.state();
    let project = &state.projects[&id];
    let full_path = state.project_path(project);
    let group = state.group_json(project.group, &shared.url);
    json!({
        "id": id,
        "name": project.name,
        "path": project.path,
        "description": project.description,
        "visibility": project.visibility,
        "name_with_namespace": full_path.replace('/', " / "),
        "path_with_namespace": full_path,
        "created_at": "2026-01-01T00:00:00.000Z",
        "default_branch": "main",
        "empty_repo": empty,
        "archived": false,
        "lfs_enabled": true,
        "issues_enabled": true,
        "merge_requests_enabled": true,
        "packages_enabled": true,
        "jobs_enabled": true,
        "merge_method": "merge",
        "ssh_url_to_repo": format!("{}/{full_path}.git", shared.ssh_url),
        "http_url_to_repo": format!("{}/{full_path}.git", shared.url),
        "web_url": format!("{}/{full_path}", shared.url),
        "namespace": {"id": group["id"], "path": group["path"], "kind": "group", "full_path": group["full_path"]},
        "marked_for_deletion_on": project.marked.then_some("2026-01-01"),
    })
}

fn delete(shared: &Shared, request: &Request, id: u64) -> Answer {
    {
        let mut state = shared.state();
        let full_path = state.project_path(&state.projects[&id]);
        let Some(project) = state.projects.get_mut(&id) else { return Answer::not_found("Project") };
        if request.parameter("permanently_remove").as_deref() != Some("true") {
            if project.marked {
                return Answer::message(400, "Project has been already marked for deletion");
            }
            project.marked = true;
            if shared.switches().renames_what_is_marked {
                project.path = format!("{}-deletion_scheduled-{id}", project.path);
            }
        } else if !project.marked {
            return Answer::message(400, "Project must be marked for deletion first.");
        } else if request.parameter("full_path").as_deref() != Some(&full_path) {
            return Answer::message(
                400,
                "`full_path` is incorrect. You must enter the complete path for the project.",
            );
        } else {
            state.drop_project(id);
        }
    }
    ssh::write_map(shared);
    Answer::message(202, "202 Accepted")
}

fn add_key(shared: &Shared, request: &Request, project: u64) -> Answer {
    let (Some(title), Some(key)) = (request.parameter("title"), request.parameter("key")) else {
        return Answer::missing("title, key");
    };
    let json = {
        let mut state = shared.state();
        let word = |key: &str| key.split_whitespace().nth(1).map(ToOwned::to_owned);
        if word(&key).is_none() {
            return Answer::message(400, json!({"key": ["is invalid"]}));
        }
        if state.keys.values().any(|known| word(&known.key) == word(&key)) {
            return Answer::message(
                400,
                json!({"deploy_key.fingerprint_sha256": ["has already been taken"]}),
            );
        }
        let key = DeployKey {
            id: state.next_id(),
            project,
            title,
            key,
            can_push: request.parameter("can_push").as_deref() == Some("true"),
            expires_at: request.parameter("expires_at"),
        };
        let answer = key_json(&key);
        state.keys.insert(key.id, key);
        answer
    };
    ssh::write_map(shared);
    Answer::json(201, &json)
}

fn key(shared: &Shared, request: &Request) -> Answer {
    let answer = {
        let mut state = shared.state();
        let id = request.names[1].parse::<u64>().ok();
        let Some(key) = id.and_then(|id| state.keys.get(&id).cloned()) else {
            return Answer::not_found("Deploy Key");
        };
        if request.endpoint == E::DeployKey {
            return Answer::json(200, &key_json(&key));
        }
        state.keys.remove(&key.id);
        Answer::empty(204)
    };
    ssh::write_map(shared);
    answer
}

fn key_json(key: &DeployKey) -> Value {
    json!({
        "id": key.id,
        "title": key.title,
        "key": key.key,
        "can_push": key.can_push,
        "expires_at": key.expires_at,
        "created_at": "2026-01-01T00:00:00.000Z",
    })
}
