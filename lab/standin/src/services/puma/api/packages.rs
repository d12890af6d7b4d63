//! Generic packages (docs: `user/packages/generic_packages`).

use axum::body::Body;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::json;

use super::auth::Caller;
use super::stored::{Received, Room};
use super::{Api, Failure, lookup};
use crate::database::access::DEVELOPER;
use crate::database::projects::Project;
use crate::paths;

/// Project, package, version and file of a request.
type Named = Path<(String, String, String, String)>;

pub fn routes() -> Router<Api> {
    let path = "/projects/{id}/packages/generic/{name}/{version}/{*file}";
    Router::new().route(path, get(download).put(publish))
}

fn room(api: &Api) -> Room {
    Room::of(&api.config, "packages", paths::PACKAGES)
}

/// Refuses what the documentation calls invalid.
fn check(name: &str, version: &str, file: &str) -> Result<(), Failure> {
    let plain = |text: &str, more: &str| {
        !text.is_empty() && text.chars().all(|char| char.is_ascii_alphanumeric() || more.contains(char))
    };
    let parts = file.split('/').all(|part| plain(part, ".-_+~@") && part != "." && part != "..");
    for (parameter, fits) in [
        ("package_name", plain(name, ".-_+")),
        ("package_version", plain(version, ".-_+~")),
        ("file_name", parts && !file.ends_with('~') && !file.starts_with(['~', '@'])),
    ] {
        if !fits {
            return Err(Failure::bad_parameter(format!("{parameter} is invalid")));
        }
    }
    Ok(())
}

#[derive(Deserialize)]
struct Wish {
    select: Option<String>,
}

async fn publish(
    State(api): State<Api>,
    caller: Caller,
    Path((id, name, version, file)): Named,
    Query(wish): Query<Wish>,
    body: Body,
) -> Result<Response, Failure> {
    caller.known()?;
    check(&name, &version, &file)?;
    let project = lookup::project(&*api.pool.take().await?, &caller, &id, DEVELOPER).await?;
    // The file's own name is in the database; where it lies it has one that nobody chose.
    let place = format!("{}/{}", project.disk_path, crate::hex(&rand::random::<[u8; 16]>()));
    let mut incoming = room(&api).begin(&place).await?;
    incoming.fill(body).await?;
    let received = incoming.keep().await?;
    let (package, number) = record(&api, &project, &name, &version, &file, &received).await?;
    let answer = if wish.select.as_deref() == Some("package_file") {
        json!({
            "id": number,
            "package_id": package,
            "file_name": file,
            "size": received.size,
            "file_sha256": received.sha256,
        })
    } else {
        json!({"message": "201 Created"})
    };
    Ok((StatusCode::CREATED, Json(answer)).into_response())
}

async fn record(
    api: &Api,
    project: &Project,
    name: &str,
    version: &str,
    file: &str,
    received: &Received,
) -> Result<(i64, i64), Failure> {
    let mut client = api.pool.take().await?;
    let transaction = client.transaction().await?;
    let package = "INSERT INTO packages_packages (project_id, name, version) VALUES ($1, $2, $3)
                   ON CONFLICT (project_id, package_type, name, version) DO UPDATE SET name = excluded.name
                   RETURNING id";
    let package: i64 = transaction.query_one(package, &[&project.id, &name, &version]).await?.get(0);
    let insert = "INSERT INTO packages_package_files (package_id, file_name, size, file_sha256, file)
                  VALUES ($1, $2, $3, $4, $5) RETURNING id";
    let values: [&dyn crate::database::Value; 5] =
        [&package, &file, &received.size, &received.sha256, &received.location];
    let number: i64 = transaction.query_one(insert, &values).await?.get(0);
    transaction.commit().await?;
    Ok((package, number))
}

/// The file that was published last under its name.
async fn download(
    State(api): State<Api>,
    caller: Caller,
    Path((id, name, version, file)): Named,
) -> Result<Response, Failure> {
    let client = api.pool.take().await?;
    let project = lookup::code(&client, &caller, &id).await?;
    let sql = "SELECT f.file FROM packages_package_files f JOIN packages_packages p ON p.id = f.package_id
               WHERE p.project_id = $1 AND p.name = $2 AND p.version = $3 AND f.file_name = $4
                 AND p.package_type = 'generic'
               ORDER BY f.id DESC LIMIT 1";
    let row = client.query_opt(sql, &[&project.id, &name, &version, &file]).await?;
    let stored: String = row.ok_or_else(|| Failure::not_found("Package"))?.get(0);
    room(&api).send(&stored, file.rsplit('/').next().unwrap_or_default()).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_what_the_documentation_allows() {
        assert!(check("my_package", "1.0.0", "file.txt").is_ok());
        assert!(check("my_package", "1.0.0", "docs/file.txt").is_ok());
        assert!(check("my package", "1.0.0", "file.txt").is_err());
        assert!(check("my_package", "1/0", "file.txt").is_err());
        assert!(check("my_package", "1.0.0", "../file.txt").is_err());
        assert!(check("my_package", "1.0.0", "~file.txt").is_err());
    }
}
