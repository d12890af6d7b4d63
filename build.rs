//! Rebuilds refarch when a file that it carries changes.

fn main() {
    for folder in [
        "modules",
        "roles",
        "plugins",
        "playbooks",
        "tools",
        "reference-architectures",
        "src/render/templates",
    ] {
        println!("cargo:rerun-if-changed={folder}");
    }
}
