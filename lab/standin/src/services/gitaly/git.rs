//! How Gitaly runs git: in an environment of its own, with the hooks that ask Rails.

use std::path::{Component, Path, PathBuf};
use std::process::Stdio;

use axum::http::HeaderMap;
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

use crate::hook;
use crate::paths;
use crate::repositories::Actor;

/// What a git program printed, and how it ended.
#[derive(Debug)]
pub struct Outcome {
    /// Exit code; -1 when it was killed.
    pub code: i32,
    /// Standard output, without its last newline.
    pub output: String,
    /// Standard error.
    pub complaint: String,
}

/// git with Gitaly's environment.
#[must_use]
pub fn command(actor: &Actor) -> Command {
    let mut command = Command::new("git");
    command
        .env_clear()
        .env("PATH", format!("{}:/usr/local/bin:/usr/bin:/bin", paths::BIN))
        .env("HOME", paths::DATA)
        .env("LC_ALL", "C.UTF-8")
        .env("GIT_TERMINAL_PROMPT", "0")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_CONFIG_GLOBAL", "/dev/null");
    let config = [
        ("core.hooksPath", paths::HOOKS),
        ("uploadpack.allowFilter", "true"),
        ("uploadpack.allowAnySHA1InWant", "true"),
        ("gc.auto", "0"),
    ];
    command.env("GIT_CONFIG_COUNT", config.len().to_string());
    for (number, (key, value)) in config.iter().enumerate() {
        command.env(format!("GIT_CONFIG_KEY_{number}"), key);
        command.env(format!("GIT_CONFIG_VALUE_{number}"), value);
    }
    for (name, value) in hook::environment(actor) {
        command.env(name, value);
    }
    command
}

/// Runs a prepared git to its end.
pub async fn finish(mut command: Command, input: &str) -> Result<Outcome, String> {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let mut child = command.spawn().map_err(|error| format!("git doesn't start: {error}"))?;
    if let Some(mut pipe) = child.stdin.take() {
        // A git that ends before it has read everything says why itself.
        let _ = pipe.write_all(input.as_bytes()).await;
    }
    let ended = child.wait_with_output().await.map_err(|error| error.to_string())?;
    Ok(Outcome {
        code: ended.status.code().unwrap_or(-1),
        output: String::from_utf8_lossy(&ended.stdout).trim_end().to_owned(),
        complaint: String::from_utf8_lossy(&ended.stderr).trim_end().to_owned(),
    })
}

/// Runs git in a repository; its output, or what it complained of.
pub async fn run(repository: &Path, arguments: &[&str]) -> Result<String, String> {
    let outcome = attempt(repository, arguments).await?;
    if outcome.code == 0 { Ok(outcome.output) } else { Err(outcome.complaint) }
}

/// Runs git in a repository; a failure is an answer, too.
pub async fn attempt(repository: &Path, arguments: &[&str]) -> Result<Outcome, String> {
    let mut command = command(&Actor::default());
    command.arg("--git-dir").arg(repository).args(arguments);
    finish(command, "").await
}

/// A repository's directory; none for a path that leads out of the storage or names no repository.
#[must_use]
pub fn directory(storage: &str, path: &str) -> Option<PathBuf> {
    let inside = Path::new(path).components().all(|part| matches!(part, Component::Normal(_)));
    let bare = Path::new(path).extension().is_some_and(|extension| extension == "git");
    (inside && bare && !path.is_empty()).then(|| Path::new(storage).join(path))
}

/// The actor whom a request's headers name.
#[must_use]
pub fn actor(headers: &HeaderMap) -> Actor {
    let text =
        |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
    Actor {
        id: text("gl-id"),
        repository: text("gl-repository"),
        project_path: text("gl-project-path"),
        username: text("gl-username"),
        protocol: text("gl-protocol"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_stays_in_its_storage() {
        let inside = directory("/s", "@hashed/ab/cd/abcd.git");
        assert_eq!(inside.as_deref(), Some(Path::new("/s/@hashed/ab/cd/abcd.git")));
        for wrong in ["../x.git", "/etc/x.git", "@hashed/../../x.git", "@hashed/ab", "", "."] {
            assert_eq!(directory("/s", wrong), None, "{wrong}");
        }
    }
}
