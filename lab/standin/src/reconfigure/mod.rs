//! `gitlab-ctl reconfigure`: from gitlab.rb to a running node, in the package's order. Nothing is touched
//! before gitlab.rb is accepted; a step that fails stops the rest; a second run changes nothing.

mod accounts;
mod certificates;
mod consul;
mod converge;
mod error;
mod gitaly;
mod kernel;
mod monitoring;
mod network;
mod nginx;
mod patroni;
mod pgbouncer;
mod postgresql;
mod praefect;
mod program;
mod rails;
mod redis;
mod runit;
mod sentinel;
mod shell;

pub use error::Error;
pub use pgbouncer::lead_to;

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
    let mut site = Site::from_settings(&settings)?;
    leave_out_what_is_not_installed(&mut site);
    converge_node(&site, &settings)
}

/// The image of a lab host may come without programs for monitoring, and is as good a node without them.
fn leave_out_what_is_not_installed(site: &mut Site) {
    for service in MONITORING {
        let program = format!("{}/{}", paths::BIN, service.section());
        if site.runs(service) && !Path::new(&program).exists() {
            say(format!("NOTICE: {} is not on this host and doesn't run", service.name()));
            site.services.remove(&service);
        }
    }
}

const MONITORING: [Service; 5] = [
    Service::NodeExporter,
    Service::PostgresExporter,
    Service::RedisExporter,
    Service::PgbouncerExporter,
    Service::Prometheus,
];

/// Writes a file that only its owner may read.
pub fn private_file(path: &Path, content: &str, uid: u32, gid: u32) -> Result<(), Error> {
    converge::file(path, content, Owner::of(uid, gid), 0o600).map(|_| ())
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
    accounts::apply(site)?;
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
    for service in BACKENDS.into_iter().filter(here) {
        match service {
            Service::Consul => consul::start(site)?,
            Service::Postgresql => postgresql::start(site)?,
            Service::Patroni => patroni::start(site)?,
            Service::Pgbouncer => pgbouncer::start(site)?,
            Service::Redis => redis::start(site)?,
            other => runit::settle(other)?,
        }
    }
    if site.runs(Service::Praefect) {
        praefect::start(site, settings)?;
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
    for service in MONITORING.into_iter().filter(here) {
        monitoring::start(service, site)?;
    }
    if site.runs(Service::Pgbouncer) {
        pgbouncer::follow_leader(site)?;
    }
    rails::forget_initial_password()
}

/// What Rails needs, in the order in which one needs the other.
const BACKENDS: [Service; 7] = [
    Service::Consul,
    Service::Postgresql,
    Service::Patroni,
    Service::Pgbouncer,
    Service::Redis,
    Service::Sentinel,
    Service::Gitaly,
];

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
    monitoring::prepare_exporters(site)?;
    for service in Service::ALL.into_iter().filter(|service| site.runs(*service)) {
        match service {
            Service::Consul => consul::prepare(site)?,
            Service::Postgresql => postgresql::prepare(site, settings)?,
            Service::Patroni => patroni::prepare(site, settings)?,
            Service::Pgbouncer => pgbouncer::prepare(site)?,
            Service::Redis => redis::prepare(site)?,
            Service::Sentinel => sentinel::prepare(site)?,
            Service::Prometheus => monitoring::prepare_prometheus(site)?,
            Service::Gitaly => gitaly::prepare(site)?,
            Service::Praefect => praefect::prepare(site, settings)?,
            Service::Nginx => nginx::prepare(site)?,
            Service::Puma
            | Service::Sidekiq
            | Service::Workhorse
            | Service::NodeExporter
            | Service::PostgresExporter
            | Service::RedisExporter
            | Service::PgbouncerExporter => {}
        }
        runit::define(service, site)?;
    }
    Ok(())
}
