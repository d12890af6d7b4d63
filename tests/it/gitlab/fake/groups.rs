//! Groups, and how they go: marked first, removed only when asked again, and only below another group.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::Shared;
use super::answer::Answer;
use super::route::{Endpoint as E, Request};
use super::switches::Lie;

const PAGE: usize = 20;

pub fn answer(shared: &Shared, request: &Request) -> Answer {
    match request.endpoint {
        E::CreateGroup => create(shared, request),
        E::ListGroups => list(shared, request, None),
        E::Subgroups => {
            let parent = shared.state().group(&request.names[0]);
            parent.map_or_else(|| Answer::not_found("Group"), |parent| list(shared, request, Some(parent)))
        }
        E::DeleteGroup => delete(shared, request),
        _ => show(shared, request),
    }
}

fn create(shared: &Shared, request: &Request) -> Answer {
    let (Some(name), Some(path)) = (request.parameter("name"), request.parameter("path")) else {
        return Answer::missing("name, path");
    };
    let mut state = shared.state();
    let parent = match request.parameter("parent_id") {
        Some(id) => match state.group(&id) {
            Some(parent) => Some(parent),
            None => return Answer::not_found("Group"),
        },
        None => None,
    };
    if state.groups.values().any(|group| group.parent == parent && group.path == path) {
        return Answer::message(400, "Failed to save group {:path=>[\"has already been taken\"]}");
    }
    let id = state.add_group(parent, &path, Timestamp::now());
    if let Some(group) = state.groups.get_mut(&id) {
        group.name = name;
        group.description = request.parameter("description").unwrap_or_default();
        group.visibility = request.parameter("visibility").unwrap_or_else(|| "private".to_owned());
    }
    Answer::json(201, &state.group_json(id, &shared.url))
}

fn show(shared: &Shared, request: &Request) -> Answer {
    let mut state = shared.state();
    let Some(id) = state.group(&request.names[0]) else { return Answer::not_found("Group") };
    let left = state.groups.get_mut(&id).and_then(|group| {
        group.leaving = group.leaving.map(|left| left.saturating_sub(1));
        group.leaving
    });
    if left == Some(0) {
        state.drop_group(id);
        return Answer::not_found("Group");
    }
    Answer::json(200, &state.group_json(id, &shared.url))
}

fn list(shared: &Shared, request: &Request, parent: Option<u64>) -> Answer {
    let state = shared.state();
    let search = request.parameter("search").unwrap_or_default();
    let of_it = |id: &&u64| {
        let group = &state.groups[id];
        let level = if request.endpoint == E::Subgroups { group.parent == parent } else { true };
        level && group.path.contains(&search)
    };
    let all: Vec<Value> =
        state.groups.keys().filter(of_it).map(|id| state.group_json(*id, &shared.url)).collect();
    page(&all, request)
}

/// One page of a list, with the headers that lead to the next.
pub fn page(all: &[Value], request: &Request) -> Answer {
    let number = |name: &str, default: usize| {
        request.parameter(name).and_then(|text| text.parse().ok()).unwrap_or(default).max(1)
    };
    let (page, size) = (number("page", 1), number("per_page", PAGE).min(100));
    let shown: Vec<&Value> = all.iter().skip((page - 1) * size).take(size).collect();
    let next = if page * size < all.len() { (page + 1).to_string() } else { String::new() };
    Answer::json(200, &json!(shown))
        .header("x-page", page.to_string())
        .header("x-per-page", size.to_string())
        .header("x-total", all.len().to_string())
        .header("x-total-pages", all.len().div_ceil(size).to_string())
        .header("x-next-page", next)
}

fn delete(shared: &Shared, request: &Request) -> Answer {
    let switches = shared.switches();
    let mut state = shared.state();
    let Some(id) = state.group(&request.names[0]) else { return Answer::not_found("Group") };
    let accepted = Answer::message(202, "202 Accepted");
    if switches.lies(Lie::GroupStays) {
        return accepted;
    }
    let full_path = state.full_path(id);
    let renames = switches.renames_what_is_marked;
    let Some(group) = state.groups.get_mut(&id) else { return Answer::not_found("Group") };
    if request.parameter("permanently_remove").as_deref() != Some("true") {
        if group.marked {
            return Answer::message(400, "Group has been already marked for deletion");
        }
        group.marked = true;
        if renames {
            group.path = format!("{}-deletion_scheduled-{id}", group.path);
        }
        return accepted;
    }
    if group.parent.is_none() {
        return Answer::message(400, "`permanently_remove` option is only available for subgroups.");
    }
    if !group.marked {
        return Answer::message(400, "Group must be marked for deletion first.");
    }
    if request.parameter("full_path").as_deref() != Some(&full_path) {
        return Answer::message(
            400,
            "`full_path` is incorrect. You must enter the complete path for the subgroup.",
        );
    }
    group.leaving = Some(switches.polls);
    accepted
}
