//! The program `git`: how it is started, and what its failures mean. The token travels in its environment, and its
//! settings with it, so that nothing of this machine's own settings and nothing of ours mixes.

use camino::{Utf8Path, Utf8PathBuf};
use secrecy::ExposeSecret as _;

use super::content::{bytes, word};
use crate::checks::page;
use crate::checks::question::Miss;
use crate::checks::target::Target;
use crate::instance::{Instance, Limits};
use crate::process::{Command, Error, Outcome, Quiet, Runner, Stdout};

/// The branch that a merge request merges into.
pub(super) const MAIN: &str = "main";
/// The branch that it merges.
pub(super) const CHANGE: &str = "refarch-change";

/// What was pushed, for who uses it or compares with it.
#[derive(Clone, Debug)]
pub(super) struct Pushed {
    pub(super) main: &'static str,
    pub(super) main_commit: String,
    pub(super) change: &'static str,
    pub(super) change_commit: String,
    /// The files of the change, by name.
    pub(super) files: Vec<(&'static str, Vec<u8>)>,
    /// The repository that it was pushed from.
    pub(super) folder: Utf8PathBuf,
}

/// The program, ready to be started.
pub(super) struct Git<'a> {
    pub(super) runner: &'a Runner,
    program: Utf8PathBuf,
    /// The folder for everything that it makes.
    pub(super) scratch: Utf8PathBuf,
    settings: Vec<(String, String)>,
    author: String,
}

impl<'a> Git<'a> {
    /// Finds the program and decides its settings.
    pub(super) fn new(
        runner: &'a Runner,
        target: &Target,
        instance: &Instance,
        scratch: &Utf8Path,
        author: Option<&str>,
    ) -> Result<Self, Miss> {
        let program = runner.ambient().find("git", "Install it with `apt install git`.");
        let program =
            program.map_err(|error| Miss::skip(error.to_string(), "install git on this machine"))?;
        let unwritable = |error: std::io::Error| {
            Miss::skip(
                format!("no file can be written for git: {error}"),
                "free the disk, or name another work directory",
            )
        };
        let home = scratch.join("home");
        fs_err::create_dir_all(&home).map_err(unwritable)?;
        let root = target.url.as_str().trim_end_matches('/');
        let authorization = instance.git_authorization();
        let mut settings = vec![
            (format!("http.{root}.extraHeader"), format!("Authorization: {}", authorization.expose_secret())),
            ("http.followRedirects".into(), "false".into()),
            ("http.proxy".into(), instance.proxy().map(ToString::to_string).unwrap_or_default()),
            ("credential.helper".into(), String::new()),
            ("init.defaultBranch".into(), MAIN.into()),
            ("core.hooksPath".into(), "/dev/null".into()),
            ("commit.gpgSign".into(), "false".into()),
            ("gc.auto".into(), "0".into()),
            ("maintenance.auto".into(), "false".into()),
        ];
        if let Some(ca) = &target.ca_pem {
            let path = scratch.join("ca.pem");
            crate::workdir::atomically(&path, ca.as_bytes(), crate::workdir::PRIVATE).map_err(|error| {
                Miss::skip(error.to_string(), "free the disk, or name another work directory")
            })?;
            settings.push(("http.sslCAInfo".into(), path.into_string()));
        }
        if let (Some(address), Some(host), Some(port)) =
            (target.address, target.url.domain(), target.url.port_or_known_default())
        {
            let address = if address.is_ipv6() { format!("[{address}]") } else { address.to_string() };
            settings.push(("http.curloptResolve".into(), format!("{host}:{port}:{address}")));
        }
        let author = author.unwrap_or("refarch-verify@localhost").to_owned();
        Ok(Self { runner, program, scratch: scratch.to_owned(), settings, author })
    }

    fn command(&self, folder: &Utf8Path, args: &[&str]) -> Command {
        let home = self.scratch.join("home");
        let mut command = Command::new("git", self.program.clone())
            .args(args.iter().copied())
            .dir(folder)
            .env("HOME", home.as_str())
            .env("XDG_CONFIG_HOME", home.as_str())
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_TERMINAL_PROMPT", "0")
            .env("GIT_LFS_SKIP_SMUDGE", "1")
            .env("GIT_CONFIG_COUNT", self.settings.len().to_string());
        for name in ["AUTHOR", "COMMITTER"] {
            command = command
                .env(format!("GIT_{name}_NAME"), "refarch verify")
                .env(format!("GIT_{name}_EMAIL"), &self.author);
        }
        for (index, (name, value)) in self.settings.iter().enumerate() {
            command = command
                .env(format!("GIT_CONFIG_KEY_{index}"), name)
                .env(format!("GIT_CONFIG_VALUE_{index}"), value);
        }
        command
    }

    /// Runs it in a folder, with an environment besides; a failure is in words.
    pub(super) async fn run(
        &self,
        folder: &Utf8Path,
        args: &[&str],
        limits: Limits,
        besides: &[(&str, &str)],
    ) -> Result<(), Failure> {
        let mut command = self.command(folder, args).timeout(limits.rest());
        for (name, value) in besides {
            command = command.env(*name, *value);
        }
        let outcome = self.runner.run(command, &mut Quiet).await;
        Failure::of(&format!("git {}", args.first().unwrap_or(&"")), outcome).map(|_| ())
    }

    /// The commit that a folder has checked out.
    pub(super) async fn head(&self, folder: &Utf8Path, limits: Limits) -> Result<String, Failure> {
        let command =
            self.command(folder, &["rev-parse", "HEAD"]).timeout(limits.rest()).stdout(Stdout::Private);
        let outcome = Failure::of("git rev-parse", self.runner.run(command, &mut Quiet).await)?;
        Ok(String::from_utf8_lossy(&outcome.private).trim().to_owned())
    }

    /// Makes a commit of these files on a new branch, and gives its name.
    pub(super) async fn commit(
        &self,
        folder: &Utf8Path,
        branch: &str,
        files: &[(&'static str, Vec<u8>)],
        limits: Limits,
    ) -> Result<String, Failure> {
        if !folder.join(".git").exists() {
            fs_err::create_dir_all(folder).map_err(|error| Failure::local(&error))?;
            self.run(folder, &["init", "--quiet"], limits, &[]).await?;
        }
        self.run(folder, &["checkout", "--quiet", "-B", branch], limits, &[]).await?;
        for (name, content) in files {
            fs_err::write(folder.join(name), content).map_err(|error| Failure::local(&error))?;
        }
        self.run(folder, &["add", "--all"], limits, &[]).await?;
        self.run(folder, &["commit", "--quiet", "--message", "Probe"], limits, &[]).await?;
        self.head(folder, limits).await
    }

    /// Clones a branch and compares it with what was pushed.
    pub(super) async fn clone_and_compare(
        &self,
        url: &str,
        branch: &str,
        commit: &str,
        files: &[(&'static str, Vec<u8>)],
        limits: Limits,
        besides: &[(&str, &str)],
    ) -> Result<String, Failure> {
        let folder = self.scratch.join(format!("clone-{}", word(8)));
        let args = ["clone", "--quiet", "--single-branch", "--branch", branch, "--", url, folder.as_str()];
        self.run(&self.scratch, &args, limits, besides).await?;
        let head = self.head(&folder, limits).await?;
        let gitaly = "the repository is not what was pushed: see Gitaly's log on its node, and whether all Gitaly and \
                      Praefect nodes serve the same data";
        if head != commit {
            let saw = format!("the push of {commit} was accepted, and the clone of `{branch}` is at {head}");
            return Err(Failure::Told(Miss::fail(saw, gitaly)));
        }
        for (name, content) in files {
            let came = fs_err::read(folder.join(name)).unwrap_or_default();
            if let Some(difference) = super::content::difference(content, &came) {
                let saw = format!("the clone is at {commit}, but of `{name}` {difference}");
                return Err(Failure::Told(Miss::fail(saw, gitaly)));
            }
        }
        Ok(format!("commit {} and its {} files came back", &commit[..commit.len().min(12)], files.len()))
    }
}

/// Files with random content.
pub(super) fn files() -> Vec<(&'static str, Vec<u8>)> {
    vec![("probe.bin", bytes()), ("README.md", format!("Probe {}\n", word(16)).into_bytes())]
}

/// Why git did not do it.
#[derive(Clone, Debug)]
pub(super) enum Failure {
    /// It ended with a failure and said these lines.
    Said { command: String, lines: Vec<String> },
    /// It is known what to say of it.
    Told(Miss),
}

impl Failure {
    fn of(command: &str, outcome: Result<Outcome, Error>) -> Result<Outcome, Self> {
        let outcome = outcome.map_err(|error| {
            Self::Told(Miss::skip(
                format!("{command} did not run: {error}"),
                "see that git works on this machine",
            ))
        })?;
        if outcome.is_success() {
            return Ok(outcome);
        }
        if outcome.interrupted {
            let miss = Miss::skip("the run was interrupted", "ask again");
            return Err(Self::Told(miss));
        }
        if outcome.timed_out {
            let saw = format!("{command}: no end after {} s", outcome.duration.as_secs());
            let remedy = "see `gitlab-ctl tail gitaly` and `gitlab-ctl tail gitlab-workhorse` on the nodes";
            return Err(Self::Told(Miss::fail(saw, remedy)));
        }
        Err(Self::Said { command: command.to_owned(), lines: outcome.tail })
    }

    fn local(error: &std::io::Error) -> Self {
        let saw = format!("no file can be written for git: {error}");
        Self::Told(Miss::skip(saw, "free the disk, or name another work directory"))
    }

    /// Whether it said one of these words.
    pub(super) fn says(&self, words: &[&str]) -> bool {
        match self {
            Self::Said { lines, .. } => {
                lines.iter().any(|line| words.iter().any(|word| line.to_ascii_lowercase().contains(word)))
            }
            Self::Told(_) => false,
        }
    }

    /// The failure in words that someone can act on.
    pub(super) fn miss(self) -> Miss {
        let (command, lines) = match &self {
            Self::Told(miss) => return miss.clone(),
            Self::Said { command, lines } => (command, lines),
        };
        let saw = format!("{command}: {}", page::excerpt(&telling(lines)));
        let remedies: [(&[&str], &str); 13] = [
            (
                &["remote branch", "empty repository"],
                "the push was accepted and the branch is not there: see Gitaly's log on its node",
            ),
            (
                &["read-only", "maintenance"],
                "the instance takes no writes: end maintenance mode, or ask the primary where this is a secondary",
            ),
            (
                &["no space left", "storage full", "disk quota"],
                "a disk is full: see `df -h` on Gitaly's node",
            ),
            (
                &["authentication failed", "access denied", "could not read username"],
                "see whether Git over HTTP(S) with tokens is allowed: Admin > Settings > General > Visibility and access controls",
            ),
            (&["certificate"], "see the check `tls`: git trusts what it trusts"),
            (
                &["http 403", "error: 403"],
                "see whether the token's user may do this, and whether Git over HTTP(S) is allowed: Admin > Settings > General > Visibility and access controls",
            ),
            (
                &["http 30", "error: 30", "bad line length character"],
                "something else answers in GitLab's place: see what stands before it, and the `external_url` in gitlab.rb",
            ),
            (
                &["http 50", "error: 50"],
                "see `gitlab-ctl status`, and `gitlab-ctl tail` of gitlab-workhorse, puma and gitaly on the nodes",
            ),
            (
                &["unable to access", "rpc failed"],
                "see `gitlab-ctl tail nginx` and `gitlab-workhorse` on the nodes, and what stands before them",
            ),
            (
                &["host key", "host identification"],
                "the nodes behind one name need one host key: see `/etc/ssh/ssh_host_*` on each, and the pinned key",
            ),
            (
                &["permission denied (publickey"],
                "see `gitlab-ctl tail gitlab-shell`, Sidekiq, and `~git/.ssh/authorized_keys` or the lookup in sshd_config on the node",
            ),
            (
                &[
                    "connection refused",
                    "timed out",
                    "no route to host",
                    "connection reset",
                    "kex_exchange",
                    "closed by",
                ],
                "open Git's SSH port on the nodes and on what stands before them, or correct `gitlab_rails['gitlab_shell_ssh_port']`; HTTPS works",
            ),
            (
                &["pre-receive hook declined", "protected branch", "not allowed to push"],
                "a rule of the instance or of the group refuses the push: name another group with `--group`",
            ),
        ];
        let remedy = remedies.iter().find(|(words, _)| self.says(words)).map_or(
            "see `gitlab-ctl tail gitaly`, `gitlab-workhorse` and `gitlab-shell` on the nodes",
            |(_, remedy)| remedy,
        );
        Miss::fail(saw, remedy)
    }
}

/// The lines that tell what happened, without what git says of its own progress.
fn telling(lines: &[String]) -> String {
    let noise = |line: &str| {
        let line = line.trim_start_matches("remote:").trim();
        line.is_empty()
            || line.chars().all(|letter| "=@-".contains(letter))
            || line.starts_with("To ")
            || line.starts_with("Please make sure you have")
            || line == "and the repository exists."
            || line.starts_with("hint:")
            || line.starts_with("Cloning into")
            || line.starts_with("Warning: Permanently added")
    };
    let told = lines.iter().map(|line| line.trim()).filter(|line| !noise(line)).map(without_url);
    let told: Vec<String> = told.collect();
    if told.is_empty() { "it failed and said nothing".into() } else { told.join("; ") }
}

/// A line in which the repository's long address leaves room for what happened.
fn without_url(line: &str) -> String {
    let quoted = line.find("'http").and_then(|from| Some((from, from + 1 + line[from + 1..].find('\'')?)));
    quoted.map_or_else(|| line.to_owned(), |(from, to)| format!("{}'…'{}", &line[..from], &line[to + 1..]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events::Status;

    #[test]
    fn the_address_gives_way_to_what_happened() {
        let miss = said(&[
            "fatal: unable to access 'https://gitlab.acme.example/a/b.git/': The requested URL returned error: 502",
        ]);
        assert_eq!(
            miss.saw,
            "git push: `fatal: unable to access '…': The requested URL returned error: 502`"
        );
        assert!(miss.remedy.contains("puma"), "{}", miss.remedy);
        let miss = said(&["error: RPC failed; HTTP 302 curl 22 The requested URL returned error: 302"]);
        assert!(miss.remedy.contains("external_url"), "{}", miss.remedy);
    }

    fn said(lines: &[&str]) -> Miss {
        let lines = lines.iter().map(ToString::to_string).collect();
        Failure::Said { command: "git push".into(), lines }.miss()
    }

    #[test]
    fn each_refusal_has_its_own_remedy() {
        let cases: [(&[&str], &str); 7] = [
            (&["fatal: Remote branch main not found in upstream origin"], "branch is not there"),
            (&["remote: GitLab: You can't push code to a read-only GitLab instance."], "maintenance"),
            (&["remote: error: No space left on device"], "disk is full"),
            (&["fatal: Authentication failed for 'https://x/'"], "Git over HTTP(S)"),
            (&["Host key verification failed."], "one host key"),
            (
                &["git@x: Permission denied (publickey).", "fatal: Could not read from remote repository."],
                "authorized_keys",
            ),
            (&["ssh: connect to host x port 22: Connection refused"], "SSH port"),
        ];
        for (lines, remedy) in cases {
            let miss = said(lines);
            assert_eq!(miss.status, Status::Fail);
            assert!(miss.remedy.contains(remedy), "{miss:?} lacks {remedy:?}");
        }
    }

    #[test]
    fn progress_is_left_out() {
        let miss = said(&[
            "To https://x/y.git",
            "remote: ",
            "remote: ====",
            "error: failed to push some refs to 'x'",
        ]);
        assert_eq!(miss.saw, "git push: `error: failed to push some refs to 'x'`");
    }
}
