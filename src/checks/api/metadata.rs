//! Do the metadata say the same, and which edition?

use serde_json::Value;

use super::agreement::{Answered, Said, Seen};
use super::ask::{Api, text};
use super::{Obstacle, limits};
use crate::checks::catalogue::Check;
use crate::checks::question::{Patience, Question};
use crate::instance::Instance;

const ASKED: &str = "GET /api/v4/metadata";

pub(super) async fn ask(instance: Result<&Instance, Obstacle>, patience: Patience) -> Seen {
    let wanted = "the same version, and `enterprise` as the edition is";
    let question = Question::new(Check::Metadata, ASKED, wanted);
    let answer = match instance {
        Err(obstacle) => Err(Answered::Obstructed(obstacle)),
        Ok(instance) => {
            let api = Api { instance, limits: limits(patience) };
            let said = async {
                let answer = api.get("metadata").await?;
                let version = text(&answer, "version", ASKED)?.to_owned();
                let enterprise = answer.get("enterprise").and_then(Value::as_bool);
                Ok(Said { version, enterprise, besides: kas(&answer) })
            };
            said.await.map_err(Answered::Miss)
        }
    };
    Seen { question, answer }
}

/// What is said of the agent server. It may be off on purpose, so that this is told and not judged.
fn kas(answer: &Value) -> String {
    let kas = &answer["kas"];
    match (kas["enabled"].as_bool(), kas["version"].as_str()) {
        (Some(true), Some(version)) => format!(", agent server {version}"),
        (Some(true), None) => ", agent server enabled and without a version".into(),
        (Some(false), _) => ", agent server off".into(),
        (None, _) => String::new(),
    }
}
