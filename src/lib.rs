//! refarch turns one file that describes a GitLab installation into a running, proven one.
//!
//! Data flows one way, and each step is a module:
//! spec → architecture → deployment → render → terraform → (bind) → ansible → checks → report.
//! The modules `spec`, `architecture`, `deployment`, `render` and `rollout` are pure functions on values.

pub mod ansible;
pub mod architecture;
pub mod checks;
pub mod cli;
pub mod deployment;
pub mod events;
pub mod exit;
pub mod instance;
pub mod process;
pub mod render;
pub mod report;
pub mod rollout;
pub mod run;
pub mod secrets;
pub mod spec;
pub mod terraform;
pub mod workdir;
