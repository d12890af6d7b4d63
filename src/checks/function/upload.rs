//! An attachment (docs.gitlab.com, `api/project_markdown_uploads`).

use serde_json::Value;

use super::Ground;
use super::content::{bytes, comes_back, word};
use crate::checks::api::{Api, Obstacle, text};
use crate::checks::catalogue::Check;
use crate::checks::question::{Miss, Question};
use crate::events::Finding;
use crate::instance::{Method, Request};

const STORAGE: &str =
    "see the storage of uploads: `gitlab_rails['uploads_storage_path']` or the object storage in gitlab.rb";

pub(super) async fn check(ground: Result<&Ground<'_>, &Obstacle>) -> Finding {
    let question = Question::new(
        Check::Upload,
        "POST /api/v4/projects/:id/uploads, and GET of what it made",
        "the same bytes",
    );
    let ground = match ground {
        Ok(ground) => ground,
        Err(obstacle) => return question.obstructed(obstacle),
    };
    let work = async |limits| {
        let api = Api { instance: ground.instance, limits };
        store_and_fetch(&api, ground.project.id).await.map(|saw| (saw, ()))
    };
    question.work(ground.patience, work).await.0
}

async fn store_and_fetch(api: &Api<'_>, project: u64) -> Result<String, Miss> {
    let content = bytes();
    let path = format!("projects/{project}/uploads");
    let request = Request::api(Method::Post, &path).file("file", "probe.bin", &content, &word(32));
    let made: Value = api.json(&request, &[201]).await?;
    let url = text(&made, "url", &request.described())?;
    // `/uploads/SECRET/NAME`
    let mut segments = url.rsplit('/');
    let (Some(name), Some(secret)) = (segments.next(), segments.next()) else {
        return Err(Miss::fail("the upload was accepted, and its address can't be read", STORAGE));
    };
    let fetch = Request::api(Method::Get, &format!("{path}/{secret}/{name}"));
    comes_back(api, fetch, &content, "upload", STORAGE).await
}
