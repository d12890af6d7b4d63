//! `refarch schema`: prints the JSON Schema of specs.

use std::io::{self, Write};

use crate::exit::ExitCode;
use crate::spec;

/// `refarch schema` takes nothing.
#[derive(Debug, clap::Args)]
pub struct Args {}

impl Args {
    /// Prints the schema.
    #[must_use]
    pub fn run(&self) -> ExitCode {
        // Where nobody listens any more there is nobody to tell.
        let _ = io::stdout().write_all(spec::schema_text().as_bytes());
        ExitCode::Ok
    }
}
