//! `gitlab-ctl reconfigure`: from gitlab.rb to a running node, in the package's order. Nothing is touched
//! before gitlab.rb is accepted; a step that fails stops the rest; a second run changes nothing.

mod accounts;
mod certificates;
mod converge;
mod error;
mod gitaly;
mod kernel;
mod nginx;
mod postgresql;
mod program;
mod rails;
mod redis;
mod runit;
mod shell;

pub use error::Error;

use std::fs::OpenOptions;
use std::path::Path;

use nix::fcntl::{Flock, FlockArg};

use self::converge::Owner;
use crate::manifest;
use crate::paths;
use crate::secrets;
use crate::settings::{self, Settings};
use crate::site::{Service, Site, not_stood_in};
use crate::terminal::say;

/// Runs a reconfigure, and says what it does.
pub fn run() -> Result<(), Error> {
    let version = manifest::version()?;
    say(format!("Reconfiguring gitlab-ee {version} ({})", paths::NOTICE));
    let _lock = lock()?;
    let settings::Loaded { mut settings, warnings } = settings::load(Path::new(paths::GITLAB_RB), version)?;
    // Everything that can be refused from the settings alone is refused before anything changes.
    let roles = Site::from_settings(&settings)?.roles;
    for warning in &warnings {
        say(format!("WARNING: {warning}"));
    }
    let others = not_stood_in(&settings, &roles);
    if !others.is_empty() {
        say(format!("NOTICE: this is a {}; nothing stands in for: {}", paths::NOTICE, others.join(", ")));
    }
    kernel::apply(&settings)?;
    fill_secrets(&mut settings)?;
    let site = Site::from_settings(&settings)?;
    converge_node(&site, &settings)
}

/// One reconfigure at a time: the second waits, as it does for the package.
fn lock() -> Result<Flock<std::fs::File>, Error> {
    let path = Path::new(paths::LOCK);
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .open(path)
        .map_err(Error::file("open", path))?;
    match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
        Ok(lock) => Ok(lock),
        Err((file, _)) => {
            say("Another reconfigure is running, will wait for it to finish and then run.");
            Flock::lock(file, FlockArg::LockExclusive)
                .map_err(|(_, errno)| Error::file("lock", path)(errno.into()))
        }
    }
}

fn fill_secrets(settings: &mut Settings) -> Result<(), Error> {
    let path = Path::new(paths::SECRETS);
    let existing = secrets::read(path)?;
    let filled = secrets::fill(&existing, settings, secrets::generate).map_err(secrets::Error::Generate)?;
    for warning in &filled.warnings {
        say(format!("WARNING: {warning}"));
    }
    if settings.flag(&["package", "generate_secrets_json_file"]).unwrap_or(true) {
        if settings.flag(&["manage_storage_directories", "manage_etc"]).unwrap_or(true) {
            converge::directory("/etc/gitlab", Owner::ROOT, 0o775)?;
        }
        converge::file(path, &secrets::render(&filled.secrets), Owner::ROOT, 0o600)?;
    }
    Ok(())
}

fn converge_node(site: &Site, settings: &Settings) -> Result<(), Error> {
    accounts::apply(&site.accounts)?;
    for path in [paths::DATA, paths::LOG, paths::SV, paths::SERVICE, paths::INIT] {
        converge::directory(path, Owner::ROOT, 0o755)?;
    }
    certificates::prepare()?;
    nginx_allowed(site)?;
    write_configuration(site, settings)?;
    for service in Service::ALL.into_iter().filter(|service| !site.runs(*service)) {
        runit::disable(service)?;
    }
    runit::supervise(site.services.iter().copied())?;
    let here = |service: &Service| site.runs(*service);
    for service in [Service::Postgresql, Service::Redis, Service::Gitaly].into_iter().filter(here) {
        match service {
            Service::Postgresql => postgresql::start(site)?,
            Service::Redis => redis::start(site)?,
            other => runit::settle(other)?,
        }
    }
    if site.holds_rails {
        rails::migrate(site)?;
    }
    for service in [Service::Puma, Service::Workhorse, Service::Sidekiq].into_iter().filter(here) {
        runit::settle(service)?;
    }
    if site.runs(Service::Nginx) {
        nginx::start(site)?;
    }
    rails::forget_initial_password()
}

fn nginx_allowed(site: &Site) -> Result<(), Error> {
    if site.runs(Service::Nginx) { nginx::check_lets_encrypt(&site.web) } else { Ok(()) }
}

/// Writes every service's files. What changes marks the services that read it.
fn write_configuration(site: &Site, settings: &Settings) -> Result<(), Error> {
    // Gitaly's hooks read the shell's secret, which is kept among Rails' files.
    if site.holds_rails || site.runs(Service::Gitaly) {
        rails::prepare(site)?;
        shell::prepare(site)?;
    }
    for service in Service::ALL.into_iter().filter(|service| site.runs(*service)) {
        match service {
            Service::Postgresql => postgresql::prepare(site, settings)?,
            Service::Redis => redis::prepare(site)?,
            Service::Gitaly => gitaly::prepare(site)?,
            Service::Nginx => nginx::prepare(site)?,
            Service::Puma | Service::Sidekiq | Service::Workhorse => {}
        }
        runit::define(service, site)?;
    }
    Ok(())
}
