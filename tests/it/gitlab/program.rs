//! `refarch verify URL` as people call it.

use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use camino::Utf8PathBuf;
use serde_json::Value;
use tempfile::TempDir;

use super::fake::{Certificate, Endpoint, Fake, Fault, Site};

/// Somebody at a terminal, in an empty folder.
struct Desk {
    fake: Fake,
    token: String,
    folder: Utf8PathBuf,
    _keep: TempDir,
}

impl Desk {
    fn before(fake: Fake) -> Self {
        let keep = tempfile::tempdir().unwrap();
        let folder = Utf8PathBuf::from_path_buf(keep.path().canonicalize().unwrap()).unwrap();
        fs_err::write(folder.join("ca.pem"), &fake.ca_pem).unwrap();
        let token = fake.token(&["api"]);
        Self { fake, token, folder, _keep: keep }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_refarch"));
        command
            .args(["verify", self.fake.url(), "--ca", "ca.pem", "--resolve", "gitlab.acme.example:127.0.0.1"])
            .args(arguments)
            .current_dir(&self.folder)
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .env("HOME", &self.folder)
            .env("TOKEN", &self.token)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// Runs it, and gives the exit code and everything that it said.
    fn verify(&self, arguments: &[&str]) -> (i32, String) {
        let (code, text) = told(&self.command(arguments).output().unwrap());
        assert!(!text.contains(&self.token), "the token is told:\n{text}");
        (code, text)
    }
}

fn told(output: &Output) -> (i32, String) {
    let text = [&output.stdout[..], &output.stderr[..]].map(String::from_utf8_lossy).concat();
    (output.status.code().unwrap_or(-1), text)
}

#[test]
fn a_healthy_instance_is_exit_0_with_reports_and_nothing_left_behind() {
    let desk = Desk::before(Fake::start());
    let reports = ["--json", "verdict.json", "--junit", "verdict.xml"];
    let (code, text) = desk.verify(&[&["--token-env", "TOKEN", "--level", "api"][..], &reports].concat());
    assert_eq!(code, 0, "{text}");
    let verdict: Value =
        serde_json::from_str(&fs_err::read_to_string(desk.folder.join("verdict.json")).unwrap()).unwrap();
    assert_eq!(verdict["outcome"], "pass", "{verdict:#}");
    let mut left: Vec<String> =
        desk.folder.read_dir_utf8().unwrap().map(|entry| entry.unwrap().file_name().to_owned()).collect();
    left.sort();
    assert_eq!(left, ["ca.pem", "verdict.json", "verdict.xml"]);
    assert!(desk.fake.seen().iter().all(|seen| !seen.writes));
}

#[test]
fn a_fault_is_exit_7_and_told_with_what_to_do() {
    let desk = Desk::before(Fake::start());
    desk.fake.breaks(Endpoint::Version, Fault::Status(404));
    let (code, text) = desk.verify(&["--token-env", "TOKEN", "--level", "api"]);
    assert_eq!(code, 7, "{text}");
    assert!(text.contains("version") && text.contains("404"), "{text}");

    let desk = Desk::before(Fake::at(&Site { certificate: Certificate::Expired, ..Site::default() }));
    let (code, text) = desk.verify(&["--token-env", "TOKEN", "--level", "api"]);
    assert!(code == 7 && text.contains("expired on 2021-01-01"), "{code} {text}");
}

#[test]
fn a_token_that_can_not_be_read_is_exit_2() {
    let desk = Desk::before(Fake::start());
    let (code, text) = desk.verify(&["--token-env", "NO_SUCH_VARIABLE"]);
    assert!(code == 2 && text.contains("NO_SUCH_VARIABLE"), "{code} {text}");
    // A token where a name belongs is not repeated, which `verify` here makes sure of.
    let (code, text) = desk.verify(&["--token-env", &desk.token]);
    assert!(code == 2 && text.contains("no name of a variable"), "{code} {text}");
}

#[test]
fn what_is_no_gitlab_is_exit_7() {
    let desk = Desk::before(Fake::start());
    let every = [
        Endpoint::SignIn,
        Endpoint::Readiness,
        Endpoint::TokenSelf,
        Endpoint::User,
        Endpoint::Version,
        Endpoint::Metadata,
    ];
    for endpoint in every {
        desk.fake.breaks(endpoint, Fault::Html);
    }
    let (code, text) = desk.verify(&["--token-env", "TOKEN", "--level", "api"]);
    assert!(code == 7 && text.contains("no sign-in form"), "{code} {text}");
}

#[test]
fn ctrl_c_is_exit_130_and_nothing_of_the_probe_remains() {
    let desk = Desk::before(Fake::start());
    desk.fake.breaks(Endpoint::Merge, Fault::Slow);
    let child = desk.command(&["--token-env", "TOKEN", "--level", "function"]).spawn().unwrap();
    let end = Instant::now() + Duration::from_secs(30);
    while !desk.fake.seen().iter().any(|seen| seen.endpoint == Endpoint::CreateMergeRequest) {
        assert!(Instant::now() < end, "no merge request is made: {:?}", desk.fake.seen());
        std::thread::sleep(Duration::from_millis(10));
    }
    let id = nix::unistd::Pid::from_raw(child.id().try_into().unwrap());
    nix::sys::signal::kill(id, nix::sys::signal::Signal::SIGINT).unwrap();
    let (code, text) = told(&child.wait_with_output().unwrap());
    assert_eq!(code, 130, "{text}");
    assert_eq!(desk.fake.holds(), ["refarch-verify"], "{text}");
}
