//! What the user wrote: the spec's types, reading it with places, its rules and its JSON Schema.
//!
//! Pure: bytes in, values or problems out. Reading the file is the command line's work.

mod refusal;
mod types;
mod values;

pub use refusal::Refusal;
pub use types::{FORMAT, Gitlab, Lab, Package, PrivateCa, Provider, Size, Spec, Tls};
pub use values::{Cidr, DeploymentName, ExternalUrl, GitlabVersion, PackageUrl, Sha256};

/// Reads a data file that the program carries, such as a reference architecture.
///
/// # Errors
/// What does not fit, in one sentence.
pub fn read_yaml<T: serde::de::DeserializeOwned>(text: &str) -> Result<T, String> {
    serde_saphyr::from_str(text).map_err(|error| error.to_string())
}
