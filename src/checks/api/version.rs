//! Which version does it say that it is?

use super::agreement::{Answered, Said, Seen};
use super::ask::{Api, text};
use super::{Obstacle, limits};
use crate::checks::catalogue::Check;
use crate::checks::question::{Patience, Question};
use crate::instance::Instance;

const ASKED: &str = "GET /api/v4/version";

pub(super) async fn ask(instance: Result<&Instance, Obstacle>, patience: Patience) -> Seen {
    let wanted =
        "the version and the edition of the spec; without a spec, any that metadata and GraphQL say too";
    let question = Question::new(Check::Version, ASKED, wanted);
    let answer = match instance {
        Err(obstacle) => Err(Answered::Obstructed(obstacle)),
        Ok(instance) => {
            let api = Api { instance, limits: limits(patience) };
            let said = async {
                let answer = api.get("version").await?;
                let version = text(&answer, "version", ASKED)?.to_owned();
                Ok(Said { version, enterprise: None, besides: String::new() })
            };
            said.await.map_err(Answered::Miss)
        }
    };
    Seen { question, answer }
}
