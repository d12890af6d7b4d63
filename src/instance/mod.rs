//! The HTTP client for the GitLab that was deployed, and a look at the certificate it shows.
//!
//! It asks by a fixed address where one is given, so that it works before DNS does; it trusts the deployment's
//! own CA and no other where one is given; it uses no proxy that it was not told of, and follows no redirect but a
//! download's. It asks no more than eight things at once, and waits where the instance says so. It decides nothing:
//! what an answer means is said by the checks.

mod client;
mod fault;
mod request;
#[cfg(test)]
pub(crate) mod testing;
mod tls;
mod trust;
mod waiting;
mod way;

pub use client::{Answer, Instance};
pub use fault::Fault;
pub use request::{Method, Request};
pub use tls::{Handshake, Presented, TlsFault, handshake};
pub use trust::{Trust, Untrusted};
pub use waiting::{Limits, pauses};
pub use way::{Proxied, Unusable, Way};

/// The header by which the lab's stand-in says that it is not GitLab.
pub const STANDIN_HEADER: &str = "x-gitlab-standin";
