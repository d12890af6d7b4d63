//! Removes everything that was made, and asks the lab whether anything stayed.

use camino::Utf8PathBuf;
use jiff::Timestamp;

use super::confirm::{self, Consent};
use super::phases::phase;
use super::{Error, PhaseFailed, infrastructure, lab::Left, preflight, prove, token, world::World};
use crate::events::Phase;
use crate::terraform::{self, PlanMode};
use crate::workdir::Secrets;

/// What became of a deployment.
#[derive(Debug)]
pub struct Destroyed {
    /// What could not be removed.
    pub left: Vec<Left>,
    /// Where its secrets were kept: without them its backups can't be restored.
    pub kept: Option<Utf8PathBuf>,
}

/// Removes the deployment.
pub async fn destroy(world: &mut World, consent: &Consent) -> Result<Destroyed, PhaseFailed> {
    let name = world.deployment.name.to_string();
    let orphaned = phase(world, Phase::Preflight, async |world| {
        if !nix::unistd::geteuid().is_root() {
            return Err(Error::NotRoot);
        }
        preflight::room(world)?;
        world.lab.check()?;
        let orphaned = match preflight::owned_here(world).await {
            // Its secrets are gone, and the user has named what is to go.
            Err(Error::SecretsMissing { .. }) => true,
            found => {
                found?;
                false
            }
        };
        confirm::destroy(consent, &name, &world.interrupts).await?;
        Ok(orphaned)
    })
    .await?;
    phase(world, Phase::Destroy, async |world| remove(world, orphaned).await).await
}

async fn remove(world: &mut World, orphaned: bool) -> Result<Destroyed, Error> {
    if !orphaned && world.secrets_known {
        let_go_of_token(world).await;
        match terraform_destroy(world).await {
            Err(error) if is_decided_by_the_sweep(&error) => {
                let help = Some("what the lab's own records name is removed without it".to_owned());
                world.events.warn(error.to_string(), help);
            }
            done => done?,
        }
    }
    // Terraform removes what it knows; what a killed run left unrecorded, the lab's own records name.
    let name = world.deployment.name.to_string();
    let owner = (!orphaned && world.secrets_known).then(|| world.secrets.suffix.clone());
    let sweep = world.lab.sweep(&world.runner, &name, owner.as_deref()).await?;
    for what in &sweep.removed {
        world.events.note(format!("swept {what}"));
    }
    let kept = if sweep.left.is_empty() { retire(world)? } else { None };
    Ok(Destroyed { left: sweep.left, kept })
}

/// Whether what Terraform could not remove may still be removed by the sweep, which says what stayed.
const fn is_decided_by_the_sweep(error: &Error) -> bool {
    matches!(error, Error::Terraform(terraform::Error::Failed { .. }))
}

/// The instance goes in a moment, and with it its tokens: what can't be asked is told and holds nothing up.
async fn let_go_of_token(world: &mut World) {
    if world.secrets.token.is_none() {
        return;
    }
    let outputs = async { infrastructure::outputs(&preflight::terraform(world).await?).await };
    let bound = outputs.await.ok().flatten();
    let instance = bound.and_then(|bound| prove::instance(world, &bound));
    token::let_go(world, instance).await;
}

async fn terraform_destroy(world: &World) -> Result<(), Error> {
    if !world.workdir.terraform().join("terraform.tfstate").exists() {
        return Ok(());
    }
    let terraform = preflight::terraform(world).await?;
    terraform.init().await?;
    let planned = terraform.plan(PlanMode::Destroy).await?;
    if planned.has_changes {
        terraform.apply(planned.file).await?;
    }
    Ok(())
}

/// Puts the secrets of what is no more aside and empties the work directory but for the logs.
fn retire(world: &mut World) -> Result<Option<Utf8PathBuf>, Error> {
    let root = world.workdir.root().to_owned();
    let failed = |path: &Utf8PathBuf| {
        let path = path.clone();
        move |error: std::io::Error| Error::Events { path, why: error.to_string() }
    };
    let mut kept = None;
    if world.workdir.secrets_file().exists() {
        let stamp = Timestamp::now().strftime("%Y%m%dT%H%M%SZ");
        let path = root.join(format!("destroyed-{stamp}.secrets.json"));
        fs_err::rename(world.workdir.secrets_file(), &path).map_err(failed(&path))?;
        kept = Some(path);
    }
    for folder in ["terraform", "ansible", "ssh"] {
        let path = root.join(folder);
        if path.exists() {
            fs_err::remove_dir_all(&path).map_err(failed(&path))?;
        }
    }
    for path in [world.workdir.known_hosts(), world.workdir.ca(), world.root_password_file()] {
        if path.exists() {
            fs_err::remove_file(&path).map_err(failed(&path))?;
        }
    }
    world.secrets = Secrets::new(crate::secrets::suffix());
    world.secrets_known = false;
    Ok(kept)
}
