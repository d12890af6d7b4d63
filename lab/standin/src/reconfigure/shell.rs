//! GitLab Shell: its configuration, the place of the keys, and the secrets with which the processes of the
//! instance sign what they ask each other.

use std::path::Path;

use serde_json::json;

use super::converge::{self, Owner};
use super::{Error, runit};
use crate::paths;
use crate::site::{Service, Site};

/// Writes the configuration.
pub fn prepare(site: &Site) -> Result<(), Error> {
    let git = &site.accounts.git;
    let owner = Owner::named(&git.user, &git.group)?;
    converge::directory(format!("{}/gitlab-shell", paths::DATA), owner, 0o750)?;
    let text = format!("{:#}\n", json!(site.shell));
    // sshd starts a new GitLab Shell for every connection, so nothing has to be restarted.
    converge::file(paths::SHELL_CONFIG, &text, owner, 0o640)?;
    let readers = |all: &[Service]| -> Vec<Service> {
        all.iter().copied().filter(|service| site.runs(*service)).collect()
    };
    let secret = |secret: &str| format!("{secret}\n");
    let (shell, workhorse) = (secret(&site.signing.shell), secret(&site.signing.workhorse));
    runit::file(&readers(&[Service::Puma, Service::Sidekiq]), paths::SHELL_SECRET, &shell, owner, 0o600)?;
    let of_workhorse = readers(&[Service::Puma, Service::Workhorse, Service::Sidekiq]);
    runit::file(&of_workhorse, paths::WORKHORSE_SECRET, &workhorse, owner, 0o600)?;
    keys(Path::new(&site.shell.auth_file), owner)
}

/// The file of keys is GitLab's to write; it has to be there, or sshd complains of every connection.
fn keys(file: &Path, owner: Owner) -> Result<(), Error> {
    if let Some(folder) = file.parent() {
        converge::directory(folder, owner, 0o700)?;
    }
    if !file.exists() {
        converge::file(file, "", owner, 0o600)?;
    }
    Ok(())
}
