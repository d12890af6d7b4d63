//! The questions that preflight asks before anything is made or changed.
//!
//! They are of the same kind as those of `verify`: what was asked, seen and wanted, why it matters and what to do. What
//! they judge was gathered before, in one pass; nothing here changes the world.

mod catalogue;
pub(crate) mod here;
mod report;

pub use catalogue::{Check, Side, UnknownCheck};
pub use report::{Outcome, Report, Waiver};
