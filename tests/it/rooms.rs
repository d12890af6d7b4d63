//! The pure rooms stay pure: they import no room with effects, and no crate that has any.

use std::path::{Path, PathBuf};

const PURE: [&str; 5] = ["spec", "architecture", "deployment", "render", "rollout"];
/// `exit` is a table of numbers, which every error names.
const VALUES: [&str; 1] = ["exit"];
/// Ways to the clock, the disk, the network, other programs and chance.
const EFFECTS: [&str; 11] = [
    "tokio",
    "fs_err",
    "std::fs",
    "TcpStream",
    "std::process",
    "std::time::Instant",
    "std::time::SystemTime",
    "std::env::",
    "rand::",
    "jiff::",
    "reqwest",
];

fn sources(folder: &Path) -> Vec<PathBuf> {
    let entries =
        std::fs::read_dir(folder).expect("a room is a folder").map(|entry| entry.expect("readable").path());
    entries
        .flat_map(|path| if path.is_dir() { sources(&path) } else { vec![path] })
        .filter(|path| path.extension().is_some_and(|extension| extension == "rs"))
        // Tests may read fixtures.
        .filter(|path| !path.ends_with("tests.rs"))
        .collect()
}

/// The code without its comments and its tests.
fn code(path: &Path) -> String {
    let text = std::fs::read_to_string(path).expect("readable");
    let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
    code.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

#[test]
fn pure_rooms_import_nothing_from_the_others() {
    let mut seen = 0;
    for room in PURE {
        for path in sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src").join(room)) {
            seen += 1;
            let code = code(&path);
            for import in code.split("crate::").skip(1) {
                let name: String =
                    import.chars().take_while(|it| it.is_alphanumeric() || *it == '_').collect();
                let known = PURE.contains(&name.as_str()) || VALUES.contains(&name.as_str());
                assert!(known, "{} names `crate::{name}`", path.display());
            }
            for effect in EFFECTS {
                assert!(!code.contains(effect), "{} names `{effect}`", path.display());
            }
        }
    }
    assert!(seen > 20, "only {seen} files were read");
}
