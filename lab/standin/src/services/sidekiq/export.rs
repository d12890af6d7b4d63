//! `ProjectExportWorker`: an archive with what there is of a project, put where uploads are, by this node's own
//! settings: what is wrong with Sidekiq's object storage shows here.

use std::path::{Path, PathBuf};

use http_body_util::BodyExt as _;
use serde_json::json;
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

use super::workers::Work;
use crate::database::projects::{self, Project};
use crate::objects::Objects;
use crate::paths;

const TEMPORARY: &str = "/var/opt/gitlab/gitlab-rails/tmp";

fn failed(error: impl std::fmt::Display) -> String {
    format!("Gitlab::ImportExport::Error: {error}")
}

/// Makes the archive. One that fails is told in the project's state, and tried again as any job.
pub async fn perform(work: &Work, id: i64) -> Result<(), String> {
    let client = work.pool.take().await.map_err(failed)?;
    let Some(project) = projects::by_id(&*client, id).await.map_err(failed)? else { return Ok(()) };
    note(&client, id, "started", None).await?;
    drop(client);
    let folder = PathBuf::from(TEMPORARY).join(format!("export-{}", crate::hex(&rand::random::<[u8; 8]>())));
    let outcome = export(work, &project, &folder).await;
    let _ = tokio::fs::remove_dir_all(&folder).await;
    let client = work.pool.take().await.map_err(failed)?;
    match outcome {
        Ok(place) => note(&client, id, "finished", Some(&place)).await,
        Err(reason) => {
            note(&client, id, "failed", None).await?;
            Err(reason)
        }
    }
}

async fn note(
    client: &crate::database::Client,
    id: i64,
    status: &str,
    file: Option<&str>,
) -> Result<(), String> {
    let sql = "UPDATE project_export_jobs SET status = $2, export_file = coalesce($3, export_file)
               WHERE project_id = $1";
    client.execute(sql, &[&id, &status, &file]).await.map_err(failed)?;
    Ok(())
}

async fn export(work: &Work, project: &Project, folder: &Path) -> Result<String, String> {
    tokio::fs::create_dir_all(folder.join("tree")).await.map_err(failed)?;
    let tree = json!({"path": project.full_path, "description": project.description});
    tokio::fs::write(folder.join("tree/project.json"), tree.to_string()).await.map_err(failed)?;
    tokio::fs::write(folder.join("GITLAB_VERSION"), &work.config.application.version)
        .await
        .map_err(failed)?;
    let pack = work.storage(project)?.pack(&project.repository(), &[]).await.map_err(failed)?;
    let mut file = tokio::fs::File::create(folder.join("project.pack")).await.map_err(failed)?;
    let mut body = pack.into_body();
    while let Some(frame) = body.frame().await {
        if let Ok(bytes) = frame.map_err(failed)?.into_data() {
            file.write_all(&bytes).await.map_err(failed)?;
        }
    }
    file.sync_all().await.map_err(failed)?;
    let archive = folder.join("export.tar.gz");
    let mut tar = Command::new("tar");
    tar.arg("-czf").arg(&archive).arg("-C").arg(folder).args(["tree", "GITLAB_VERSION", "project.pack"]);
    let status = tar.kill_on_drop(true).status().await.map_err(failed)?;
    if !status.success() {
        return Err(failed(format!("tar: {status}")));
    }
    let name = format!("{}/export-{}.tar.gz", project.disk_path, crate::hex(&rand::random::<[u8; 8]>()));
    match Objects::of(work.config.application.object_store.as_ref(), "uploads") {
        Some(objects) => objects.put(&name, &archive).await.map(|()| name).map_err(failed),
        None => keep(&archive, &Path::new(paths::UPLOADS).join(name)).await,
    }
}

async fn keep(archive: &Path, place: &Path) -> Result<String, String> {
    if let Some(folder) = place.parent() {
        tokio::fs::create_dir_all(folder).await.map_err(failed)?;
    }
    tokio::fs::rename(archive, place).await.map_err(failed)?;
    Ok(place.display().to_string())
}
