//! `refarch plan`: shows what `up` would change, and changes nothing.

use std::fmt::Write as _;

use camino::Utf8PathBuf;

use super::session::Ending;
use super::tool_choice::ToolChoice;
use super::waivers::Waivers;
use super::{Failure, Session};
use crate::exit::ExitCode;
use crate::rollout::Decision;
use crate::run::{self, PlanOutcome};
use crate::terraform::Action;

/// Show what `up` would change; change nothing.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The spec.
    spec: Utf8PathBuf,
    /// Plan as if the data of this node could go, if a disk of it is lost or replaced; may be given again.
    #[arg(long, value_name = "NODE")]
    accept_data_loss: Vec<String>,
    #[command(flatten)]
    waivers: Waivers,
    #[command(flatten)]
    tool: ToolChoice,
    /// End with 10 when there are changes.
    #[arg(long)]
    detailed_exitcode: bool,
}

impl Args {
    pub(super) async fn run(self, session: &Session) -> Result<ExitCode, Failure> {
        let waived = self.waivers.read()?;
        session
            .run(&self.spec, async |world| {
                self.tool.apply(world);
                world.waived = waived;
                let outcome = run::plan(world, &self.accept_data_loss).await?;
                let tell = self.detailed_exitcode && outcome.has_changes();
                let exit = if tell { ExitCode::PlanHasChanges } else { ExitCode::Ok };
                Ok(Ending { exit, text: text(&outcome) })
            })
            .await
    }
}

fn text(outcome: &PlanOutcome) -> String {
    let mut text = String::new();
    for change in outcome.planned.plan.changes() {
        let reason = change.reason.as_deref().map(|reason| format!(" ({reason})")).unwrap_or_default();
        let _ = writeln!(text, "{:8} {}{reason}", verb(change.action), change.address);
    }
    for lost in &outcome.given_up {
        let _ = writeln!(text, "{:8} {}", "lose", lost.sentence());
    }
    match &outcome.rollout {
        None => {
            let _ = writeln!(
                text,
                "configure every node, once it is made, with NODE/gitlab.rb in {}",
                outcome.files
            );
        }
        Some(rollout) => {
            for (node, decision) in &rollout.decisions {
                let _ = match decision {
                    Decision::LeaveAlone => writeln!(text, "{:8} {node}", "leave"),
                    Decision::Converge(reasons) => {
                        writeln!(text, "{:8} {node}: {}", "configure", reasons.join("; "))
                    }
                };
            }
        }
    }
    for (index, step) in outcome.steps.iter().enumerate() {
        let _ = writeln!(text, "step {}: {step}, because {}", index + 1, step.why);
    }
    for diff in &outcome.diffs {
        let _ = write!(text, "\n{}:\n{}", diff.node, diff.diff);
    }
    if !outcome.has_changes() {
        text.push_str("nothing to do\n");
    }
    text
}

const fn verb(action: Action) -> &'static str {
    match action {
        Action::NoOp => "leave",
        Action::Read => "read",
        Action::Create => "make",
        Action::Update => "change",
        Action::Delete => "remove",
        Action::Replace => "replace",
        Action::Forget => "forget",
        Action::Unknown => "unknown",
    }
}
