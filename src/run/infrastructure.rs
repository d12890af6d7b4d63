//! The plan and provision phases: what Terraform would change, whether it may, and doing it.

use std::collections::BTreeSet;

use super::{Error, GivenUp, lab::Inspection, losses, preflight, preflight::Tools, survivors, world::World};
use crate::deployment::NodeName;
use crate::render::Bound;
use crate::terraform::{
    self, Action, Client, Loss, Plan, PlanFile, PlanMode, Refusal, gates, without_accepted,
};

/// The type of hosts in the modules.
const HOST: &str = "lab_host";

/// A plan that passed the gates.
#[derive(Debug)]
pub struct Planned {
    /// What Terraform would do.
    pub plan: Plan,
    /// The data that it loses, and that was given up beforehand.
    pub given_up: Vec<GivenUp>,
    pub(super) file: PlanFile,
}

impl Planned {
    /// Whether nothing would change.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.plan.is_empty()
    }

    /// The nodes that are made or replaced: whatever was known of their host keys is void.
    #[must_use]
    pub fn made_nodes(&self, world: &World) -> BTreeSet<NodeName> {
        let indexes: BTreeSet<&str> = self
            .plan
            .changes()
            .filter(|change| matches!(change.action, Action::Create | Action::Replace))
            .filter(|change| change.kind == HOST)
            .filter_map(|change| change.index.as_deref())
            .collect();
        let nodes = world.deployment.nodes.keys();
        nodes.filter(|node| indexes.contains(node.as_str())).cloned().collect()
    }
}

/// Plans, reads the plan and asks the gates.
pub async fn plan(world: &World, tools: &Tools) -> Result<Planned, Error> {
    tools.terraform.init().await?;
    tools.terraform.validate().await?;
    let planned = tools.terraform.plan(PlanMode::Apply).await?;
    let plan = tools.terraform.show(&planned.file).await?;
    let reasons = without_what_is_there(world, gates(&plan, &world.secrets.data_disks)).await?;
    let (reasons, accepted) = without_accepted(reasons, &world.accepted);
    let (reasons, held) = without_held(world, tools, reasons).await?;
    if !reasons.is_empty() {
        return Err(Error::PlanRefused { reasons });
    }
    let hosts = serving_hosts(world, &plan);
    if !hosts.is_empty() {
        return Err(Error::ServingHosts { hosts });
    }
    let given_up: Vec<GivenUp> = accepted.iter().map(GivenUp::from).chain(held).collect();
    losses::tell(world, &given_up);
    Ok(Planned { plan, given_up, file: planned.file })
}

/// Sorts out the disks that are gone while others of their tier hold the data, as those say in this run.
async fn without_held(
    world: &World,
    tools: &Tools,
    reasons: Vec<Refusal>,
) -> Result<(Vec<Refusal>, Vec<GivenUp>), Error> {
    let is_gone = |reason: &&Refusal| reason.loss == Loss::Gone;
    let names: BTreeSet<&str> = reasons.iter().filter(is_gone).map(|reason| reason.node.as_str()).collect();
    let nodes = world.deployment.nodes.keys().filter(|node| names.contains(node.as_str()));
    let lost: BTreeSet<NodeName> =
        nodes.filter(|node| world.deployment.copies_of(node).is_some()).cloned().collect();
    let is_bound = world.workdir.ansible().join("ssh_config").exists();
    let Some(bound) = (if lost.is_empty() || !is_bound { None } else { outputs(&tools.terraform).await? })
    else {
        return Ok((reasons, Vec::new()));
    };
    let held = survivors::held(world, &bound, &lost).await?;
    let proof = |reason: &Refusal| {
        held.iter().find(|(node, _)| node.as_str() == reason.node).map(|(_, proof)| proof.clone())
    };
    let (replaced, reasons): (Vec<Refusal>, Vec<Refusal>) =
        reasons.into_iter().partition(|reason| is_gone(&reason) && proof(reason).is_some());
    let replaced = replaced.iter().map(|reason| GivenUp { held: proof(reason), ..GivenUp::from(reason) });
    Ok((reasons, replaced.collect()))
}

/// The hosts of a built cluster that the plan would take away while they serve. One that is gone is only made, one that
/// was never made to its end serves nobody, and one whose data was given up has nothing to serve.
fn serving_hosts(world: &World, plan: &Plan) -> Vec<String> {
    if !world.built() || world.deployment.nodes.len() < 2 {
        return Vec::new();
    }
    plan.changes()
        .filter(|change| change.kind == HOST && matches!(change.action, Action::Replace | Action::Delete))
        .filter(|change| change.reason.as_deref() != Some(terraform::TAINTED))
        .filter_map(|change| change.index.clone())
        .filter(|node| !world.accepted.contains(node))
        .collect()
}

/// Terraform makes a disk where its state doesn't know one, also when only the state was lost. The lab takes over
/// a disk that is there, so such a plan loses nothing.
async fn without_what_is_there(world: &World, mut reasons: Vec<Refusal>) -> Result<Vec<Refusal>, Error> {
    if reasons.iter().any(|reason| reason.loss == Loss::Gone) {
        let found = world.lab.inspect(&world.runner, world.deployment.name.as_str()).await?;
        reasons.retain(|reason| reason.loss != Loss::Gone || !is_there(&found, reason));
    }
    Ok(reasons)
}

fn is_there(found: &Inspection, reason: &Refusal) -> bool {
    let name = format!("{}-{}", reason.node, reason.disk);
    found.disks.iter().any(|disk| disk.present && disk.name == name)
}

/// Carries out the plan.
pub async fn apply(world: &World, tools: &Tools, planned: Planned) -> Result<(), Error> {
    preflight::room(world)?;
    tools.terraform.apply(planned.file).await?;
    Ok(())
}

/// What Terraform made, as its outputs tell.
pub async fn outputs(terraform: &Client) -> Result<Option<Bound>, Error> {
    let outputs = terraform.output().await?;
    if outputs.is_empty() {
        return Ok(None);
    }
    let bound: Bound = serde_json::from_value(serde_json::Value::Object(outputs))
        .map_err(|error| Error::Outputs { why: error.to_string() })?;
    Ok(Some(bound))
}
