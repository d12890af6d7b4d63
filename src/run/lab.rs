//! What the lab consists of, and what it says exists on this machine.

use camino::{Utf8Path, Utf8PathBuf};
use serde::Deserialize;

use super::Error;
use crate::process::{Command, Quiet, Runner, Stdout};

/// The parts of the lab, in the cache folder.
#[derive(Clone, Debug)]
pub struct Lab {
    /// The image's folder.
    pub image: Utf8PathBuf,
    /// The filesystem mirror with the Terraform provider.
    pub mirror: Utf8PathBuf,
    /// The program that looks after hosts.
    pub program: Utf8PathBuf,
    packages: Utf8PathBuf,
}

/// What exists of a deployment.
#[derive(Clone, Debug, Deserialize)]
pub struct Inspection {
    /// Whether anything of it exists.
    pub exists: bool,
    /// Whose it is.
    pub owner: Option<Owner>,
    /// Its network.
    #[serde(default)]
    pub network: Option<Network>,
    /// Its hosts.
    #[serde(default)]
    pub hosts: Vec<Host>,
    /// Its data disks.
    #[serde(default)]
    pub disks: Vec<Disk>,
}

/// The network of a deployment.
#[derive(Clone, Debug, Deserialize)]
pub struct Network {
    /// Its addresses.
    pub cidr: String,
    /// Whether it is there, and not only recorded.
    pub present: bool,
}

/// A host of a deployment.
#[derive(Clone, Debug, Deserialize)]
pub struct Host {
    /// Its name, which is that of its node.
    pub name: String,
    /// Whether it runs.
    pub running: bool,
    /// Its address.
    pub address: String,
}

/// A data disk of a deployment.
#[derive(Clone, Debug, Deserialize)]
pub struct Disk {
    /// Its name, as the modules key it.
    pub name: String,
    /// Whether what it holds is there.
    pub present: bool,
}

/// Whose a deployment is.
#[derive(Clone, Debug, Deserialize)]
pub struct Owner {
    /// The suffix that was drawn for it.
    pub suffix: String,
    /// The work directory that made it.
    pub work_directory: String,
}

/// What a sweep did.
#[derive(Clone, Debug, Deserialize)]
pub struct Sweep {
    /// What it removed.
    #[serde(default)]
    pub removed: Vec<String>,
    /// What it could not remove.
    #[serde(default)]
    pub left: Vec<Left>,
}

/// Something that could not be removed.
#[derive(Clone, Debug, Deserialize)]
pub struct Left {
    /// What.
    pub what: String,
    /// Why not.
    pub why: String,
}

impl Lab {
    /// Where the parts lie in a cache folder.
    #[must_use]
    pub fn in_cache(cache: &Utf8Path) -> Self {
        let lab = cache.join("lab");
        // The link moves on when the image is built anew; what Terraform is told must not.
        let image = lab.join("image");
        Self {
            image: image.canonicalize_utf8().unwrap_or(image),
            mirror: lab.join("mirror"),
            program: lab.join("bin/refarch-lab"),
            packages: lab.join("packages"),
        }
    }

    /// The stand-in package of one version.
    #[must_use]
    pub fn standin_package(&self, version: &str) -> Utf8PathBuf {
        self.packages.join(format!("gitlab-ee_{version}_amd64.deb"))
    }

    /// Whether all parts were built.
    ///
    /// # Errors
    /// The first part that is missing.
    pub fn check(&self) -> Result<(), Error> {
        for (what, path) in [
            ("image", self.image.join("rootfs")),
            ("Terraform provider", self.mirror.clone()),
            ("program `refarch-lab`", self.program.clone()),
        ] {
            if !path.exists() {
                return Err(Error::LabMissing { what, path });
            }
        }
        Ok(())
    }

    /// What exists of a deployment on this machine.
    pub async fn inspect(&self, runner: &Runner, name: &str) -> Result<Inspection, Error> {
        self.ask(runner, &["inspect", name]).await
    }

    /// Removes whatever is left of a deployment.
    pub async fn sweep(&self, runner: &Runner, name: &str, owner: Option<&str>) -> Result<Sweep, Error> {
        match owner {
            Some(owner) => self.ask(runner, &["sweep", name, "--owner", owner]).await,
            None => self.ask(runner, &["sweep", name]).await,
        }
    }

    async fn ask<T: serde::de::DeserializeOwned>(&self, runner: &Runner, args: &[&str]) -> Result<T, Error> {
        let command = Command::new("refarch-lab", &self.program)
            .args(args.iter().copied())
            .allow(&["REFARCH_LAB_STATE"])
            .stdout(Stdout::Private);
        let outcome = runner.run(command, &mut Quiet).await?;
        serde_json::from_slice(&outcome.private).map_err(|error| Error::LabAnswer {
            why: match outcome.tail.last() {
                Some(line) => format!("{}: {line}", outcome.ended),
                None => format!("{}: {error}", outcome.ended),
            },
            command: outcome.command,
        })
    }
}
