//! Removing projects and groups for good: repositories first, then files, then rows. A job that dies in between
//! is taken up again and finds what is left.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::workers::Work;
use crate::database::groups;
use crate::database::projects::{self, Project};
use crate::{jobs, paths};

fn failed(error: impl std::fmt::Display) -> String {
    format!("StandardError: {error}")
}

/// Removes a project. One that is gone already is no failure.
pub async fn project(work: &Work, id: i64) -> Result<(), String> {
    let client = work.pool.take().await.map_err(failed)?;
    let found = projects::by_id(&*client, id).await.map_err(failed)?;
    drop(client);
    match found {
        Some(project) => remove(work, &project).await,
        None => Ok(()),
    }
}

/// Removes a group with all that is in it and below it.
pub async fn group(work: &Work, id: i64) -> Result<(), String> {
    let client = work.pool.take().await.map_err(failed)?;
    let projects = projects::below(&*client, id).await.map_err(failed)?;
    drop(client);
    for project in &projects {
        remove(work, project).await?;
    }
    let mut client = work.pool.take().await.map_err(failed)?;
    groups::remove(&mut client, id).await.map_err(failed)
}

async fn remove(work: &Work, project: &Project) -> Result<(), String> {
    work.storage(project)?.delete(&project.repository()).await.map_err(failed)?;
    for room in [paths::UPLOADS, paths::PACKAGES] {
        gone(&PathBuf::from(room).join(&project.disk_path)).await?;
    }
    objects_gone(work, project).await?;
    let mut client = work.pool.take().await.map_err(failed)?;
    let keys = projects::remove(&mut client, project.id).await.map_err(failed)?;
    for key in keys {
        let arguments = serde_json::json!(["remove_key", format!("key-{key}")]);
        jobs::enqueue(&work.config, "AuthorizedKeysWorker", arguments).await.map_err(failed)?;
    }
    Ok(())
}

/// Removes what a project has on the object storage: the rows say what, this node's own settings say how.
async fn objects_gone(work: &Work, project: &Project) -> Result<(), String> {
    let uploads = "SELECT path FROM uploads WHERE project_id = $1 AND path NOT LIKE '/%'";
    let packages =
        "SELECT f.file FROM packages_package_files f JOIN packages_packages p ON p.id = f.package_id
                    WHERE p.project_id = $1 AND f.file NOT LIKE '/%'";
    let exports =
        "SELECT export_file FROM project_export_jobs WHERE project_id = $1 AND export_file NOT LIKE '/%'";
    for (kind, sql) in [("uploads", uploads), ("uploads", exports), ("packages", packages)] {
        let client = work.pool.take().await.map_err(failed)?;
        let keys: Vec<String> =
            client.query(sql, &[&project.id]).await.map_err(failed)?.iter().map(|row| row.get(0)).collect();
        drop(client);
        if keys.is_empty() {
            continue;
        }
        let objects = work.objects(kind)?;
        for key in keys {
            objects.delete(&key).await.map_err(failed)?;
        }
    }
    Ok(())
}

async fn gone(directory: &Path) -> Result<(), String> {
    match tokio::fs::remove_dir_all(directory).await {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(failed(format!("{}: {error}", directory.display())))
        }
        _ => Ok(()),
    }
}
