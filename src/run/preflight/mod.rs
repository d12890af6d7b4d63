//! The preflight phase: can this run work at all? Asked before anything is made.
//!
//! `up` stops at the first thing that it can't go on without; `refarch preflight` asks everything and tells all of it.

mod here;
mod hosts;
mod whole;

pub use whole::preflight;

use camino::Utf8Path;

use super::{Error, lab::Inspection, world::World};
use crate::ansible;
use crate::events::Kind;
use crate::spec::Provider;
use crate::terraform;

/// How much room a run needs for state, files and logs, with much to spare.
const NEEDED_MIB: u64 = 64;
const MEBIBYTE: u64 = 1024 * 1024;

const INSTALL_SSH: &str = "install the OpenSSH client, as by `apt-get install openssh-client`";

/// What hosts are reached by.
const SSH_PROGRAMS: [&str; 3] = ["ssh", "ssh-keygen", "ssh-keyscan"];

/// The programs that a run drives.
#[derive(Clone, Debug)]
pub struct Tools {
    /// Terraform, for the rendered root module.
    pub terraform: terraform::Client,
    /// Ansible, for the rendered tree.
    pub ansible: ansible::Client,
}

/// Finds the programs and asks whose the deployment's name is.
pub async fn check(world: &World) -> Result<Tools, Error> {
    let Provider::Lab(_) = world.deployment.provider;
    if !nix::unistd::geteuid().is_root() {
        return Err(Error::NotRoot);
    }
    room(world)?;
    world.lab.check()?;
    let tools = Tools { terraform: terraform(world).await?, ansible: ansible(world).await? };
    for program in SSH_PROGRAMS {
        world.runner.ambient().find(program, INSTALL_SSH)?;
    }
    owned_here(world).await?;
    if world.deployment.gitlab.package.is_standin() {
        world.events.send(Kind::Warning {
            message: "the package is a lab stand-in, not GitLab: it proves the topology and nothing else"
                .into(),
            help: None,
        });
    }
    Ok(tools)
}

/// Refuses to begin on a disk that is full, or nearly. Asked before anything is made, and again before Terraform
/// makes something that it has to write down.
pub fn room(world: &World) -> Result<(), Error> {
    let path = world.workdir.root();
    match free_mib(path) {
        Some(free) if free < NEEDED_MIB => {
            Err(Error::NoRoom { path: path.to_owned(), free, needed: NEEDED_MIB })
        }
        _ => Ok(()),
    }
}

/// What is free on the disk of a folder, in MiB; nothing where the system doesn't tell.
fn free_mib(path: &Utf8Path) -> Option<u64> {
    let found = nix::sys::statvfs::statvfs(path.as_std_path()).ok()?;
    Some(found.blocks_available().saturating_mul(found.fragment_size()) / MEBIBYTE)
}

/// Terraform for the rendered root module.
pub async fn terraform(world: &World) -> Result<terraform::Client, Error> {
    let tool = terraform::choose(&world.workdir.terraform(), world.tool, world.runner.ambient())?;
    let options = terraform::Options {
        tool,
        dir: world.workdir.terraform(),
        mirror: Some(world.lab.mirror.clone()),
        plugin_cache: world.runner.ambient().cache()?.join("terraform-plugins"),
    };
    Ok(terraform::Client::find(&world.runner, options).await?)
}

/// Ansible for the rendered tree.
pub async fn ansible(world: &World) -> Result<ansible::Client, Error> {
    let options = ansible::Options { dir: world.workdir.ansible(), cache: world.runner.ambient().cache()? };
    Ok(ansible::Client::find(&world.runner, options).await?)
}

/// Refuses a name that another work directory owns, and nodes whose secrets nobody here knows.
pub async fn owned_here(world: &World) -> Result<Inspection, Error> {
    let name = world.deployment.name.as_str();
    let found = world.lab.inspect(&world.runner, name).await?;
    let Some(owner) = found.owner.as_ref().filter(|_| found.exists) else { return Ok(found) };
    if world.secrets_known && owner.suffix == world.secrets.suffix {
        return Ok(found);
    }
    if owner.work_directory == world.workdir.root().as_str() {
        return Err(Error::SecretsMissing { name: name.to_owned(), path: world.workdir.root().to_owned() });
    }
    Err(Error::OwnedElsewhere { name: name.to_owned(), owner: owner.work_directory.clone() })
}
