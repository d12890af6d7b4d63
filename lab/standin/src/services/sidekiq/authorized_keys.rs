//! `AuthorizedKeysWorker`: writes the keys that GitLab knows where sshd looks for them. Each may start GitLab Shell
//! and nothing else.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use super::workers::Work;
use crate::{config, shell};

static TURN: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

/// Writes the whole file: a key that was missed before is in it then, and one that is gone is not.
pub async fn perform(work: &Work) -> Result<(), String> {
    let client = work.pool.take().await.map_err(failed)?;
    // Two jobs at a time must not put an older list over a newer one.
    let _turn = TURN.lock().await;
    let rows = client.query("SELECT id, key FROM keys ORDER BY id", &[]).await.map_err(failed)?;
    let lines: String = rows.iter().map(|row| shell::authorized_key(row.get("id"), row.get("key"))).collect();
    let configured = config::shell().map_err(failed)?;
    write(Path::new(&configured.auth_file), &lines).map_err(failed)
}

fn failed(error: impl std::fmt::Display) -> String {
    format!("StandardError: {error}")
}

/// sshd reads either the old file or the new one.
fn write(file: &Path, text: &str) -> std::io::Result<()> {
    let beside = file.with_extension("new");
    let _ = fs::remove_file(&beside);
    let mut out = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&beside)?;
    out.write_all(text.as_bytes())?;
    out.sync_all()?;
    fs::rename(&beside, file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_is_replaced_and_private() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().expect("a directory");
        let file = folder.path().join("authorized_keys");
        write(&file, "one\n").expect("written");
        write(&file, "two\n").expect("replaced");
        assert_eq!(fs::read_to_string(&file).expect("text"), "two\n");
        assert_eq!(fs::metadata(&file).expect("a file").permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(folder.path()).expect("a directory").count(), 1);
    }
}
