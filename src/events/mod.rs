//! The one stream of events that a run writes, and the bounded channel it travels through.
//!
//! A run appends every event to `events.jsonl` in its directory; terminal, JSON and reports are readers of
//! the same stream. It is a record for people and reports: no decision reads it. Everything that is text
//! passes the redactor before it reaches the file or a reader, and a slow or dead reader never stops a run.

mod channel;
mod finding;
mod kind;

pub use channel::{Ending, Gone, Options, Reader, Sender, Writer, start};
pub use finding::{Finding, Status};
pub use kind::{
    Changes, Child, Event, Kind, NodeStatus, Phase, ResourceStatus, Severity, TaskStatus, VERSION, WaitingFor,
};
