//! Reference architectures as data: how many nodes of which component, and how large each one is.
//!
//! The files in `reference-architectures/` hold the figures with their source; this room only gives
//! them types. It knows nothing of a particular customer.

mod component;
mod types;

pub use component::Component;
pub use types::{Architecture, ComponentSize, Disks, Error, MachineTypes, RequestRate, Source};

use crate::spec::Size;

/// The architecture that documents `size`.
///
/// # Errors
/// The data files are part of the program, so an error here is a bug of refarch; a test reads them all.
pub fn of_size(size: Size) -> Result<Architecture, Error> {
    match size {
        Size::OneK => Architecture::from_yaml(include_str!("../../reference-architectures/1k.yml")),
    }
}

#[cfg(test)]
mod tests;
