//! Gitaly: its configuration and storages.

use super::converge::{self, Owner};
use super::{Error, runit};
use crate::paths;
use crate::site::{Service, Site};

/// Writes the configuration.
pub fn prepare(site: &Site) -> Result<(), Error> {
    let git = &site.accounts.git;
    let owner = Owner::named(&git.user, &git.group)?;
    converge::directory(format!("{}/gitaly", paths::DATA), owner, 0o700)?;
    converge::directory(format!("{}/gitaly", paths::LOG), owner, 0o700)?;
    for storage in &site.gitaly.storage {
        if storage.path.starts_with(&format!("{}/git-data/", paths::DATA)) {
            converge::directory(format!("{}/git-data", paths::DATA), owner, 0o700)?;
        }
        converge::directory(&storage.path, owner, 0o2770)?;
    }
    let text = toml::to_string(&site.gitaly).unwrap_or_default();
    runit::file(&[Service::Gitaly], format!("{}/gitaly/config.toml", paths::DATA), &text, owner, 0o600)
}
