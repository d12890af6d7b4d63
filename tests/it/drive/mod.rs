//! What drives Terraform and Ansible, against executables that replay recordings, and against the real ones.

mod ansible;
mod harness;
mod install;
mod process;
mod real;
mod terraform;

pub use harness::{Harness, PATIENCE, fake};
