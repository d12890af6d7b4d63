//! The token that the checks use a deployment's instance with.
//!
//! Its value is made here, kept in the secrets store, and registered by GitLab's own Ruby on a node that has it. It reaches
//! that node on the standard input of ssh, so that neither side has it among its arguments. It ends by itself within a
//! day, and nobody needs the password of `root`.

use std::time::Duration;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, ToSpan as _};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use tokio::time::Instant;

use super::{Error, world::World};
use crate::instance::{Instance, Limits, Method, Request};
use crate::process::{self, Command, Ended, Quiet, Runner, Stdout};
use crate::secrets;
use crate::workdir::Token;

/// A token that ends sooner is made anew: no verification takes longer.
const LEAST_LEFT: SignedDuration = SignedDuration::from_hours(1);
/// How long Rails may take to start and answer. It takes 20 to 60 seconds on an instance that has enough memory.
const PATIENCE: Duration = Duration::from_mins(3);
/// What all tokens of refarch begin with, and what the Ruby below looks for, too.
const PREFIX: &str = "refarch-verify-";
/// What registers and revokes.
const RUBY: &str = include_str!("token.rb");
/// How its answer begins. Whatever else is printed is Rails' own business.
const ANSWER: &str = "refarch-token: ";
/// What tells of a token, and by DELETE revokes it.
/// Source: <https://docs.gitlab.com/api/personal_access_tokens/> (read 2026-11).
const SELF: &str = "personal_access_tokens/self";
/// How long an instance may take to say something of its token; one that is about to go is not waited for longer.
const FAREWELL: Duration = Duration::from_secs(5);
/// The package's own path, which needs no `PATH`.
const RAILS: &str = "/opt/gitlab/bin/gitlab-rails";

/// Why there is no token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct NoToken {
    /// What happened.
    pub why: String,
    /// What to do.
    pub remedy: String,
}

/// What the Ruby answers.
#[derive(Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
struct Answer {
    registered: bool,
    revoked: Vec<String>,
    error: Option<String>,
}

/// What a node is asked by.
pub(super) struct Door<'a> {
    pub runner: &'a Runner,
    pub ssh_config: String,
    pub node: String,
}

impl<'a> Door<'a> {
    /// The way to a node with Rails.
    pub fn to_rails(world: &'a World) -> Self {
        Self {
            runner: &world.runner,
            ssh_config: world.workdir.ansible().join("ssh_config").to_string(),
            node: world.deployment.deploy_node().to_string(),
        }
    }

    /// Registers a token on the instance, if one is given, and revokes all others of refarch. Says which those were.
    async fn run(&self, token: Option<&Token>) -> Result<Result<Vec<String>, NoToken>, Error> {
        let ssh = self.runner.ambient().find("ssh", "install the OpenSSH client")?;
        let command = Command::new("ssh", ssh)
            .args(["-F", &self.ssh_config, "-o", "BatchMode=yes", "-o", "ConnectTimeout=10"])
            .args(["-o", "ServerAliveInterval=15", &self.node, "--", "sudo", "-n", RAILS, "runner", "-"])
            .stdin(ruby(token))
            .stdout(Stdout::Private)
            .timeout(PATIENCE);
        let outcome = self.runner.run(command, &mut Quiet).await?;
        if outcome.interrupted {
            return Err(Error::Interrupted);
        }
        Ok(self.judge(&outcome, token.is_some()))
    }

    fn judge(&self, outcome: &process::Outcome, registers: bool) -> Result<Vec<String>, NoToken> {
        let node = &self.node;
        let no = |why: String, remedy: &str| Err(NoToken { why, remedy: remedy.replace("NODE", node) });
        let last = || outcome.tail.last().map_or("it gave no message", String::as_str);
        if outcome.timed_out {
            let why =
                format!("`gitlab-rails runner` gave no answer on {node} within {} s", PATIENCE.as_secs());
            return no(
                why,
                "see on NODE whether memory or CPU is short (`free -h`, `uptime`), then ask again",
            );
        }
        // ssh answers 255 for itself, and nothing that is run here does.
        if outcome.ended == Ended::Exit(255) {
            let remedy = format!("see whether the host runs, and try `ssh -F {} {node}`", self.ssh_config);
            return no(format!("{node} can't be asked: {}", last()), &remedy);
        }
        let said = String::from_utf8_lossy(&outcome.private);
        let Some(answer) = read(&said) else {
            let why = format!("`gitlab-rails runner` ended with {} on {node}: {}", outcome.ended, last());
            return no(why, "see `gitlab-ctl status` on NODE, and try `gitlab-rails runner 'puts 1'` there");
        };
        match answer {
            Answer { error: Some(error), .. } => {
                let why = format!("GitLab refused a token of `root`: {error}");
                no(
                    why,
                    "see that `root` exists and isn't blocked, and that personal access tokens are allowed",
                )
            }
            Answer { registered: false, .. } if registers => no(
                format!("`gitlab-rails runner` on {node} registered nothing"),
                "ask again with `refarch verify`",
            ),
            Answer { revoked, .. } => Ok(revoked),
        }
    }
}

/// A token that was decided on.
pub(super) enum Decided {
    /// The instance takes it, or could not be asked: then the checks say so.
    Kept(SecretString),
    /// It was just made and is in the store; nobody else knows it yet.
    Fresh(Token),
    /// There is none, and none may be made.
    None(String),
}

/// What an instance says of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    Accepted,
    Refused,
    Unknown,
}

/// Decides which token the checks use: the stored one as long as the instance takes it and it lasts, else a new one. A
/// new one is stored before anybody hears of it, so that no instance ever has one that nobody could revoke.
pub(super) async fn decide(
    world: &mut World,
    instance: Option<Instance>,
    may_make: bool,
) -> Result<Decided, Error> {
    let now = Timestamp::now();
    if let Some(token) = world.secrets.token.as_ref().filter(|token| lasts(token, now)) {
        let standing = match instance {
            Some(instance) => standing(instance, &token.value).await,
            None => Standing::Unknown,
        };
        if standing != Standing::Refused {
            return Ok(Decided::Kept(token.value.clone()));
        }
    }
    if !may_make {
        return Ok(Decided::None("no token is there, and with `--read-only` none is made".into()));
    }
    let token = fresh(&world.run.id, now);
    world.redactor.learn([&token.value]);
    world.secrets.token = Some(token.clone());
    world.secrets.save(&world.workdir)?;
    Ok(Decided::Fresh(token))
}

/// Makes the instance know a token that it doesn't know yet. Where that fails, says why there is none.
pub(super) async fn registered(
    world: &World,
    decided: Decided,
) -> Result<Result<SecretString, String>, Error> {
    let token = match decided {
        Decided::Kept(value) => return Ok(Ok(value)),
        Decided::None(why) => return Ok(Err(why)),
        Decided::Fresh(token) => token,
    };
    match Door::to_rails(world).run(Some(&token)).await? {
        Ok(revoked) => {
            let also = match revoked.len() {
                0 => String::new(),
                count => format!("; revoked {count} of earlier runs"),
            };
            world
                .events
                .note(format!("token `{}` for the checks, until {}{also}", token.name, token.expires));
            Ok(Ok(token.value))
        }
        Err(NoToken { why, remedy }) => {
            world.events.warn(format!("no token could be made: {why}"), Some(remedy));
            Ok(Err(format!("no token could be made: {why}")))
        }
    }
}

/// Revokes all tokens of refarch on the instance, and forgets the stored one. Says how many those were.
pub(super) async fn revoke(world: &mut World) -> Result<usize, Error> {
    match Door::to_rails(world).run(None).await? {
        Ok(revoked) => {
            world.secrets.token = None;
            world.secrets.save(&world.workdir)?;
            Ok(revoked.len())
        }
        Err(NoToken { why, remedy }) => Err(Error::NotRevoked { why, remedy }),
    }
}

/// Revokes the stored token of an instance that is about to be removed. Says what came of it, and stops nothing.
pub(super) async fn let_go(world: &mut World, instance: Option<Instance>) {
    let Some(token) = world.secrets.token.clone() else { return };
    let answer = match instance {
        Some(instance) => ask(instance, Method::Delete, &token.value).await,
        None => None,
    };
    let gone = matches!(answer, Some(204 | 401));
    world.events.note(if gone {
        format!("token `{}` is revoked", token.name)
    } else {
        let end = token.expires;
        format!("token `{}` could not be revoked: it goes with the instance, and ends on {end}", token.name)
    });
    if gone {
        world.secrets.token = None;
        // Whether or not this is written: the file is put aside when the deployment is gone.
        let _ = world.secrets.save(&world.workdir);
    }
}

async fn standing(instance: Instance, token: &SecretString) -> Standing {
    match ask(instance, Method::Get, token).await {
        Some(200) => Standing::Accepted,
        Some(401) => Standing::Refused,
        _ => Standing::Unknown,
    }
}

/// The status that the instance answers with to who holds this token.
async fn ask(instance: Instance, method: Method, token: &SecretString) -> Option<u16> {
    let limits = Limits { attempt: FAREWELL, end: Instant::now() + FAREWELL };
    let answer = instance.with_token(token.clone()).call(&Request::api(method, SELF), limits).await;
    answer.ok().map(|answer| answer.status)
}

/// The last line that is an answer.
fn read(said: &str) -> Option<Answer> {
    let line = said.lines().rev().find_map(|line| line.trim().strip_prefix(ANSWER))?;
    serde_json::from_str(line).ok()
}

/// The script with its values before it. What stands in them needs no quoting in Ruby: letters, digits, `-` and `_`.
fn ruby(token: Option<&Token>) -> SecretString {
    let head = match token {
        Some(Token { name, value, expires }) => {
            let value = value.expose_secret();
            format!("value = \"{value}\"\nname = \"{name}\"\nexpires_at = \"{expires}\"\n")
        }
        None => "value = nil\nname = nil\nexpires_at = nil\n".to_owned(),
    };
    (head + RUBY).into()
}

/// A new token of a run.
fn fresh(run: &str, now: Timestamp) -> Token {
    Token { name: format!("{PREFIX}{run}"), value: secrets::access_token(), expires: end(now) }
}

/// The first day whose beginning is far enough. GitLab ends a token at midnight UTC of a date and knows no finer time.
fn end(now: Timestamp) -> Date {
    (now + LEAST_LEFT).to_zoned(TimeZone::UTC).date().saturating_add(1.day())
}

/// Whether a token lasts for a verification.
fn lasts(token: &Token, now: Timestamp) -> bool {
    token.expires.to_zoned(TimeZone::UTC).is_ok_and(|end| end.timestamp().duration_since(now) >= LEAST_LEFT)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use camino::{Utf8Path, Utf8PathBuf};
    use wiremock::matchers::{header, path};
    use wiremock::{Mock, MockServer, ResponseTemplate};

    use super::*;
    use crate::events::Sender;
    use crate::instance::Trust;
    use crate::process::{Ambient, Interrupts, Parts, Redactor};

    const SECRET: &str = "glpat-0123456789abcdefghij";

    fn token() -> Token {
        Token { name: "refarch-verify-20261123T120000".into(), value: SECRET.into(), expires: end(noon()) }
    }

    fn noon() -> Timestamp {
        "2026-11-23T12:00:00Z".parse().unwrap()
    }

    fn folder() -> (tempfile::TempDir, Utf8PathBuf) {
        let keep = tempfile::tempdir().unwrap();
        let path = Utf8PathBuf::from_path_buf(keep.path().to_owned()).unwrap();
        (keep, path)
    }

    /// A runner whose `ssh` is this script.
    fn runner(folder: &Utf8Path, script: &str) -> Runner {
        let ssh = folder.join("ssh");
        fs_err::write(&ssh, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs_err::set_permissions(&ssh, std::fs::Permissions::from_mode(0o700)).unwrap();
        let logs = folder.join("logs");
        fs_err::create_dir_all(&logs).unwrap();
        Runner::new(Parts {
            logs,
            redactor: Redactor::knowing(&[SecretString::from(SECRET)]),
            events: Sender::nowhere(),
            interrupts: Interrupts::default(),
            ambient: [("PATH".to_owned(), format!("{folder}:/usr/bin:/bin"))]
                .into_iter()
                .collect::<Ambient>(),
            lock: None,
        })
    }

    async fn through(folder: &Utf8Path, script: &str) -> Result<Vec<String>, NoToken> {
        let runner = runner(folder, script);
        let door =
            Door { runner: &runner, ssh_config: "ssh_config".into(), node: "acme-all-in-one-1".into() };
        door.run(Some(&token())).await.unwrap()
    }

    #[tokio::test]
    async fn the_ruby_goes_in_on_stdin_and_nothing_that_is_left_behind_holds_the_token() {
        let (_keep, folder) = folder();
        let script = format!(
            "echo \"$@\" >{folder}/arguments; env >{folder}/environment; cat >{folder}/stdin; \
             echo 'warning: old'; echo 'refarch-token: {{\"registered\":true,\"revoked\":[\"refarch-verify-1\"]}}'; \
             echo trouble with {SECRET} >&2"
        );
        assert_eq!(through(&folder, &script).await.unwrap(), ["refarch-verify-1"]);
        let read = |name: &str| fs_err::read_to_string(folder.join(name)).unwrap();
        let ruby = read("stdin");
        assert!(ruby.starts_with(&format!("value = \"{SECRET}\"\nname = \"refarch-verify-")), "{ruby}");
        assert!(ruby.contains("expires_at = \"2026-11-24\"\n") && ruby.ends_with(RUBY), "{ruby}");
        assert!(read("arguments").ends_with("-- sudo -n /opt/gitlab/bin/gitlab-rails runner -\n"));
        for left in ["arguments", "environment", "logs/ssh.log"] {
            assert!(!read(left).contains(SECRET), "{left}");
        }
        assert!(read("logs/ssh.log").contains("trouble with [redacted]"));
        assert!(!folder.join("logs/raw").exists());
    }

    #[tokio::test]
    async fn every_way_to_fail_says_what_to_do() {
        let (_keep, folder) = folder();
        for (script, why, remedy) in [
            (
                "echo 'refarch-token: {\"error\":\"RuntimeError: there is no user `root`\"}'",
                "GitLab refused a token of `root`: RuntimeError: there is no user `root`",
                "see that `root` exists",
            ),
            (
                "echo 'could not connect to server' >&2; exit 1",
                "`gitlab-rails runner` ended with exit 1 on acme-all-in-one-1: could not connect to server",
                "`gitlab-ctl status` on acme-all-in-one-1",
            ),
            (
                "echo 'Connection refused' >&2; exit 255",
                "acme-all-in-one-1 can't be asked: Connection refused",
                "`ssh -F ssh_config acme-all-in-one-1`",
            ),
            (
                "echo 'refarch-token: {\"registered\":false,\"revoked\":[]}'",
                "`gitlab-rails runner` on acme-all-in-one-1 registered nothing",
                "refarch verify",
            ),
            (
                "echo 'refarch-token: {'",
                "`gitlab-rails runner` ended with exit 0 on",
                "gitlab-rails runner 'puts 1'",
            ),
        ] {
            let no = through(&folder, script).await.unwrap_err();
            assert!(no.why.contains(why), "{no:?}");
            assert!(no.remedy.contains(remedy), "{no:?}");
        }
    }

    #[tokio::test]
    async fn only_the_instance_itself_refuses_a_token() {
        let server = MockServer::start().await;
        let instance = || {
            let url = format!("http://localhost:{}/gitlab", server.address().port()).parse().unwrap();
            Instance::new(url, &[*server.address()], &Trust::new(None).unwrap()).unwrap()
        };
        for (status, wanted) in [
            (200, Standing::Accepted),
            (401, Standing::Refused),
            (403, Standing::Unknown),
            (500, Standing::Unknown),
        ] {
            server.reset().await;
            Mock::given(path("/gitlab/api/v4/personal_access_tokens/self"))
                .and(header("private-token", SECRET))
                .respond_with(ResponseTemplate::new(status))
                .expect(1)
                .mount(&server)
                .await;
            assert_eq!(standing(instance(), &SecretString::from(SECRET)).await, wanted, "{status}");
        }
    }

    #[test]
    fn a_token_ends_within_a_day_and_lasts_for_a_verification() {
        for (now, wanted) in [
            ("2026-11-23T00:00:00Z", "2026-11-24"),
            ("2026-11-23T22:59:59Z", "2026-11-24"),
            ("2026-11-23T23:00:00Z", "2026-11-25"),
            ("2026-11-23T23:59:59Z", "2026-11-25"),
        ] {
            let now = now.parse().unwrap();
            let token = fresh("20261123T000000", now);
            assert_eq!(token.expires.to_string(), wanted);
            assert!(lasts(&token, now));
        }
        let at = |now: &str| lasts(&token(), now.parse().unwrap());
        assert!(at("2026-11-23T23:00:00Z") && !at("2026-11-23T23:00:01Z") && !at("2026-11-24T12:00:00Z"));
    }

    #[test]
    fn no_value_is_made_twice_and_none_needs_quoting() {
        let (one, other) = (fresh("r", noon()), fresh("r", noon()));
        let value = one.value.expose_secret();
        assert_ne!(value, other.value.expose_secret());
        let random = value.strip_prefix("glpat-").unwrap();
        let plain = |sign: char| sign.is_ascii_alphanumeric() || "-_".contains(sign);
        assert!(random.len() == 20 && random.chars().all(plain), "{value}");
    }

    #[test]
    fn without_a_token_all_are_revoked() {
        let script = ruby(None);
        assert!(script.expose_secret().starts_with("value = nil\n"));
        assert!(RUBY.contains(&format!("prefix = \"{PREFIX}\"")));
    }
}
