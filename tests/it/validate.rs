//! `refarch validate` and `refarch schema` as a shell sees them.

use std::path::Path;
use std::process::{Command, Output};

/// Runs refarch in a folder, with nothing of this shell's environment.
fn refarch(folder: &Path, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_refarch"))
        .args(args)
        .current_dir(folder)
        .env_clear()
        .env("HOME", folder)
        .output()
        .expect("refarch starts")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("UTF-8")
}

const EXAMPLE: &str = include_str!("../../examples/lab-1k.yml");

#[test]
fn a_valid_spec_is_one_line_on_standard_output() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("demo.yml"), EXAMPLE).expect("a spec");
    let output = refarch(folder.path(), &["validate", "demo.yml"]);
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(
        text(&output.stdout),
        "demo.yml: valid: `demo` is a 1k with the lab's stand-in for GitLab 18.11.2 at \
         https://gitlab.demo.example on lab\n"
    );
    assert_eq!(text(&output.stderr), "");
}

#[test]
fn a_size_that_was_chosen_is_told_with_its_reason() {
    let folder = tempfile::tempdir().expect("a folder");
    let spec = EXAMPLE.replace("architecture: 1k", "users: 4200");
    std::fs::write(folder.path().join("demo.yml"), spec).expect("a spec");
    let output = refarch(folder.path(), &["validate", "demo.yml"]);
    assert_eq!(
        text(&output.stdout),
        "demo.yml: valid: `demo` is a 5k with the lab's stand-in for GitLab 18.11.2 at \
         https://gitlab.demo.example on lab\n\
         demo.yml: a 5k is the smallest that covers 4200 users: a 3k is documented for 3000\n"
    );
}

#[test]
fn every_spec_is_reported_on_and_nothing_is_written() {
    let folder = tempfile::tempdir().expect("a folder");
    let write = |name: &str, text: &[u8]| std::fs::write(folder.path().join(name), text).expect("a spec");
    write("good.yml", EXAMPLE.as_bytes());
    write("bad.yml", EXAMPLE.replace("name:", "nmae:").as_bytes());
    write("empty.yml", b"");
    write("latin1.yml", b"name: d\xe9mo\n");
    write("large.yml", &b"# filler\n".repeat(1_200_000));
    std::fs::create_dir(folder.path().join("folder")).expect("a folder");
    let names = ["none.yml", "bad.yml", "empty.yml", "latin1.yml", "large.yml", "folder", "good.yml"];
    let output = refarch(folder.path(), &[["validate"].as_slice(), &names].concat());
    assert_eq!(output.status.code(), Some(3));
    assert!(text(&output.stdout).starts_with("good.yml: valid: "), "{}", text(&output.stdout));
    let told = text(&output.stderr);
    for said in [
        "there is no file `none.yml`",
        "refarch::spec::unknown-key",
        "bad.yml:4:1",
        "the file is empty",
        "latin1.yml:1:8",
        "the file has more than 1 MiB",
        "`folder` is a folder, and a spec is a file",
    ] {
        assert!(told.contains(said), "nothing says `{said}`:\n{told}");
    }
    let mut left: Vec<String> = std::fs::read_dir(folder.path())
        .expect("a folder")
        .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
        .collect();
    left.sort();
    let mut put =
        names.iter().filter(|name| **name != "none.yml").map(ToString::to_string).collect::<Vec<_>>();
    put.sort();
    assert_eq!(left, put);
}

#[test]
fn a_warning_fails_only_where_it_is_asked_to() {
    let folder = tempfile::tempdir().expect("a folder");
    let spec = EXAMPLE.replace("  url:", "  monitoring_allowlist: [0.0.0.0/0]\n  url:");
    std::fs::write(folder.path().join("open.yml"), spec).expect("a spec");
    let output = refarch(folder.path(), &["validate", "open.yml"]);
    assert_eq!(output.status.code(), Some(0));
    assert!(text(&output.stderr).contains("refarch::spec::allowlist-everyone"));
    assert!(text(&output.stdout).contains("valid"));
    let output = refarch(folder.path(), &["validate", "--strict", "open.yml"]);
    assert_eq!(output.status.code(), Some(3));
    assert!(text(&output.stderr).contains("1 warning"));
    assert_eq!(text(&output.stdout), "");
}

#[test]
fn no_spec_is_a_wrong_command_line() {
    let folder = tempfile::tempdir().expect("a folder");
    assert_eq!(refarch(folder.path(), &["validate"]).status.code(), Some(2));
}

#[test]
fn the_schema_is_printed_as_it_is_committed() {
    let folder = tempfile::tempdir().expect("a folder");
    let output = refarch(folder.path(), &["schema"]);
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(text(&output.stdout), include_str!("../../docs/spec.schema.json"));
}
