//! What drives Terraform and Ansible, against executables that replay recordings, and against the real ones.

mod ansible;
mod harness;
mod install;
mod process;
mod real;
mod terraform;
mod tofu;

pub use harness::{Harness, PATIENCE, fake};
