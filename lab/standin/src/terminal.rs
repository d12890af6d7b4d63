//! The only place that writes to standard output and standard error.
//!
//! A reader that went away is no reason to stop in the middle of a reconfigure, so failed writes are
//! dropped here and nowhere else.

use std::io::Write as _;

/// Writes a line to standard output.
pub fn say(line: impl AsRef<str>) {
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{}", line.as_ref());
    let _ = out.flush();
}

/// Writes a line to standard error.
pub fn complain(line: impl AsRef<str>) {
    let _ = writeln!(std::io::stderr().lock(), "{}", line.as_ref());
}
