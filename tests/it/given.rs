//! What a spec refers to, as a shell sees it: missing things stop a run before anything is asked or made.

use std::path::Path;
use std::process::{Command, Output};

const EXAMPLE: &str = include_str!("../../examples/lab-1k-settings.yml");

fn refarch(folder: &Path, args: &[&str], variables: &[(&str, &str)]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_refarch"))
        .args(args)
        .current_dir(folder)
        .env_clear()
        .env("HOME", folder)
        .envs(variables.iter().copied())
        .output()
        .expect("refarch starts")
}

fn told(output: &Output) -> String {
    // Where a message is folded, a line leads on to its rest.
    let text = String::from_utf8_lossy(&output.stderr).replace('│', " ");
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn a_missing_variable_stops_what_needs_it_and_nothing_else() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("spec.yml"), EXAMPLE).expect("a spec");
    let validate = refarch(folder.path(), &["validate", "spec.yml"], &[]);
    assert_eq!(validate.status.code(), Some(0), "{}", told(&validate));
    for command in [["up", "spec.yml", "--yes"].as_slice(), &["plan", "spec.yml"]] {
        let output = refarch(folder.path(), command, &[("SMTP_PASSWORD", "")]);
        assert_eq!(output.status.code(), Some(4), "{}", told(&output));
        let told = told(&output);
        assert!(told.contains("`settings.all.gitlab_rails.smtp_password` (line "), "{told}");
        assert!(
            told.contains("the environment variable `SMTP_PASSWORD`, which is not set or empty"),
            "{told}"
        );
    }
}

#[test]
fn a_certificate_that_can_not_serve_is_a_flaw_of_the_spec_and_its_key_is_not_shown() {
    let folder = tempfile::tempdir().expect("a folder");
    let spec = EXAMPLE.to_owned() + "tls: {files: {certificate: acme.pem, key: {secret: {env: ACME_KEY}}}}\n";
    std::fs::write(folder.path().join("spec.yml"), spec).expect("a spec");
    std::fs::write(folder.path().join("acme.pem"), "no certificate\n").expect("a file");
    let variables = [("SMTP_PASSWORD", "hunter2hunter2"), ("ACME_KEY", "no-key-but-secret")];
    let output = refarch(folder.path(), &["up", "spec.yml", "--yes"], &variables);
    assert_eq!(output.status.code(), Some(3), "{}", told(&output));
    let told = told(&output);
    assert!(told.contains("`tls.files.certificate`: the file holds no `BEGIN CERTIFICATE` block"), "{told}");
    assert!(told.contains("`tls.files.key`: there is no `BEGIN PRIVATE KEY` block"), "{told}");
    assert!(!told.contains("hunter2") && !told.contains("no-key-but-secret"), "{told}");
}
