//! Push and clone over SSH, with a key of this run and a host key that is pinned.

use std::time::Duration;

use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_STANDARD_NO_PAD};
use camino::Utf8PathBuf;
use jiff::{Timestamp, ToSpan as _};
use serde_json::json;
use sha2::{Digest as _, Sha256};

use super::Ground;
use super::git::{Failure, Git, files};
use super::trail::Trail;
use crate::checks::api::{Api, Obstacle, number};
use crate::checks::catalogue::Check;
use crate::checks::question::{Miss, Question};
use crate::checks::target::Target;
use crate::events::Finding;
use crate::instance::Limits;
use crate::process::{Command, Quiet};

/// The branch that is pushed.
const BRANCH: &str = "refarch-ssh";
/// How long the first refusal is waited out; each further one takes twice as long. By default sshd shuts an address out
/// for a while that was refused for some 15 s' worth, at 5 s a refusal (`PerSourcePenalties` in `sshd_config(5)`,
/// OpenSSH 9.8), and with these pauses it never comes to that.
const REFUSED: Duration = Duration::from_secs(1);

/// What was pushed, and how it was got there.
pub(super) struct PushedBySsh {
    commit: String,
    files: Vec<(&'static str, Vec<u8>)>,
    door: Door,
}

/// How ssh is called.
struct Door {
    key: Utf8PathBuf,
    known_hosts: Utf8PathBuf,
    alias: String,
    pinned: bool,
    address: Option<String>,
    seconds: u64,
}

impl Door {
    fn new(target: &Target, ground: &Ground<'_>, git: &Git<'_>) -> Self {
        let ssh = &ground.project.ssh;
        let own = git.scratch.join("known_hosts");
        // The fixed address is that of the URL's host, and of no other.
        let same = target.url.host_str().is_some_and(|host| host.trim_matches(['[', ']']) == ssh.host);
        Self {
            key: git.scratch.join("id_ed25519"),
            pinned: target.ssh.known_hosts.is_some(),
            known_hosts: target.ssh.known_hosts.clone().unwrap_or(own),
            alias: target.ssh.alias.clone().unwrap_or_else(|| ssh.host.clone()),
            address: target.address.filter(|_| same).map(|address| address.to_string()),
            seconds: (ground.patience.attempt.as_secs() / 2).max(1),
        }
    }

    /// The command for `GIT_SSH_COMMAND`, which git gives to a shell. `first`: an unknown key is kept.
    fn command(&self, first: bool) -> String {
        let strict = if first && !self.pinned { "accept-new" } else { "yes" };
        let mut words = vec!["ssh".to_owned(), "-F".into(), "none".into(), "-i".into(), self.key.to_string()];
        let mut option = |name: &str, value: &str| words.extend(["-o".to_owned(), format!("{name}={value}")]);
        option("BatchMode", "yes");
        option("IdentitiesOnly", "yes");
        option("IdentityAgent", "none");
        option("ConnectTimeout", &self.seconds.to_string());
        option("StrictHostKeyChecking", strict);
        option("UserKnownHostsFile", &format!("\"{}\"", self.known_hosts));
        option("GlobalKnownHostsFile", "/dev/null");
        option("HashKnownHosts", "no");
        option("UpdateHostKeys", "no");
        option("CheckHostIP", "no");
        option("HostKeyAlias", &self.alias);
        if let Some(address) = &self.address {
            option("HostName", address);
        }
        words.iter().map(|word| format!("'{}'", word.replace('\'', r"'\''"))).collect::<Vec<_>>().join(" ")
    }

    /// The key that the file holds for the host, as ssh itself would show it.
    fn fingerprint(&self) -> Option<String> {
        let known = fs_err::read_to_string(&self.known_hosts).ok()?;
        let mut lines = known.lines().filter(|line| line.split(' ').next() == Some(&self.alias));
        let line = lines.next()?;
        let mut words = line.split(' ').skip(1);
        let (kind, key) = (words.next()?, BASE64_STANDARD.decode(words.next()?).ok()?);
        Some(format!("{kind} SHA256:{}", BASE64_STANDARD_NO_PAD.encode(Sha256::digest(key))))
    }
}

/// Makes a key and lets the project take it; the push itself waits for `turn`, so that the default branch is not ours.
pub(super) async fn push(
    target: &Target,
    ground: Result<&Ground<'_>, &Obstacle>,
    git: &Result<Git<'_>, Miss>,
    trail: &Trail,
    turn: impl Future<Output = ()>,
) -> (Finding, Result<PushedBySsh, Obstacle>) {
    let asked = "git push over SSH with a deploy key of this run";
    let question =
        Question::new(Check::PushSsh, asked, "the push is accepted by the host with the known key");
    let ground = match ground {
        Ok(ground) => ground,
        Err(obstacle) => return (question.obstructed(obstacle), Err(obstacle.clone())),
    };
    let work = async |limits| {
        let git = git.as_ref().map_err(Clone::clone)?;
        let door = Door::new(target, ground, git);
        deliver_key(&door, git, ground, trail, limits).await?;
        let files = files();
        let folder = git.scratch.join("ssh");
        let commit = git.commit(&folder, BRANCH, &files, limits).await.map_err(Failure::miss)?;
        turn.await;
        push_when_taken(git, &folder, ground, &door, limits).await?;
        let (host, port) = (&ground.project.ssh.host, ground.project.ssh.port);
        let key = door.fingerprint().unwrap_or_else(|| "unknown".into());
        let pinned =
            if door.pinned { "the pinned host key" } else { "host key kept from the first connection:" };
        Ok((
            format!("{commit} pushed to {host}, port {port}; {pinned} {key}"),
            PushedBySsh { commit, files, door },
        ))
    };
    let (finding, pushed) = question.work(ground.patience, work).await;
    (finding, pushed.ok_or(Obstacle::Check(Check::PushSsh)))
}

async fn deliver_key(
    door: &Door,
    git: &Git<'_>,
    ground: &Ground<'_>,
    trail: &Trail,
    limits: Limits,
) -> Result<(), Miss> {
    let find = |program: &str| {
        let found = git.runner.ambient().find(program, "Install it with `apt install openssh-client`.");
        found.map_err(|error| Miss::skip(error.to_string(), "install the OpenSSH client on this machine"))
    };
    find("ssh")?;
    let keygen = Command::new("ssh-keygen", find("ssh-keygen")?)
        .args(["-q", "-t", "ed25519", "-N", "", "-C", "refarch-verify", "-f", door.key.as_str()])
        .timeout(limits.now());
    let unmade = |why: String| Miss::skip(format!("no key could be made: {why}"), "run `ssh-keygen` by hand");
    let outcome = git.runner.run(keygen, &mut Quiet).await.map_err(|error| unmade(error.to_string()))?;
    if !outcome.is_success() {
        return Err(unmade(outcome.tail.join("; ")));
    }
    let public =
        fs_err::read_to_string(format!("{}.pub", door.key)).map_err(|error| unmade(error.to_string()))?;
    let api = Api { instance: ground.instance, limits };
    let end = Timestamp::now().saturating_add(24.hours()).map_err(|error| unmade(error.to_string()))?;
    let body = json!({"title": "refarch verify", "key": public.trim(), "can_push": true, "expires_at": end.to_string()});
    let path = format!("projects/{}/deploy_keys", ground.project.id);
    let made = api.post(&path, &body).await?;
    trail.made_deploy_key(number(&made, "id", &format!("POST /api/v4/{path}"))?);
    Ok(())
}

/// A key is taken once Sidekiq wrote it down, unless sshd asks GitLab for each.
async fn push_when_taken(
    git: &Git<'_>,
    folder: &Utf8PathBuf,
    ground: &Ground<'_>,
    door: &Door,
    limits: Limits,
) -> Result<(), Miss> {
    let command = door.command(true);
    let url = ground.project.ssh.text.as_str();
    let mut pause = REFUSED;
    let mut refused = None;
    loop {
        let besides = [("GIT_SSH_COMMAND", command.as_str()), ("GIT_SSH_VARIANT", "ssh")];
        let Err(failure) = git.run(folder, &["push", "--quiet", url, BRANCH], limits, &besides).await else {
            return Ok(());
        };
        if !failure.says(&["permission denied (publickey"]) {
            // After a refusal, a closed connection is its consequence and not the cause.
            return Err(refused.unwrap_or(failure).miss());
        }
        if !limits.wait(pause).await {
            return Err(failure.miss());
        }
        refused = Some(failure);
        pause *= 2;
    }
}

pub(super) async fn clone(
    ground: Result<&Ground<'_>, &Obstacle>,
    git: &Result<Git<'_>, Miss>,
    pushed: Result<&PushedBySsh, &Obstacle>,
) -> Finding {
    let question = Question::new(
        Check::CloneSsh,
        "git clone over SSH, by another connection",
        "the commit and the files that were pushed, from a host with the same key",
    );
    let (ground, pushed) = match ground.and_then(|ground| pushed.map(|pushed| (ground, pushed))) {
        Ok(both) => both,
        Err(obstacle) => return question.obstructed(obstacle),
    };
    let work = async |limits| {
        let git = git.as_ref().map_err(Clone::clone)?;
        let command = pushed.door.command(false);
        let besides = [("GIT_SSH_COMMAND", command.as_str()), ("GIT_SSH_VARIANT", "ssh")];
        let url = ground.project.ssh.text.as_str();
        let came = git.clone_and_compare(url, BRANCH, &pushed.commit, &pushed.files, limits, &besides);
        came.await.map(|saw| (saw, ())).map_err(Failure::miss)
    };
    question.work(ground.patience, work).await.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn door(folder: &camino::Utf8Path) -> Door {
        Door {
            key: folder.join("it's a key"),
            known_hosts: folder.join("known_hosts"),
            alias: "gitlab.acme.example".into(),
            pinned: false,
            address: Some("198.18.4.2".into()),
            seconds: 5,
        }
    }

    #[test]
    fn a_key_is_kept_once_and_demanded_from_then_on() {
        let door = door("/scratch".into());
        assert!(door.command(true).contains("'StrictHostKeyChecking=accept-new'"));
        assert!(door.command(false).contains("'StrictHostKeyChecking=yes'"));
        assert!(Door { pinned: true, ..door }.command(true).contains("'StrictHostKeyChecking=yes'"));
        let quoted = self::door("/scratch".into()).command(true);
        assert!(
            quoted.contains(r"'/scratch/it'\''s a key'") && quoted.contains("'HostName=198.18.4.2'"),
            "{quoted}"
        );
    }

    #[test]
    fn the_fingerprint_is_as_ssh_shows_it() {
        let (_keep, folder) = crate::checks::ssh::tests::folder();
        let door = door(&folder);
        let line = "gitlab.acme.example ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl\n";
        fs_err::write(&door.known_hosts, format!("other.example ssh-rsa AAAA\n{line}")).unwrap();
        assert_eq!(
            door.fingerprint().unwrap(),
            "ssh-ed25519 SHA256:+DiY3wvvV6TuJJhbpZisF/zLDA0zPMSvHdkr4UvCOqU"
        );
    }
}
