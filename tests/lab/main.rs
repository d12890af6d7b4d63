//! The whole product on the real lab: the program, Terraform, Ansible and hosts that boot. Needs root and what
//! `make lab` and `refarch tools install` build. Each test has deployments of its own, so all can run at once
//! and beside a person's; what they make goes away with them, also when they fail.

#![allow(clippy::expect_used, clippy::unwrap_used, reason = "a test that meets the unexpected must fail")]

mod closed_flows;
mod cluster;
mod deployment;
#[path = "../common/ended.rs"]
mod ended;
mod kills;
mod life;
mod losses;
mod luck;
mod machine;
mod mistakes;
mod opentofu;
mod process;
mod ruby;
mod secrets;
mod versions;
