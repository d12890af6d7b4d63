//! GitLab Shell: what sshd runs for whoever shows a key that GitLab knows. It asks Rails, and hands the
//! connection to git in Gitaly. Nothing else can be run through it.

use std::collections::BTreeMap;

use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;

use crate::frames::{self, Frame};
use crate::internal_api::InternalApi;
use crate::repositories::{Actor, Error as GitalyError, Repositories};
use crate::site::StorageAddress;
use crate::terminal::{complain, say};
use crate::{config, paths};

/// The programs of git that may be run.
const COMMANDS: [&str; 3] = ["git-upload-pack", "git-receive-pack", "git-upload-archive"];
/// What a user reads when no Gitaly answers.
const NO_GITALY: &str =
    "The git server, Gitaly, is not available at this time. Please contact your administrator.";

/// What the user's ssh asks for.
#[derive(Debug, PartialEq, Eq)]
enum Request {
    Welcome,
    Git { command: String, project: String },
    Refused,
}

fn parse(command: &str) -> Request {
    let command = command.trim();
    if command.is_empty() {
        return Request::Welcome;
    }
    // `git upload-pack` and `git-upload-pack` are the same program.
    let command =
        command.strip_prefix("git ").map_or_else(|| command.to_owned(), |rest| format!("git-{rest}"));
    match command.split_once(' ') {
        Some((name, path)) if COMMANDS.contains(&name) => {
            let path = path.trim().trim_matches(['\'', '"']).trim_start_matches('/');
            let project = path.strip_suffix(".git").unwrap_or(path).to_owned();
            Request::Git { command: name.to_owned(), project }
        }
        _ => Request::Refused,
    }
}

/// Serves one connection; returns the exit code that the user's ssh gets.
#[must_use]
pub fn run(arguments: &[String]) -> u8 {
    if std::env::var_os("SSH_CONNECTION").is_none() {
        return refuse("Only SSH allowed");
    }
    let key = arguments.iter().find_map(|argument| argument.strip_prefix("key-"));
    let Some(key) = key.filter(|id| !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_digit())) else {
        return refuse("Failed to parse the key's identity");
    };
    let api = match api() {
        Ok(api) => api,
        Err(reason) => return refuse(&reason),
    };
    match parse(&std::env::var("SSH_ORIGINAL_COMMAND").unwrap_or_default()) {
        Request::Welcome => welcome(&api, key),
        Request::Git { command, project } => git(&api, key, &command, &project),
        Request::Refused => refuse("Disallowed command"),
    }
}

fn api() -> Result<InternalApi, String> {
    let shell = config::shell().map_err(|error| error.to_string())?;
    let secret = config::secret(&shell.secret_file).map_err(|error| error.to_string())?;
    Ok(InternalApi { url: shell.gitlab_url, secret })
}

/// `gitlab-shell-check`: whether Rails answers as it would for a connection.
#[must_use]
pub fn check() -> u8 {
    let answer = api().and_then(|api| api.get("/check").map_err(|error| error.to_string()));
    let outcome = match answer {
        Ok(answer) if answer.status == 200 => Ok(answer.body["redis"] == true),
        Ok(answer) => Err(answer.reason()),
        Err(reason) => Err(reason),
    };
    match outcome {
        Ok(redis) => {
            say("Internal API available: OK");
            say(format!("Redis available via internal API: {}", if redis { "OK" } else { "FAILED" }));
            u8::from(!redis)
        }
        Err(reason) => {
            say(format!("Internal API available: FAILED - {reason}"));
            1
        }
    }
}

/// What a key may not do besides (docs: `administration/operations/fast_ssh_key_lookup`, and sshd's manual).
const RESTRICTIONS: &str = "no-port-forwarding,no-X11-forwarding,no-agent-forwarding,no-pty";

/// A line of an `authorized_keys` file, for a key that may start GitLab Shell and nothing else.
#[must_use]
pub fn authorized_key(id: i64, key: &str) -> String {
    // A comment may hold anything; type and content say it all.
    let key: Vec<&str> = key.split_whitespace().take(2).collect();
    format!("command=\"{}/bin/gitlab-shell key-{id}\",{RESTRICTIONS} {}\n", paths::SHELL, key.join(" "))
}

/// `gitlab-shell-authorized-keys-check EXPECTED-USER USER KEY`: sshd's `AuthorizedKeysCommand`, by which a key is
/// looked up in the database, so that it opens every Rails node.
/// <https://docs.gitlab.com/administration/operations/fast_ssh_key_lookup/>
#[must_use]
pub fn authorized_keys_check(arguments: &[String]) -> u8 {
    let [expected, actual, key] = arguments else {
        complain(format!("# Invalid number of arguments: {}, 3 are expected", arguments.len()));
        return 1;
    };
    if expected != actual {
        // Somebody else's key is none of GitLab's business.
        return 0;
    }
    let query = url::form_urlencoded::Serializer::new(String::new()).append_pair("key", key).finish();
    match api().map(|api| api.get(&format!("/authorized_keys?{query}"))) {
        Ok(Ok(answer)) if answer.status == 200 => {
            let id = answer.body["id"].as_i64().unwrap_or_default();
            say(authorized_key(id, answer.body["key"].as_str().unwrap_or_default()).trim_end());
            0
        }
        Ok(Ok(answer)) if answer.status == 404 => {
            say(format!("# No key was found for {key}"));
            0
        }
        Ok(Ok(answer)) => {
            complain(answer.reason());
            1
        }
        Ok(Err(error)) => {
            complain(error.to_string());
            1
        }
        Err(reason) => {
            complain(reason);
            1
        }
    }
}

/// What a user sees between the lines of their own git.
fn refuse(reason: &str) -> u8 {
    let line = "=".repeat(72);
    for text in ["", &line, "", &format!("ERROR: {reason}"), "", &line, ""] {
        complain(format!("remote: {text}").trim_end());
    }
    1
}

fn welcome(api: &InternalApi, key: &str) -> u8 {
    match api.get(&format!("/discover?key_id={key}")) {
        Ok(answer) if answer.status == 200 => {
            let name = answer.body["username"].as_str();
            say(format!(
                "Welcome to GitLab, {}!",
                name.map_or("Anonymous".to_owned(), |name| format!("@{name}"))
            ));
            0
        }
        Ok(answer) => refuse(&format!("Failed to get username: {}", answer.reason())),
        Err(error) => refuse(&format!("Failed to get username: {error}")),
    }
}

fn git(api: &InternalApi, key: &str, command: &str, project: &str) -> u8 {
    let question = json!({
        "key_id": key,
        "action": command,
        "project": project,
        "changes": "_any",
        "protocol": "ssh",
    });
    let answer = match api.post("/allowed", &question) {
        Ok(answer) if answer.status == 200 && answer.body["status"] == true => answer.body,
        Ok(answer) => return refuse(&answer.reason()),
        Err(error) => return refuse(&error.to_string()),
    };
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return refuse(&error.to_string()),
    };
    let code = runtime.block_on(stream(&answer, command));
    // The standard input may still be open, and nobody waits for it.
    runtime.shutdown_background();
    match code {
        Ok(code) => code,
        Err(GitalyError::Unavailable(_)) => refuse(NO_GITALY),
        Err(GitalyError::Refused { reason, .. }) => refuse(&reason),
    }
}

/// The Gitaly and the repository that Rails named.
fn target(answer: &Value) -> (StorageAddress, BTreeMap<&'static str, String>) {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let gitaly = &answer["gitaly"];
    let address =
        StorageAddress { gitaly_address: text(&gitaly["address"]), gitaly_token: text(&gitaly["token"]) };
    let repository = &gitaly["repository"];
    let names = ["storage_name", "relative_path"].map(|name| (name, text(&repository[name])));
    (address, BTreeMap::from(names))
}

async fn stream(answer: &Value, command: &str) -> Result<u8, GitalyError> {
    let text = |name: &str| answer[name].as_str().unwrap_or_default().to_owned();
    let actor = Actor {
        id: text("gl_id"),
        repository: text("gl_repository"),
        project_path: text("gl_project_path"),
        username: text("gl_username"),
        protocol: "ssh".to_owned(),
    };
    let (address, names) = target(answer);
    let protocol = std::env::var("GIT_PROTOCOL").ok();
    let repositories = Repositories::of(&names["storage_name"], &address);
    let connection = repositories.ssh(&names["relative_path"], &actor, command, protocol.as_deref()).await?;
    let (mut from_git, mut to_git) = tokio::io::split(TokioIo::new(connection));
    tokio::spawn(async move {
        let _ = tokio::io::copy(&mut tokio::io::stdin(), &mut to_git).await;
        let _ = to_git.shutdown().await;
    });
    let (mut output, mut complaints) = (tokio::io::stdout(), tokio::io::stderr());
    loop {
        let written = match frames::read(&mut from_git).await {
            Ok(Frame::End(code)) => return Ok(code),
            Ok(Frame::Output(content)) => output.write_all(&content).await.and(output.flush().await),
            Ok(Frame::Complaint(content)) => {
                complaints.write_all(&content).await.and(complaints.flush().await)
            }
            Err(error) => return Err(GitalyError::Unavailable(error.to_string())),
        };
        if written.is_err() {
            // The user went away.
            return Ok(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_of_git_are_understood() {
        let git =
            |command: &str, project: &str| Request::Git { command: command.into(), project: project.into() };
        assert_eq!(parse("git-upload-pack 'group/project.git'"), git("git-upload-pack", "group/project"));
        assert_eq!(parse("git receive-pack '/a/b'"), git("git-receive-pack", "a/b"));
        assert_eq!(parse(""), Request::Welcome);
        for other in ["ls", "git-lfs-authenticate a/b upload", "git-upload-pack", "git-shell -c x"] {
            assert_eq!(parse(other), Request::Refused, "{other}");
        }
    }

    #[test]
    fn a_key_starts_gitlab_shell_and_nothing_else() {
        let line = authorized_key(7, "ssh-ed25519 AAAA a comment\" with a quote");
        assert_eq!(
            line,
            "command=\"/opt/gitlab/embedded/service/gitlab-shell/bin/gitlab-shell key-7\",no-port-forwarding,\
             no-X11-forwarding,no-agent-forwarding,no-pty ssh-ed25519 AAAA\n"
        );
    }

    #[test]
    fn another_user_s_key_is_not_looked_up() {
        let words = ["git", "root", "AAAA"].map(str::to_owned);
        assert_eq!(authorized_keys_check(&words), 0);
        assert_eq!(authorized_keys_check(&words[..2]), 1);
    }

    #[test]
    fn the_repository_is_where_rails_says() {
        let answer = json!({"gitaly": {
            "address": "unix:/x", "token": "t",
            "repository": {"storage_name": "default", "relative_path": "@hashed/a.git"},
        }});
        let (address, names) = target(&answer);
        assert_eq!((address.gitaly_address.as_str(), address.gitaly_token.as_str()), ("unix:/x", "t"));
        assert_eq!(names["relative_path"], "@hashed/a.git");
    }
}
