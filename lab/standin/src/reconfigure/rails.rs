//! The Rails family: configuration files, and the migration of the database.

use std::time::{Duration, SystemTime};

use serde::Serialize;
use serde_json::json;

use super::converge::{self, Owner};
use super::{Error, program, runit};
use crate::site::{Service, Site};
use crate::{paths, secrets};

const A_DAY: Duration = Duration::from_hours(24);

/// Writes the configuration.
pub fn prepare(site: &Site) -> Result<(), Error> {
    let (git, web) = (&site.accounts.git, &site.accounts.web);
    let owner = Owner::named(&git.user, &git.group)?;
    let to_web = Owner::named(&git.user, &web.group)?;
    let rails = format!("{}/gitlab-rails", paths::DATA);
    converge::directory(&rails, owner, 0o700)?;
    converge::directory(paths::RAILS_ETC, owner, 0o700)?;
    converge::directory(format!("{rails}/sockets"), to_web, 0o750)?;
    converge::directory(format!("{rails}/uploads"), owner, 0o700)?;
    converge::directory(format!("{rails}/tmp"), owner, 0o700)?;
    converge::directory(paths::SHARED, to_web, 0o751)?;
    converge::directory(paths::PACKAGES, owner, 0o700)?;
    converge::directory(format!("{}/lfs-objects", paths::SHARED), owner, 0o700)?;
    converge::directory(format!("{}/gitlab-workhorse", paths::DATA), to_web, 0o750)?;
    converge::directory(format!("{}/gitlab-workhorse/sockets", paths::DATA), to_web, 0o750)?;
    for name in ["gitlab-rails", "puma", "sidekiq", "gitlab-workhorse"] {
        converge::directory(format!("{}/{name}", paths::LOG), owner, 0o700)?;
    }
    let address = format!("prometheus_listen_addr = \"{}\"\n", site.rails.workhorse_metrics);
    let workhorse: &[Service] = if site.runs(Service::Workhorse) { &[Service::Workhorse] } else { &[] };
    runit::file(workhorse, paths::WORKHORSE_CONFIG, &address, owner, 0o600)?;
    let readers: Vec<Service> =
        [Service::Puma, Service::Sidekiq].into_iter().filter(|service| site.runs(*service)).collect();
    let write = |name: &str, content: String| {
        runit::file(&readers, format!("{}/{name}", paths::RAILS_ETC), &content, owner, 0o600)
    };
    write("gitlab.yml", production(&site.rails.application))?;
    write("database.yml", production(&json!({"main": site.rails.database})))?;
    write("secrets.yml", production(&site.rails.secrets))?;
    for (role, connection) in &site.rails.redis {
        let name = if role == "resque" { "resque.yml".to_owned() } else { format!("redis.{role}.yml") };
        write(&name, production(connection))?;
    }
    for role in crate::site::REDIS_ROLES.iter().filter(|role| !site.rails.redis.contains_key(**role)) {
        runit::absent(&readers, format!("{}/redis.{role}.yml", paths::RAILS_ETC))?;
    }
    Ok(())
}

/// JSON is YAML: Rails keeps these files as YAML, under the name of its environment.
fn production(content: &impl Serialize) -> String {
    let mut text = serde_json::to_string_pretty(&json!({"production": content})).unwrap_or_default();
    text.push('\n');
    text
}

/// Migrates the database, and seeds a new one with the first administrator.
pub fn migrate(site: &Site) -> Result<(), Error> {
    if !site.rails.auto_migrate {
        return Ok(());
    }
    let git = &site.accounts.git;
    let owner = Owner::named(&git.user, &git.group)?;
    let given = site.rails.initial_root_password.clone();
    let generated = given.is_none() && !seeded(owner)?;
    let password = given.or_else(|| generated.then(secrets::password));
    // Written before the seed: a kill in between must not leave an instance nobody can enter.
    let stored = generated && site.rails.store_initial_root_password;
    if stored && let Some(password) = &password {
        let mode = 0o600;
        converge::file(paths::INITIAL_ROOT_PASSWORD, &leaflet(password), Owner::ROOT, mode)?;
    }
    let outcome = configure(owner, password.as_deref());
    if outcome.is_err() && stored && !seeded(owner).unwrap_or(true) {
        converge::absent(paths::INITIAL_ROOT_PASSWORD)?;
    }
    outcome
}

fn standin(owner: Owner, arguments: &[&str]) -> std::process::Command {
    let mut command = program::as_user(&format!("{}/gitlab-standin", paths::BIN), owner, paths::DATA);
    command.args(arguments);
    command
}

fn seeded(owner: Owner) -> Result<bool, Error> {
    let answer = program::finish("gitlab-standin seeded", &mut standin(owner, &["seeded"]))?;
    Ok(answer.trim() == "true")
}

fn configure(owner: Owner, password: Option<&str>) -> Result<(), Error> {
    let mut command = standin(owner, &["rake", "gitlab:db:configure"]);
    if let Some(password) = password {
        command.env("GITLAB_ROOT_PASSWORD", password);
    }
    let said = program::finish("gitlab-rake gitlab:db:configure", &mut command)?;
    for line in said.lines() {
        crate::terminal::say(format!("    {line}"));
    }
    Ok(())
}

fn leaflet(password: &str) -> String {
    format!(
        "# Valid only until it is changed, and only if the password was not set in gitlab.rb.\n\
         # A reconfigure removes this file when it is a day old.\n\
         \n\
         Password: {password}\n"
    )
}

/// Removes the file with the generated root password when it is a day old.
pub fn forget_initial_password() -> Result<(), Error> {
    let written = std::fs::metadata(paths::INITIAL_ROOT_PASSWORD).and_then(|found| found.modified());
    let Ok(written) = written else { return Ok(()) };
    if stale(written, SystemTime::now()) {
        converge::absent(paths::INITIAL_ROOT_PASSWORD)?;
    }
    Ok(())
}

fn stale(written: SystemTime, now: SystemTime) -> bool {
    now.duration_since(written).is_ok_and(|age| age > A_DAY)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_password_file_lives_for_a_day() {
        let written = SystemTime::UNIX_EPOCH + A_DAY;
        assert!(!stale(written, written + A_DAY));
        assert!(stale(written, written + A_DAY + Duration::from_secs(1)));
        assert!(!stale(written, SystemTime::UNIX_EPOCH));
    }
}
