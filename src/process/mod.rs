//! The one place that starts programs.
//!
//! A child gets a session of its own, an empty stdin or one that lies in memory, and an environment rebuilt from an allowlist. Its output
//! goes to files that only the owner may read, which the driver tails: so a child outlives a killed driver and
//! finishes its work. Whatever it says passes the redactor before anything else in refarch reads it.

mod cancel;
mod command;
mod environment;
mod error;
mod interrupts;
mod proc;
mod raw;
mod redact;
mod runner;
mod stdin;
mod tail;
mod watch;

pub use cancel::Cancel;
pub use command::{Command, Stdout};
pub use environment::Ambient;
pub(crate) use environment::is_program;
pub use error::Error;
pub use interrupts::Interrupts;
pub use proc::{is_running, start_ticks};
pub use raw::recover;
pub use redact::{MASK, Redactor};
pub use runner::{Ended, Observer, Outcome, Parts, Quiet, Runner, Source};
