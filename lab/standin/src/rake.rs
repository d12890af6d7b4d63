//! `gitlab-rake`: the tasks that an operator needs on a fresh node. What `gitlab:check` prints it has asked.

use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use redis::AsyncCommands as _;

use crate::config::Config;
use crate::terminal::{complain, say};
use crate::{database, health, paths};

/// A task and the variables on the command line.
#[derive(Debug, PartialEq, Eq)]
enum Task {
    Check,
    ConfigureDatabase,
}

fn parse(arguments: &[String]) -> Result<Vec<Task>, String> {
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
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else {
        return abort("no runtime");
    };
    runtime.block_on(async {
        for task in tasks {
            let code = match task {
                Task::Check => check().await,
                Task::ConfigureDatabase => configure().await,
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

/// Collects failures while it prints.
#[derive(Default)]
struct Findings {
    failed: bool,
}

impl Findings {
    fn line(&mut self, question: &str, outcome: Result<&str, String>) {
        match outcome {
            Ok(answer) => say(format!("{question} ... {answer}")),
            Err(reason) => {
                self.failed = true;
                say(format!("{question} ... no"));
                say(format!("  {reason}"));
            }
        }
    }

    fn storage(&mut self, name: &str, outcome: Result<(), String>) {
        match outcome {
            Ok(()) => say(format!("Gitaly: ... {name} ... OK")),
            Err(reason) => {
                self.failed = true;
                say(format!("Gitaly: ... {name} ... FAIL: {reason}"));
            }
        }
    }
}

async fn check() -> u8 {
    say(format!("Checking GitLab subtasks ... ({})", paths::NOTICE));
    say("");
    let config = match Config::read() {
        Ok(config) => config,
        Err(error) => return abort(&error.to_string()),
    };
    let mut findings = Findings::default();
    section("GitLab Shell", async || say(format!("GitLab Shell: ... skipped ({})", paths::NOTICE))).await;
    say("Checking Gitaly ...");
    say("");
    for (name, storage) in &config.application.storages {
        findings.storage(name, health::gitaly(name, storage).await);
    }
    finished("Gitaly");
    say("Checking Sidekiq ...");
    say("");
    sidekiq(&config, &mut findings).await;
    finished("Sidekiq");
    say("Checking GitLab App ...");
    say("");
    application(&config, &mut findings).await;
    finished("GitLab App");
    say("Checking GitLab subtasks ... Finished");
    u8::from(findings.failed)
}

async fn section(name: &str, content: impl AsyncFnOnce()) {
    say(format!("Checking {name} ..."));
    say("");
    content().await;
    finished(name);
}

fn finished(name: &str) {
    say("");
    say(format!("Checking {name} ... Finished"));
    say("");
}

async fn sidekiq(config: &Config, findings: &mut Findings) {
    match sidekiq_processes(config).await {
        Ok(0) => findings
            .line("Sidekiq: ... Running?", Err("Try fixing it: sudo gitlab-ctl restart sidekiq".to_owned())),
        Ok(count) => {
            findings.line("Sidekiq: ... Running?", Ok("yes"));
            say(format!("Number of Sidekiq processes (cluster/worker) ... 0/{count}"));
        }
        Err(reason) => findings.line("Sidekiq: ... Running?", Err(reason)),
    }
}

/// Processes that registered themselves and still beat.
async fn sidekiq_processes(config: &Config) -> Result<usize, String> {
    let connection = config.redis("queues").ok_or("no Redis is configured")?;
    let mut redis = health::redis_connection(connection).await?;
    let explain = |error: redis::RedisError| error.to_string();
    let known: Vec<String> = redis.smembers("processes").await.map_err(explain)?;
    let mut alive = 0;
    for identity in known {
        if redis.exists::<_, bool>(&identity).await.map_err(explain)? {
            alive += 1;
        }
    }
    Ok(alive)
}

async fn application(config: &Config, findings: &mut Findings) {
    for (question, name) in [
        ("Database config exists?", "database.yml"),
        ("GitLab config exists?", "gitlab.yml"),
        ("Resque config exists?", "resque.yml"),
    ] {
        let path = Path::new(paths::RAILS_ETC).join(name);
        let there = path.is_file().then_some("yes").ok_or_else(|| format!("{} is missing", path.display()));
        findings.line(question, there);
    }
    findings.line("All migrations up?", migrations(config).await);
    let secrets = health::database(config).await.map(|()| "yes");
    findings.line("Database secrets can be decrypted with db_key_base?", secrets);
    for (question, path) in [
        ("Log directory writable?", "/var/log/gitlab/gitlab-rails"),
        ("Tmp directory writable?", "/var/opt/gitlab/gitlab-rails/tmp"),
    ] {
        findings.line(question, writable(path));
    }
    findings.line("Uploads directory has correct permissions?", uploads());
    for role in crate::site::REDIS_ROLES {
        let Some(connection) = config.redis(role) else { continue };
        findings.line(&format!("Redis answers as {role}?"), health::redis(connection).await.map(|()| "yes"));
    }
}

async fn migrations(config: &Config) -> Result<&'static str, String> {
    let client = database::connect(&config.database).await.map_err(|error| error.to_string())?;
    let pending = database::pending(&client).await.map_err(|error| error.to_string())?;
    if pending.is_empty() {
        Ok("yes")
    } else {
        Err(format!("pending: {}; run `gitlab-rake gitlab:db:configure`", pending.join(", ")))
    }
}

fn writable(path: &str) -> Result<&'static str, String> {
    let probe = Path::new(path).join(format!(".check-{}", std::process::id()));
    std::fs::write(&probe, "").map_err(|error| format!("{path}: {error}"))?;
    std::fs::remove_file(&probe).map_err(|error| format!("{path}: {error}"))?;
    Ok("yes")
}

fn uploads() -> Result<&'static str, String> {
    let path = "/var/opt/gitlab/gitlab-rails/uploads";
    let found = std::fs::metadata(path).map_err(|error| format!("{path}: {error}"))?;
    let mode = found.permissions().mode() & 0o7777;
    if mode == 0o700 { Ok("yes") } else { Err(format!("{path} has mode {mode:o}, not 700")) }
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
        let unknown = parse(&words("gitlab:backup")).expect_err("unknown");
        assert!(unknown.starts_with("Don't know how to build task 'gitlab:backup'"));
        assert!(parse(&words("gitlab:check --trace")).is_err());
    }
}
