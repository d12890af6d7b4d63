//! `gitlab:lfs:check` and `gitlab:uploads:check`: whether every file is where its row says, with the content that
//! its row says. Files are read as Rails reads them, from this node's disk or from the object storage.
//! <https://docs.gitlab.com/administration/raketasks/check/#uploaded-files-integrity>

use http_body_util::BodyExt as _;
use sha2::{Digest as _, Sha256};

use crate::config::Config;
use crate::database;
use crate::objects::Objects;
use crate::terminal::say;

/// What is checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// LFS objects.
    Lfs,
    /// Uploads.
    Uploads,
}

impl Kind {
    const fn name(self) -> &'static str {
        match self {
            Self::Lfs => "LFS objects",
            Self::Uploads => "Uploads",
        }
    }

    const fn objects(self) -> &'static str {
        match self {
            Self::Lfs => "lfs",
            Self::Uploads => "uploads",
        }
    }

    const fn sql(self) -> &'static str {
        match self {
            Self::Lfs => "SELECT id, file, oid FROM lfs_objects ORDER BY id",
            Self::Uploads => "SELECT id, path, checksum FROM uploads ORDER BY id",
        }
    }
}

/// Reads every file. Like the package's, it finds and reports, and ends with 0.
pub async fn run(config: &Config, kind: Kind, verbose: bool) -> Result<u8, String> {
    let client = database::connect(&config.database).await.map_err(|error| error.to_string())?;
    let rows = client.query(kind.sql(), &[]).await.map_err(|error| error.to_string())?;
    let objects = Objects::of(config.application.object_store.as_ref(), kind.objects());
    say(format!("Checking integrity of {}", kind.name()));
    let mut failures = Vec::new();
    for row in &rows {
        let (id, location, wanted): (i64, String, String) = (row.get(0), row.get(1), row.get(2));
        match digest(objects.as_ref(), &location).await {
            Ok(found) if found == wanted => {}
            Ok(_) => failures.push((id, "Checksum mismatch".to_owned())),
            Err(reason) => failures.push((id, reason)),
        }
    }
    let ids = rows.first().zip(rows.last()).map(|(first, last)| (first.get(0), last.get(0)));
    let (first, last): (i64, i64) = ids.unwrap_or_default();
    say(format!("- {first}..{last}: Failures: {}", failures.len()));
    for (id, reason) in failures.iter().filter(|_| verbose) {
        say(format!("  - {}: {id}: {reason}", kind.name()));
    }
    say("Done!");
    Ok(0)
}

async fn digest(objects: Option<&Objects>, location: &str) -> Result<String, String> {
    if location.starts_with('/') {
        let content = tokio::fs::read(location).await.map_err(|error| format!("{location}: {error}"))?;
        return Ok(crate::hex(&Sha256::digest(&content)));
    }
    let objects = objects.ok_or("no object storage is configured")?;
    let found = objects.get(location).await.map_err(|error| error.to_string())?;
    let mut body = found.ok_or("Remote object does not exist")?.into_body();
    let mut hash = Sha256::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| error.to_string())?;
        if let Some(bytes) = frame.data_ref() {
            hash.update(bytes);
        }
    }
    Ok(crate::hex(&hash.finalize()))
}
