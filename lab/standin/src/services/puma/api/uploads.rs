//! Uploads for Markdown (docs: `api/project_markdown_uploads`).

use axum::extract::{DefaultBodyLimit, Multipart, Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::json;

use super::auth::Caller;
use super::stored::Room;
use super::{Api, Failure, lookup};
use crate::database::access::GUEST;
use crate::database::projects::Project;
use crate::paths;

pub fn routes() -> Router<Api> {
    Router::new()
        .route("/projects/{id}/uploads", post(create).layer(DefaultBodyLimit::disable()))
        .route("/projects/{id}/uploads/{secret}/{filename}", get(download))
}

fn place(project: &Project, secret: &str, filename: &str) -> String {
    format!("{}/{secret}/{filename}", project.disk_path)
}

fn room(api: &Api) -> Room {
    Room::of(&api.config, "uploads", paths::UPLOADS)
}

/// A name without directories, in letters that need no quoting in a URL.
fn plain(filename: &str) -> Option<String> {
    let last = filename.rsplit(['/', '\\']).next().unwrap_or_default();
    let plain: String = last
        .chars()
        .map(|char| if char.is_ascii_alphanumeric() || "_-.".contains(char) { char } else { '_' })
        .collect();
    (!plain.is_empty() && plain != "." && plain != "..").then_some(plain)
}

async fn create(
    State(api): State<Api>,
    caller: Caller,
    Path(id): Path<String>,
    form: Result<Multipart, axum::extract::multipart::MultipartRejection>,
) -> Result<Response, Failure> {
    let user = caller.known()?;
    let project = lookup::project(&*api.pool.take().await?, &caller, &id, GUEST).await?;
    let missing = || Failure::bad_parameter("file is missing");
    let mut form = form.map_err(|_| missing())?;
    let broken = |error: axum::extract::multipart::MultipartError| Failure::bad_parameter(error.body_text());
    let mut field = loop {
        match form.next_field().await.map_err(broken)? {
            Some(field) if field.name() == Some("file") => break field,
            Some(_) => {}
            None => return Err(missing()),
        }
    };
    let filename =
        field.file_name().and_then(plain).ok_or_else(|| Failure::bad_parameter("file is invalid"))?;
    let secret = crate::hex(&rand::random::<[u8; 16]>());
    let mut incoming = room(&api).begin(&place(&project, &secret, &filename)).await?;
    while let Some(chunk) = field.chunk().await.map_err(broken)? {
        incoming.write(&chunk).await?;
    }
    let received = incoming.keep().await?;
    let sql = "INSERT INTO uploads (project_id, uploader_id, secret, filename, size, checksum, path)
               VALUES ($1, $2, $3, $4, $5, $6, $7) RETURNING id";
    let client = api.pool.take().await?;
    let values: [&dyn crate::database::Value; 7] = [
        &project.id,
        &user.user_id,
        &secret,
        &filename,
        &received.size,
        &received.sha256,
        &received.location,
    ];
    let upload: i64 = client.query_one(sql, &values).await?.get(0);
    let url = format!("/uploads/{secret}/{filename}");
    let name = filename.rsplit_once('.').map_or(filename.as_str(), |(stem, _)| stem);
    let shows = ["png", "jpg", "jpeg", "gif", "svg", "webp"].iter().any(|kind| filename.ends_with(kind));
    // An image shows itself under its bare name, anything else is a link under its whole one.
    let (alt, bang) = if shows { (name, "!") } else { (filename.as_str(), "") };
    let answer = json!({
        "id": upload,
        "alt": alt,
        "url": url,
        "full_path": format!("/-/project/{}{url}", project.id),
        "markdown": format!("{bang}[{alt}]({url})"),
    });
    Ok((StatusCode::CREATED, Json(answer)).into_response())
}

async fn download(
    State(api): State<Api>,
    caller: Caller,
    Path((id, secret, filename)): Path<(String, String, String)>,
) -> Result<Response, Failure> {
    let client = api.pool.take().await?;
    let project = lookup::project(&client, &caller, &id, GUEST).await?;
    let sql = "SELECT path FROM uploads WHERE project_id = $1 AND secret = $2 AND filename = $3";
    let row = client.query_opt(sql, &[&project.id, &secret, &filename]).await?;
    let path: String = row.ok_or_else(|| Failure::not_found("Upload"))?.get(0);
    room(&api).send(&path, &filename).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filename_stays_in_its_directory() {
        assert_eq!(plain("a.txt").as_deref(), Some("a.txt"));
        assert_eq!(plain("../../etc/pass wd").as_deref(), Some("pass_wd"));
        assert_eq!(plain(".."), None);
        assert_eq!(plain("a/"), None);
    }
}
