//! Drives Ansible: one playbook a call, understood by the events of our own callback plugin.
//!
//! Ansible's exit codes say too little (4 is an unreachable node and a syntax error alike), so what happened is
//! read from the events, and the exit code only has to agree.

mod client;
mod error;
mod events;
mod outcome;
mod venv;

pub use client::{Client, Options, Playbook};
pub use error::Error;
pub use outcome::{Failure, Outcome, Told};
pub use venv::{Installed, install, is_current, programs};
