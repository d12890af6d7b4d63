//! Certificates that the node trusts besides the system's: what lies in /etc/gitlab/trusted-certs.
//! <https://docs.gitlab.com/omnibus/settings/ssl/#install-custom-public-certificates>

use std::path::{Path, PathBuf};

use super::Error;
use super::converge::{self, Owner};
use crate::paths;

const SYSTEM: &str = "/etc/ssl/certs/ca-certificates.crt";
const BEGIN: &str = "-----BEGIN CERTIFICATE-----";

/// Writes all trusted certificates into one file, from which every process of the package reads them.
pub fn prepare() -> Result<(), Error> {
    converge::directory(paths::TRUSTED_CERTS, Owner::ROOT, 0o755)?;
    let bundle = Path::new(paths::TRUSTED_BUNDLE);
    if let Some(directory) = bundle.parent() {
        converge::directory(directory, Owner::ROOT, 0o755)?;
    }
    let mut text = std::fs::read_to_string(SYSTEM).unwrap_or_default();
    for file in listed(Path::new(paths::TRUSTED_CERTS))? {
        let content = std::fs::read_to_string(&file).map_err(Error::file("read", &file))?;
        if !content.contains(BEGIN) {
            return Err(Error::Certificate { path: file.display().to_string() });
        }
        text.push_str(&content);
        text.push('\n');
    }
    converge::file(bundle, &text, Owner::ROOT, 0o644).map(|_| ())
}

fn listed(directory: &Path) -> Result<Vec<PathBuf>, Error> {
    let entries = std::fs::read_dir(directory).map_err(Error::file("read", directory))?;
    let mut files: Vec<PathBuf> =
        entries.filter_map(Result::ok).map(|entry| entry.path()).filter(|path| path.is_file()).collect();
    files.retain(|path| path.file_name().is_some_and(|name| name != "README"));
    files.sort_unstable();
    Ok(files)
}
