//! The plan and provision phases: what Terraform would change, whether it may, and doing it.

use std::collections::BTreeSet;

use super::{Error, preflight::Tools, world::World};
use crate::deployment::NodeName;
use crate::render::Bound;
use crate::terraform::{Action, Client, Plan, PlanFile, PlanMode, gates};

/// A plan that passed the gates.
#[derive(Debug)]
pub struct Planned {
    /// What Terraform would do.
    pub plan: Plan,
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
            .filter(|change| change.kind == "lab_host")
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
    let reasons = gates(&plan, &world.secrets.data_disks);
    if reasons.is_empty() {
        Ok(Planned { plan, file: planned.file })
    } else {
        Err(Error::PlanRefused { reasons })
    }
}

/// Carries out the plan.
pub async fn apply(tools: &Tools, planned: Planned) -> Result<(), Error> {
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
