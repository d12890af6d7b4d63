//! `refarch up`: makes the deployment, or finishes it, and proves it.

use camino::{Utf8Path, Utf8PathBuf};

use super::reports::Reports;
use super::session::Ending;
use super::tool_choice::ToolChoice;
use super::waivers::Waivers;
use super::{Failure, Session};
use crate::checks::{Level, Outcome};
use crate::exit::ExitCode;
use crate::report::{self, Summary};
use crate::run::{self, Consent, Done, Until, UpOptions, World};

/// Make the deployment, or finish it, and prove it.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The spec.
    spec: Utf8PathBuf,
    /// Answer yes to the run's question.
    #[arg(long)]
    yes: bool,
    /// Stop after this phase.
    #[arg(long, value_enum, value_name = "PHASE", default_value_t = Until::Verify, hide_default_value = true)]
    until: Until,
    /// Let go of the data of this node, if a disk of it is lost or replaced; may be given again.
    #[arg(long, value_name = "NODE")]
    accept_data_loss: Vec<String>,
    /// How deep to verify: `reach`, `health`, `api` or `function` [default: `function` after a first build, else
    /// `health`].
    #[arg(long)]
    level: Option<Level>,
    #[command(flatten)]
    waivers: Waivers,
    #[command(flatten)]
    tool: ToolChoice,
    #[command(flatten)]
    reports: Reports,
}

impl Args {
    pub(super) async fn run(self, session: &Session) -> Result<ExitCode, Failure> {
        self.reports.check()?;
        let waived = self.waivers.read()?;
        let spec = self.spec.clone();
        session
            .run(&spec, async |world| {
                world.waived = waived;
                self.work(session, world).await
            })
            .await
    }

    async fn work(self, session: &Session, world: &mut World) -> Result<Ending, Failure> {
        self.tool.apply(world);
        let options = UpOptions {
            until: self.until,
            consent: Consent { yes: self.yes, name: None },
            level: self.level,
            accept_data_loss: self.accept_data_loss.clone(),
        };
        let done = run::up(world, &options).await?;
        let exit = report(world, &self.reports, &done);
        Ok(Ending { exit, text: summary(session, world, &self.spec, &done) })
    }
}

/// Writes the reports, and says how the run ends by what its checks found.
fn report(world: &World, reports: &Reports, done: &Done) -> ExitCode {
    done.verdict.as_ref().map_or(ExitCode::Ok, |verdict| reports.finish(verdict, &world.events))
}

fn summary(session: &Session, world: &World, spec: &Utf8Path, done: &Done) -> String {
    let again = format!("refarch verify {spec}");
    let up = format!("refarch up {spec}");
    let destroy = format!("refarch destroy {spec}");
    let next: Vec<(&str, &str)> = match done.stopped_after {
        Some(_) => vec![(&up, "goes on from here")],
        None => vec![(&again, "asks all this again"), (&destroy, "removes the deployment")],
    };
    let password = format!("the password is in `{}`", world.root_password_file());
    let ca = world.workdir.ca();
    let made = done.verdict.is_some();
    let summary = Summary {
        deployment: world.deployment.name.as_str(),
        url: world.deployment.gitlab.url.as_str(),
        standin: world.deployment.gitlab.package.is_standin(),
        root_password: made.then_some(password.as_str()),
        ca: (made && ca.exists()).then_some(ca.as_str()),
        verdict: done.verdict.as_ref(),
        logs: world.run.folder.as_str(),
        next: &next,
    };
    let style = session.style();
    let mut text = String::new();
    if let Some(verdict) = done.verdict.as_ref().filter(|verdict| verdict.outcome() != Outcome::Pass) {
        text.push_str(&report::verdict_text(verdict, style));
    }
    text + &summary.text(style)
}
