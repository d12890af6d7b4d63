//! `refarch schema`: prints the JSON Schema of specs.

use std::io::{self, Write};

use crate::exit::ExitCode;
use crate::spec;

/// Prints the schema.
pub fn run() -> ExitCode {
    // Where nobody listens any more there is nobody to tell.
    let _ = io::stdout().write_all(spec::schema_text().as_bytes());
    ExitCode::Ok
}
