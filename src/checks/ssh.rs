//! Runs one command on a node over SSH.

use std::time::Duration;

use super::node::{Reply, Unasked};
use super::target::NodeTarget;
use crate::process::{Command, Ended, Quiet, Runner, Stdout};

/// What is left of an attempt for ending a hung ssh, so that it never outlives the check.
const RESERVE: Duration = Duration::from_millis(500);

/// Runs a command, gives it `limit`, and says how it ended. Its output is GitLab's answer: data, and not logged.
pub(super) async fn run(
    runner: &Runner,
    node: &NodeTarget,
    command: &[String],
    limit: Duration,
) -> Result<Reply, Unasked> {
    let ssh = runner.ambient().find("ssh", "Install it with `apt install openssh-client`.");
    let ssh = ssh.map_err(|error| Unasked(error.to_string()))?;
    let command = Command::new("ssh", ssh)
        .args(arguments(node, command, limit))
        .stdout(Stdout::Private)
        .timeout(limit.saturating_sub(RESERVE));
    let outcome = runner.run(command, &mut Quiet).await.map_err(|error| Unasked(error.to_string()))?;
    if outcome.interrupted {
        return Err(Unasked("the run was interrupted".into()));
    }
    if outcome.timed_out {
        return Err(Unasked(format!("no answer over SSH within {} s", limit.as_secs())));
    }
    let code = match outcome.ended {
        Ended::Exit(code) => Some(code),
        Ended::Signal(_) => None,
    };
    let stdout = String::from_utf8_lossy(&outcome.private).into_owned();
    Ok(Reply { code, stdout, stderr: outcome.tail.join("\n") })
}

/// The arguments of `ssh` for a command on a node. It never asks anyone, and notices a host that died.
fn arguments(node: &NodeTarget, command: &[String], limit: Duration) -> Vec<String> {
    let connect = format!("ConnectTimeout={}", (limit.as_secs() / 2).max(1));
    let remote = command.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" ");
    let options = ["-o", "BatchMode=yes", "-o", &connect, "-o", "ServerAliveInterval=5"];
    [&["-F", node.ssh_config.as_str()], &options[..], &[&node.name, "--", &remote]]
        .concat()
        .into_iter()
        .map(ToOwned::to_owned)
        .collect()
}

/// A word that the node's shell reads as one word and takes as it is.
fn quoted(word: &str) -> String {
    let plain = |character: char| character.is_ascii_alphanumeric() || "-_./:=@,+".contains(character);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
pub(super) mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use camino::Utf8Path;
    use camino::Utf8PathBuf;

    use super::super::verify::tests::node;
    use super::*;
    use crate::events::Sender;
    use crate::process::{Ambient, Interrupts, Parts, Redactor};

    const LIMIT: Duration = Duration::from_secs(10);

    /// A runner whose `PATH` holds the system's folders, and first one with a fake `ssh` that runs `script`.
    pub(in crate::checks) fn runner(
        dir: &Utf8Path,
        script: &str,
        events: Sender,
        redactor: Redactor,
    ) -> Runner {
        let ssh = dir.join("ssh");
        fs_err::write(&ssh, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs_err::set_permissions(&ssh, std::fs::Permissions::from_mode(0o700)).unwrap();
        with_path(dir, &format!("{dir}:/usr/bin:/bin"), events, redactor)
    }

    fn quiet(dir: &Utf8Path, script: &str) -> Runner {
        runner(dir, script, Sender::nowhere(), Redactor::default())
    }

    fn with_path(dir: &Utf8Path, path: &str, events: Sender, redactor: Redactor) -> Runner {
        let logs = dir.join("logs");
        fs_err::create_dir_all(&logs).unwrap();
        Runner::new(Parts {
            logs,
            redactor,
            events,
            interrupts: Interrupts::default(),
            ambient: [("PATH".to_owned(), path.to_owned())].into_iter().collect::<Ambient>(),
            lock: None,
        })
    }

    pub(in crate::checks) fn folder() -> (tempfile::TempDir, Utf8PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = Utf8PathBuf::from_path_buf(dir.path().to_owned()).unwrap();
        (dir, path)
    }

    fn words(words: &[&str]) -> Vec<String> {
        words.iter().map(ToString::to_string).collect()
    }

    #[tokio::test]
    async fn the_nodes_shell_sees_the_command_as_it_was_meant() {
        let (_dir, path) = folder();
        // What ssh sends is one string, which the shell on the other side takes apart.
        let runner = quiet(&path, r#"for last; do :; done; exec sh -c "$last""#);
        let command = words(&["printf", r"%s|", "a b", "it's", "*", "$HOME", "?all=1", ""]);
        let reply = run(&runner, &node("acme-rails-1"), &command, LIMIT).await.unwrap();
        assert_eq!(reply.stdout, "a b|it's|*|$HOME|?all=1||");
        assert_eq!(reply.code, Some(0));
    }

    #[tokio::test]
    async fn ssh_is_told_its_configuration_and_asks_nobody() {
        let (_dir, path) = folder();
        let runner = quiet(&path, r#"echo "$@""#);
        let reply = run(&runner, &node("acme-rails-1"), &words(&["true"]), LIMIT).await.unwrap();
        assert_eq!(
            reply.stdout.trim(),
            "-F ansible/ssh_config -o BatchMode=yes -o ConnectTimeout=5 -o ServerAliveInterval=5 acme-rails-1 -- true"
        );
    }

    #[tokio::test]
    async fn the_exit_code_and_the_last_words_come_back() {
        let (_dir, path) = folder();
        let runner = quiet(&path, "echo 'ssh: connect to host: Connection refused' >&2; exit 255");
        let reply = run(&runner, &node("acme-rails-1"), &words(&["true"]), LIMIT).await.unwrap();
        assert_eq!(reply.code, Some(255));
        assert_eq!(reply.stderr, "ssh: connect to host: Connection refused");
    }

    #[tokio::test]
    async fn what_hangs_is_ended_and_was_not_asked() {
        let (_dir, path) = folder();
        let runner = quiet(&path, "exec sleep 60");
        let limit = Duration::from_millis(700);
        let unasked = run(&runner, &node("acme-rails-1"), &words(&["true"]), limit).await.unwrap_err();
        assert!(unasked.0.contains("no answer over SSH"), "{unasked:?}");
    }

    #[tokio::test]
    async fn a_missing_ssh_is_named() {
        let (_dir, path) = folder();
        let runner = with_path(&path, path.as_str(), Sender::nowhere(), Redactor::default());
        let unasked = run(&runner, &node("acme-rails-1"), &words(&["true"]), LIMIT).await.unwrap_err();
        assert!(unasked.0.contains("find `ssh`"), "{unasked:?}");
    }
}
