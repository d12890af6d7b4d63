//! The group in which everything else is made: found or made, and in it a subgroup of this run.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::content::word;
use super::trail::Trail;
use crate::checks::api::{Api, Obstacle, READ_ONLY, lacks, number, refused, text};
use crate::checks::catalogue::Check;
use crate::checks::group::GroupName;
use crate::checks::question::{Miss, Patience, Question};
use crate::events::Finding;
use crate::instance::{Instance, Method, Request};

/// How names of subgroups begin; the sweep removes by it.
pub(super) const PREFIX: &str = "run-";
/// How many letters follow.
pub(super) const LETTERS: usize = 8;

/// Where this run makes things.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// The group above, which stays.
    pub(super) top: u64,
    /// This run's subgroup.
    pub(super) id: u64,
}

pub(super) async fn check(
    instance: Result<&Instance, Obstacle>,
    name: &GroupName,
    patience: Patience,
    trail: &Trail,
) -> (Finding, Result<Place, Obstacle>) {
    let question = Question::new(
        Check::Group,
        format!("for the group `{name}`, and for a new subgroup in it"),
        "a private subgroup of this run",
    );
    let instance = match instance {
        Ok(instance) => instance,
        Err(obstacle) => return (question.obstructed(&obstacle), Err(obstacle)),
    };
    let work = async |limits| {
        let api = Api { instance, limits };
        let top = top(&api, name).await?;
        subgroup(&api, name, top, trail).await
    };
    let (finding, place) = question.work(patience, work).await;
    (finding, place.ok_or(Obstacle::Check(Check::Group)))
}

/// A path as one segment of another.
pub(super) fn encoded(path: &str) -> String {
    url::form_urlencoded::byte_serialize(path.as_bytes()).collect()
}

async fn find(api: &Api<'_>, path: &str) -> Result<Option<Value>, Miss> {
    let request = Request::api(Method::Get, &format!("groups/{}", encoded(path)));
    let answer = api.wanted(&request, &[200, 404]).await?;
    if answer.status == 404 && answer.json().is_none() {
        return Err(refused(api.instance, &request.described(), &answer));
    }
    Ok(if answer.status == 200 { answer.json() } else { None })
}

async fn top(api: &Api<'_>, name: &GroupName) -> Result<u64, Miss> {
    let path = name.path();
    let found = match (find(api, path).await?, name) {
        (Some(found), _) => found,
        (None, GroupName::Existing(_)) => {
            return Err(Miss::fail(
                format!("no group `{path}` that the token's user can see"),
                "name another with `--group`, or make the token's user an owner of it",
            ));
        }
        (None, GroupName::Own) => match make_top(api, path).await {
            Ok(made) => made,
            // Another verification may have made it just now.
            Err(miss) => find(api, path).await?.ok_or(miss)?,
        },
    };
    if let Some(date) = found["marked_for_deletion_on"].as_str() {
        return Err(Miss::fail(
            format!("the group `{path}` is marked for deletion since {date}"),
            "restore it in its settings, or name another with `--group`",
        ));
    }
    number(&found, "id", &format!("GET /api/v4/groups/{}", encoded(path)))
}

async fn make_top(api: &Api<'_>, path: &str) -> Result<Value, Miss> {
    let body = json!({
        "name": path,
        "path": path,
        "visibility": "private",
        "description": "Made by `refarch verify`, which makes, uses and removes a subgroup here in each run.",
    });
    let request = Request::api(Method::Post, "groups").json(&body);
    let answer = api.wanted(&request, &[201, 400, 403]).await?;
    if answer.status != 201 {
        let miss = refused(api.instance, &request.described(), &answer);
        if miss.remedy == READ_ONLY {
            return Err(miss);
        }
        return Err(Miss {
            remedy: format!("{}; or name a group that the user owns with `--group`", miss.remedy),
            ..miss
        });
    }
    answer.json().ok_or_else(|| lacks(&request.described(), "id"))
}

async fn subgroup(api: &Api<'_>, name: &GroupName, top: u64, trail: &Trail) -> Result<(String, Place), Miss> {
    let run = format!("{PREFIX}{}", word(LETTERS));
    let path = format!("{name}/{run}");
    let body = json!({
        "name": run,
        "path": run,
        "parent_id": top,
        "visibility": "private",
        "description": format!("A run of `refarch verify`, begun {}. It may be removed.", Timestamp::now()),
    });
    // Known before it is there: an interrupt may come between the two.
    trail.begin(api.instance, &path);
    let asked = "POST /api/v4/groups";
    let made = api.post("groups", &body).await?;
    let id = number(&made, "id", asked)?;
    trail.made_group(id);
    let full_path = text(&made, "full_path", asked)?;
    if full_path != path {
        return Err(Miss::fail(
            format!("a subgroup `{full_path}`, though `{path}` was asked for"),
            "see what stands before GitLab: the answer is not that to the question",
        ));
    }
    Ok((format!("the subgroup `{path}` was made"), Place { top, id }))
}
