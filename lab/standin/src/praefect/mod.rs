//! Praefect: its decisions, its database and its commands. What serves is `services::praefect`.

mod check;
mod commands;
pub mod database;
pub mod routing;

pub use commands::run;

use std::os::unix::fs::MetadataExt as _;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

use crate::paths;
use crate::terminal::say;

/// The directory of its configuration.
pub const HOME: &str = "/var/opt/gitlab/praefect";

/// `gitlab-ctl praefect ARGUMENTS`: the program itself, as the user whose configuration it is.
#[must_use]
pub fn control(arguments: &[&str]) -> u8 {
    let Ok(owner) = std::fs::metadata(HOME) else {
        say("Praefect is not configured on this node: run `gitlab-ctl reconfigure`");
        return 1;
    };
    let status = Command::new(format!("{}/praefect", paths::BIN))
        .args(["-config", &format!("{HOME}/config.toml")])
        .args(arguments)
        .uid(owner.uid())
        .gid(owner.gid())
        .current_dir("/")
        .status();
    match status {
        Ok(status) => status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1),
        Err(error) => {
            say(format!("praefect: {error}"));
            1
        }
    }
}
