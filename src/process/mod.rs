//! The one place that starts programs.
//!
//! A child gets a session of its own, an empty stdin and an environment rebuilt from an allowlist. Its output
//! goes to files that only the owner may read, which the driver tails: so a child outlives a killed driver and
//! finishes its work. Whatever it says passes the redactor before anything else in refarch reads it.

mod redact;

pub use redact::Redactor;
