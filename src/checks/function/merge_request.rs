//! A merge request, made and merged. Whether it can be merged is found out in the background, by Sidekiq
//! (docs.gitlab.com, `api/merge_requests`: "Merge status").

use serde_json::{Value, json};

use super::Ground;
use super::git::Pushed;
use crate::checks::api::{Api, Obstacle, number};
use crate::checks::catalogue::Check;
use crate::checks::page;
use crate::checks::question::{Miss, Question};
use crate::events::Finding;
use crate::instance::{Method, Request, pauses};

const SIDEKIQ: &str = "see whether Sidekiq works: `gitlab-ctl status sidekiq`, `gitlab-ctl tail sidekiq`, and the queues \
     in Admin > Monitoring > Background jobs";
/// The states that GitLab still works on.
const AT_WORK: [&str; 6] = [
    "unchecked",
    "checking",
    "preparing",
    "approvals_syncing",
    "ci_still_running",
    "locked_lfs_files_checking",
];

pub(super) async fn check(
    ground: Result<&Ground<'_>, &Obstacle>,
    pushed: Result<&Pushed, &Obstacle>,
) -> Finding {
    let question = Question::new(
        Check::MergeRequest,
        "for a merge request of the branch that was pushed, and to merge it",
        "it becomes mergeable, is merged, and `main` holds the merge",
    );
    let (ground, pushed) = match ground.and_then(|ground| pushed.map(|pushed| (ground, pushed))) {
        Ok(both) => both,
        Err(obstacle) => return question.obstructed(obstacle),
    };
    let work = async |limits| {
        let api = Api { instance: ground.instance, limits };
        merge(&api, ground.project.id, pushed).await.map(|saw| (saw, ()))
    };
    question.work(ground.patience, work).await.0
}

async fn merge(api: &Api<'_>, project: u64, pushed: &Pushed) -> Result<String, Miss> {
    let requests = format!("projects/{project}/merge_requests");
    let body = json!({
        "source_branch": pushed.change,
        "target_branch": pushed.main,
        "title": "A change by `refarch verify`",
    });
    let asked = format!("POST /api/v4/{requests}");
    // A push is known to the database a moment after it is in the repository.
    let made = until(api, async || {
        let request = Request::api(Method::Post, &requests).json(&body);
        let answer = api.wanted(&request, &[201, 400, 409, 422]).await?;
        if answer.status == 201 {
            return answer.json().ok_or_else(|| Step::Stop(no_json(&asked)));
        }
        Err(Step::Again(crate::checks::api::refused(api.instance, &asked, &answer)))
    })
    .await?;
    let request = format!("{requests}/{}", number(&made, "iid", &asked)?);
    until(api, async || mergeable(&api.get(&request).await?)).await?;
    let body = json!({"should_remove_source_branch": false, "squash": false});
    until(api, async || {
        // 405 and 422: it has become unmergeable again for a moment, as while its commits are read.
        let put = Request::api(Method::Put, &format!("{request}/merge")).json(&body);
        let answer = api.wanted(&put, &[200, 405, 422]).await?;
        if answer.status == 200 {
            Ok(())
        } else {
            Err(Step::Again(crate::checks::api::refused(api.instance, &put.described(), &answer)))
        }
    })
    .await?;
    let merged = until(api, async || is_merged(api.get(&request).await?)).await?;
    let commit =
        ["merge_commit_sha", "squash_commit_sha", "sha"].iter().find_map(|name| merged[*name].as_str());
    let commit = commit.unwrap_or_default().to_owned();
    let branch = format!("projects/{project}/repository/branches/{}", pushed.main);
    until(api, async || moved(&api.get(&branch).await?, &commit, pushed)).await?;
    Ok(format!("merged as {}, and `{}` holds it", short(&commit), pushed.main))
}

/// Whether to ask once more.
enum Step {
    Again(Miss),
    Stop(Miss),
}

impl From<Miss> for Step {
    fn from(miss: Miss) -> Self {
        Self::Stop(miss)
    }
}

/// Asks until it is so, with growing pauses, as long as there is time.
async fn until<T>(api: &Api<'_>, ask: impl AsyncFn() -> Result<T, Step>) -> Result<T, Miss> {
    let mut pauses = pauses();
    loop {
        let miss = match ask().await {
            Ok(seen) => return Ok(seen),
            Err(Step::Stop(miss)) => return Err(miss),
            Err(Step::Again(miss)) => miss,
        };
        if !api.limits.wait(pauses.next().unwrap_or_default()).await {
            return Err(miss);
        }
    }
}

fn no_json(asked: &str) -> Miss {
    Miss::fail(
        format!("{asked}: 201, but no JSON"),
        "see whether GitLab answers at this address, or another server in its place",
    )
}

fn mergeable(request: &Value) -> Result<(), Step> {
    let status = request["detailed_merge_status"].as_str().unwrap_or("none");
    match status {
        "mergeable" => Ok(()),
        status if AT_WORK.contains(&status) => {
            let saw =
                format!("the merge request stays `{status}`: nobody finds out whether it can be merged");
            Err(Step::Again(Miss::fail(saw, SIDEKIQ)))
        }
        "conflict" | "broken_status" | "commits_status" | "not_open" | "need_rebase" | "none" => {
            let saw = format!("the merge request can't be merged: `{status}`");
            Err(Step::Stop(Miss::fail(
                saw,
                "see whether the branches are as they were pushed, and Gitaly's log",
            )))
        }
        rule => Err(Step::Stop(Miss::skip(
            format!(
                "a rule of the instance or of the group holds the merge request: {}",
                page::excerpt(rule)
            ),
            "name a group without such a rule with `--group`",
        ))),
    }
}

fn is_merged(request: Value) -> Result<Value, Step> {
    let state = request["state"].as_str().unwrap_or("without a state");
    if state == "merged" {
        return Ok(request);
    }
    let saw = format!("the merge was answered with 200, and the merge request stays {state}");
    Err(Step::Again(Miss::fail(saw, SIDEKIQ)))
}

fn moved(branch: &Value, commit: &str, pushed: &Pushed) -> Result<(), Step> {
    let at = branch["commit"]["id"].as_str().unwrap_or_default();
    if at == commit && at != pushed.main_commit {
        return Ok(());
    }
    let saw = format!(
        "the merge request says that it is merged as {}, and `{}` is at {}",
        short(commit),
        pushed.main,
        if at == pushed.main_commit { "the commit before it" } else { short(at) },
    );
    Err(Step::Again(Miss::fail(saw, "see Gitaly's log: `gitlab-ctl tail gitaly` on its node")))
}

fn short(commit: &str) -> &str {
    match commit.get(..12) {
        Some(short) => short,
        None if commit.is_empty() => "no commit",
        None => commit,
    }
}
