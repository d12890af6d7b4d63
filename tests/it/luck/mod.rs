//! Bad luck, with the program as users have it: signals, closed outputs, a full disk, hosts that hang, data that is
//! gone, a state that another tool made.
//! Terraform, Ansible, ssh and the lab are replayed. Needs root, as the lab does.

mod cluster;
mod data;
mod disk;
mod hung;
mod output;
mod signals;
pub mod stage;
mod tool;
