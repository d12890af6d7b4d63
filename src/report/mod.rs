//! Readers of a run's events, and what a verdict looks like to people and to machines.
//!
//! A report shows what others found out. It decides nothing, and whether anyone reads it changes nothing: a
//! closed terminal or pipe ends the reader, never the run.

mod document;
mod json_lines;
mod junit;
mod plain;
mod preflight;
mod status;
mod status_text;
mod style;
mod summary;
mod text;
mod verdict;
mod words;

pub use document::{verdict_json, verdict_schema};
pub use json_lines::JsonLines;
pub use junit::verdict_junit;
pub use plain::Plain;
pub use preflight::{preflight_json, preflight_junit, preflight_schema, preflight_text};
pub use status::{
    AtWork, Changes, ChangesWord, Configure, DiskStatus, Existing, ExistingWord, HostStatus, LastVerdict,
    NetworkStatus, NodeStatus, STATUS_VERSION, ServiceStatus, SpecStatus, Status, VerdictCounts,
    WorkDirectory, status_json, status_schema,
};
pub use status_text::status_text;
pub use style::{Style, Tone};
pub use summary::Summary;
pub(crate) use text::counted;
pub use verdict::{print_verdict, verdict_text};
