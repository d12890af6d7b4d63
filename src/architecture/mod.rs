//! Reference architectures as data: how many nodes of which component, and how large each one is.
//!
//! The files in `reference-architectures/` hold the figures with their source; this room only gives
//! them types. It knows nothing of a particular customer.

mod choose;
mod component;
mod ports;
mod types;

pub use choose::{Choice, Demand, choose};
pub use component::Component;
pub use ports::{Closed, Condition, Many, NamedPort, Party, Port, Ports, Protocol, Row};
pub use types::{Architecture, ComponentSize, Disks, Error, Iops, MachineTypes, RequestRate, Source};

use std::sync::OnceLock;

use crate::spec::Size;

/// The architecture that documents `size`. It is read once: a run asks for it more than once, and a test very often.
///
/// # Errors
/// The data files are part of the program, so an error here is a bug of refarch; a test reads them all.
pub fn of_size(size: Size) -> Result<Architecture, Error> {
    static KNOWN: [OnceLock<Architecture>; Size::ALL.len()] = [const { OnceLock::new() }; Size::ALL.len()];
    let known = &KNOWN[size as usize];
    match known.get() {
        Some(architecture) => Ok(architecture.clone()),
        None => read(size).map(|architecture| known.get_or_init(|| architecture).clone()),
    }
}

fn read(size: Size) -> Result<Architecture, Error> {
    let text = match size {
        Size::OneK => include_str!("../../reference-architectures/1k.yml"),
        Size::TwoK => include_str!("../../reference-architectures/2k.yml"),
        Size::ThreeK => include_str!("../../reference-architectures/3k.yml"),
        Size::FiveK => include_str!("../../reference-architectures/5k.yml"),
        Size::TenK => include_str!("../../reference-architectures/10k.yml"),
        Size::TwentyFiveK => include_str!("../../reference-architectures/25k.yml"),
        Size::FiftyK => include_str!("../../reference-architectures/50k.yml"),
    };
    Ok(Architecture { ports: Ports::read()?, ..Architecture::from_yaml(text)? })
}

#[cfg(test)]
mod tables;
#[cfg(test)]
mod tests;
