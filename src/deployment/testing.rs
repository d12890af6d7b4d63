//! Deployments for the tests of every room that works with one.

use super::{Deployment, resolve};
use crate::architecture::of_size;
use crate::spec;

/// The deployment that a spec describes.
pub fn of(spec: &str) -> Deployment {
    let spec = spec::parse(spec, "spec.yml").unwrap_or_else(|error| panic!("{:?}", error.problems())).spec;
    let architecture = of_size(spec.architecture).expect("a part of the program");
    resolve(&spec, architecture)
}

/// One node for everything.
pub fn demo() -> Deployment {
    of(include_str!("../../examples/lab-1k.yml"))
}

/// A 3k of this name, which has every tier with rules of its own.
pub fn cluster(name: &str) -> Deployment {
    of(&include_str!("../../examples/lab-3k.yml").replace("name: demo-3k", &format!("name: {name}")))
}
