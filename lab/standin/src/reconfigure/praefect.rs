//! Praefect: its configuration, and the migration of its database where this node does that.

use super::converge::{self, Owner};
use super::{Error, program, runit};
use crate::paths;
use crate::praefect::HOME;
use crate::settings::Settings;
use crate::site::{Praefect, Service, Site};

/// Writes the configuration.
pub fn prepare(site: &Site, settings: &Settings) -> Result<(), Error> {
    let git = &site.accounts.git;
    let owner = Owner::named(&git.user, &git.group)?;
    converge::directory(HOME, owner, 0o700)?;
    converge::directory(format!("{}/praefect", paths::LOG), owner, 0o700)?;
    let text = toml::to_string(&Praefect::from_settings(settings)?).unwrap_or_default();
    runit::file(&[Service::Praefect], format!("{HOME}/config.toml"), &text, owner, 0o600)
}

/// Migrates the database, unless another node does it, and starts Praefect. One that finds its database unmigrated
/// ends, and is started again until somebody has migrated it.
pub fn start(site: &Site, settings: &Settings) -> Result<(), Error> {
    if settings.flag(&["praefect", "auto_migrate"]).unwrap_or(true) {
        let git = &site.accounts.git;
        let owner = Owner::named(&git.user, &git.group)?;
        let mut command = program::as_user(&format!("{}/praefect", paths::BIN), owner, paths::DATA);
        command.args(["-config", &format!("{HOME}/config.toml"), "sql-migrate"]);
        let said = program::finish("praefect sql-migrate", &mut command)?;
        crate::terminal::say(format!("    {}", said.trim()));
    }
    runit::settle(Service::Praefect)
}
