//! Keys, made by `ssh-keygen`: it is there wherever Ansible can work.

use std::collections::BTreeMap;

use camino::Utf8Path;
use secrecy::SecretString;

use super::{Error, SshKey};
use crate::process::{Command, Quiet, Runner};

const INSTALL: &str = "Install the OpenSSH client, as by `apt-get install openssh-client`.";

/// The kinds of host keys that OpenSSH makes for itself, with what `ssh-keygen` is told for each.
/// Source: the manual pages `sshd_config(5)`, "`HostKey`", and `ssh-keygen(1)`, "-A", of OpenSSH 10.
const HOST_KEYS: [(&str, &[&str]); 3] =
    [("ecdsa", &["-t", "ecdsa"]), ("ed25519", &["-t", "ed25519"]), ("rsa", &["-t", "rsa", "-b", "3072"])];

/// Makes a key pair that opens the nodes. `comment` ends up in the public half.
pub async fn ssh_key(runner: &Runner, comment: &str) -> Result<SshKey, Error> {
    pair(runner, &["-t", "ed25519"], comment).await
}

/// Makes the host keys that several nodes share, by kind, as they are named in `/etc/ssh/ssh_host_KIND_key`.
pub async fn host_keys(runner: &Runner, comment: &str) -> Result<BTreeMap<String, SshKey>, Error> {
    let mut keys = BTreeMap::new();
    for (kind, arguments) in HOST_KEYS {
        keys.insert(kind.to_owned(), pair(runner, arguments, comment).await?);
    }
    Ok(keys)
}

async fn pair(runner: &Runner, kind: &[&str], comment: &str) -> Result<SshKey, Error> {
    let folder = private_folder(runner)?;
    let path = &path_in(&folder)?.join("key");
    generate(runner, path, &[kind, &["-C", comment]].concat()).await?;
    let public = path.with_extension("pub");
    let public = fs_err::read_to_string(&public).map_err(Error::io("read", &public))?;
    Ok(SshKey { public: public.trim().to_owned(), private: read(path)? })
}

async fn generate(runner: &Runner, path: &Utf8Path, kind: &[&str]) -> Result<(), Error> {
    let program = runner.ambient().find("ssh-keygen", INSTALL)?;
    // The empty passphrase is no secret: the file it would protect lies in the secrets store.
    let command = Command::new("ssh-keygen", program)
        .args(["-q", "-N", ""])
        .args(kind.iter().copied())
        .args(["-f", path.as_str()]);
    let outcome = runner.run(command, &mut Quiet).await?;
    if outcome.is_success() {
        return Ok(());
    }
    Err(Error::Key { command: outcome.command, ended: outcome.ended, log: outcome.log })
}

fn read(path: &Utf8Path) -> Result<SecretString, Error> {
    fs_err::read_to_string(path).map(SecretString::from).map_err(Error::io("read", path))
}

/// A folder in the run's own directory, gone with the key once that is in memory.
fn private_folder(runner: &Runner) -> Result<tempfile::TempDir, Error> {
    tempfile::Builder::new()
        .prefix(".key-")
        .tempdir_in(runner.logs())
        .map_err(Error::io("make a folder in", runner.logs()))
}

fn path_in(folder: &tempfile::TempDir) -> Result<&Utf8Path, Error> {
    Utf8Path::from_path(folder.path())
        .ok_or_else(|| Error::NoFolder { path: folder.path().to_string_lossy().into_owned().into() })
}
