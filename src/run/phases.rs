//! The commands as sequences of phases.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use camino::{Utf8Path, Utf8PathBuf};
use secrecy::SecretString;

use super::configure::{self, NodeDiff};
use super::confirm::{self, Consent};
use super::infrastructure::{self, Planned};
use super::nodes::Gathered;
use super::preflight::{self, Tools};
use super::{Error, GivenUp, PhaseFailed, bind, host_keys, losses, prove, survivors, token, world::World};
use crate::checks::{Check, GroupName, Level, Outcome, Verdict};
use crate::deployment::NodeName;
use crate::events::{Kind, Phase};
use crate::render::Bound;
use crate::rollout::{Rollout, Step, Wanted};
use crate::terraform;

/// How many nodes a question names one by one.
const MOST_NAMED: usize = 5;

/// The phase after which `up` stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub enum Until {
    /// After the tools and the machine were asked.
    Preflight,
    /// After the files were written.
    Render,
    /// After Terraform's plan.
    Plan,
    /// After the nodes were made.
    Provision,
    /// After the nodes' files were written.
    Bind,
    /// After the nodes were configured.
    Configure,
    /// After the checks.
    Verify,
}

/// What `up` was told.
#[derive(Clone, Debug)]
pub struct UpOptions {
    /// The phase to stop after.
    pub until: Until,
    /// Answers given beforehand.
    pub consent: Consent,
    /// How deep to verify; where nobody said, as deep as can be after a first build, and to health otherwise.
    pub level: Option<Level>,
    /// The nodes whose data may go.
    pub accept_data_loss: Vec<String>,
}

/// What `verify` was told.
#[derive(Clone, Debug)]
pub struct VerifyOptions {
    /// How deep to look.
    pub level: Level,
    /// Whether every check that writes is left out.
    pub read_only: bool,
    /// The only checks to report.
    pub only: Option<BTreeSet<Check>>,
    /// The access token to use instead of the deployment's own.
    pub token: Option<SecretString>,
    /// The group inside which things are made.
    pub group: GroupName,
}

impl VerifyOptions {
    /// All checks of a level.
    #[must_use]
    pub fn new(level: Level) -> Self {
        Self { level, read_only: false, only: None, token: None, group: GroupName::Own }
    }
}

/// What a run came to.
#[derive(Debug, Default)]
pub struct Done {
    /// The verdict, if the run came to verify.
    pub verdict: Option<Verdict>,
    /// The phase that the run was told to stop after.
    pub stopped_after: Option<Phase>,
}

/// What `plan` found.
#[derive(Debug)]
pub struct PlanOutcome {
    /// Terraform's part.
    pub planned: Planned,
    /// What would happen to the nodes; absent where they do not exist yet.
    pub rollout: Option<Rollout>,
    /// The steps in which nodes would be configured; all of a first build where they do not exist yet.
    pub steps: Vec<Step>,
    /// The data that would be lost, and that was given up beforehand.
    pub given_up: Vec<GivenUp>,
    /// How the nodes' gitlab.rb would change.
    pub diffs: Vec<NodeDiff>,
    /// Where the rendered files are, for review.
    pub files: Utf8PathBuf,
}

impl PlanOutcome {
    /// Whether `up` would change anything.
    #[must_use]
    pub fn has_changes(&self) -> bool {
        !self.planned.is_empty()
            || self.rollout.as_ref().is_none_or(|rollout| !rollout.converged().is_empty())
    }
}

/// Runs one phase, and tells of its beginning and its end.
pub(super) async fn phase<T>(
    world: &mut World,
    phase: Phase,
    work: impl AsyncFnOnce(&mut World) -> Result<T, Error>,
) -> Result<T, PhaseFailed> {
    world.events.send(Kind::PhaseStarted { phase });
    let began = Instant::now();
    match work(world).await {
        Ok(value) => {
            let seconds = began.elapsed().as_secs_f64();
            world.events.send(Kind::PhaseFinished { phase, seconds });
            Ok(value)
        }
        Err(error) => {
            tell_of_full_disk(world);
            let (message, log) = (error.to_string(), Some(world.run.folder.to_string()));
            world.events.send(Kind::PhaseFailed { phase, message, log });
            Err(PhaseFailed { phase, exit: error.exit_code(), error: Box::new(error) })
        }
    }
}

/// What fails on a full disk fails in many ways, and few of them say so.
fn tell_of_full_disk(world: &World) {
    if let Err(full) = preflight::room(world) {
        let help = miette::Diagnostic::help(&full).map(|help| help.to_string());
        world.events.warn(full.to_string(), help);
    }
}

/// Makes the deployment, or finishes it, and proves it.
pub async fn up(world: &mut World, options: &UpOptions) -> Result<Done, PhaseFailed> {
    let stop =
        |phase, at| (options.until <= at).then_some(Done { stopped_after: Some(phase), verdict: None });
    let mut consent = options.consent.clone();
    let usual = usual_level(world);
    let tools = preflight(world, &options.accept_data_loss).await?;
    if let Some(done) = stop(Phase::Preflight, Until::Preflight) {
        return Ok(done);
    }
    phase(world, Phase::Render, render).await?;
    if let Some(done) = stop(Phase::Render, Until::Render) {
        return Ok(done);
    }
    let planned = phase(world, Phase::Plan, async |world| infrastructure::plan(world, &tools).await).await?;
    if let Some(done) = stop(Phase::Plan, Until::Plan) {
        return Ok(done);
    }
    let made = planned.made_nodes(world);
    phase(world, Phase::Provision, async |world| provision(world, &tools, planned, &mut consent).await)
        .await?;
    if let Some(done) = stop(Phase::Provision, Until::Provision) {
        return Ok(done);
    }
    let (bound, wanted) = phase(world, Phase::Bind, async |world| bind(world, &tools, &made).await).await?;
    if let Some(done) = stop(Phase::Bind, Until::Bind) {
        return Ok(done);
    }
    let gathered = phase(world, Phase::Configure, async |world| {
        configure(world, &tools, &bound, &wanted, &consent).await
    })
    .await?;
    if let Some(done) = stop(Phase::Configure, Until::Configure) {
        return Ok(done);
    }
    let asked = VerifyOptions::new(options.level.unwrap_or(usual));
    let verdict = phase(world, Phase::Verify, async |world| {
        verify_phase(world, &tools, &bound, &asked, gathered).await
    })
    .await?;
    Ok(Done { verdict: Some(verdict), stopped_after: None })
}

async fn preflight(world: &mut World, accept_data_loss: &[String]) -> Result<Tools, PhaseFailed> {
    phase(world, Phase::Preflight, async |world| {
        world.accept_data_loss(accept_data_loss)?;
        preflight::check(world).await
    })
    .await
}

/// Finds out what `up` would change, were the data of these nodes given up.
pub async fn plan(world: &mut World, accept_data_loss: &[String]) -> Result<PlanOutcome, PhaseFailed> {
    let tools = preflight(world, accept_data_loss).await?;
    phase(world, Phase::Render, render).await?;
    phase(world, Phase::Plan, async |world| plan_phase(world, &tools).await).await
}

/// Checks a deployment that exists.
pub async fn verify(world: &mut World, options: &VerifyOptions) -> Result<Done, PhaseFailed> {
    let bound = phase(world, Phase::Preflight, existing).await?;
    let verdict =
        phase(world, Phase::Verify, async |world| prove::verify(world, &bound, options, None).await).await?;
    Ok(Done { verdict: Some(verdict), stopped_after: None })
}

/// Takes the tokens of refarch back from the instance. Says how many there were.
pub async fn revoke(world: &mut World) -> Result<usize, PhaseFailed> {
    phase(world, Phase::Verify, token::revoke).await
}

/// Writes the files that `up` would use into a folder of the user's.
pub async fn render_to(world: &mut World, folder: &Utf8Path) -> Result<usize, PhaseFailed> {
    phase(world, Phase::Render, async |world| {
        preflight::owned_here(world).await?;
        world.decide_secrets().await?;
        let tree = world.render(None)?;
        for (path, content) in tree.iter() {
            let path = folder.join(path);
            let written = path.parent().map_or(Ok(()), fs_err::create_dir_all);
            written
                .and_then(|()| fs_err::write(&path, content))
                .map_err(|error| Error::Events { path: path.clone(), why: error.to_string() })?;
        }
        Ok(tree.iter().count())
    })
    .await
}

async fn render(world: &mut World) -> Result<(), Error> {
    world.decide_secrets().await?;
    let tree = world.render(None)?;
    bind::write_unbound(world, &tree)
}

async fn provision(
    world: &mut World,
    tools: &Tools,
    mut planned: Planned,
    consent: &mut Consent,
) -> Result<(), Error> {
    // Who made the state is written down once it is agreed to, and before anything is in it.
    let record = |world: &World| terraform::record(&world.workdir.terraform(), tools.terraform.tool());
    loop {
        if planned.is_empty() {
            record(world)?;
            let proof = format!("{}'s plan of this run is empty", tools.terraform.tool());
            world.events.send(Kind::PhaseSkipped { phase: Phase::Provision, node: None, proof });
            return Ok(());
        }
        let changes = planned.plan.summary();
        let losses = losses::asked(&planned.given_up);
        let question =
            format!("Make {}, change {}, remove {}{losses}?", changes.add, changes.change, changes.remove);
        confirm::go_on(consent, &question, &world.interrupts).await?;
        record(world)?;
        let given_up = planned.given_up.clone();
        host_keys::forget(world, &planned.made_nodes(world))?;
        match infrastructure::apply(world, tools, planned).await {
            Err(Error::Terraform(terraform::Error::StalePlan)) => {
                world.events.note("the state changed since the plan was made: planning again");
                planned = infrastructure::plan(world, tools).await?;
            }
            result => {
                // One question a run: what follows on the nodes was agreed to with it.
                consent.yes = true;
                result?;
                // Until the disks are there anew, the next run is to ask again.
                return losses::forget(world, given_up);
            }
        }
    }
}

async fn bind(
    world: &mut World,
    tools: &Tools,
    made: &BTreeSet<NodeName>,
) -> Result<(Bound, BTreeMap<NodeName, Wanted>), Error> {
    let bound = infrastructure::outputs(&tools.terraform).await?.ok_or_else(|| no_deployment(world))?;
    let wanted = bind::bind(world, &bound)?;
    host_keys::pin(world, &bound, made).await?;
    Ok((bound, wanted))
}

async fn configure(
    world: &mut World,
    tools: &Tools,
    bound: &Bound,
    wanted: &BTreeMap<NodeName, Wanted>,
    consent: &Consent,
) -> Result<Gathered, Error> {
    let mut decided = configure::probe(world, tools, bound, wanted).await?;
    let nodes = decided.rollout.converged();
    if !nodes.is_empty() {
        let losses = losses::asked(&decided.given_up);
        let question = format!("Configure {}{losses}?", few(&nodes));
        confirm::go_on(consent, &question, &world.interrupts).await?;
    }
    let forgets = !decided.given_up.is_empty();
    losses::forget(world, std::mem::take(&mut decided.given_up))?;
    let follows = survivors::follow(world, bound, &decided).await?;
    // The inventory named the file systems that were expected, and gitlab.rb of a new Redis whoever led it at first.
    if forgets || follows {
        bind::bind(world, bound)?;
    }
    configure::converge(world, tools, decided).await
}

/// The nodes by name, as far as a question can hold them.
fn few(nodes: &[NodeName]) -> String {
    if nodes.len() > MOST_NAMED {
        return format!("{} nodes", nodes.len());
    }
    nodes.iter().map(NodeName::as_str).collect::<Vec<_>>().join(", ")
}

async fn verify_phase(
    world: &mut World,
    tools: &Tools,
    bound: &Bound,
    options: &VerifyOptions,
    gathered: Gathered,
) -> Result<Verdict, Error> {
    let verdict = prove::verify(world, bound, options, Some(gathered)).await?;
    // What is healthy holds data from now on, whatever deeper checks found.
    if verdict.outcome_up_to(Level::Health) == Outcome::Pass {
        configure::mark_built(world, tools).await?;
    }
    Ok(verdict)
}

async fn plan_phase(world: &mut World, tools: &Tools) -> Result<PlanOutcome, Error> {
    let planned = infrastructure::plan(world, tools).await?;
    let bound = infrastructure::outputs(&tools.terraform).await?;
    let known = |bound: &Bound| world.deployment.nodes.keys().all(|node| bound.nodes.contains_key(node));
    let reachable = planned.made_nodes(world).is_empty();
    let files = world.workdir.ansible().join("files");
    let Some(bound) = bound.filter(|bound| reachable && known(bound)) else {
        let diffs = configure::diffs(world, &world.render(None)?);
        let given_up = planned.given_up.clone();
        let steps = configure::first_steps(world);
        return Ok(PlanOutcome { planned, rollout: None, steps, given_up, diffs, files });
    };
    let diffs = configure::diffs(world, &world.render(Some(&bound))?);
    let wanted = bind::wanted(world, &bound)?;
    let decided = configure::probe(world, tools, &bound, &wanted).await?;
    let given_up = [planned.given_up.clone(), decided.given_up].concat();
    let (rollout, steps) = (Some(decided.rollout), decided.steps);
    Ok(PlanOutcome { planned, rollout, steps, given_up, diffs, files })
}

/// The addresses of a deployment that exists. Nothing is made or changed for it.
async fn existing(world: &mut World) -> Result<Bound, Error> {
    let found = preflight::owned_here(world).await?;
    if !(found.exists && world.secrets_known) {
        return Err(no_deployment(world));
    }
    let terraform = preflight::terraform(world).await?;
    infrastructure::outputs(&terraform).await?.ok_or_else(|| no_deployment(world))
}

/// How deep `up` verifies where nobody said. Whether this is the first build is asked before anything is made.
fn usual_level(world: &World) -> Level {
    let is_first = world.secrets.data_disks.values().all(|disk| !disk.built);
    let [.., deepest] = Level::ALL;
    if is_first { deepest } else { Level::Health }
}

fn no_deployment(world: &World) -> Error {
    Error::NoDeployment { name: world.deployment.name.to_string(), path: world.workdir.root().to_owned() }
}
