//! Real bare repositories, served by git's own `http-backend` and changed by git's own commands.

use std::io::Write as _;
use std::process::{Command, Stdio};

use camino::Utf8Path;
use hyper::body::Bytes;

use super::Shared;
use super::answer::Answer;
use super::route::{Endpoint as E, Request};
use super::state::repository;
use super::switches::{Lie, Writes};

/// The tree of no files, which every repository of git's default object format knows.
const EMPTY_TREE: &str = "4b825dc642cb6eb9a060e54bf8d69288fbee4904";

/// A git that knows no configuration of this machine.
pub fn command(folder: &Utf8Path) -> Command {
    let mut command = Command::new("git");
    command.env_clear().env("PATH", "/usr/bin:/bin").env("HOME", folder).env("GIT_CONFIG_NOSYSTEM", "1");
    for role in ["AUTHOR", "COMMITTER"] {
        command
            .env(format!("GIT_{role}_NAME"), "Fake GitLab")
            .env(format!("GIT_{role}_EMAIL"), "fake@gitlab.acme.example");
    }
    command.stdin(Stdio::null());
    command
}

/// What a git command on a project's repository says, where it succeeds.
pub fn ask(shared: &Shared, project: u64, arguments: &[&str]) -> Option<String> {
    let output = command(&shared.folder)
        .arg("--git-dir")
        .arg(repository(&shared.folder, project))
        .args(arguments)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    output.status.success().then_some(text)
}

/// Makes the repository of a new project.
pub fn make(shared: &Shared, project: u64, readme: bool) {
    let path = repository(&shared.folder, project);
    let made = command(&shared.folder)
        .args(["init", "--quiet", "--bare", "--initial-branch=main", "--template=", path.as_str()])
        .status()
        .unwrap();
    assert!(made.success(), "git can't make {path}");
    let switches = shared.switches();
    if switches.lies(Lie::PushForgotten) {
        hook(&path, "post-receive", "while read -r old new ref; do git update-ref -d \"$ref\"; done");
    }
    if switches.lies(Lie::PushReplaced) {
        let script = format!(
            "while read -r old new ref; do git update-ref \"$ref\" \"$(echo other | git commit-tree {EMPTY_TREE})\"; done"
        );
        // The empty tree must be there before a commit can name it.
        hook(&path, "post-receive", &format!("git hash-object -t tree -w /dev/null\n{script}"));
    }
    if switches.writes == Writes::DiskFull {
        hook(&path, "pre-receive", "echo 'fatal: write error: No space left on device' >&2; exit 1");
    }
    drop(switches);
    if readme {
        ask(shared, project, &["hash-object", "-t", "tree", "-w", "/dev/null"]);
        let commit = ask(shared, project, &["commit-tree", EMPTY_TREE, "-m", "Initial commit"]).unwrap();
        ask(shared, project, &["update-ref", "refs/heads/main", &commit]);
    }
}

fn hook(repository: &Utf8Path, name: &str, script: &str) {
    use std::os::unix::fs::PermissionsExt as _;
    let path = repository.join("hooks").join(name);
    fs_err::create_dir_all(repository.join("hooks")).unwrap();
    let who =
        "export GIT_AUTHOR_NAME=fake GIT_AUTHOR_EMAIL=fake GIT_COMMITTER_NAME=fake GIT_COMMITTER_EMAIL=fake";
    fs_err::write(&path, format!("#!/bin/sh\n{who}\n{script}\n")).unwrap();
    fs_err::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
}

/// The commit of a branch.
pub fn branch(shared: &Shared, project: u64, name: &str) -> Option<String> {
    ask(shared, project, &["rev-parse", "--verify", "--quiet", &format!("refs/heads/{name}^{{commit}}")])
}

/// The commit of the default branch.
pub fn head(shared: &Shared, project: u64) -> Option<String> {
    branch(shared, project, "main")
}

/// Merges a commit into a branch and says which commit that made; none where they conflict.
pub fn merge(shared: &Shared, project: u64, source: &str, target: &str, message: &str) -> Option<String> {
    let onto = branch(shared, project, target)?;
    let tree = ask(shared, project, &["merge-tree", "--write-tree", &onto, source])?;
    let tree = tree.lines().next()?;
    let commit = ask(shared, project, &["commit-tree", tree, "-p", &onto, "-p", source, "-m", message])?;
    ask(shared, project, &["update-ref", &format!("refs/heads/{target}"), &commit, &onto])?;
    Some(commit)
}

/// Serves one request of git's smart HTTP protocol.
pub fn serve(shared: &Shared, request: &Request) -> Answer {
    let project = shared.state().project(&request.names[0]);
    let Some(project) = project else {
        let text =
            "The project you were looking for could not be found or you don't have permission to view it.\n";
        return Answer::bytes(404, "text/plain", text);
    };
    if request.writes() && shared.switches().writes == Writes::Refused {
        return Answer::bytes(403, "text/plain", "You can't push code to a read-only GitLab instance.\n");
    }
    let service = match request.endpoint {
        E::GitRefs => "info/refs",
        E::GitUploadPack => "git-upload-pack",
        _ => "git-receive-pack",
    };
    let mut command = command(&shared.folder);
    command
        .arg("http-backend")
        .env("GIT_PROJECT_ROOT", shared.folder.join("repositories"))
        .env("GIT_HTTP_EXPORT_ALL", "1")
        .env("PATH_INFO", format!("/{project}.git/{service}"))
        .env("REMOTE_USER", "root")
        .env("REQUEST_METHOD", &request.method)
        .env("QUERY_STRING", &request.raw_query)
        .env("CONTENT_LENGTH", request.body.len().to_string());
    let headers = [
        ("CONTENT_TYPE", "content-type"),
        ("HTTP_CONTENT_ENCODING", "content-encoding"),
        ("GIT_PROTOCOL", "git-protocol"),
    ];
    for (variable, header) in headers {
        if let Some(value) = request.header(header) {
            command.env(variable, value);
        }
    }
    of_cgi(&run(command, &request.body))
}

fn run(mut command: Command, input: &Bytes) -> Vec<u8> {
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let (mut stdin, input) = (child.stdin.take().unwrap(), input.clone());
    let writer = std::thread::spawn(move || {
        // What the backend does not want to read is not written.
        let _ = stdin.write_all(&input);
    });
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    output.stdout
}

/// An answer as CGI writes it (RFC 3875).
fn of_cgi(output: &[u8]) -> Answer {
    let gap = output.windows(4).position(|window| window == b"\r\n\r\n");
    let Some(gap) = gap else { return Answer::html(500, "git http-backend gave no answer") };
    let mut answer = Answer::empty(200);
    for line in String::from_utf8_lossy(&output[..gap]).lines() {
        let Some((name, value)) = line.split_once(':') else { continue };
        if name.eq_ignore_ascii_case("status") {
            answer.status = value.split_whitespace().next().and_then(|code| code.parse().ok()).unwrap_or(500);
        } else {
            answer = answer.header(&name.to_ascii_lowercase(), value.trim());
        }
    }
    answer.body = output[gap + 4..].to_vec();
    answer
}
