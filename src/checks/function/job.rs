//! A job by a runner, where there is one: its trace and its artifact.

use serde_json::Value;

use super::Ground;
use super::content::word;
use super::git::{Failure, Git, Pushed};
use crate::checks::api::{Api, Obstacle, number};
use crate::checks::catalogue::Check;
use crate::checks::page;
use crate::checks::question::{Miss, Question};
use crate::events::Finding;
use crate::instance::{Method, Request, pauses};

/// The branch with the pipeline.
const BRANCH: &str = "refarch-job";
/// A runner may have to fetch an image first.
const TIMES: u32 = 4;

pub(super) async fn check(
    ground: Result<&Ground<'_>, &Obstacle>,
    git: &Result<Git<'_>, Miss>,
    pushed: Result<&Pushed, &Obstacle>,
) -> Finding {
    let question = Question::new(
        Check::Job,
        "for a runner that is online, and for a pipeline of one job by it",
        "the job succeeds; its trace and its artifact hold the word that it was given",
    );
    let (ground, pushed) = match ground.and_then(|ground| pushed.map(|pushed| (ground, pushed))) {
        Ok(both) => both,
        Err(obstacle) => return question.obstructed(obstacle),
    };
    let work = async |limits| {
        let git = git.as_ref().map_err(Clone::clone)?;
        let api = Api { instance: ground.instance, limits };
        runner(&api, ground.project.id).await?;
        let said = word(24);
        push(git, ground, pushed, &said, &api).await.map_err(Failure::miss)?;
        let job = finished(&api, ground.project.id).await?;
        proof(&api, ground.project.id, job, &said).await.map(|saw| (saw, ()))
    };
    question.work(ground.patience.times(TIMES), work).await.0
}

async fn runner(api: &Api<'_>, project: u64) -> Result<(), Miss> {
    let runners = api.get(&format!("projects/{project}/runners?status=online")).await?;
    let runners = runners.as_array().ok_or_else(|| {
        Miss::fail(
            "GET of the project's runners: an answer that is no list",
            "see whether GitLab answers at this address, or another server in its place",
        )
    })?;
    if runners.iter().any(|runner| runner["paused"] != true) {
        return Ok(());
    }
    Err(Miss::skip(
        "no runner is online for the project",
        "register a runner for the instance or for the group",
    ))
}

async fn push(
    git: &Git<'_>,
    ground: &Ground<'_>,
    pushed: &Pushed,
    said: &str,
    api: &Api<'_>,
) -> Result<(), Failure> {
    let pipeline = format!(
        "probe:\n  variables: {{GIT_STRATEGY: none}}\n  script:\n    - echo {said} > probe.txt\n    - cat probe.txt\n  \
         artifacts:\n    paths: [probe.txt]\n    expire_in: 1 hour\n"
    );
    let folder = &pushed.folder;
    git.commit(folder, BRANCH, &[(".gitlab-ci.yml", pipeline.into_bytes())], api.limits).await?;
    git.run(folder, &["push", "--quiet", ground.project.http.as_str(), BRANCH], api.limits, &[]).await
}

/// Waits for the job and gives its number.
async fn finished(api: &Api<'_>, project: u64) -> Result<u64, Miss> {
    let mut pauses = pauses();
    loop {
        let job = look(api, project).await?;
        let status = job.as_ref().and_then(|job| job["status"].as_str()).unwrap_or("not made");
        let miss = match (status, &job) {
            ("success", Some(job)) => return number(job, "id", "GET of the pipeline's jobs"),
            ("failed" | "canceled" | "skipped", Some(job)) => {
                let reason = job["failure_reason"].as_str().map(page::excerpt).unwrap_or_default();
                let saw = format!("the job ended {status} {reason}").trim_end().to_owned();
                return Err(Miss::fail(saw, "see the job's trace, and the runner's log"));
            }
            ("pending" | "waiting_for_resource", _) => Miss::warn(
                "a runner is online, and none took the job",
                "see whether the runners take jobs without tags, and how busy they are",
            ),
            (status, _) => Miss::fail(
                format!("the job is {status} when the time is over"),
                "see whether Sidekiq works (`gitlab-ctl tail sidekiq`), and the runner's log",
            ),
        };
        if !api.limits.wait(pauses.next().unwrap_or_default()).await {
            return Err(miss);
        }
    }
}

async fn look(api: &Api<'_>, project: u64) -> Result<Option<Value>, Miss> {
    let pipelines = api.get(&format!("projects/{project}/pipelines?ref={BRANCH}")).await?;
    let Some(pipeline) = pipelines[0]["id"].as_u64() else { return Ok(None) };
    let jobs = api.get(&format!("projects/{project}/pipelines/{pipeline}/jobs")).await?;
    Ok(jobs.get(0).cloned())
}

async fn proof(api: &Api<'_>, project: u64, job: u64, said: &str) -> Result<String, Miss> {
    let path = format!("projects/{project}/jobs/{job}");
    let mut pauses = pauses();
    // The runner ends a job and sends the rest of its trace a moment later.
    loop {
        let trace = api.download(Request::api(Method::Get, &format!("{path}/trace"))).await?;
        if String::from_utf8_lossy(&trace).contains(said) {
            break;
        }
        if !api.limits.wait(pauses.next().unwrap_or_default()).await {
            return Err(Miss::fail(
                format!("the job succeeded, and its trace of {} bytes lacks what it printed", trace.len()),
                "see the storage of traces: `gitlab_ci['builds_directory']`, or incremental logging and object storage",
            ));
        }
    }
    let artifact = api.download(Request::api(Method::Get, &format!("{path}/artifacts/probe.txt"))).await?;
    if String::from_utf8_lossy(&artifact).trim() != said {
        return Err(Miss::fail(
            format!(
                "the job succeeded, and its artifact holds {}",
                page::excerpt(&String::from_utf8_lossy(&artifact))
            ),
            "see the storage of artifacts: `gitlab_rails['artifacts_path']` or the object storage in gitlab.rb",
        ));
    }
    Ok("the job succeeded; its trace and its artifact hold the word that it was given".into())
}
