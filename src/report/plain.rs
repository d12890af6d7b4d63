//! One calm line for each thing worth saying, for a terminal and for a pipe alike.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write;

use jiff::Timestamp;

use super::style::{Style, Tone};
use super::text::{counted, folded, printable, seconds, spoken};
use super::verdict::{name, status_word, tone};
use super::words::{action, applied, at_resource, at_work, changes, resource, step};
use crate::events::{
    Event, Finding, Gone, Kind, NodeStatus, Phase, Reader, ResourceStatus, Severity, Status, TaskStatus,
    WaitingFor,
};
use crate::terraform::Tool;

/// How long work on one resource goes on before a line says that it does, and before the next one does.
const PATIENCE_SECONDS: f64 = 30.0;

/// Writes what a user wants to know of a run. It ends with the output, and the run goes on without it.
#[derive(Debug)]
pub struct Plain<W> {
    out: W,
    style: Style,
    /// Whether lines are broken between words; a pipe gets each thing in one line.
    folds: bool,
    began: Option<Timestamp>,
    /// The phase that has begun and was not spoken of yet.
    unspoken: Option<Phase>,
    /// The step that each node is at.
    steps: BTreeMap<String, String>,
    /// For how long each resource had been worked on when a line last said so.
    said: BTreeMap<String, f64>,
    /// Which of the two is at work.
    tool: Tool,
}

impl<W: Write + Send> Plain<W> {
    /// A reader that writes to `out`.
    pub const fn new(out: W, style: Style) -> Self {
        Self {
            out,
            style,
            folds: false,
            began: None,
            unspoken: None,
            steps: BTreeMap::new(),
            said: BTreeMap::new(),
            tool: Tool::Terraform,
        }
    }

    /// The same for a terminal, which would break lines within words.
    #[must_use]
    pub fn folding(self, folds: bool) -> Self {
        Self { folds, ..self }
    }

    fn lines(&mut self, kind: &Kind) -> Vec<String> {
        match kind {
            Kind::RunStarted { command, deployment, refarch } => {
                vec![format!("refarch {refarch}: {command}, for {deployment}")]
            }
            Kind::RunFinished { exit, seconds } => vec![self.run_finished(*exit, *seconds)],
            Kind::PhaseStarted { phase } => {
                self.unspoken = Some(*phase);
                Vec::new()
            }
            Kind::PhaseFinished { phase, seconds } => {
                self.unspoken = None;
                self.steps.clear();
                vec![format!("{} done in {}", self.phase(*phase), duration(*seconds))]
            }
            Kind::PhaseSkipped { phase, node, proof } => self.phase_skipped(*phase, node.as_deref(), proof),
            Kind::PhaseFailed { phase, message, log } => self.phase_failed(*phase, message, log.as_deref()),
            Kind::StepStarted { number, of, what, why } => {
                vec![format!("step {number} of {of}: {what}, because {why}")]
            }
            Kind::StepFinished { number, of, seconds } => {
                self.steps.clear();
                vec![format!("step {number} of {of} done in {}", duration(*seconds))]
            }
            Kind::PlanSummary { changes: count } => {
                vec![format!("{}'s plan: {}", self.tool, changes(*count))]
            }
            Kind::ApplySummary { changes: count } => vec![format!("{}: {}", self.tool, applied(*count))],
            Kind::DataGivenUp { node, disk, uuid, how } => {
                vec![self.data_given_up(node, disk, uuid.as_deref(), how)]
            }
            Kind::ResourceDrift { address, action: word } => {
                vec![format!("{} was {} outside of {}", resource(address), action(word).0, self.tool)]
            }
            Kind::Resource { address, action: word, status, seconds } => {
                self.resource(address, word, *status, *seconds).into_iter().collect()
            }
            Kind::PlayStarted { play } => {
                self.steps.clear();
                vec![format!("Ansible: {play}")]
            }
            Kind::NodeTask { node, task, path, status, message, .. } => {
                self.node_task(node, task, path, *status, message.as_deref())
            }
            Kind::PlaybookSummary { playbook, nodes } => vec![playbook_summary(playbook, nodes)],
            Kind::Finding(finding) => self.finding(finding),
            Kind::Warning { message, help } => {
                let word = self.style.paint(Tone::Attention, "warning");
                lines_of(&format!("{word}: {message}"), help.as_deref())
            }
            Kind::Diagnostic { severity, summary, detail, place, .. } => {
                let (tone, word) = match severity {
                    Severity::Error => (Tone::Bad, "error"),
                    Severity::Warning => (Tone::Attention, "warning"),
                };
                let place = place.as_ref().map(|place| format!(" ({place})")).unwrap_or_default();
                lines_of(
                    &format!("{}: {summary}{place}", self.style.paint(tone, word)),
                    Some(detail.as_str()),
                )
            }
            // A program is at work now, and that may take long: what the phase does is said before.
            Kind::ChildStarted { child, .. } => {
                self.tool = Tool::by_program(&child.tool).unwrap_or(self.tool);
                self.phase_speaks()
            }
            Kind::ChildFinished { .. } => Vec::new(),
            Kind::Waiting { waiting_for } => waiting(waiting_for),
            Kind::Note { message } => lines_of(message, None),
            Kind::Missed { count } => {
                let count = counted(usize::try_from(*count).unwrap_or(usize::MAX), "event");
                vec![format!("{count} came too fast to be shown here; the log of the run has all")]
            }
        }
    }

    fn phase(&self, phase: Phase) -> String {
        self.style.paint(Tone::Strong, &phase.to_string())
    }

    fn data_given_up(&self, node: &str, disk: &str, uuid: Option<&str>, how: &str) -> String {
        let word = self.style.paint(Tone::Attention, "data loss");
        let uuid = uuid.map(|uuid| format!(" (file system {uuid})")).unwrap_or_default();
        format!("{word}: disk `{disk}` of {node}{uuid}, as `--accept-data-loss` allows: {how}")
    }

    fn phase_speaks(&mut self) -> Vec<String> {
        let phase = self.unspoken.take();
        phase
            .map(|phase| format!("{}: {}", self.phase(phase), at_work(phase, self.tool)))
            .into_iter()
            .collect()
    }

    fn phase_skipped(&mut self, phase: Phase, node: Option<&str>, proof: &str) -> Vec<String> {
        let what = if let Some(node) = node {
            format!("{node} is left alone")
        } else {
            self.unspoken = None;
            "nothing to do".to_owned()
        };
        vec![format!("{}: {what}, because {proof}", self.phase(phase))]
    }

    fn phase_failed(&mut self, phase: Phase, message: &str, log: Option<&str>) -> Vec<String> {
        self.unspoken = None;
        let word = self.style.paint(Tone::Bad, "failed");
        let log = log.map(|log| format!("the log is {log}"));
        lines_of(&format!("{} {word}: {message}", self.phase(phase)), log.as_deref())
    }

    fn run_finished(&self, exit: u8, seconds: f64) -> String {
        let took = duration(seconds);
        match exit {
            0 => format!("{} in {took}", self.style.paint(Tone::Good, "done")),
            exit => format!("{} with exit code {exit} after {took}", self.style.paint(Tone::Bad, "ended")),
        }
    }

    fn resource(
        &mut self,
        address: &str,
        word: &str,
        status: ResourceStatus,
        seconds: f64,
    ) -> Option<String> {
        let (done, doing) = action(word);
        let name = resource(address);
        match status {
            ResourceStatus::Started => None,
            // What is only read changes nothing, and there is much of it.
            ResourceStatus::Done if word == "read" => None,
            ResourceStatus::Done => Some(format!("{done} {name} in {}", duration(seconds))),
            ResourceStatus::Failed => {
                let failed = self.style.paint(Tone::Bad, "failed");
                Some(format!("{doing} {name} {failed} after {}", duration(seconds)))
            }
            ResourceStatus::Progress => {
                let said = self.said.entry(address.to_owned()).or_default();
                if seconds < *said + PATIENCE_SECONDS {
                    return None;
                }
                *said = seconds;
                Some(format!("still {doing} {name}, for {} now", duration(seconds)))
            }
        }
    }

    fn node_task(
        &mut self,
        node: &str,
        task: &str,
        path: &str,
        status: TaskStatus,
        message: Option<&str>,
    ) -> Vec<String> {
        let failed = match status {
            TaskStatus::Failed => Some("failed"),
            TaskStatus::Unreachable => Some("can't be reached"),
            TaskStatus::Started
            | TaskStatus::Ok
            | TaskStatus::Changed
            | TaskStatus::Skipped
            | TaskStatus::Ignored => None,
        };
        if let Some(word) = failed {
            let word = self.style.paint(Tone::Bad, word);
            return lines_of(&format!("{node} {word}: {task} ({path})"), message);
        }
        // A step is worth a line once something of it is begun or done there, not when all of it is skipped.
        if status == TaskStatus::Skipped {
            return Vec::new();
        }
        let Some(step) = step(path) else { return Vec::new() };
        if self.steps.get(node) == Some(&step) {
            return Vec::new();
        }
        let line = format!("{node}: {step}");
        self.steps.insert(node.to_owned(), step);
        vec![line]
    }

    fn finding(&self, finding: &Finding) -> Vec<String> {
        if finding.status == Status::Pass {
            return Vec::new();
        }
        let word = self.style.paint(tone(finding.status), status_word(finding.status));
        let line = format!("{word}: {}: {}", name(finding), printable(&finding.saw));
        // What could not be looked at is told with its remedy in the verdict; a line is enough on the way.
        let remedy = finding.remedy.as_deref().filter(|_| finding.status != Status::Skip);
        lines_of(&line, remedy)
    }

    fn elapsed(&mut self, now: Timestamp) -> String {
        let began = *self.began.get_or_insert(now);
        let seconds = now.duration_since(began).as_secs().max(0);
        self.style.paint(Tone::Quiet, &format!("{:>3}:{:02}", seconds / 60, seconds % 60))
    }

    fn write(&mut self, time: Timestamp, lines: &[String]) -> std::io::Result<()> {
        let elapsed = self.elapsed(time);
        let mut text = String::new();
        for line in lines {
            // A line that continues another one stands below its text.
            let margin = if line.starts_with(' ') { " ".repeat(6) } else { elapsed.clone() };
            if self.folds {
                let own = line.trim_start();
                let first = format!("{margin}  {}", &line[..line.len() - own.len()]);
                text.push_str(&folded(&first, own));
            } else {
                text.push_str(format!("{margin}  {line}").trim_end());
                text.push('\n');
            }
        }
        self.out.write_all(text.as_bytes())?;
        self.out.flush()
    }
}

impl<W: Write + Send> Reader for Plain<W> {
    fn read(&mut self, event: &Event) -> Result<(), Gone> {
        let own = self.lines(&event.event);
        // The phase's own line comes before the first thing that it has to say, unless that names the phase too.
        let names_it = matches!(event.event, Kind::PhaseSkipped { .. });
        let first = if own.is_empty() || names_it { Vec::new() } else { self.phase_speaks() };
        let lines = [first, own].concat();
        self.write(event.time, &lines).map_err(|_| Gone)
    }
}

/// A line, and below it the lines of what explains it.
fn lines_of(line: &str, below: Option<&str>) -> Vec<String> {
    let below = below.unwrap_or_default().lines().map(|line| format!("  {line}"));
    let mut own = line.lines();
    let first = own.next().unwrap_or_default().to_owned();
    std::iter::once(first).chain(own.map(|line| format!("  {line}"))).chain(below).collect()
}

fn waiting(waiting_for: &WaitingFor) -> Vec<String> {
    match waiting_for {
        WaitingFor::Leftover(child) => {
            let since = child.since.strftime("%H:%M:%S UTC");
            vec![format!(
                "waiting for {} (process {}), which a killed run left at work since {since}",
                child.tool, child.pid
            )]
        }
        WaitingFor::Interrupted { tool, unfinished, next } => {
            let at = unfinished.iter().map(|task| at_resource(task)).collect::<Vec<_>>().join(", ");
            let at = if at.is_empty() { String::new() } else { format!(": {at}") };
            lines_of(&format!("interrupted; waiting for {tool} to finish what it has begun{at}"), Some(next))
        }
        WaitingFor::World { what } => vec![format!("waiting for {what}")],
    }
}

fn playbook_summary(playbook: &str, nodes: &BTreeMap<String, NodeStatus>) -> String {
    let sum = |of: fn(&NodeStatus) -> u64| nodes.values().map(of).sum::<u64>();
    let (changed, failed, unreachable) =
        (sum(|node| node.changed), sum(|node| node.failures), sum(|node| node.unreachable));
    let mut text = format!("Ansible: {playbook} on {}, {changed} changed", counted(nodes.len(), "node"));
    if failed > 0 {
        let _ = write!(text, ", {failed} failed");
    }
    if unreachable > 0 {
        let _ = write!(text, ", {unreachable} unreachable");
    }
    text
}

fn duration(of: f64) -> String {
    spoken(seconds(of))
}

#[cfg(test)]
mod tests;
