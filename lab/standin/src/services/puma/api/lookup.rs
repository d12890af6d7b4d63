//! From the id in a request's path to the thing, for whom may know of it. Who may not learns the same as if it
//! weren't there.

use crate::database::Client;

use super::Failure;
use super::auth::Caller;
use crate::database::access::{self, GUEST, REPORTER};
use crate::database::groups::{self, Group};
use crate::database::projects::{self, Project};

/// A project by id or path, for a caller with a role.
pub async fn project(client: &Client, caller: &Caller, id: &str, needed: i32) -> Result<Project, Failure> {
    let (project, role) = seen(client, caller, id).await?;
    enough(caller, role, needed)?;
    Ok(project)
}

/// A project for who may read its code: whoever sees it where it isn't private, and else from the reporter on.
pub async fn code(client: &Client, caller: &Caller, id: &str) -> Result<Project, Failure> {
    let (project, role) = seen(client, caller, id).await?;
    if !access::shows(project.visibility_level, caller.0.is_some(), 0) {
        enough(caller, role, REPORTER)?;
    }
    Ok(project)
}

async fn seen(client: &Client, caller: &Caller, id: &str) -> Result<(Project, i32), Failure> {
    let found = match id.parse() {
        Ok(id) => projects::by_id(client, id).await?,
        Err(_) => projects::by_path(client, id).await?,
    };
    let project = found.ok_or_else(|| Failure::not_found("Project"))?;
    let role = match &caller.0 {
        Some(user) => access::to_project(client, user, &project).await?,
        None => 0,
    };
    if !access::shows(project.visibility_level, caller.0.is_some(), role) {
        return Err(Failure::not_found("Project"));
    }
    Ok((project, role))
}

/// A group by id or path, for a caller with a role.
pub async fn group(client: &Client, caller: &Caller, id: &str, needed: i32) -> Result<Group, Failure> {
    let found = match id.parse() {
        Ok(id) => groups::by_id(client, id).await?,
        Err(_) => groups::by_path(client, id).await?,
    };
    let group = found.filter(|group| group.kind == "Group").ok_or_else(|| Failure::not_found("Group"))?;
    let role = match &caller.0 {
        Some(user) => access::to_group(client, user, &group).await?,
        None => 0,
    };
    if !access::shows(group.visibility_level, caller.0.is_some(), role) {
        return Err(Failure::not_found("Group"));
    }
    enough(caller, role, needed)?;
    Ok(group)
}

/// Looking needs no role where the visibility lets one look.
fn enough(caller: &Caller, role: i32, needed: i32) -> Result<(), Failure> {
    if needed <= GUEST || role >= needed {
        return Ok(());
    }
    Err(if caller.0.is_some() { Failure::forbidden() } else { Failure::unauthorized() })
}
