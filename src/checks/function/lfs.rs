//! Git LFS: its batch API says where a file is put and fetched (git-lfs docs, api/batch.md and api/basic-transfers.md).

use data_encoding::HEXLOWER;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use url::Url;

use super::Ground;
use super::content::{bytes, comes_back};
use crate::checks::api::{Api, Obstacle};
use crate::checks::catalogue::Check;
use crate::checks::question::{Miss, Question};
use crate::events::Finding;
use crate::instance::{Method, Request};

const STORAGE: &str =
    "see the storage of LFS objects: `gitlab_rails['lfs_storage_path']` or the object storage in gitlab.rb";
const MEDIA_TYPE: &str = "application/vnd.git-lfs+json";
/// What the client itself says of a message, whatever the batch answer names.
const HOP_BY_HOP: [&str; 4] = ["transfer-encoding", "content-length", "host", "connection"];

pub(super) async fn check(ground: Result<&Ground<'_>, &Obstacle>) -> Finding {
    let question =
        Question::new(Check::Lfs, "the LFS batch API to upload a file and to download it", "the same bytes");
    let ground = match ground {
        Ok(ground) => ground,
        Err(obstacle) => return question.obstructed(obstacle),
    };
    let work = async |limits| {
        let api = Api { instance: ground.instance, limits };
        store_and_fetch(&api, &ground.project.http).await.map(|saw| (saw, ()))
    };
    question.work(ground.patience, work).await.0
}

async fn store_and_fetch(api: &Api<'_>, repository: &Url) -> Result<String, Miss> {
    let content = bytes();
    let oid = HEXLOWER.encode(&Sha256::digest(&content));
    let object = json!({"oid": oid, "size": content.len()});
    let answer = batch(api, repository, "upload", &object).await?;
    let upload = action(&answer, "upload")?.ok_or_else(|| {
        Miss::fail(
            "the batch answer wants no upload, as if the instance had a file that was made just now",
            "see `/var/log/gitlab/gitlab-rails/production_json.log` on the nodes",
        )
    })?;
    api.wanted(&upload.request(Method::Put).bytes(&content), &[200, 201]).await?;
    if let Some(verify) = action(&answer, "verify")? {
        let request =
            verify.request(Method::Post).header("accept", MEDIA_TYPE).header("content-type", MEDIA_TYPE);
        let request = request.json(&object);
        if api.wanted(&request, &[200, 404]).await?.status == 404 {
            let asked = request.described();
            return Err(Miss::fail(
                format!("the upload was accepted, and is not there: {asked}: 404"),
                STORAGE,
            ));
        }
    }
    let answer = batch(api, repository, "download", &object).await?;
    let download = action(&answer, "download")?.ok_or_else(|| {
        Miss::fail("the upload was accepted, and the batch answer offers no download", STORAGE)
    })?;
    comes_back(api, download.request(Method::Get), &content, "upload", STORAGE).await
}

async fn batch(api: &Api<'_>, repository: &Url, operation: &str, object: &Value) -> Result<Value, Miss> {
    let mut url = repository.clone();
    url.set_path(&format!("{}/info/lfs/objects/batch", repository.path()));
    let body =
        json!({"operation": operation, "transfers": ["basic"], "objects": [object], "hash_algo": "sha256"});
    let request =
        Request::git(Method::Post, url).header("accept", MEDIA_TYPE).header("content-type", MEDIA_TYPE);
    let answer = api.json(&request.json(&body), &[200]).await?;
    let entry = answer["objects"]
        .as_array()
        .and_then(|objects| objects.iter().find(|entry| entry["oid"] == object["oid"]));
    let Some(entry) = entry else {
        return Err(Miss::fail(
            format!("the batch answer for the {operation} does not name the file"),
            "see what stands before GitLab: the answer is not that to the question",
        ));
    };
    if let Some(error) = entry.get("error").filter(|error| !error.is_null()) {
        let said = error["message"].as_str().unwrap_or("no message");
        return Err(Miss::fail(
            format!("the batch answer for the {operation} says {} for the file: {said}", error["code"]),
            STORAGE,
        ));
    }
    Ok(entry.clone())
}

/// What to do next, as the instance says. Its headers hold a key, and are shown nowhere.
struct Action {
    url: Url,
    headers: Vec<(String, String)>,
}

impl Action {
    fn request(&self, method: Method) -> Request {
        Request::given(method, self.url.clone(), self.headers.clone())
    }
}

fn action(entry: &Value, name: &str) -> Result<Option<Action>, Miss> {
    let Some(action) = entry["actions"].get(name) else { return Ok(None) };
    let url = action["href"].as_str().and_then(|href| Url::parse(href).ok()).ok_or_else(|| {
        Miss::fail(
            format!("the batch answer names no URL for the {name}"),
            "let `external_url` in gitlab.rb be the URL that people use, and reconfigure",
        )
    })?;
    let headers = action["header"].as_object().into_iter().flatten();
    let headers =
        headers.filter_map(|(name, value)| Some((name.to_ascii_lowercase(), value.as_str()?.to_owned())));
    let headers = headers.filter(|(name, _)| !HOP_BY_HOP.contains(&name.as_str())).collect();
    Ok(Some(Action { url, headers }))
}
