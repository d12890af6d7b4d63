//! `gitlab-rake`: the tasks that an operator needs on a fresh node. What they print they have asked.

mod check;
mod doctor;
mod info;
mod integrity;
mod migrations;
mod tcp;

use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};

use crate::config::Config;
use crate::terminal::{complain, say};
use crate::{database, paths};

/// A task and the variables on the command line.
#[derive(Debug, PartialEq, Eq)]
enum Task {
    Check,
    ConfigureDatabase,
    EnvironmentInfo,
    DoctorSecrets { verbose: bool },
    MigrationStatus,
    Section(check::Section),
    Integrity(integrity::Kind),
    TcpCheck { host: String, port: u16 },
}

fn is_verbose(arguments: &[String]) -> bool {
    arguments.iter().any(|argument| ["VERBOSE=1", "VERBOSE=true"].contains(&argument.as_str()))
}

fn parse(arguments: &[String]) -> Result<Vec<Task>, String> {
    let verbose = is_verbose(arguments);
    let variable = |text: &str| {
        text.split_once('=').is_some_and(|(name, _)| {
            !name.is_empty() && name.chars().all(|char| char.is_ascii_uppercase() || char == '_')
        })
    };
    arguments
        .iter()
        .filter(|argument| !variable(argument))
        .map(|argument| match argument.as_str() {
            "gitlab:check" => Ok(Task::Check),
            "gitlab:db:configure" => Ok(Task::ConfigureDatabase),
            "gitlab:env:info" => Ok(Task::EnvironmentInfo),
            "gitlab:doctor:secrets" => Ok(Task::DoctorSecrets { verbose }),
            "db:migrate:status" => Ok(Task::MigrationStatus),
            "gitlab:gitlab_shell:check" => Ok(Task::Section(check::Section::Shell)),
            "gitlab:gitaly:check" => Ok(Task::Section(check::Section::Gitaly)),
            "gitlab:sidekiq:check" => Ok(Task::Section(check::Section::Sidekiq)),
            "gitlab:app:check" => Ok(Task::Section(check::Section::App)),
            "gitlab:lfs:check" => Ok(Task::Integrity(integrity::Kind::Lfs)),
            "gitlab:uploads:check" => Ok(Task::Integrity(integrity::Kind::Uploads)),
            other if other.starts_with("gitlab:tcp_check[") => tcp::parse(other),
            other if other.starts_with('-') => Err(format!("invalid option: {other}")),
            other => Err(format!(
                "Don't know how to build task '{other}' (See the list of available tasks with `rake --tasks`)"
            )),
        })
        .collect()
}

/// Runs gitlab-rake; returns its exit code. Root becomes the application's user first, as the package's
/// wrapper does.
#[must_use]
pub fn run(arguments: &[String]) -> u8 {
    let tasks = match parse(arguments) {
        Ok(tasks) if tasks.is_empty() => return abort("Don't know how to build task 'default'"),
        Ok(tasks) => tasks,
        Err(reason) => return abort(&reason),
    };
    if nix::unistd::geteuid().is_root() {
        return as_application_user("rake", arguments, Stdio::null());
    }
    let verbose = is_verbose(arguments);
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else {
        return abort("no runtime");
    };
    runtime.block_on(async {
        for task in tasks {
            let code = match task {
                Task::ConfigureDatabase => configure().await,
                Task::Check => with_config(check::run).await,
                Task::EnvironmentInfo => with_config(info::run).await,
                Task::DoctorSecrets { verbose } => {
                    with_config(async |config| doctor::run(config, verbose).await).await
                }
                Task::MigrationStatus => with_config(migrations::run).await,
                Task::Section(section) => with_config(async |config| check::one(config, section).await).await,
                Task::Integrity(kind) => {
                    with_config(async |config| integrity::run(config, kind, verbose).await).await
                }
                Task::TcpCheck { host, port } => tcp::run(&host, port).await,
            };
            if code != 0 {
                return code;
            }
        }
        0
    })
}

fn abort(reason: &str) -> u8 {
    complain("rake aborted!");
    complain(reason);
    complain("");
    complain("(See full trace by running task with --trace)");
    1
}

/// Runs a program of the Rails family as the application's user, who owns the configuration directory, whatever
/// gitlab.rb calls them.
pub fn as_application_user(program: &str, arguments: &[String], input: Stdio) -> u8 {
    use std::os::unix::fs::MetadataExt as _;
    let Ok(etc) = std::fs::metadata(paths::RAILS_ETC) else {
        return abort("GitLab is not configured: run `gitlab-ctl reconfigure`");
    };
    let status = Command::new(format!("{}/gitlab-standin", paths::BIN))
        .arg(program)
        .args(arguments)
        .uid(etc.uid())
        .gid(etc.gid())
        .current_dir("/")
        .stdin(input)
        .status();
    match status {
        Ok(status) => status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1),
        Err(error) => abort(&error.to_string()),
    }
}

/// Runs a task that needs what reconfigure wrote; an error that the task can't go on from aborts it.
async fn with_config(task: impl AsyncFnOnce(&Config) -> Result<u8, String>) -> u8 {
    let config = match Config::read() {
        Ok(config) => config,
        Err(error) => return abort(&error.to_string()),
    };
    task(&config).await.unwrap_or_else(|reason| abort(&reason))
}

async fn configure() -> u8 {
    let config = match Config::read() {
        Ok(config) => config,
        Err(error) => return abort(&error.to_string()),
    };
    let password = std::env::var("GITLAB_ROOT_PASSWORD").ok();
    match database::configure(&config, password.as_deref()).await {
        Ok(did) => {
            did.iter().for_each(say);
            0
        }
        Err(error) => abort(&error.to_string()),
    }
}

/// `gitlab-standin seeded`: whether the database holds its first user, for reconfigure.
#[must_use]
pub fn seeded() -> u8 {
    let answer = Config::read().map_err(|error| error.to_string()).and_then(|config| {
        let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else {
            return Err("no runtime".to_owned());
        };
        runtime.block_on(async {
            let client = database::connect(&config.database).await.map_err(|error| error.to_string())?;
            database::seeded(&client).await.map_err(|error| error.to_string())
        })
    });
    match answer {
        Ok(seeded) => {
            say(seeded.to_string());
            0
        }
        Err(reason) => {
            complain(reason);
            1
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        text.split(' ').map(str::to_owned).collect()
    }

    #[test]
    fn tasks_and_variables_are_told_apart() {
        assert_eq!(parse(&words("gitlab:check SANITIZE=true")), Ok(vec![Task::Check]));
        assert_eq!(parse(&words("gitlab:db:configure")), Ok(vec![Task::ConfigureDatabase]));
        let doctor = parse(&words("gitlab:doctor:secrets VERBOSE=1"));
        assert_eq!(doctor, Ok(vec![Task::DoctorSecrets { verbose: true }]));
        assert_eq!(parse(&words("db:migrate:status")), Ok(vec![Task::MigrationStatus]));
        let unknown = parse(&words("gitlab:backup")).expect_err("unknown");
        assert!(unknown.starts_with("Don't know how to build task 'gitlab:backup'"));
        assert!(parse(&words("gitlab:check --trace")).is_err());
        let reached = Task::TcpCheck { host: "198.18.0.1".into(), port: 5432 };
        assert_eq!(parse(&words("gitlab:tcp_check[198.18.0.1,5432]")), Ok(vec![reached]));
        assert_eq!(parse(&words("gitlab:gitaly:check")), Ok(vec![Task::Section(check::Section::Gitaly)]));
    }
}
