//! The preflight phase: can this run work at all? Asked before anything is made.
//!
//! `up` and `plan` stop for what fails, all of it at once; `refarch preflight` tells what warns and passes, too.

mod here;
mod hosts;
mod whole;

pub use whole::preflight;

use camino::Utf8Path;

use super::error::NotReady;
use super::{Error, lab::Inspection, world::World};
use crate::ansible;
use crate::checks::preflight::Check;
use crate::events::{Kind, Status};
use crate::exit::ExitCode;
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

/// Asks all that could make this run fail, finds the programs, and takes what the user gives.
///
/// GitLab's name is left to verify, which asks it when it matters: nothing stops for it.
///
/// # Errors
/// All that stands in the way, at once.
pub async fn check(world: &mut World) -> Result<Tools, Error> {
    // Programs write down what they say, so on a full disk nothing more can be asked.
    room(world)?;
    let (terraform, client) = here::terraform_found(world).await?;
    let wanted = |check| check != Check::Dns && world.wants(check);
    let here = here::ask(world, None, &wanted).await?;
    let mut answers = here.answers;
    answers.push(terraform);
    refused(answers)?;
    let (Some(terraform), Some(ansible)) = (client, here.ansible) else {
        return Err(Error::Outputs { why: "a program passed preflight and was not found".into() });
    };
    world.take_given()?;
    if world.deployment.gitlab.package.is_standin() {
        world.events.send(Kind::Warning {
            message: "the package is a lab stand-in, not GitLab: it proves the topology and nothing else"
                .into(),
            help: None,
        });
    }
    Ok(Tools { terraform, ansible })
}

/// Stops for what failed: for one error as itself, for several things with a line each.
fn refused(answers: Vec<here::Answer>) -> Result<(), Error> {
    let mut failed: Vec<here::Answer> =
        answers.into_iter().filter(|answer| answer.finding.status == Status::Fail).collect();
    failed.sort_by_key(|answer| (answer.finding.check.parse::<Check>().ok(), answer.finding.node.clone()));
    if failed.is_empty() {
        return Ok(());
    }
    if let [here::Answer { error: error @ Some(_), .. }] = failed.as_mut_slice()
        && let Some(error) = error.take()
    {
        return Err(error);
    }
    let codes: Vec<ExitCode> =
        failed.iter().filter_map(|answer| Some(answer.error.as_ref()?.exit_code())).collect();
    // What must not be touched weighs more than what is wrong in the spec, and that more than what is missing.
    let exit = [ExitCode::Refused, ExitCode::SpecInvalid].into_iter().find(|code| codes.contains(code));
    let reasons = failed.iter().map(|answer| NotReady::from(&answer.finding)).collect();
    Err(Error::NotReady { reasons, exit: exit.unwrap_or(ExitCode::ToolMissing) })
}

/// Refuses to begin on a disk that is full, or nearly. Asked before anything is made, and again before Terraform
/// makes something that it has to write down.
pub fn room(world: &World) -> Result<(), Error> {
    if !world.wants(Check::Room) {
        return Ok(());
    }
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
