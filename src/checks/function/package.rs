//! A generic package (docs.gitlab.com, `user/packages/generic_packages`).

use super::Ground;
use super::content::{bytes, comes_back};
use crate::checks::api::{Api, Obstacle};
use crate::checks::catalogue::Check;
use crate::checks::question::{Miss, Question};
use crate::events::Finding;
use crate::instance::{Method, Request};

const STORAGE: &str =
    "see the storage of packages: `gitlab_rails['packages_storage_path']` or the object storage in gitlab.rb";

pub(super) async fn check(ground: Result<&Ground<'_>, &Obstacle>) -> Finding {
    let asked = "the project's generic package registry to store a file and to give it back";
    let question = Question::new(Check::Package, asked, "the same bytes");
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
    let path = format!("projects/{project}/packages/generic/refarch-probe/1.0.0/probe.bin");
    api.wanted(&Request::api(Method::Put, &path).bytes(&content), &[200, 201]).await?;
    comes_back(api, Request::api(Method::Get, &path), &content, "package", STORAGE).await
}
