//! Parses the command line, runs the command and turns its ending into an exit code.

fn main() {}
