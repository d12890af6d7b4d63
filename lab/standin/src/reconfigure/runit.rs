//! Services under runit: their directories, the supervisor, and starting and restarting them.
//!
//! A service that is new comes with a `down` file, so that the supervisor takes it up without starting it:
//! reconfigure starts each when what it needs is there.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use nix::libc::O_NONBLOCK;
use sha2::{Digest as _, Sha256};

use super::converge::{self, Owner};
use super::{Error, monitoring};
use crate::paths;
use crate::site::{Service, Site};
use crate::terminal::say;

const SUPERVISOR: &str = "gitlab-runsvdir.service";
const PATIENCE: Duration = Duration::from_secs(30);

/// The line that runs a service.
#[must_use]
pub fn run_script(service: Service, site: &Site) -> String {
    let git = format!("{}:{}", site.accounts.git.user, site.accounts.git.group);
    let psql = format!("{}:{}", site.accounts.psql.user, site.accounts.psql.group);
    let redis = format!("{}:{}", site.accounts.redis.user, site.accounts.git.group);
    let own = |name: &str| {
        format!("exec {bin}/chpst -P -U {git} -u {git} {bin}/gitlab-standin {name}", bin = paths::BIN)
    };
    let as_user = |user: &str, group: &str, line: &str| {
        format!("exec {}/chpst -P -U {user}:{group} -u {user}:{group} {line}", paths::BIN)
    };
    let (accounts, bin) = (&site.accounts, paths::BIN);
    let by_psql = |line: &str| as_user(&accounts.psql.user, &accounts.psql.group, line);
    let line = match service {
        Service::Consul => {
            let line = format!(
                "{bin}/consul agent -config-file {home}/config.json -config-dir {home}/config.d",
                home = super::consul::HOME
            );
            as_user(&accounts.consul.user, &accounts.consul.group, &line)
        }
        Service::Patroni => {
            let line = by_psql(&format!("{bin}/patroni {}/patroni.yaml", super::patroni::HOME));
            format!("export LC_ALL=C.UTF-8\numask 077\n{line}")
        }
        Service::Pgbouncer => by_psql(&format!("{bin}/pgbouncer {}/pgbouncer.ini", super::pgbouncer::HOME)),
        Service::Sentinel => format!(
            "umask 077\n{}",
            as_user(
                &accounts.redis.user,
                &accounts.git.group,
                &format!("{bin}/redis-server {}/sentinel/sentinel.conf --sentinel", paths::DATA)
            )
        ),
        Service::Prometheus => {
            let line = monitoring::prometheus_command(&site.prometheus);
            as_user(&accounts.prometheus.user, &accounts.prometheus.group, &line)
        }
        Service::NodeExporter
        | Service::PostgresExporter
        | Service::RedisExporter
        | Service::PgbouncerExporter => {
            let (user, group) = monitoring::account(service, site);
            let exporter = site.exporters.iter().find(|exporter| exporter.service == service);
            let line = exporter.map(monitoring::command).unwrap_or_default();
            let (folder, owner) = (monitoring::environment(service), format!("{user}:{group}"));
            format!("exec {bin}/chpst -e {folder} -P -U {owner} -u {owner} {line}")
        }
        Service::Postgresql => format!(
            "exec {bin}/chpst -P -U {psql} -u {psql} {bin}/postgres -D {data}/postgresql/data",
            bin = paths::BIN,
            data = paths::DATA
        ),
        Service::Redis => format!(
            "umask 077\nexec {bin}/chpst -P -U {redis} -u {redis} {bin}/redis-server {data}/redis/redis.conf",
            bin = paths::BIN,
            data = paths::DATA
        ),
        Service::Nginx => format!(
            "cd {data}/nginx\nexec {bin}/chpst -P {bin}/nginx -p {data}/nginx -c {data}/nginx/conf/nginx.conf -e {log}/nginx/error.log",
            bin = paths::BIN,
            data = paths::DATA,
            log = paths::LOG
        ),
        Service::Gitaly => own("gitaly"),
        Service::Praefect => own("praefect"),
        Service::Puma => own("puma"),
        Service::Workhorse => own("workhorse"),
        Service::Sidekiq => own("sidekiq"),
    };
    format!("#!/bin/sh\n# gitlab-ee {}: {}\nexec 2>&1\n{line}\n", site.version, paths::NOTICE)
}

/// Writes a file that services read when they start, and marks them when it changes. The mark comes first:
/// a reconfigure that is killed between the two restarts a service for nothing, and never forgets to.
pub fn file(
    readers: &[Service],
    path: impl AsRef<Path>,
    content: &str,
    owner: Owner,
    mode: u32,
) -> Result<(), Error> {
    if !converge::holds(&path, content) {
        readers.iter().try_for_each(|reader| mark(*reader))?;
    }
    converge::file(path, content, owner, mode).map(|_| ())
}

/// Writes a file that the service itself rewrites afterwards: again only when the settings want another one than
/// the last time, or when it is gone.
pub fn seed(
    service: Service,
    path: impl AsRef<Path>,
    content: &str,
    owner: Owner,
    mode: u32,
) -> Result<(), Error> {
    let folder = Path::new(paths::SV).join(service.name());
    let known = folder.join("seeded");
    let digest = format!("{}\n", crate::hex(&Sha256::digest(content.as_bytes())));
    if converge::holds(&known, &digest) && path.as_ref().exists() {
        return Ok(());
    }
    mark(service)?;
    converge::file(path, content, owner, mode)?;
    converge::file(known, &digest, Owner::ROOT, 0o600).map(|_| ())
}

/// Removes such a file.
pub fn absent(readers: &[Service], path: impl AsRef<Path>) -> Result<(), Error> {
    if path.as_ref().exists() {
        readers.iter().try_for_each(|reader| mark(*reader))?;
    }
    converge::absent(path).map(|_| ())
}

/// Writes the directory of a service and links it.
pub fn define(service: Service, site: &Site) -> Result<(), Error> {
    let name = service.name();
    let directory = PathBuf::from(paths::SV).join(name);
    let logs = format!("{}/{name}", paths::LOG);
    for path in [directory.clone(), directory.join("log"), directory.join("control")] {
        converge::directory(path, Owner::ROOT, 0o755)?;
    }
    if !enabled(service) {
        converge::file(directory.join("down"), "", Owner::ROOT, 0o644)?;
    }
    file(&[service], directory.join("run"), &run_script(service, site), Owner::ROOT, 0o755)?;
    let logger = format!("#!/bin/sh\nexec {}/svlogd -tt {logs}\n", paths::BIN);
    converge::file(directory.join("log/run"), &logger, Owner::ROOT, 0o755)?;
    converge::file(format!("{logs}/config"), "s209715200\nn30\nt86400\n!gzip\n", Owner::ROOT, 0o644)?;
    // TERM lets both wait for their clients, which hold connections for as long as they live.
    let at_once = match service {
        Service::Postgresql => Some("INT"),
        Service::Pgbouncer => Some("QUIT"),
        _ => None,
    };
    if let Some(signal) = at_once {
        let control = format!("#!/bin/sh\nexec kill -{signal} \"$(cat supervise/pid)\"\n");
        converge::file(directory.join("control/t"), &control, Owner::ROOT, 0o755)?;
    }
    converge::link(format!("{}/{name}", paths::INIT), format!("{}/sv", paths::BIN))?;
    converge::link(format!("{}/{name}", paths::SERVICE), &directory)?;
    Ok(())
}

fn enabled(service: Service) -> bool {
    Path::new(paths::SERVICE).join(service.name()).symlink_metadata().is_ok()
}

/// Stops and unlinks a service that the settings switched off.
pub fn disable(service: Service) -> Result<(), Error> {
    if !enabled(service) {
        return Ok(());
    }
    sv(service, "stop")?;
    converge::absent(Path::new(paths::SERVICE).join(service.name()))?;
    Ok(())
}

/// Starts the supervisor and waits until it has taken up every service.
pub fn supervise(services: impl Iterator<Item = Service>) -> Result<(), Error> {
    super::program::run("systemctl", &["start", SUPERVISOR].map(str::to_owned))?;
    let deadline = Instant::now() + PATIENCE;
    for service in services {
        while !supervised(service) {
            if Instant::now() > deadline {
                return Err(failed(service, format!("{SUPERVISOR} doesn't take it up")));
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }
    Ok(())
}

/// Whether `runsv` is there: its pipe can only be opened for writing while something reads it.
fn supervised(service: Service) -> bool {
    let base = Path::new(paths::SV).join(service.name());
    [base.join("supervise/ok"), base.join("log/supervise/ok")]
        .iter()
        .all(|pipe| OpenOptions::new().write(true).custom_flags(O_NONBLOCK).open(pipe).is_ok())
}

/// Whether the service's process runs.
#[must_use]
pub fn runs(service: Service) -> bool {
    let stat = Path::new(paths::SV).join(service.name()).join("supervise/stat");
    fs::read_to_string(stat).is_ok_and(|stat| stat.starts_with("run"))
}

fn marker(service: Service) -> PathBuf {
    Path::new(paths::SV).join(service.name()).join("outdated")
}

/// Marks what runs as out of date. The mark is a file, so that a reconfigure that fails further on doesn't
/// lose it.
fn mark(service: Service) -> Result<(), Error> {
    converge::directory(Path::new(paths::SV).join(service.name()), Owner::ROOT, 0o755)?;
    let marker = marker(service);
    fs::write(&marker, "").map_err(Error::file("write", &marker))
}

/// Whether the service has to start, or what runs is out of date.
#[must_use]
pub fn unsettled(service: Service) -> bool {
    !runs(service) || marker(service).exists()
}

/// Starts a service, or restarts it when what runs is out of date.
pub fn settle(service: Service) -> Result<(), Error> {
    let down = Path::new(paths::SV).join(service.name()).join("down");
    if down.exists() {
        fs::remove_file(&down).map_err(Error::file("remove", &down))?;
    }
    if !unsettled(service) {
        return Ok(());
    }
    let verb = if runs(service) { "restart" } else { "start" };
    say(format!("  * runit_service[{}] {verb}", service.name()));
    sv(service, verb)?;
    let marker = marker(service);
    if marker.exists() {
        fs::remove_file(&marker).map_err(Error::file("remove", &marker))?;
    }
    Ok(())
}

fn sv(service: Service, verb: &str) -> Result<(), Error> {
    let output = Command::new(format!("{}/{}", paths::INIT, service.name()))
        .arg(verb)
        .env("SVDIR", paths::SERVICE)
        .env("SVWAIT", PATIENCE.as_secs().to_string())
        .stdin(Stdio::null())
        .output()
        .map_err(|reason| failed(service, reason.to_string()))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stdout);
    Err(failed(service, format!("`sv {verb}`: {}", said.trim())))
}

/// Waits until a service answers.
pub fn wait(service: Service, answers: impl FnMut() -> Result<(), String>) -> Result<(), Error> {
    wait_long(service, PATIENCE, answers)
}

/// Waits as long as is said until a service answers.
pub fn wait_long(
    service: Service,
    patience: Duration,
    mut answers: impl FnMut() -> Result<(), String>,
) -> Result<(), Error> {
    let deadline = Instant::now() + patience;
    loop {
        match answers() {
            Ok(()) => return Ok(()),
            Err(reason) if Instant::now() > deadline => {
                let said = last_words(service);
                return Err(failed(service, format!("it runs but doesn't answer: {reason}{said}")));
            }
            Err(_) => std::thread::sleep(Duration::from_millis(100)),
        }
    }
}

/// The last line of a service's log, which says more than that it doesn't answer.
fn last_words(service: Service) -> String {
    let log = fs::read_to_string(format!("{}/{}/current", paths::LOG, service.name())).unwrap_or_default();
    log.lines().next_back().map_or_else(String::new, |line| format!("\nIts log ends with: {line}"))
}

fn failed(service: Service, reason: String) -> Error {
    let name = service.name();
    Error::Service { service: name, reason, log: format!("{}/{name}/current", paths::LOG) }
}
