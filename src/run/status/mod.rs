//! What is known of a deployment, asked within seconds. Nothing is made, locked, changed or written down for it.

mod summary;

use std::time::Instant;

use camino::{Utf8Path, Utf8PathBuf};
use jiff::Timestamp;
use serde::Deserialize;

use self::summary::{Facts, Intended, summary};
use super::nodes::{self, Gathered};
use super::scratch::Scratch;
use super::world::{Look, World};
use super::{Error, bind, infrastructure, lab::Lab, preflight};
use crate::architecture;
use crate::deployment::{NodeName, resolve};
use crate::events::Sender;
use crate::process::{Ambient, Interrupts, Parts, Redactor, Runner};
use crate::report::{AtWork, LastVerdict, Status, VerdictCounts};
use crate::rollout::{Question, decide};
use crate::spec::{Provider, Spec};
use crate::workdir::{Lock, Secrets, Workdir};

/// What a status is asked of.
pub struct StatusRequest {
    /// The spec's path.
    pub spec_path: Utf8PathBuf,
    /// The spec.
    pub spec: Spec,
    /// The user's wishes to stop.
    pub interrupts: Interrupts,
    /// refarch's own environment.
    pub ambient: Ambient,
}

/// Asks the provider what exists, and the nodes what they are.
///
/// # Errors
/// Where it can't be said what exists. Nodes that don't answer are part of the status.
pub async fn status(request: StatusRequest) -> Result<Status, Error> {
    let StatusRequest { spec_path, spec, interrupts, ambient } = request;
    let (asked, began) = (Timestamp::now(), Instant::now());
    let deployment = resolve(&spec, architecture::of_size(spec.architecture)?);
    let Provider::Lab(_) = deployment.provider;
    if !nix::unistd::geteuid().is_root() {
        return Err(Error::NotRoot);
    }
    let scratch = Scratch::make()?;
    let workdir = Workdir::existing(&spec_path, spec.name.as_str())?;
    let secrets = match &workdir {
        Some(workdir) => Secrets::load(workdir)?,
        None => None,
    };
    let lab = Lab::in_cache(&ambient.cache()?);
    if !lab.program.exists() {
        return Err(Error::LabMissing { what: "program `refarch-lab`", path: lab.program });
    }
    let runner = Runner::new(Parts {
        logs: scratch.path().to_owned(),
        redactor: Redactor::knowing(&secrets.as_ref().map(Secrets::values).unwrap_or_default()),
        events: Sender::nowhere(),
        interrupts: interrupts.clone(),
        ambient,
        lock: None,
    });
    let found = lab.inspect(&runner, deployment.name.as_str()).await?;
    let place = Workdir::place(&spec_path, spec.name.as_str())?;
    let is_known = |secrets: &Secrets| found.owner.as_ref().is_none_or(|it| it.suffix == secrets.suffix);
    let secrets_known = secrets.as_ref().is_some_and(is_known);
    let is_ours = secrets_known || found.owner.as_ref().is_none_or(|it| it.work_directory == place.as_str());
    let at_work = workdir.as_ref().and_then(|workdir| at_work(&workdir.lock_file()));
    let last_verdict = workdir.as_ref().and_then(last_verdict);
    let mut facts = Facts {
        asked,
        duration: std::time::Duration::ZERO,
        place,
        workdir_exists: workdir.is_some(),
        secrets_known,
        at_work,
        found,
        is_ours,
        last_verdict,
        gathered: Gathered::default(),
        intended: Err("the node was not asked".into()),
        deployment: &deployment,
    };
    if let (Some(workdir), Some(secrets)) = (workdir, secrets)
        && facts.can_ask_nodes()
    {
        let look = Look { deployment: deployment.clone(), workdir, secrets, runner, lab };
        let mut world = World::look(look, scratch.path());
        (facts.gathered, facts.intended) = ask(&mut world, &facts.running()).await?;
    }
    if interrupts.count() > 0 {
        return Err(Error::Interrupted);
    }
    facts.duration = began.elapsed();
    Ok(summary(&facts))
}

/// Asks the nodes that run, and what `up` would do to those that answer.
async fn ask(world: &mut World, running: &[NodeName]) -> Result<(Gathered, Intended), Error> {
    if running.is_empty() {
        return Ok((Gathered::default(), Err("no node runs".into())));
    }
    let gathered = nodes::ask_those(world, running).await?;
    let intended = intended(world, &gathered).await;
    Ok((gathered, intended.map_err(|error| error.to_string())))
}

async fn intended(world: &mut World, gathered: &Gathered) -> Result<summary::Decision, Error> {
    if gathered.states.is_empty() {
        return Ok(summary::Decision::default());
    }
    world.take_given()?;
    let terraform = preflight::terraform(world).await?;
    let Some(bound) = infrastructure::outputs(&terraform).await? else {
        return Err(Error::Outputs { why: "there are none yet".into() });
    };
    let wanted = bind::wanted(world, &bound)?;
    let question = Question {
        deployment: &world.deployment,
        suffix: &world.secrets.suffix,
        wanted: &wanted,
        states: &gathered.states,
        known_disks: &world.known_disks(),
        accepted: &world.accepted,
        held: &std::collections::BTreeMap::new(),
        built: world.built(),
    };
    Ok(match decide(question) {
        Ok(rollout) => summary::Decision { rollout, refusals: Vec::new() },
        Err(refusals) => summary::Decision { refusals, ..summary::Decision::default() },
    })
}

/// Who is at work in the work directory: a run, or what a killed one left.
fn at_work(lock: &Utf8Path) -> Option<AtWork> {
    let (owner, is_held) = match Lock::holder(lock) {
        Some(owner) => (owner, true),
        None => (Lock::left_at_work(lock)?, false),
    };
    let program = owner.child.as_ref();
    let since = if is_held { owner.since } else { program?.since };
    Some(AtWork {
        program: program.map(|child| child.tool.clone()),
        process: if is_held { owner.pid } else { program?.pid },
        command: owner.command,
        user: owner.user,
        since: since.to_string(),
        killed: !is_held,
    })
}

/// What of a verdict's file the status tells. Older and newer files have more, or less.
#[derive(Deserialize)]
struct Verdict {
    outcome: String,
    level: String,
    started: String,
    counts: VerdictCounts,
}

/// The newest verdict that can be read.
fn last_verdict(workdir: &Workdir) -> Option<LastVerdict> {
    let runs = workdir.runs().unwrap_or_default();
    runs.iter().rev().find_map(|run| {
        let Verdict { outcome, level, started, counts } =
            serde_json::from_slice(&fs_err::read(run.report()).ok()?).ok()?;
        Some(LastVerdict { outcome, level, started, counts, report: run.report().into_string() })
    })
}
