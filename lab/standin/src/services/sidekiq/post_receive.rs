//! `PostReceive`: what follows from a push: the default branch of a project that had none, and merge requests
//! whose branches moved.

use crate::database::Client;
use serde_json::{Value, json};

use super::workers::Work;
use crate::database::projects::{self, Project};
use crate::jobs;

fn failed(error: impl std::fmt::Display) -> String {
    format!("StandardError: {error}")
}

/// Works on `[repository, identity, changes]`.
pub async fn perform(work: &Work, arguments: &Value) -> Result<(), String> {
    let id = arguments[0].as_str().and_then(|name| name.strip_prefix("project-")?.parse().ok());
    let client = work.pool.take().await.map_err(failed)?;
    // A project that was deleted since has nothing to be done for.
    let Some(project) = projects::by_id(&*client, id.unwrap_or_default()).await.map_err(failed)? else {
        return Ok(());
    };
    let moved = moved(arguments[2].as_str().unwrap_or_default());
    if project.default_branch.is_none() {
        choose_default(work, &client, &project, &moved).await?;
    }
    let now = "UPDATE projects SET last_activity_at = now() WHERE id = $1";
    client.execute(now, &[&project.id]).await.map_err(failed)?;
    let sql = "UPDATE merge_requests SET merge_status = 'unchecked', updated_at = now()
               WHERE target_project_id = $1 AND state = 'opened' AND $2 IN (source_branch, target_branch)
               RETURNING id";
    for branch in moved {
        for row in client.query(sql, &[&project.id, &branch]).await.map_err(failed)? {
            let request = json!([row.get::<_, i64>(0)]);
            jobs::enqueue(&work.config, "MergeRequestMergeabilityCheckWorker", request).await?;
        }
    }
    Ok(())
}

/// The branches that still exist after a push.
fn moved(changes: &str) -> Vec<&str> {
    changes.lines().filter_map(branch).collect()
}

fn branch(line: &str) -> Option<&str> {
    let (_, rest) = line.split_once(' ')?;
    let (sha, name) = rest.split_once(' ')?;
    let branch = name.strip_prefix("refs/heads/")?;
    let gone = sha.bytes().all(|byte| byte == b'0');
    (!gone).then_some(branch)
}

/// `main` where it was pushed, or the first branch that was.
async fn choose_default(
    work: &Work,
    client: &Client,
    project: &Project,
    moved: &[&str],
) -> Result<(), String> {
    let main = moved.iter().find(|branch| **branch == "main");
    let Some(chosen) = main.or(moved.first()) else { return Ok(()) };
    work.storage(project)?.head(&project.repository(), chosen).await.map_err(failed)?;
    let sql = "UPDATE projects SET default_branch = $2 WHERE id = $1 AND default_branch IS NULL";
    client.execute(sql, &[&project.id, chosen]).await.map_err(failed)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn branches_that_moved_are_found() {
        let zero = "0".repeat(40);
        let changes =
            format!("{zero} a1 refs/heads/main\na1 {zero} refs/heads/gone\n{zero} b2 refs/tags/v1\nx\na b\n");
        assert_eq!(moved(&changes), ["main"]);
        assert!(moved("").is_empty());
    }
}
