//! `refarch preflight`: everything is asked in one pass, and nothing is made or changed.

use std::time::Instant;

use jiff::Timestamp;

use super::here;
use crate::checks::preflight::{Report, Waiver};
use crate::events::{Kind, Phase};
use crate::run::phases::phase;
use crate::run::{Error, PhaseFailed, World};

/// Asks everything but what is waived.
pub async fn preflight(world: &mut World, waived: Vec<Waiver>) -> Result<Report, PhaseFailed> {
    phase(world, Phase::Preflight, async |world| ask(world, waived).await).await
}

async fn ask(world: &World, waived: Vec<Waiver>) -> Result<Report, Error> {
    let began = Instant::now();
    let deployment = &world.deployment;
    let mut report = Report {
        deployment: deployment.name.to_string(),
        url: deployment.gitlab.url.to_string(),
        architecture: deployment.architecture.name.clone(),
        provider: deployment.provider.name().to_owned(),
        nodes: deployment.nodes.len(),
        waived,
        started: Timestamp::now(),
        duration: began.elapsed(),
        findings: Vec::new(),
    };
    report.take_in(here::findings(world).await?);
    report.tell_waivers();
    for finding in &report.findings {
        world.events.send(Kind::Finding(finding.clone()));
    }
    report.duration = began.elapsed();
    Ok(report)
}
