//! Does GraphQL answer, and the same?

use serde_json::json;

use super::agreement::{Answered, Said, Seen};
use super::ask::Api;
use super::{Obstacle, limits};
use crate::checks::catalogue::Check;
use crate::checks::page;
use crate::checks::question::{Miss, Patience, Question};
use crate::instance::{Instance, Method, Request};

const ASKED: &str = "POST /api/graphql: `{ metadata { version } }`";

pub(super) async fn ask(instance: Result<&Instance, Obstacle>, patience: Patience) -> Seen {
    let question = Question::new(Check::Graphql, ASKED, "the same version");
    let answer = match instance {
        Err(obstacle) => Err(Answered::Obstructed(obstacle)),
        Ok(instance) => {
            let api = Api { instance, limits: limits(patience) };
            query(&api).await.map_err(Answered::Miss)
        }
    };
    Seen { question, answer }
}

async fn query(api: &Api<'_>) -> Result<Said, Miss> {
    let query = json!({"query": "{ metadata { version } }"});
    let answer = api.json(&Request::authorized(Method::Post, "/api/graphql").json(&query), &[200]).await?;
    if let Some(version) = answer["data"]["metadata"]["version"].as_str() {
        return Ok(Said { version: version.to_owned(), enterprise: None, besides: String::new() });
    }
    let error = answer["errors"][0]["message"].as_str().map(page::excerpt);
    let saw = match error {
        Some(error) => format!("200 with the error {error}"),
        None => format!("200 without a version: {}", page::excerpt(&answer.to_string())),
    };
    Err(Miss::fail(saw, "see `graphql_json.log` and `exceptions_json.log` in `/var/log/gitlab/gitlab-rails`"))
}
