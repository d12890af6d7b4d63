//! Issues, branches, and merge requests, whose mergeability and merge take a few looks as with Sidekiq.

use serde_json::{Value, json};

use super::answer::Answer;
use super::route::{Endpoint as E, Request};
use super::state::{Issue, MergeRequest, Project};
use super::switches::Lie;
use super::{Shared, git};

pub fn answer(shared: &Shared, request: &Request) -> Answer {
    let id = shared.state().project(&request.names[0]);
    let Some(id) = id else { return Answer::not_found("Project") };
    match request.endpoint {
        E::CreateIssue | E::ListIssues | E::Issue | E::UpdateIssue => issues(shared, request, id),
        E::Branch => branch(shared, request, id),
        E::CreateMergeRequest => create(shared, request, id),
        E::ListMergeRequests => {
            let state = shared.state();
            let project = &state.projects[&id];
            let all: Vec<Value> =
                (1..=project.merge_requests.len()).map(|iid| json_of(shared, project, iid)).collect();
            Answer::json(200, &json!(all))
        }
        E::Merge => merge(shared, request, id),
        _ => show(shared, request, id),
    }
}

fn issues(shared: &Shared, request: &Request, id: u64) -> Answer {
    let renames = shared.switches().lies(Lie::IssueOtherTitle);
    let mut state = shared.state();
    let Some(project) = state.projects.get_mut(&id) else { return Answer::not_found("Project") };
    match request.endpoint {
        E::CreateIssue => {
            let Some(title) = request.parameter("title") else { return Answer::missing("title") };
            let description = request.parameter("description").unwrap_or_default();
            project.issues.push(Issue { title: title.clone(), description, open: true });
            let answer = issue_json(shared, project, project.issues.len());
            if renames && let Some(issue) = project.issues.last_mut() {
                "another title".clone_into(&mut issue.title);
            }
            Answer::json(201, &answer)
        }
        E::ListIssues => {
            let all: Vec<Value> =
                (1..=project.issues.len()).map(|iid| issue_json(shared, project, iid)).collect();
            Answer::json(200, &json!(all))
        }
        _ => {
            let iid = request.names[1].parse().unwrap_or(0);
            let Some(issue) = place(iid).and_then(|place| project.issues.get_mut(place)) else {
                return Answer::not_found("Issue");
            };
            if request.endpoint == E::UpdateIssue {
                match request.parameter("state_event").as_deref() {
                    Some("close") => issue.open = false,
                    Some("reopen") => issue.open = true,
                    _ => {}
                }
                if let Some(title) = request.parameter("title") {
                    issue.title = title;
                }
            }
            Answer::json(200, &issue_json(shared, project, iid))
        }
    }
}

fn place(iid: usize) -> Option<usize> {
    iid.checked_sub(1)
}

fn issue_json(shared: &Shared, project: &Project, iid: usize) -> Value {
    let issue = &project.issues[iid - 1];
    json!({
        "id": 1000 * project.id + iid as u64,
        "iid": iid,
        "project_id": project.id,
        "title": issue.title,
        "description": issue.description,
        "state": if issue.open { "opened" } else { "closed" },
        "web_url": format!("{}/-/issues/{iid}", shared.url),
    })
}

fn branch(shared: &Shared, request: &Request, id: u64) -> Answer {
    let Some(commit) = git::branch(shared, id, &request.names[1]) else { return Answer::not_found("Branch") };
    let parents = git::ask(shared, id, &["show", "--no-patch", "--format=%P", &commit]).unwrap_or_default();
    let parents: Vec<&str> = parents.split_whitespace().collect();
    let title = git::ask(shared, id, &["show", "--no-patch", "--format=%s", &commit]).unwrap_or_default();
    let answer = json!({
        "name": request.names[1],
        "merged": false,
        "protected": request.names[1] == "main",
        "default": request.names[1] == "main",
        "can_push": true,
        "commit": {"id": commit, "short_id": &commit[..8], "title": title, "message": title, "parent_ids": parents},
    });
    Answer::json(200, &answer)
}

fn create(shared: &Shared, request: &Request, id: u64) -> Answer {
    let parameter = |name: &str| request.parameter(name);
    let (Some(source), Some(target), Some(title)) =
        (parameter("source_branch"), parameter("target_branch"), parameter("title"))
    else {
        return Answer::missing("title, source_branch, target_branch");
    };
    let heads = [&source, &target].map(|name| git::branch(shared, id, name));
    let [Some(sha), Some(_)] = heads else {
        let what = format!("Source branch \"{source}\" or target branch \"{target}\" does not exist");
        return Answer::message(409, json!([what]));
    };
    let switches = shared.switches();
    let unchecked = if switches.lies(Lie::MergeabilityStuck) { u32::MAX } else { switches.polls };
    drop(switches);
    let mut state = shared.state();
    let Some(project) = state.projects.get_mut(&id) else { return Answer::not_found("Project") };
    let request = MergeRequest { title, source, target, sha, unchecked, merging: None, merged_as: None };
    project.merge_requests.push(request);
    Answer::json(201, &json_of(shared, project, project.merge_requests.len()))
}

fn json_of(shared: &Shared, project: &Project, iid: usize) -> Value {
    let request = &project.merge_requests[iid - 1];
    let merged = request.merged_as.is_some();
    let status = match (merged, request.unchecked) {
        (true, _) => "not_open",
        (false, 0) => "mergeable",
        // GitLab prepares a merge request before it looks at it.
        (false, left) if left > 1 && left != u32::MAX => "preparing",
        (false, _) => "checking",
    };
    json!({
        "id": 2000 * project.id + iid as u64,
        "iid": iid,
        "project_id": project.id,
        "title": request.title,
        "state": if merged { "merged" } else { "opened" },
        "source_branch": request.source,
        "target_branch": request.target,
        "sha": request.sha,
        "merge_status": if status == "mergeable" { "can_be_merged" } else { "checking" },
        "detailed_merge_status": status,
        "merge_commit_sha": request.merged_as,
        "has_conflicts": false,
        "web_url": format!("{}/-/merge_requests/{iid}", shared.url),
    })
}

/// What one more look at a merge request finds; the merge itself is the caller's.
fn look(request: &mut MergeRequest) -> bool {
    if request.unchecked != u32::MAX {
        request.unchecked = request.unchecked.saturating_sub(1);
    }
    request.merging = request.merging.map(|left| left.saturating_sub(1));
    request.merging == Some(0) && request.merged_as.is_none()
}

fn show(shared: &Shared, request: &Request, id: u64) -> Answer {
    let iid: usize = request.names[1].parse().unwrap_or(0);
    let due = {
        let mut state = shared.state();
        let found = state.projects.get_mut(&id).and_then(|it| it.merge_requests.get_mut(place(iid)?));
        let Some(found) = found else { return Answer::not_found("Merge Request") };
        look(found).then(|| (found.sha.clone(), found.target.clone(), found.source.clone()))
    };
    if let Some((sha, target, source)) = due {
        let message = format!("Merge branch '{source}' into '{target}'");
        let pretends = shared.switches().lies(Lie::MergeWithoutCommit);
        let commit = if pretends { Some(sha) } else { git::merge(shared, id, &sha, &target, &message) };
        if let Some(project) = shared.state().projects.get_mut(&id) {
            project.merge_requests[iid - 1].merged_as = commit;
        }
    }
    let state = shared.state();
    Answer::json(200, &json_of(shared, &state.projects[&id], iid))
}

fn merge(shared: &Shared, request: &Request, id: u64) -> Answer {
    let iid: usize = request.names[1].parse().unwrap_or(0);
    let switches = shared.switches();
    let mut state = shared.state();
    let Some(project) = state.projects.get_mut(&id) else { return Answer::not_found("Project") };
    let found = place(iid).and_then(|place| project.merge_requests.get_mut(place));
    let Some(found) = found else { return Answer::not_found("Merge Request") };
    if found.unchecked > 0 || found.merged_as.is_some() {
        return Answer::message(405, "405 Method Not Allowed");
    }
    if request.parameter("sha").is_some_and(|sha| sha != found.sha) {
        return Answer::message(409, "SHA does not match HEAD of source branch");
    }
    if !switches.lies(Lie::MergeIgnored) {
        found.merging = Some(switches.polls);
    }
    Answer::json(200, &json_of(shared, project, iid))
}
