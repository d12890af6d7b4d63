//! Removes what this run made, and what runs that died left.
//!
//! From GitLab 18.0 on a group is only marked for deletion; one below another group can then be removed for good
//! (docs.gitlab.com, api/groups: "Delete a group").

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::group::{LETTERS, PREFIX, Place, encoded};
use super::trail::{Made, Trail};
use crate::checks::api::{Api, Obstacle, number, refused};
use crate::checks::catalogue::Check;
use crate::checks::question::{Miss, Patience, Question};
use crate::events::Finding;
use crate::instance::{Answer, Instance, Limits, Method, Request, pauses};

/// A subgroup that is younger may belong to a run that is under way.
const OLD: SignedDuration = SignedDuration::from_hours(1);
/// How long a subgroup that was asked for may take to be there.
const ON_ITS_WAY: Duration = Duration::from_secs(2);
/// More than that in one run would make the sweep the longest check of all.
const AT_MOST: usize = 20;

/// What a sweep came to.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Swept {
    removed: usize,
    /// Those that are left for the next run.
    left: usize,
}

/// Removes what runs left more than an hour ago, and says how many that were.
pub(super) async fn sweep(
    instance: Result<&Instance, Obstacle>,
    place: Result<&Place, Obstacle>,
    patience: Patience,
) -> Result<Swept, Miss> {
    let (Ok(instance), Ok(place)) = (instance, place) else { return Ok(Swept::default()) };
    let api = Api { instance, limits: crate::checks::api::limits(patience) };
    let found = api.get(&format!("groups/{}/subgroups?per_page=100", place.top)).await;
    let found = found.map_err(|miss| of_earlier("what earlier runs left can't be seen", miss))?;
    let before = Timestamp::now().saturating_sub(OLD).unwrap_or(Timestamp::MIN);
    let old = found.as_array().into_iter().flatten().filter(|group| is_left(group, before));
    let old: Vec<u64> = old.filter_map(|group| group["id"].as_u64()).collect();
    let now = &old[..old.len().min(AT_MOST)];
    for id in now {
        let removed = remove(&api, &id.to_string(), None).await;
        removed.map_err(|miss| of_earlier("one of an earlier run stays", miss))?;
    }
    Ok(Swept { removed: now.len(), left: old.len() - now.len() })
}

/// The same miss, after a word on what it is about.
fn of_earlier(about: &str, miss: Miss) -> Miss {
    let colon = if about.ends_with("but") { "" } else { ":" };
    Miss { saw: format!("{about}{colon} {}", miss.saw), ..miss }
}

/// Whether a subgroup is one of a run that is over. One that is marked for deletion has another ending.
fn is_left(group: &Value, before: Timestamp) -> bool {
    let name = group["path"].as_str().and_then(|path| path.strip_prefix(PREFIX)).unwrap_or_default();
    let named = name.len() >= LETTERS && name.is_char_boundary(LETTERS) && {
        let (letters, ending) = name.split_at(LETTERS);
        letters.chars().all(|letter| letter.is_ascii_alphanumeric())
            && (ending.is_empty() || ending.starts_with("-deletion_scheduled-"))
    };
    let made: Option<Timestamp> = group["created_at"].as_str().and_then(|text| text.parse().ok());
    named && made.is_some_and(|made| made < before)
}

pub(super) async fn check(
    instance: Result<&Instance, Obstacle>,
    trail: &Trail,
    swept: Result<Swept, Miss>,
    patience: Patience,
) -> Finding {
    let question = Question::new(
        Check::Cleanup,
        "DELETE of the run's subgroup, and GET of it until it is gone",
        "nothing of this run or of earlier ones is left",
    );
    let instance = match instance {
        Ok(instance) => instance,
        Err(obstacle) => return question.obstructed(&obstacle),
    };
    let made = trail.known();
    if made.path.is_none() {
        return question.blocked(Check::Group);
    }
    let work = async |limits| {
        remove_all(&Api { instance, limits }, &made).await?;
        trail.forget();
        let swept = swept.map_err(|miss| of_earlier("this run's subgroup is gone, but", miss))?;
        let earlier = match swept.removed {
            0 => String::new(),
            1 => ", and one of an earlier run".into(),
            count => format!(", and {count} of earlier runs"),
        };
        let gone = format!("the run's subgroup is gone{earlier}");
        match swept.left {
            0 => Ok((gone, ())),
            left => Err(Miss::warn(
                format!("{gone}; {left} more of earlier runs are left"),
                "verify again: each run removes some of them",
            )),
        }
    };
    question.work(patience.times(2), work).await.0
}

/// Removes all that a run made.
async fn remove_all(api: &Api<'_>, made: &Made) -> Result<(), Miss> {
    let Some(path) = &made.path else { return Ok(()) };
    if let (Some(project), Some(key)) = (made.project, made.deploy_key) {
        // It goes with the project in any case; the sooner a key that may push is gone, the better.
        let request = Request::api(Method::Delete, &format!("projects/{project}/deploy_keys/{key}"));
        let _ = api.answer(&request).await;
    }
    // What is marked for deletion may get another path, and keeps its number.
    let id = match made.group {
        Some(id) => id,
        None => match look(api, &format!("groups/{}", encoded(path))).await? {
            Some(found) => number(&found, "id", "GET of the run's subgroup")?,
            None => return Ok(()),
        },
    };
    let web = format!("{}/{path}", api.instance.url().as_str().trim_end_matches('/'));
    remove(api, &id.to_string(), made.project).await.map_err(|miss| Miss {
        saw: format!("`{web}` is left: {}", miss.saw),
        remedy: format!("{}; or remove it by hand", miss.remedy),
        ..miss
    })
}

/// Removes what an interrupted run made, as far as that goes within `patience`.
pub(in crate::checks) async fn after_interrupt(trail: &Trail, patience: Patience) -> Result<(), Miss> {
    let made = trail.known();
    let (Some(instance), Some(path)) = (&made.instance, &made.path) else { return Ok(()) };
    let api = Api { instance, limits: crate::checks::api::limits(patience) };
    if made.group.is_none() {
        // It was asked for, and may still be on its way.
        let end = api.limits.end.min(tokio::time::Instant::now() + ON_ITS_WAY);
        let soon = Limits { attempt: Duration::ZERO, end };
        let mut pauses = pauses();
        while look(&api, &format!("groups/{}", encoded(path))).await?.is_none() {
            if !soon.wait(pauses.next().unwrap_or_default()).await {
                return Ok(());
            }
        }
    }
    remove_all(&api, &made).await
}

/// Removes one subgroup for good.
async fn remove(api: &Api<'_>, group: &str, project: Option<u64>) -> Result<(), Miss> {
    let path = format!("groups/{group}");
    let answer = delete(api, &path, "").await?;
    let Some(found) = look(api, &path).await? else { return Ok(()) };
    if answer.status == 404 {
        let mut miss = refused(api.instance, &format!("DELETE /api/v4/{path}"), &answer);
        miss.saw.push_str(", and GET shows it");
        return Err(miss);
    }
    if found["marked_for_deletion_on"].is_string() {
        for_good(api, group, &found).await?;
    }
    gone(api, group, project).await
}

/// Removes what is marked for deletion. Where that is not allowed, GitLab itself removes it some days later.
async fn for_good(api: &Api<'_>, group: &str, found: &Value) -> Result<(), Miss> {
    let full_path = found["full_path"].as_str().unwrap_or_default();
    let query = format!("?permanently_remove=true&full_path={}", encoded(full_path));
    let answer = delete(api, &format!("groups/{group}"), &query).await?;
    if matches!(answer.status, 200 | 202 | 204 | 404) {
        return Ok(());
    }
    let asked = format!("DELETE /api/v4/groups/{group}?permanently_remove=true");
    let miss = refused(api.instance, &asked, &answer);
    if !matches!(answer.status, 400 | 403) {
        return Err(miss);
    }
    Err(Miss::warn(
        format!("it is scheduled for deletion, and can't be removed at once: {}", miss.saw),
        "wait for GitLab to remove it, or allow immediate deletion in Admin > Settings > General",
    ))
}

/// Deletes, and takes what says that it is done, or was before.
async fn delete(api: &Api<'_>, path: &str, query: &str) -> Result<Answer, Miss> {
    let request = Request::api(Method::Delete, &format!("{path}{query}"));
    let answer = api.answer(&request).await?;
    let known = matches!(answer.status, 200 | 202 | 204 | 404) || (answer.status == 400 || !query.is_empty());
    if known { Ok(answer) } else { Err(refused(api.instance, &format!("DELETE /api/v4/{path}"), &answer)) }
}

async fn look(api: &Api<'_>, path: &str) -> Result<Option<Value>, Miss> {
    let request = Request::api(Method::Get, path);
    let answer = api.wanted(&request, &[200, 404]).await?;
    Ok(if answer.status == 404 { None } else { Some(answer.json().unwrap_or_default()) })
}

/// Waits until a subgroup is gone. Some versions leave one that holds a project (gitlab-org/gitlab, issue 565617):
/// where it stays, the project goes first.
async fn gone(api: &Api<'_>, group: &str, project: Option<u64>) -> Result<(), Miss> {
    let left = api.limits.end.saturating_duration_since(tokio::time::Instant::now());
    let halfway = Limits { end: api.limits.end - left / 2, ..api.limits };
    if is_gone(api, group, halfway).await? {
        return Ok(());
    }
    if let Some(project) = project {
        remove_project(api, project).await?;
    }
    if let Some(found) = look(api, &format!("groups/{group}"))
        .await?
        .filter(|found| found["marked_for_deletion_on"].is_string())
    {
        for_good(api, group, &found).await?;
    }
    if is_gone(api, group, api.limits).await? {
        return Ok(());
    }
    Err(Miss::fail(
        "its deletion was accepted, and it stays",
        "see whether Sidekiq works: `gitlab-ctl tail sidekiq`, and the jobs `GroupDestroyWorker` and `ProjectDestroyWorker`",
    ))
}

async fn is_gone(api: &Api<'_>, group: &str, limits: Limits) -> Result<bool, Miss> {
    let mut pauses = pauses();
    loop {
        if look(api, &format!("groups/{group}")).await?.is_none() {
            return Ok(true);
        }
        if !limits.wait(pauses.next().unwrap_or_default()).await {
            return Ok(false);
        }
    }
}

async fn remove_project(api: &Api<'_>, project: u64) -> Result<(), Miss> {
    let path = format!("projects/{project}");
    delete(api, &path, "").await?;
    let Some(found) = look(api, &path).await? else { return Ok(()) };
    let full_path = found["path_with_namespace"].as_str().unwrap_or_default();
    delete(api, &path, &format!("?permanently_remove=true&full_path={}", encoded(full_path))).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_old_subgroups_of_runs_are_swept() {
        let now: Timestamp = "2026-11-23T10:00:00Z".parse().unwrap();
        let left = |path: &str, made: &str| is_left(&json!({"path": path, "created_at": made}), now);
        assert!(left("run-0a1b2c3d", "2026-11-23T09:59:59.123Z"));
        assert!(left("run-0a1b2c3d-deletion_scheduled-17", "2026-11-20T00:00:00.000Z"));
        assert!(!left("run-0a1b2c3d", "2026-11-23T10:30:00.000Z"), "a run may be under way");
        for path in ["run-", "run-short", "run-0a1b2c3d4", "runs-0a1b2c3d", "run-0a1b2-3d", "team"] {
            assert!(!left(path, "2026-11-20T00:00:00.000Z"), "{path}");
        }
        assert!(!is_left(&json!({"path": "run-0a1b2c3d"}), now), "an unknown age is no age");
    }
}
