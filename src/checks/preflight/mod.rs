//! The questions that preflight asks before anything is made or changed.
//!
//! They are of the same kind as those of `verify`: what was asked, seen and wanted, why it matters and what to do. What
//! they judge was gathered before, in one pass; nothing here changes the world.

mod catalogue;
mod disks;
mod facts;
mod flows;
pub(crate) mod here;
mod host;
mod report;
mod systems;
#[cfg(test)]
pub(crate) mod tests;

pub use catalogue::{Check, Side, UnknownCheck};
pub use facts::{HostState, VERSION as HOST_VERSION};
pub use host::{Host, Plan, findings as host_findings, not_made};
pub use report::{Outcome, Report, Waiver, wants};
