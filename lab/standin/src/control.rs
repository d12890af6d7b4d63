//! `gitlab-ctl`: reconfigure, and what runit does to services.

use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::manifest::{self, Version};
use crate::terminal::say;
use crate::{cluster, paths, reconfigure, settings};

/// What is asked of gitlab-ctl.
#[derive(Debug, PartialEq, Eq)]
enum Request<'a> {
    Reconfigure,
    Service { verb: &'a str, service: Option<&'a str> },
    Tail { service: Option<&'a str> },
    CheckConfig { version: Option<Version> },
    Patroni(&'a [&'a str]),
    PostgresqlPrimary,
    RedisMaster,
    PgbouncerConsole(&'a [&'a str]),
    PgbouncerNotify { new_host: Option<&'a str> },
    PasswordHash { user: &'a str },
    WritePgpass(&'a [&'a str]),
    Praefect(&'a [&'a str]),
    Arguments(&'a str),
    Unknown,
}

const VERBS: [&str; 5] = ["status", "start", "stop", "restart", "hup"];

const OTHERS: [&str; 11] = [
    "check-config",
    "get-postgresql-primary",
    "get-redis-master",
    "patroni",
    "pg-password-md5",
    "pgb-console",
    "pgb-notify",
    "praefect",
    "reconfigure",
    "tail",
    "write-pgpass",
];

fn parse<'a>(arguments: &'a [&'a str]) -> Request<'a> {
    match arguments {
        ["reconfigure"] => Request::Reconfigure,
        [verb] if VERBS.contains(verb) => Request::Service { verb, service: None },
        [verb, service] if VERBS.contains(verb) => Request::Service { verb, service: Some(service) },
        ["praefect", rest @ ..] if !rest.is_empty() => Request::Praefect(rest),
        ["tail"] => Request::Tail { service: None },
        ["tail", service] => Request::Tail { service: Some(service) },
        ["check-config"] => Request::CheckConfig { version: None },
        ["check-config", "--version" | "-v", version] => checked(version),
        ["check-config", option] if option.starts_with("--version=") => {
            checked(option.trim_start_matches("--version="))
        }
        ["patroni", rest @ ..] => Request::Patroni(rest),
        ["get-postgresql-primary"] => Request::PostgresqlPrimary,
        ["get-redis-master"] => Request::RedisMaster,
        ["pgb-console", rest @ ..] => Request::PgbouncerConsole(rest),
        ["pgb-notify"] => Request::PgbouncerNotify { new_host: None },
        ["pgb-notify", "--newhost", host] => Request::PgbouncerNotify { new_host: Some(host) },
        ["pg-password-md5", user] => Request::PasswordHash { user },
        ["write-pgpass", rest @ ..] => Request::WritePgpass(rest),
        [verb, ..] if VERBS.contains(verb) || OTHERS.contains(verb) => Request::Arguments(verb),
        _ => Request::Unknown,
    }
}

/// A version may leave out its patch.
fn checked(text: &str) -> Request<'static> {
    let version = Version::parse(text).or_else(|| Version::parse(&format!("{text}.0")));
    version
        .map_or(Request::Arguments("check-config"), |version| Request::CheckConfig { version: Some(version) })
}

/// Runs gitlab-ctl; returns its exit code.
#[must_use]
pub fn run(arguments: &[String]) -> u8 {
    if !nix::unistd::geteuid().is_root() {
        say("This command must be executed as root user");
        return 1;
    }
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match parse(&arguments) {
        Request::Reconfigure => reconfigure(),
        Request::Service { verb, service } => each(verb, service),
        Request::Tail { service } => tail(service),
        Request::CheckConfig { version } => check_config(version),
        Request::Patroni(arguments) => cluster::patroni(arguments),
        Request::PostgresqlPrimary => cluster::postgresql_primary(),
        Request::RedisMaster => cluster::redis_master(),
        Request::PgbouncerConsole(arguments) => cluster::pgbouncer_console(arguments),
        Request::PgbouncerNotify { new_host } => cluster::pgbouncer_notify(new_host),
        Request::PasswordHash { user } => cluster::password_hash(user),
        Request::WritePgpass(arguments) => cluster::write_pgpass(arguments),
        Request::Praefect(arguments) => crate::praefect::control(arguments),
        Request::Arguments(verb) => {
            say(format!("The command {verb} does not accept these arguments"));
            2
        }
        Request::Unknown => {
            say("I don't know that command.");
            say(format!("gitlab-ctl ({}): command (subcommand)", paths::NOTICE));
            for known in OTHERS.into_iter().chain(VERBS) {
                say(format!("  {known}"));
            }
            1
        }
    }
}

fn reconfigure() -> u8 {
    match reconfigure::run() {
        Ok(()) => {
            say("gitlab Reconfigured!");
            0
        }
        Err(error) => {
            say("");
            say("================================================================================");
            say("Error executing action `reconfigure`");
            say("================================================================================");
            say(format!("{error}"));
            say("");
            say("There was an error running gitlab-ctl reconfigure: see above.");
            1
        }
    }
}

/// Says which of gitlab.rb's settings a version removed; without a version, the next major one.
fn check_config(version: Option<Version>) -> u8 {
    let removed = manifest::version().map_err(|error| error.to_string()).and_then(|installed| {
        let later = version.unwrap_or(Version::new(installed.major + 1, 0, 0));
        settings::removals(Path::new(paths::GITLAB_RB), installed, later).map_err(|error| error.to_string())
    });
    match removed {
        Ok(removed) if removed.is_empty() => 0,
        Ok(removed) => {
            for one in &removed {
                say(format!("* {one}"));
            }
            say("Deprecations found. Please correct them and try again.");
            1
        }
        Err(reason) => {
            say(reason);
            1
        }
    }
}

/// Follows the logs of all services, of one, or one log (`nginx/gitlab_access.log`), until it is interrupted.
/// <https://docs.gitlab.com/administration/logs/#read-logs-from-terminal>
fn tail(what: Option<&str>) -> u8 {
    let outside = what.is_some_and(|what| what.starts_with('/') || what.split('/').any(|part| part == ".."));
    let logs = if outside { Vec::new() } else { logs(Path::new(paths::LOG), what) };
    if logs.is_empty() {
        say(format!("{}: there is no log", what.unwrap_or("gitlab")));
        return 1;
    }
    let error = Command::new("tail").args(["--follow=name", "--retry", "--"]).args(logs).exec();
    say(format!("tail: {error}"));
    1
}

/// A log, those of a service, or those of all: what svlogd and the services themselves write.
fn logs(root: &Path, what: Option<&str>) -> Vec<PathBuf> {
    let entries = |folder: &Path| {
        let entries =
            std::fs::read_dir(folder).map(|entries| entries.filter_map(Result::ok)).into_iter().flatten();
        entries.map(|entry| entry.path()).collect::<Vec<_>>()
    };
    let is_log = |path: &PathBuf| {
        path.is_file() && (path.ends_with("current") || path.extension().is_some_and(|kind| kind == "log"))
    };
    let mut logs: Vec<PathBuf> = match what.map(|what| root.join(what)) {
        Some(file) if file.is_file() => vec![file],
        Some(folder) => entries(&folder).into_iter().filter(is_log).collect(),
        None => entries(root).iter().flat_map(|folder| entries(folder)).filter(is_log).collect(),
    };
    logs.sort_unstable();
    logs
}

/// Hands the verb to `sv` for each service, or the named one; the first failure is the exit code.
fn each(verb: &str, only: Option<&str>) -> u8 {
    let mut code = 0;
    let mut met = false;
    for service in services() {
        if only.is_some_and(|only| only != service) {
            continue;
        }
        met = true;
        if !Path::new(paths::SERVICE).join(&service).is_symlink() {
            if verb == "status" {
                say(format!("{service} disabled"));
            }
            continue;
        }
        let one = sv(&service, verb);
        if code == 0 {
            code = one;
        }
    }
    match only {
        Some(name) if !met => {
            say(format!("{name}: there is no such service"));
            1
        }
        _ => code,
    }
}

fn services() -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(paths::SV) else { return Vec::new() };
    let mut names: Vec<String> = entries
        .filter_map(Result::ok)
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    names.sort_unstable();
    names
}

/// Hands the verb to `sv` under the service's name, which makes it behave as an init script.
fn sv(service: &str, verb: &str) -> u8 {
    let output = Command::new(Path::new(paths::INIT).join(service))
        .arg(verb)
        .env("SVDIR", paths::SERVICE)
        // Patroni asks Consul once more before it stops, and Consul may be down already.
        .env("SVWAIT", "60")
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output();
    match output {
        Ok(output) => {
            let printed = String::from_utf8_lossy(&output.stdout);
            say(printed.trim_end());
            code(verb, output.status.code(), &printed)
        }
        Err(error) => {
            say(format!("fail: {service}: {error}"));
            1
        }
    }
}

/// The exit code of an init script. Debian's `sv` answers 0 for the status of a service that is down, where
/// the one in the package answers 3, as init scripts do.
fn code(verb: &str, code: Option<i32>, printed: &str) -> u8 {
    match code.and_then(|code| u8::try_from(code).ok()) {
        Some(0) if verb == "status" && !printed.starts_with("run: ") => 3,
        Some(code) => code,
        None => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_that_is_down_is_a_failure() {
        assert_eq!(code("status", Some(0), "run: puma: (pid 1) 2s"), 0);
        assert_eq!(code("status", Some(0), "down: puma: 2s, normally up"), 3);
        assert_eq!(code("stop", Some(0), "ok: down: puma: 0s"), 0);
        assert_eq!(code("start", Some(1), "timeout: down: puma"), 1);
        assert_eq!(code("status", None, ""), 1);
    }

    #[test]
    fn logs_are_found_by_service_and_by_name() {
        let root = tempfile::tempdir().expect("a directory");
        for (folder, name) in
            [("nginx", "current"), ("nginx", "access.log"), ("nginx", "config"), ("puma", "current")]
        {
            std::fs::create_dir_all(root.path().join(folder)).expect("a directory");
            std::fs::write(root.path().join(folder).join(name), "").expect("a file");
        }
        let found = |what| -> Vec<String> {
            let logs = logs(root.path(), what);
            let shown =
                |path: &PathBuf| path.strip_prefix(root.path()).expect("inside").display().to_string();
            logs.iter().map(shown).collect()
        };
        assert_eq!(found(None), ["nginx/access.log", "nginx/current", "puma/current"]);
        assert_eq!(found(Some("nginx")), ["nginx/access.log", "nginx/current"]);
        assert_eq!(found(Some("nginx/access.log")), ["nginx/access.log"]);
        assert!(found(Some("registry")).is_empty());
    }

    #[test]
    fn arguments_are_understood() {
        assert_eq!(parse(&["reconfigure"]), Request::Reconfigure);
        assert_eq!(parse(&["status"]), Request::Service { verb: "status", service: None });
        let one = Request::Service { verb: "restart", service: Some("puma") };
        assert_eq!(parse(&["restart", "puma"]), one);
        assert_eq!(parse(&["reconfigure", "now"]), Request::Arguments("reconfigure"));
        assert_eq!(parse(&["tail", "puma"]), Request::Tail { service: Some("puma") });
        assert_eq!(parse(&["tail", "puma", "now"]), Request::Arguments("tail"));
        let later = Request::CheckConfig { version: Some(Version::new(19, 0, 1)) };
        assert_eq!(parse(&["check-config", "--version=19.0.1"]), later);
        assert_eq!(parse(&["check-config", "--version", "19.0.1"]), later);
        assert_eq!(parse(&["check-config"]), Request::CheckConfig { version: None });
        assert_eq!(parse(&["check-config", "--version=x"]), Request::Arguments("check-config"));
        assert_eq!(parse(&["patroni", "members"]), Request::Patroni(&["members"]));
        assert_eq!(
            parse(&["pgb-notify", "--newhost", "a"]),
            Request::PgbouncerNotify { new_host: Some("a") }
        );
        assert_eq!(parse(&["pg-password-md5"]), Request::Arguments("pg-password-md5"));
        assert_eq!(parse(&["cleanse"]), Request::Unknown);
        assert_eq!(parse(&[]), Request::Unknown);
    }
}
