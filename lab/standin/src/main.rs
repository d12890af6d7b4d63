//! Lab stand-in, not GitLab.
fn main() {}
