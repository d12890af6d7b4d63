//! What the user wrote: the spec's types, reading it with places, its rules and its JSON Schema.
//!
//! Pure: bytes in, values or problems out. Reading the file is the command line's work.

mod refusal;
mod types;
mod values;

pub use refusal::Refusal;
pub use types::{FORMAT, Gitlab, Lab, Package, PrivateCa, Provider, Size, Spec, Tls};
pub use values::{Cidr, DeploymentName, ExternalUrl, GitlabVersion, PackageUrl, Sha256};
