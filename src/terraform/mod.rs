//! Drives Terraform through its machine interfaces: the JSON UI, the plan as JSON, exit codes.
//!
//! It knows nothing of GitLab. What a plan may not do to data disks is judged by [`gates`], a pure function.

mod client;
mod diagnostic;
mod error;
mod gates;
mod plan;
mod tool;
mod ui;

pub(crate) use client::STATE;
pub use client::{Client, Options, PlanFile, PlanMode, Planned};
pub use diagnostic::Diagnostic;
pub use error::Error;
pub use gates::{Loss, Refusal, TAINTED, gates, without_accepted};
pub use plan::{Action, Plan, ResourceChange};
pub use tool::{Tool, Wish, choose, record};
