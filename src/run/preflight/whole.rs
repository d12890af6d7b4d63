//! `refarch preflight`: everything is asked in one pass, and nothing is made or changed.

use std::time::Instant;

use jiff::Timestamp;

use super::hosts::Wanted;
use super::{here, hosts};
use crate::checks::preflight::{Report, not_made};
use crate::events::{Finding, Kind, Phase};
use crate::render::Bound;
use crate::run::phases::phase;
use crate::run::{Error, PhaseFailed, World, infrastructure};
use crate::terraform::{Client, STATE};

/// Asks everything but what is waived.
pub async fn preflight(world: &mut World) -> Result<Report, PhaseFailed> {
    phase(world, Phase::Preflight, async |world| ask(world).await).await
}

async fn ask(world: &World) -> Result<Report, Error> {
    let began = Instant::now();
    let deployment = &world.deployment;
    let mut report = Report {
        deployment: deployment.name.to_string(),
        url: deployment.gitlab.url.to_string(),
        architecture: deployment.architecture.name.clone(),
        provider: deployment.provider.name().to_owned(),
        nodes: deployment.nodes.len(),
        waived: world.waived.clone(),
        started: Timestamp::now(),
        duration: began.elapsed(),
        findings: Vec::new(),
    };
    let (terraform, client) = here::terraform_found(world).await?;
    let bound = match client {
        Some(client) => bound(world, &client).await,
        None => None,
    };
    let front = bound.as_ref().and_then(|bound| bound.endpoints.external.address.parse().ok());
    let wanted = |check| world.wants(check);
    let (of_here, of_hosts) =
        tokio::join!(here::ask(world, front, &wanted), of_hosts(world, bound.as_ref(), &wanted));
    let (of_here, of_hosts) = (of_here?.answers, of_hosts?);
    report.take_in([terraform.finding]);
    report.take_in(of_here.into_iter().map(|answer| answer.finding));
    report.take_in(of_hosts);
    report.tell_waivers();
    for finding in &report.findings {
        world.events.send(Kind::Finding(finding.clone()));
    }
    report.duration = began.elapsed();
    Ok(report)
}

async fn of_hosts(world: &World, bound: Option<&Bound>, wanted: Wanted<'_>) -> Result<Vec<Finding>, Error> {
    match bound {
        Some(bound) => hosts::findings(world, bound, wanted).await,
        None => Ok(not_made()),
    }
}

/// The hosts, where they were made. That they can't be known is no finding: why is told by the checks of the tools.
async fn bound(world: &World, terraform: &Client) -> Option<Bound> {
    if !(world.secrets_known && world.workdir.terraform().join(STATE).exists()) {
        return None;
    }
    infrastructure::outputs(terraform).await.ok()?
}
