//! An issue: made, read, closed.

use serde_json::json;

use super::Ground;
use super::content::word;
use crate::checks::api::{Api, Obstacle, number};
use crate::checks::catalogue::Check;
use crate::checks::page;
use crate::checks::question::{Miss, Question};
use crate::events::Finding;

const REMEDY: &str = "see `/var/log/gitlab/gitlab-rails/production_json.log` and `exceptions_json.log` on the nodes; \
     where a load balancer stands before several databases, whether a replica lags behind";

pub(super) async fn check(ground: Result<&Ground<'_>, &Obstacle>) -> Finding {
    let question = Question::new(
        Check::Issue,
        "POST, GET and PUT of an issue in the project",
        "the issue as it was made, and then closed",
    );
    let ground = match ground {
        Ok(ground) => ground,
        Err(obstacle) => return question.obstructed(obstacle),
    };
    let work = async |limits| {
        let api = Api { instance: ground.instance, limits };
        use_one(&api, ground.project.id).await.map(|saw| (saw, ()))
    };
    question.work(ground.patience, work).await.0
}

async fn use_one(api: &Api<'_>, project: u64) -> Result<String, Miss> {
    let title = format!("Probe {}", word(16));
    let issues = format!("projects/{project}/issues");
    let made =
        api.post(&issues, &json!({"title": title, "description": "Made by `refarch verify`."})).await?;
    let issue = format!("{issues}/{}", number(&made, "iid", &format!("POST /api/v4/{issues}"))?);
    let read = api.get(&issue).await?;
    let read = read["title"].as_str().unwrap_or_default();
    if read != title {
        return Err(Miss::fail(
            format!("the issue was made as `{title}` and is {}", page::excerpt(read)),
            REMEDY,
        ));
    }
    api.put(&issue, &json!({"state_event": "close"})).await?;
    let read = api.get(&issue).await?;
    let state = read["state"].as_str().unwrap_or("without a state");
    if state != "closed" {
        return Err(Miss::fail(
            format!("closing it was answered with 200, and the issue is {state}"),
            REMEDY,
        ));
    }
    Ok("made, read and closed".into())
}
