//! Which class of job is whose work.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use super::{authorized_keys, destroy, export, merge_requests, post_receive};
use crate::config::Config;
use crate::database::Pool;
use crate::database::projects::Project;
use crate::objects::Objects;
use crate::repositories::Repositories;

/// What a worker has at hand.
#[derive(Clone)]
pub struct Work {
    /// What reconfigure wrote.
    pub config: Arc<Config>,
    /// Connections to the database.
    pub pool: Pool,
}

impl Work {
    /// The Gitaly that has a project's repository.
    pub fn storage(&self, project: &Project) -> Result<Repositories<'_>, String> {
        let name = &project.repository_storage;
        let found = self.config.application.storages.get_key_value(name);
        let (name, storage) = found.ok_or_else(|| format!("no Gitaly is configured for storage `{name}`"))?;
        Ok(Repositories::of(name, storage))
    }

    /// The objects of a kind, by this node's own settings.
    pub fn objects(&self, kind: &str) -> Result<Objects, String> {
        Objects::of(self.config.application.object_store.as_ref(), kind)
            .ok_or_else(|| format!("Fog::Errors::Error: no object storage is configured for {kind}"))
    }
}

/// Does a job. The reason of a failure is Ruby's: a class and a message.
pub async fn perform(work: &Work, payload: &str) -> Result<(), String> {
    let job: Value = serde_json::from_str(payload).map_err(|error| format!("JSON::ParserError: {error}"))?;
    let class = job["class"].as_str().unwrap_or_default();
    let number = |index: usize| {
        job["args"][index]
            .as_i64()
            .ok_or_else(|| format!("ArgumentError: argument {index} of {class} is no number"))
    };
    match class {
        "Chaos::SleepWorker" => {
            let seconds = job["args"][0].as_f64().unwrap_or_default().clamp(0.0, 60.0);
            tokio::time::sleep(Duration::from_secs_f64(seconds)).await;
            Ok(())
        }
        "AuthorizedKeysWorker" => authorized_keys::perform(work).await,
        "PostReceive" => post_receive::perform(work, &job["args"]).await,
        "MergeRequestMergeabilityCheckWorker" => merge_requests::check(work, number(0)?).await,
        "MergeWorker" => merge_requests::merge(work, number(0)?, number(1)?, &job["args"][2]).await,
        "GroupDestroyWorker" => destroy::group(work, number(0)?).await,
        "ProjectExportWorker" => export::perform(work, number(1)?).await,
        "ProjectDestroyWorker" => destroy::project(work, number(0)?).await,
        _ => Err(format!("NameError: uninitialized constant {class} ({})", crate::paths::NOTICE)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn work() -> Work {
        let config = Arc::new(Config::nowhere());
        Work { pool: Pool::new(config.database.clone()), config }
    }

    #[tokio::test]
    async fn a_class_that_is_not_known_fails() {
        let work = work();
        assert!(perform(&work, r#"{"class":"Chaos::SleepWorker","args":[0]}"#).await.is_ok());
        let unknown = perform(&work, r#"{"class":"EmailsOnPushWorker","args":[]}"#).await;
        assert!(
            unknown.expect_err("refused").starts_with("NameError: uninitialized constant EmailsOnPushWorker")
        );
        assert!(perform(&work, "garbage").await.is_err());
        let wrong = perform(&work, r#"{"class":"MergeWorker","args":["x"]}"#).await;
        assert!(wrong.expect_err("refused").starts_with("ArgumentError: "));
    }
}
