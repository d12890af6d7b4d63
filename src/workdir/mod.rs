//! The work directory `.refarch/NAME/` beside the spec: its layout, its lock, the secrets store, its runs.
//!
//! It belongs to one user and nobody else may look into it. Files in it are replaced atomically, so that a kill
//! leaves the old one or the new one.

mod error;
mod keys;
mod layout;
mod lock;
mod runs;
mod secrets;
mod write;

pub use error::Error;
pub use keys::{host_keys, ssh_key};
pub use layout::Workdir;
pub use lock::{Claim, Leftover, Lock, Owner};
pub use runs::{KEPT, Run};
pub use secrets::{Certificate, DataDisk, DataDisks, Secrets, SshKey, Token};
pub use write::{PRIVATE, PUBLIC, atomically};
