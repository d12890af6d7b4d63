//! The lines of Terraform's JSON UI, as events and as what the client has to know.

use std::collections::BTreeMap;

use camino::Utf8PathBuf;
use serde::Deserialize;
use serde_json::Value;

use super::diagnostic::Raw;
use super::{Diagnostic, Tool};
use crate::events::{Changes, Kind, ResourceStatus, Sender, Severity};
use crate::process::{Observer, Source};

/// What Terraform warns of when providers come from this machine. refarch writes the lock file anew in every
/// run, so there is nothing that a user could do about it.
const THIS_MACHINE_ONLY: &str = "Incomplete lock file information for providers";
/// What an interrupted Terraform says once for each resource that it did not get to; it is no cause of anything.
const HALTED: &str = "execution halted";

/// A line that means something here; types that are not known are as good as none.
#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Line {
    Diagnostic {
        diagnostic: Raw,
    },
    ResourceDrift {
        change: Change,
    },
    ChangeSummary {
        changes: Summary,
    },
    ApplyStart {
        hook: Hook,
    },
    ApplyProgress {
        hook: Hook,
    },
    ApplyComplete {
        hook: Hook,
    },
    ApplyErrored {
        hook: Hook,
    },
    Log {
        #[serde(default)]
        state: Option<Value>,
    },
    #[serde(other)]
    Other,
}

#[derive(Deserialize)]
struct Change {
    resource: Resource,
    action: String,
}

#[derive(Deserialize)]
struct Resource {
    addr: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Summary {
    add: u64,
    change: u64,
    remove: u64,
}

#[derive(Deserialize)]
struct Hook {
    resource: Resource,
    action: String,
    #[serde(default)]
    elapsed_seconds: f64,
}

/// Reads the lines of one command.
pub(super) struct Ui {
    tool: Tool,
    events: Sender,
    dir: Utf8PathBuf,
    /// Errors and warnings, in their order.
    pub diagnostics: Vec<Diagnostic>,
    /// The resources it is at, with what it does to them.
    pub at_work: BTreeMap<String, String>,
    /// What it counted last.
    pub changes: Option<Changes>,
    /// The state that it could write nowhere, and so told.
    pub dumped: Option<Value>,
}

impl Ui {
    pub fn new(tool: Tool, events: Sender, dir: Utf8PathBuf) -> Self {
        Self {
            tool,
            events,
            dir,
            diagnostics: Vec::new(),
            at_work: BTreeMap::new(),
            changes: None,
            dumped: None,
        }
    }

    /// The errors among the diagnostics.
    pub fn errors(&self) -> impl Iterator<Item = &Diagnostic> {
        self.diagnostics.iter().filter(|diagnostic| diagnostic.severity == Severity::Error)
    }

    /// Takes a diagnostic, and tells of it.
    pub fn diagnose(&mut self, raw: Raw) {
        let diagnostic = raw.located(&self.dir);
        let is_expected = match diagnostic.severity {
            Severity::Warning => diagnostic.summary == THIS_MACHINE_ONLY,
            Severity::Error => diagnostic.summary == HALTED && diagnostic.detail.is_empty(),
        };
        if is_expected {
            return;
        }
        self.events.send(Kind::Diagnostic {
            tool: self.tool.program().into(),
            severity: diagnostic.severity,
            summary: diagnostic.summary.clone(),
            detail: diagnostic.detail.clone(),
            address: diagnostic.address.clone(),
            place: diagnostic.place.clone(),
        });
        self.diagnostics.push(diagnostic);
    }

    fn resource(&mut self, hook: Hook, status: ResourceStatus) {
        let Hook { resource: Resource { addr: address }, action, elapsed_seconds: seconds } = hook;
        match status {
            ResourceStatus::Started | ResourceStatus::Progress => {
                self.at_work.insert(address.clone(), action.clone());
            }
            ResourceStatus::Done | ResourceStatus::Failed => {
                self.at_work.remove(&address);
            }
        }
        self.events.send(Kind::Resource { address, action, status, seconds });
    }
}

impl Observer for Ui {
    fn line(&mut self, source: Source, line: &str) {
        if source != Source::Stdout {
            return;
        }
        // What is no JSON, or not as expected, is in the log; nothing is decided by it.
        match serde_json::from_str(line) {
            Ok(Line::Diagnostic { diagnostic }) => self.diagnose(diagnostic),
            Ok(Line::ResourceDrift { change }) => {
                self.events
                    .send(Kind::ResourceDrift { address: change.resource.addr, action: change.action });
            }
            Ok(Line::ChangeSummary { changes }) => {
                let Summary { add, change, remove } = changes;
                self.changes = Some(Changes { add, change, remove });
            }
            Ok(Line::ApplyStart { hook }) => self.resource(hook, ResourceStatus::Started),
            Ok(Line::ApplyProgress { hook }) => self.resource(hook, ResourceStatus::Progress),
            Ok(Line::ApplyComplete { hook }) => self.resource(hook, ResourceStatus::Done),
            Ok(Line::ApplyErrored { hook }) => self.resource(hook, ResourceStatus::Failed),
            Ok(Line::Log { state: Some(state) }) => self.dumped = Some(state),
            Ok(Line::Log { state: None } | Line::Other) | Err(_) => {}
        }
    }

    fn unfinished(&self) -> Vec<String> {
        self.at_work.iter().map(|(address, action)| format!("{action} {address}")).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ui(lines: &[&str]) -> Ui {
        let mut ui = Ui::new(Tool::Terraform, Sender::nowhere(), "/nowhere".into());
        for line in lines {
            ui.line(Source::Stdout, line);
        }
        ui
    }

    #[test]
    fn knows_what_is_being_made() {
        let start =
            r#"{"type":"apply_start","hook":{"resource":{"addr":"a.b","module":""},"action":"create"}}"#;
        let other = r#"{"type":"apply_start","hook":{"resource":{"addr":"c.d"},"action":"delete"}}"#;
        let done = r#"{"type":"apply_complete","hook":{"resource":{"addr":"a.b"},"action":"create","elapsed_seconds":3}}"#;
        assert_eq!(ui(&[start, other]).unfinished(), ["create a.b", "delete c.d"]);
        assert_eq!(ui(&[start, other, done]).unfinished(), ["delete c.d"]);
    }

    #[test]
    fn takes_no_harm_from_what_it_does_not_know() {
        let ui = ui(&[
            "",
            "Warning: something for humans",
            "{\"type\":",
            "[1, 2]",
            r#"{"type":"something_new","hook":5}"#,
            r#"{"type":"apply_start","hook":{"resource":7}}"#,
            r#"{"@level":"error"}"#,
            r#"{"type":"change_summary","changes":{"add":2,"change":0,"import":0,"remove":1,"operation":"plan"}}"#,
        ]);
        assert_eq!(ui.changes, Some(Changes { add: 2, change: 0, remove: 1 }));
        assert!(ui.diagnostics.is_empty() && ui.at_work.is_empty());
    }

    #[test]
    fn tells_errors_from_warnings() {
        let ui = ui(&[
            r#"{"type":"diagnostic","diagnostic":{"severity":"warning","summary":"w","detail":""}}"#,
            r#"{"type":"diagnostic","diagnostic":{"severity":"error","summary":"e","detail":"d","address":"a.b"}}"#,
        ]);
        assert_eq!(ui.errors().map(ToString::to_string).collect::<Vec<_>>(), ["e (a.b)"]);
    }
}
