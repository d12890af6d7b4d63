//! The one integration binary: a module a room.

#![allow(clippy::expect_used, clippy::unwrap_used, reason = "a test that meets the unexpected must fail")]

mod architecture_pages;
mod drive;
#[path = "../common/ended.rs"]
mod ended;
mod gitlab;
mod given;
mod luck;
mod preflight;
mod rooms;
mod setting_keys;
mod spec;
mod spec_noise;
mod spec_schema;
mod spec_values;
mod status;
mod validate;
