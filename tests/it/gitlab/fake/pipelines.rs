//! Pipelines of what was pushed, and a runner that may be there or not.
//!
//! The runner really runs the job's script, in a checkout of the commit and with nothing else in its environment.

use std::collections::BTreeMap;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use super::answer::Answer;
use super::route::{Endpoint as E, Request};
use super::state::{Job, Pipeline, repository};
use super::switches::{Lie, Switches};
use super::{Shared, git};

/// How often a job is asked for before a runner has done it: pending, running, done.
const LOOKS: u32 = 3;

pub fn answer(shared: &Shared, request: &Request) -> Answer {
    let id = shared.state().project(&request.names[0]);
    let Some(id) = id else { return Answer::not_found("Project") };
    if request.endpoint == E::Runners {
        let runner = json!({
            "id": 8, "description": "a runner", "active": true, "paused": false, "is_shared": true,
            "runner_type": "instance_type", "online": true, "status": "online",
        });
        return Answer::json(200, &if shared.switches().runner { json!([runner]) } else { json!([]) });
    }
    notice_pushes(shared, id);
    match request.endpoint {
        E::Pipelines | E::Pipeline | E::PipelineJobs => of_pipelines(shared, request, id),
        _ => of_job(shared, request, id),
    }
}

/// Makes a pipeline for each commit at the end of a branch that asks for one.
fn notice_pushes(shared: &Shared, id: u64) {
    let heads =
        git::ask(shared, id, &["for-each-ref", "--format=%(objectname) %(refname:short)", "refs/heads"]);
    for line in heads.unwrap_or_default().lines() {
        let Some((sha, branch)) = line.split_once(' ') else { continue };
        let known =
            shared.state().projects[&id].pipelines.iter().any(|it| it.sha == sha && it.branch == branch);
        let subject = git::ask(shared, id, &["show", "--no-patch", "--format=%B", sha]).unwrap_or_default();
        if known || subject.contains("[skip ci]") || subject.contains("[ci skip]") {
            continue;
        }
        let Some(file) = git::ask(shared, id, &["show", &format!("{sha}:.gitlab-ci.yml")]) else { continue };
        let mut state = shared.state();
        let pipeline = state.next_id();
        let made = jobs_of(&file).into_iter().map(|name| Job {
            id: state.next_id(),
            name,
            seen: 0,
            trace: String::new(),
            artifacts: BTreeMap::new(),
        });
        let jobs = made.collect();
        let pipeline = Pipeline { id: pipeline, branch: branch.to_owned(), sha: sha.to_owned(), jobs };
        if let Some(project) = state.projects.get_mut(&id) {
            project.pipelines.push(pipeline);
        }
    }
}

fn ci(file: &str) -> Value {
    serde_saphyr::from_str(file).unwrap_or_default()
}

fn jobs_of(file: &str) -> Vec<String> {
    let Value::Object(keys) = ci(file) else { return Vec::new() };
    keys.into_iter().filter(|(_, job)| job.get("script").is_some()).map(|(name, _)| name).collect()
}

fn of_pipelines(shared: &Shared, request: &Request, id: u64) -> Answer {
    let switches = shared.switches();
    let mut state = shared.state();
    let Some(project) = state.projects.get_mut(&id) else { return Answer::not_found("Project") };
    if request.endpoint == E::Pipelines {
        let wanted = |pipeline: &&Pipeline| {
            request.query.get("sha").is_none_or(|sha| *sha == pipeline.sha)
                && request.query.get("ref").is_none_or(|branch| *branch == pipeline.branch)
        };
        let all: Vec<Value> =
            project.pipelines.iter().rev().filter(wanted).map(|it| pipeline_json(it, &switches)).collect();
        return Answer::json(200, &json!(all));
    }
    let found = project.pipelines.iter_mut().find(|it| it.id.to_string() == request.names[1]);
    let Some(pipeline) = found else { return Answer::not_found("Pipeline") };
    for job in &mut pipeline.jobs {
        job.seen += 1;
    }
    if request.endpoint == E::Pipeline {
        return Answer::json(200, &pipeline_json(pipeline, &switches));
    }
    let jobs: Vec<Value> = pipeline.jobs.iter().map(|job| job_json(job, pipeline, &switches)).collect();
    Answer::json(200, &json!(jobs))
}

fn status(job: &Job, switches: &Switches) -> &'static str {
    let taken = switches.runner && !switches.lies(Lie::JobNeverTaken);
    match job.seen {
        0 | 1 => "pending",
        _ if !taken => "pending",
        seen if seen < LOOKS => "running",
        _ if switches.lies(Lie::JobFails) => "failed",
        _ => "success",
    }
}

fn pipeline_json(pipeline: &Pipeline, switches: &Switches) -> Value {
    let status = pipeline.jobs.first().map_or("success", |job| status(job, switches));
    json!({
        "id": pipeline.id, "iid": 1, "sha": pipeline.sha, "ref": pipeline.branch, "status": status, "source": "push",
        "created_at": "2026-01-01T00:00:00.000Z", "updated_at": "2026-01-01T00:00:00.000Z",
    })
}

fn job_json(job: &Job, pipeline: &Pipeline, switches: &Switches) -> Value {
    let status = status(job, switches);
    let failure = (status == "failed").then_some("script_failure");
    json!({
        "id": job.id, "name": job.name, "stage": "test", "status": status, "ref": pipeline.branch,
        "failure_reason": failure, "pipeline": {"id": pipeline.id, "sha": pipeline.sha},
        "web_url": format!("https://gitlab.acme.example/-/jobs/{}", job.id),
    })
}

fn of_job(shared: &Shared, request: &Request, id: u64) -> Answer {
    let switches = shared.switches();
    let place = {
        let mut state = shared.state();
        let pipelines = state.projects.get_mut(&id).into_iter().flat_map(|it| it.pipelines.iter_mut());
        let found = pipelines
            .flat_map(|pipeline| {
                let sha = pipeline.sha.clone();
                pipeline.jobs.iter_mut().map(move |job| (sha.clone(), job))
            })
            .find(|(_, job)| job.id.to_string() == request.names[1]);
        let Some((sha, job)) = found else { return Answer::not_found("Job") };
        if request.endpoint == E::Job {
            job.seen += 1;
        }
        (sha, job.clone())
    };
    let (sha, mut job) = place;
    if status(&job, &switches) == "success" {
        run(shared, id, &sha, &mut job);
    }
    match request.endpoint {
        E::Job => {
            let pipeline = Pipeline { id: 0, branch: "main".to_owned(), sha, jobs: Vec::new() };
            Answer::json(200, &job_json(&job, &pipeline, &switches))
        }
        E::Trace => {
            let empty = switches.lies(Lie::TraceEmpty);
            Answer::bytes(200, "text/plain", if empty { String::new() } else { job.trace })
        }
        _ if switches.lies(Lie::ArtifactOtherBytes) && !job.artifacts.is_empty() => {
            Answer::bytes(200, "application/octet-stream", "not what the job wrote")
        }
        _ => match job.artifacts.get(&request.names[2]) {
            Some(bytes) => Answer::bytes(200, "application/octet-stream", bytes.clone()),
            None => Answer::not_found("Artifact"),
        },
    }
}

/// Runs the job's script where the commit is checked out, and keeps what it said and made.
fn run(shared: &Shared, id: u64, sha: &str, job: &mut Job) {
    let folder = tempfile::tempdir_in(&shared.folder).unwrap();
    let repository = repository(&shared.folder, id);
    let checkout = git::command(&shared.folder)
        .env("GIT_INDEX_FILE", folder.path().join(".index"))
        .arg("--git-dir")
        .arg(repository)
        .arg("--work-tree")
        .arg(folder.path())
        .args(["checkout", "--quiet", "--force", sha, "--", "."])
        .status()
        .unwrap();
    assert!(checkout.success(), "the runner can't check out {sha}");
    let file = fs_err::read_to_string(folder.path().join(".gitlab-ci.yml")).unwrap();
    let definition = ci(&file)[&job.name].clone();
    let lines: Vec<String> = match &definition["script"] {
        Value::Array(lines) => lines.iter().filter_map(Value::as_str).map(ToOwned::to_owned).collect(),
        other => vec![other.as_str().unwrap_or_default().to_owned()],
    };
    let output = Command::new("sh")
        .args(["-e", "-c", &lines.join("\n")])
        .current_dir(folder.path())
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .env("CI", "true")
        .env("CI_COMMIT_SHA", sha)
        .env("CI_PROJECT_ID", id.to_string())
        .env("CI_JOB_ID", job.id.to_string())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let shown: Vec<String> = lines.iter().map(|line| format!("$ {line}")).collect();
    job.trace = format!("Running on a fake runner\n{}\n{said}Job succeeded\n", shown.join("\n"));
    for path in definition["artifacts"]["paths"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        if let Ok(bytes) = fs_err::read(folder.path().join(path)) {
            job.artifacts.insert(path.to_owned(), bytes);
        }
    }
}
