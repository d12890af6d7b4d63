//! The system users and groups.

use nix::unistd::{Group, User};

use super::{Error, program};
use crate::site::{Account, Service, Site};
use crate::terminal::say;

/// Makes those that are missing.
pub fn apply(site: &Site) -> Result<(), Error> {
    let accounts = &site.accounts;
    if !accounts.managed {
        return Ok(());
    }
    if site.runs(Service::Consul) {
        make(&accounts.consul)?;
    }
    if site.runs(Service::Prometheus) || site.runs(Service::NodeExporter) {
        make(&accounts.prometheus)?;
    }
    for account in [&accounts.git, &accounts.web, &accounts.redis, &accounts.psql] {
        make(account)?;
    }
    Ok(())
}

fn make(account: &Account) -> Result<(), Error> {
    let known = Group::from_name(&account.group).ok().flatten().is_some();
    if !known {
        let mut arguments = vec!["--system".to_owned()];
        if let Some(gid) = account.gid {
            arguments.extend(["--gid".to_owned(), gid.to_string()]);
        }
        arguments.push(account.group.clone());
        program::run("groupadd", &arguments)?;
        say(format!("  * group[{}] made", account.group));
    }
    let known = User::from_name(&account.user).ok().flatten().is_some();
    if !known {
        let mut arguments: Vec<String> = [
            "--system",
            "--no-create-home",
            "--no-user-group",
            "--gid",
            &account.group,
            "--home-dir",
            &account.home,
            "--shell",
            &account.shell,
            // No password opens it, and it isn't locked: sshd lets nobody into a locked account, key or not.
            "--password",
            "*",
        ]
        .map(str::to_owned)
        .to_vec();
        if let Some(uid) = account.uid {
            arguments.extend(["--uid".to_owned(), uid.to_string()]);
        }
        arguments.push(account.user.clone());
        program::run("useradd", &arguments)?;
        say(format!("  * user[{}] made", account.user));
    }
    Ok(())
}
