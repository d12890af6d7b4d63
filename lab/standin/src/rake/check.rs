//! `gitlab:check`: what it prints it has asked.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use redis::AsyncCommands as _;

use crate::config::Config;
use crate::terminal::say;
use crate::{database, health, paths, redis_link};

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

/// A part of the check, which is a task of its own, too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Section {
    /// `gitlab:gitlab_shell:check`
    Shell,
    /// `gitlab:gitaly:check`
    Gitaly,
    /// `gitlab:sidekiq:check`
    Sidekiq,
    /// `gitlab:app:check`
    App,
}

impl Section {
    const ALL: [Self; 4] = [Self::Shell, Self::Gitaly, Self::Sidekiq, Self::App];

    const fn name(self) -> &'static str {
        match self {
            Self::Shell => "GitLab Shell",
            Self::Gitaly => "Gitaly",
            Self::Sidekiq => "Sidekiq",
            Self::App => "GitLab App",
        }
    }

    async fn ask(self, config: &Config, findings: &mut Findings) {
        match self {
            Self::Shell => findings.line("GitLab Shell: ... GitLab Shell self-check", shell()),
            Self::Gitaly => {
                for (name, storage) in &config.application.storages {
                    findings.storage(name, health::gitaly(name, storage).await);
                }
            }
            Self::Sidekiq => sidekiq(config, findings).await,
            Self::App => application(config, findings).await,
        }
    }
}

/// Asks everything; the exit code says whether all was well.
pub async fn run(config: &Config) -> Result<u8, String> {
    say(format!("Checking GitLab subtasks ... ({})", paths::NOTICE));
    say("");
    let mut code = 0;
    for section in Section::ALL {
        code = code.max(one(config, section).await?);
    }
    say("Checking GitLab subtasks ... Finished");
    Ok(code)
}

/// Asks one section.
pub async fn one(config: &Config, section: Section) -> Result<u8, String> {
    let mut findings = Findings::default();
    say(format!("Checking {} ...", section.name()));
    say("");
    section.ask(config, &mut findings).await;
    finished(section.name());
    Ok(u8::from(findings.failed))
}

/// GitLab Shell asks Rails as it would for a connection.
fn shell() -> Result<&'static str, String> {
    let program = format!("{}/bin/gitlab-shell-check", paths::SHELL);
    let output = Command::new(&program).output().map_err(|error| format!("{program}: {error}"))?;
    if output.status.success() {
        return Ok("successful");
    }
    let said = [output.stdout, output.stderr].concat();
    Err(String::from_utf8_lossy(&said).trim().replace('\n', "\n  "))
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
    let mut redis = redis_link::open(connection).await?;
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
