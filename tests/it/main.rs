//! The one integration binary: a module a room.

mod spec;
mod spec_noise;
mod spec_schema;
mod spec_values;
