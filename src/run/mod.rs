//! The phases of a run, in order, and what it may not do.
//!
//! preflight → render → plan → (the one question) → provision → bind → configure → verify. What a phase
//! skips was proven by asking the world in this run; no record of an earlier run decides anything.

mod bind;
mod by_url;
mod cluster;
mod configure;
mod confirm;
mod destroy;
mod error;
mod given;
mod host_keys;
mod identity;
mod infrastructure;
mod lab;
mod losses;
#[cfg(feature = "lab-tests")]
mod mistake;
mod node_keys;
mod nodes;
mod phases;
mod preflight;
mod prove;
mod scratch;
mod status;
mod survivors;
mod token;
mod world;

pub use by_url::{UrlRequest, UrlRun};
pub use configure::{Decided, NodeDiff};
pub use confirm::Consent;
pub use destroy::{Destroyed, destroy};
pub use error::{Error, PhaseFailed};
pub use given::Flaw;
pub use infrastructure::Planned;
pub use losses::GivenUp;
pub use phases::{Done, PlanOutcome, Until, UpOptions, VerifyOptions, plan, render_to, revoke, up, verify};
pub use preflight::preflight;
pub use status::{StatusRequest, status};
pub use world::{Request, World};
