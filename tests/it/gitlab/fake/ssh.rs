//! Git over SSH: the real `sshd`, one process a connection, which knows the deploy keys and a shell that maps paths.
//!
//! `sshd -i` speaks over a socket that the fake has accepted, so that no port has to be guessed and nothing is left
//! running when the fake goes.

use std::fmt::Write as _;
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Stdio;
use std::sync::Arc;

use camino::{Utf8Path, Utf8PathBuf};
use tokio::net::{TcpListener, TcpStream};

use super::Shared;
use super::state::repository;
use super::switches::SshDoor;

const SHELL: &str = r#"#!/bin/sh
# usage: shell FOLDER KEY, as the forced command of a deploy key
folder=$1 key=$2
export PATH=/usr/bin:/bin HOME="$folder" GIT_CONFIG_NOSYSTEM=1
if [ -z "$SSH_ORIGINAL_COMMAND" ]; then
    echo "Welcome to GitLab, Anonymous!"
    exit 0
fi
verb=${SSH_ORIGINAL_COMMAND%% *}
path=$(printf '%s' "${SSH_ORIGINAL_COMMAND#* }" | tr -d "'" | sed -e 's|^/||' -e 's|\.git$||')
found=$(awk -F '\t' -v key="$key" -v path="$path" '$1 == key && $2 == path { print $4 " " $3 }' "$folder/ssh/map")
if [ -z "$found" ]; then
    echo "ERROR: The project you were looking for could not be found or you don't have permission to view it." >&2
    exit 1
fi
case $verb in
git-upload-pack) exec git upload-pack "${found#* }" ;;
git-receive-pack)
    if [ "${found%% *}" != rw ]; then
        echo "ERROR: This deploy key does not have write access to this project." >&2
        exit 1
    fi
    exec git receive-pack "${found#* }"
    ;;
*)
    echo "ERROR: Disallowed command" >&2
    exit 1
    ;;
esac
"#;

const CONFIG: &str = "StrictModes no
UsePAM no
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin prohibit-password
PidFile none
LogLevel VERBOSE
AcceptEnv GIT_PROTOCOL
PrintMotd no
";

/// The folder of everything that `sshd` reads.
pub fn prepare(folder: &Utf8Path) {
    let ssh = folder.join("ssh");
    fs_err::create_dir(&ssh).unwrap();
    fs_err::write(ssh.join("shell"), SHELL).unwrap();
    fs_err::set_permissions(ssh.join("shell"), std::fs::Permissions::from_mode(0o755)).unwrap();
    fs_err::write(ssh.join("sshd_config"), CONFIG).unwrap();
    fs_err::write(ssh.join("map"), "").unwrap();
    fs_err::write(ssh.join("authorized_keys"), "").unwrap();
    host_key(&ssh.join("host_key"));
    if nix::unistd::geteuid().is_root() {
        // What sshd changes its root to before it trusts anyone.
        fs_err::create_dir_all("/run/sshd").unwrap();
    }
}

fn host_key(path: &Utf8Path) {
    let made = std::process::Command::new("ssh-keygen")
        .args(["-q", "-t", "ed25519", "-N", "", "-C", "fake", "-f", path.as_str()])
        .stdin(Stdio::null())
        .status()
        .unwrap();
    assert!(made.success(), "ssh-keygen can't make {path}");
}

/// The user whom `sshd` can let in: the one that it runs as.
pub fn user() -> String {
    let user = nix::unistd::User::from_uid(nix::unistd::geteuid()).unwrap();
    user.expect("who runs the tests has a name").name
}

/// Writes the deploy keys and what they open, as Sidekiq does after each change.
pub fn write_map(shared: &Shared) {
    let state = shared.state();
    let ssh = shared.folder.join("ssh");
    let (mut keys, mut map) = (String::new(), String::new());
    for key in state.keys.values() {
        let project = &state.projects[&key.project];
        let place = repository(&shared.folder, project.id);
        let mode = if key.can_push { "rw" } else { "ro" };
        writeln!(map, "{}\t{}\t{place}\t{mode}", key.id, state.project_path(project)).unwrap();
        let command = format!("{ssh}/shell {} {}", shared.folder, key.id);
        writeln!(keys, "command=\"{command}\",restrict {}", key.key.trim()).unwrap();
    }
    for (name, text) in [("map", map), ("authorized_keys", keys)] {
        let fresh = ssh.join(format!("{name}.new"));
        fs_err::write(&fresh, text).unwrap();
        fs_err::rename(fresh, ssh.join(name)).unwrap();
    }
}

/// Takes connections until the fake goes.
pub async fn serve(shared: Arc<Shared>, listener: TcpListener) {
    let mut open = tokio::task::JoinSet::new();
    let mut number = 0;
    while let Ok((stream, _)) = listener.accept().await {
        let door = shared.switches().ssh;
        number += 1;
        let folder = shared.folder.join("ssh");
        match door {
            SshDoor::Cut => drop(stream),
            SshDoor::Silent => {
                open.spawn(async move {
                    let _held = stream;
                    std::future::pending::<()>().await;
                });
            }
            door => {
                open.spawn(session(folder, stream, options(door, number)));
            }
        }
    }
}

struct SessionOptions {
    other_key: bool,
    no_keys: bool,
}

fn options(door: SshDoor, number: u32) -> SessionOptions {
    SessionOptions {
        other_key: door == SshDoor::KeyChanges && number.is_multiple_of(2),
        no_keys: door == SshDoor::RefusesKeys || door == SshDoor::LateKeys && number == 1,
    }
}

async fn session(folder: Utf8PathBuf, stream: TcpStream, options: SessionOptions) {
    let key = folder.join(if options.other_key { "other_host_key" } else { "host_key" });
    if !key.exists() {
        host_key(&key);
    }
    let keys = if options.no_keys { "/dev/null".into() } else { folder.join("authorized_keys") };
    let stream = stream.into_std().unwrap();
    stream.set_nonblocking(false).unwrap();
    let log = std::fs::OpenOptions::new().create(true).append(true).open(folder.join("log")).unwrap();
    let answers = OwnedFd::from(stream.try_clone().unwrap());
    let mut sshd = tokio::process::Command::new("/usr/sbin/sshd")
        .args(["-i", "-e", "-f", folder.join("sshd_config").as_str()])
        .args(["-o", &format!("HostKey={key}"), "-o", &format!("AuthorizedKeysFile={keys}")])
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .stdin(Stdio::from(OwnedFd::from(stream)))
        .stdout(Stdio::from(answers))
        .stderr(Stdio::from(log))
        .kill_on_drop(true)
        .spawn()
        .expect("sshd must be installed; `tests/run fakes` does it");
    let _ = sshd.wait().await;
}
