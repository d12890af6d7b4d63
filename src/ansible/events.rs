//! The lines that our callback plugin writes, as events and as what the client has to know.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use serde_json::Value;

use super::{Failure, Told};
use crate::events::{Kind, NodeStatus, Sender, TaskStatus};
use crate::process::{Observer, Source};

/// One line. Types and fields that are not known are as good as none.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Line {
    v: u64,
    #[serde(rename = "type")]
    kind: String,
    time: Option<Timestamp>,
    play: String,
    task: String,
    host: String,
    path: String,
    msg: Option<String>,
    duration_s: f64,
    ignored: bool,
    state: Option<Value>,
    stats: Option<BTreeMap<String, NodeStatus>>,
}

/// Reads the lines of one playbook.
pub(super) struct Watcher {
    events: Sender,
    /// Whether a task began.
    pub started: bool,
    /// What was counted at the end.
    pub stats: Option<BTreeMap<String, NodeStatus>>,
    /// What failed and was neither ignored nor, yet, rescued.
    failed: Vec<Failure>,
    /// What `node_state` found, by node.
    pub states: BTreeMap<String, Told>,
    /// Tasks that a node is at.
    at_work: BTreeSet<String>,
}

impl Watcher {
    pub fn new(events: Sender) -> Self {
        Self {
            events,
            started: false,
            stats: None,
            failed: Vec::new(),
            states: BTreeMap::new(),
            at_work: BTreeSet::new(),
        }
    }

    /// What failed on the nodes that the counts call failed: a failure that a rescue block made good is none.
    pub fn failures(&self) -> Vec<Failure> {
        let Some(stats) = &self.stats else { return self.failed.clone() };
        let mut failures: Vec<Failure> = Vec::new();
        for (node, counts) in stats {
            let mut missing = counts.failures + counts.unreachable;
            for failure in self.failed.iter().rev().filter(|failure| &failure.node == node) {
                if missing == 0 {
                    break;
                }
                missing -= 1;
                failures.push(failure.clone());
            }
            if missing == counts.failures + counts.unreachable && missing > 0 {
                failures.push(untold(node, counts.unreachable > 0));
            }
        }
        failures
    }

    fn answer(&mut self, line: Line, status: TaskStatus) {
        self.at_work.remove(&at(&line));
        let status = if line.ignored { TaskStatus::Ignored } else { status };
        if let Some(state) = line.state {
            let until = line.time.unwrap_or_else(Timestamp::now);
            let took = SignedDuration::try_from_secs_f64(line.duration_s).unwrap_or_default();
            let told = Told { state, from: until.checked_sub(took).unwrap_or(until), until };
            self.states.insert(line.host.clone(), told);
        }
        if matches!(status, TaskStatus::Failed | TaskStatus::Unreachable) {
            self.failed.push(Failure {
                node: line.host.clone(),
                task: line.task.clone(),
                path: line.path.clone(),
                message: line.msg.clone().unwrap_or_else(|| "it gave no message".into()),
                unreachable: status == TaskStatus::Unreachable,
            });
        }
        self.events.send(Kind::NodeTask {
            node: line.host,
            task: line.task,
            path: line.path,
            status,
            message: line.msg,
            seconds: line.duration_s,
        });
    }

    fn begin(&mut self, line: Line) {
        self.started = true;
        self.at_work.insert(at(&line));
        self.events.send(Kind::NodeTask {
            node: line.host,
            task: line.task,
            path: line.path,
            status: TaskStatus::Started,
            message: None,
            seconds: 0.0,
        });
    }
}

fn at(line: &Line) -> String {
    format!("{}: {}", line.host, line.task)
}

/// A failure that is counted, but of which no event told.
fn untold(node: &str, unreachable: bool) -> Failure {
    Failure {
        node: node.to_owned(),
        task: "unknown".into(),
        path: "unknown".into(),
        message: "Ansible counted it, and its events don't say more".into(),
        unreachable,
    }
}

impl Observer for Watcher {
    fn line(&mut self, source: Source, line: &str) {
        if source != Source::Followed {
            return;
        }
        let Ok(line) = serde_json::from_str::<Line>(line) else { return };
        if line.v != 1 {
            return;
        }
        match line.kind.as_str() {
            "play_start" => self.events.send(Kind::PlayStarted { play: line.play }),
            "task_start" | "handler_start" => self.started = true,
            "host_start" => self.begin(line),
            "host_ok" => self.answer(line, TaskStatus::Ok),
            "host_changed" => self.answer(line, TaskStatus::Changed),
            "host_skipped" => self.answer(line, TaskStatus::Skipped),
            "host_failed" => self.answer(line, TaskStatus::Failed),
            "host_unreachable" => self.answer(line, TaskStatus::Unreachable),
            "stats" => self.stats = line.stats,
            _ => {}
        }
    }

    fn unfinished(&self) -> Vec<String> {
        self.at_work.iter().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn watcher(lines: &[&str]) -> Watcher {
        let mut watcher = Watcher::new(Sender::nowhere());
        for line in lines {
            watcher.line(Source::Followed, line);
        }
        watcher
    }

    const FAILED: &str =
        r#"{"v":1,"type":"host_failed","task":"t","host":"a","path":"p:1","msg":"m","ignored":false}"#;

    #[test]
    fn a_failure_counts_if_the_counts_say_so() {
        let stats = |counts: &str| format!(r#"{{"v":1,"type":"stats","stats":{{"a":{{"ok":1,{counts}}}}}}}"#);
        let failures = |counts: &str| watcher(&[FAILED, &stats(counts)]).failures().len();
        assert_eq!(failures(r#""failures":1"#), 1);
        assert_eq!(failures(r#""failures":0,"rescued":1"#), 0);
        assert_eq!(watcher(&[FAILED]).failures().len(), 1, "a killed playbook has no counts");
        let untold = watcher(&[&stats(r#""unreachable":1"#)]).failures();
        assert!(untold[0].unreachable && untold[0].node == "a");
    }

    #[test]
    fn an_ignored_failure_is_none() {
        let ignored = FAILED.replace("false", "true");
        assert!(watcher(&[&ignored]).failures().is_empty());
    }

    #[test]
    fn keeps_the_state_of_each_node() {
        let line = r#"{"v":1,"time":"2026-11-23T12:00:02.500Z","type":"host_ok","task":"t","host":"a","duration_s":1.5,"state":{"version":1}}"#;
        let told = &watcher(&[line]).states["a"];
        assert_eq!(told.state["version"], 1);
        assert_eq!(told.from.to_string(), "2026-11-23T12:00:01Z");
        assert_eq!(told.until.to_string(), "2026-11-23T12:00:02.5Z");
    }

    #[test]
    fn knows_what_a_node_is_at() {
        let start = r#"{"v":1,"type":"host_start","task":"Wait","host":"a"}"#;
        assert_eq!(watcher(&[start]).unfinished(), ["a: Wait"]);
        let done = r#"{"v":1,"type":"host_ok","task":"Wait","host":"a"}"#;
        assert!(watcher(&[start, done]).unfinished().is_empty());
    }

    #[test]
    fn takes_no_harm_from_what_it_does_not_know() {
        let watcher = watcher(&[
            "garbage",
            "{\"v\":2,\"type\":\"stats\",\"stats\":{}}",
            "{\"v\":1,\"type\":\"new\"}",
            "{\"v\":1,\"type\":\"host_ok\",\"host\":5}",
        ]);
        assert!(watcher.stats.is_none() && !watcher.started);
    }
}
