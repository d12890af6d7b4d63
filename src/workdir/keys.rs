//! Keys, made by `ssh-keygen`: it is there wherever Ansible can work.

use camino::Utf8Path;
use secrecy::SecretString;

use super::{Error, SshKey};
use crate::process::{Command, Quiet, Runner};

const INSTALL: &str = "Install the OpenSSH client, as by `apt-get install openssh-client`.";

/// Makes a key pair that opens the nodes. `comment` ends up in the public half.
pub async fn ssh_key(runner: &Runner, comment: &str) -> Result<SshKey, Error> {
    let folder = private_folder(runner)?;
    let path = &path_in(&folder)?.join("key");
    generate(runner, path, &["-t", "ed25519", "-C", comment]).await?;
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
