//! The commands that refarch gives to Terraform, in the words of its machine interfaces.

use std::io;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use camino::{Utf8Path, Utf8PathBuf};
use semver::Version;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::diagnostic::Raw;
use super::ui::Ui;
use super::{Diagnostic, Error, Plan, Tool};
use crate::events::{Changes, Kind};
use crate::process::{Cancel, Command, Ended, Outcome, Quiet, Runner, Stdout};
use crate::workdir::{PRIVATE, atomically};

const OLDEST: Version = Version::new(1, 11, 0);
const NEEDED: &str = "1.11";
/// What of refarch's environment the lab's provider has to know.
const ALLOWED: &[&str] = &["REFARCH_CACHE", "REFARCH_LAB_STATE", "TF_CLI_CONFIG_FILE"];
/// The configuration that sends Terraform to our own mirror; its name ends so that it is no part of the module.
const CLI_CONFIG: &str = "cli.tfrc";
const PLAN: &str = "refarch.tfplan";
/// Terraform's record of which provider it installed.
pub(super) const LOCK_FILE: &str = ".terraform.lock.hcl";
/// What Terraform made, where nothing says otherwise.
pub(crate) const STATE: &str = "terraform.tfstate";
const STALE: &str = "Saved plan is stale";
/// How Terraform's last words begin when it could write the state nowhere.
const NOT_SAVED: [&str; 2] = ["Failed to save state", "Failed to persist state to backend"];
/// Where Terraform leaves a state that it could not write to its place.
const ERRORED_STATE: &str = "errored.tfstate";
const STATE_LOCKED: &str = "Error acquiring the state lock";
/// The summary by which refarch's own providers say that a name is taken.
const OWNED_ELSEWHERE: &str = "deployment name is owned by another work directory";

/// Where Terraform works, and with what.
#[derive(Clone, Debug)]
pub struct Options {
    /// Which of the two programs.
    pub tool: Tool,
    /// The folder of the root module.
    pub dir: Utf8PathBuf,
    /// The folder of providers that were built on this machine; with it, no other source is asked.
    pub mirror: Option<Utf8PathBuf>,
    /// Where providers are kept between runs that don't come from the mirror.
    pub plugin_cache: Utf8PathBuf,
}

/// What a plan is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlanMode {
    /// To bring what is to what should be.
    Apply,
    /// To remove everything.
    Destroy,
}

/// A saved plan. It may be applied once, and only to the state it was made for.
#[derive(Debug)]
pub struct PlanFile {
    path: Utf8PathBuf,
}

/// What came of planning.
#[derive(Debug)]
pub struct Planned {
    /// The saved plan.
    pub file: PlanFile,
    /// Whether anything would change.
    pub has_changes: bool,
}

/// Terraform, or OpenTofu, for one root module.
#[derive(Clone, Debug)]
pub struct Client {
    runner: Runner,
    program: Utf8PathBuf,
    options: Options,
}

#[derive(Deserialize)]
struct VersionAnswer {
    terraform_version: Version,
}

#[derive(Deserialize)]
struct Validation {
    valid: bool,
    #[serde(default)]
    diagnostics: Vec<Raw>,
}

#[derive(Deserialize)]
struct Output {
    value: Value,
}

impl Client {
    /// Finds the program and checks that it is new enough.
    pub async fn find(runner: &Runner, options: Options) -> Result<Self, Error> {
        let program = options.tool.find(runner.ambient())?;
        let client = Self { runner: runner.clone(), program, options };
        new_enough(&client.program, &client.ask_version().await?)?;
        Ok(client)
    }

    /// Which of the two programs it is.
    #[must_use]
    pub const fn tool(&self) -> Tool {
        self.options.tool
    }

    /// Makes the root module ready: providers are installed, the backend is opened.
    pub async fn init(&self) -> Result<(), Error> {
        self.prepare()?;
        self.lines(self.command("init").args(["-json", "-input=false"])).await?.success()?;
        self.take_back_state().await
    }

    /// Asks whether the module is sound in itself.
    pub async fn validate(&self) -> Result<(), Error> {
        let command = self.command("validate").arg("-json").stdout(Stdout::Private);
        let outcome = self.runner.run(command, &mut Quiet).await?;
        let mut done = Done { ui: self.ui(), outcome };
        let answer: Result<Validation, _> = serde_json::from_slice(&done.outcome.private);
        let Ok(answer) = answer else {
            return Err(done.failure().unwrap_or_else(|| unknown(&done.outcome, "it is no validation")));
        };
        answer.diagnostics.into_iter().for_each(|raw| done.ui.diagnose(raw));
        if answer.valid { Ok(()) } else { Err(done.into_failure()) }
    }

    /// Finds out what would change, and saves it.
    pub async fn plan(&self, mode: PlanMode) -> Result<Planned, Error> {
        let path = self.options.dir.join(PLAN);
        // The plan holds the variables in clear, and Terraform keeps the mode of a file that is there.
        atomically(&path, "", PRIVATE).map_err(|error| Error::io("make", &path)(io::Error::other(error)))?;
        let mut command = self.command("plan").args(["-json", "-input=false", "-detailed-exitcode"]);
        command = command.args(["-lock-timeout=5s".to_owned(), format!("-out={PLAN}")]);
        if mode == PlanMode::Destroy {
            command = command.arg("-destroy");
        }
        let done = self.lines(command).await?;
        self.close_files()?;
        let has_changes = match done.outcome.ended {
            Ended::Exit(0) => false,
            Ended::Exit(2) if !done.outcome.interrupted => true,
            _ => {
                remove(&path)?;
                return Err(done.into_failure());
            }
        };
        self.runner.events().send(Kind::PlanSummary { changes: done.ui.changes.unwrap_or_default() });
        Ok(Planned { file: PlanFile { path }, has_changes })
    }

    /// Reads what a saved plan would do.
    pub async fn show(&self, plan: &PlanFile) -> Result<Plan, Error> {
        let name = plan.path.file_name().unwrap_or(PLAN);
        let outcome = self.private(self.command("show").args(["-json", "-no-color", name])).await?;
        Plan::from_json(&outcome.private).map_err(|reason| unknown(&outcome, reason))
    }

    /// Carries out a saved plan. Says how many resources were touched.
    pub async fn apply(&self, plan: PlanFile) -> Result<Changes, Error> {
        let name = plan.path.file_name().unwrap_or(PLAN).to_owned();
        let command = self.command("apply").args(["-json", "-input=false", "-lock-timeout=5s"]).arg(name);
        let done = self.lines(command).await;
        self.close_files()?;
        // Whatever came of it, the plan is of no use any more.
        remove(&plan.path)?;
        let done = done?;
        if !done.outcome.is_success() {
            return Err(self.with_state_kept(done));
        }
        let changes = done.ui.changes.unwrap_or_default();
        self.runner.events().send(Kind::ApplySummary { changes });
        Ok(changes)
    }

    /// The root module's outputs, as values.
    pub async fn output(&self) -> Result<Map<String, Value>, Error> {
        let outcome = self.private(self.command("output").args(["-json", "-no-color"])).await?;
        let outputs: Map<String, Value> = serde_json::from_slice(&outcome.private)
            .map_err(|_| unknown(&outcome, "it is no object of outputs"))?;
        outputs
            .into_iter()
            .map(|(name, output)| {
                let output: Output = serde_json::from_value(output)
                    .map_err(|_| unknown(&outcome, format!("output `{name}` has no value")))?;
                Ok((name, output.value))
            })
            .collect()
    }

    /// What an earlier run could not write to its place becomes the state, before anything is planned with an older one.
    async fn take_back_state(&self) -> Result<(), Error> {
        let path = self.options.dir.join(ERRORED_STATE);
        match fs_err::metadata(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(Error::io("look at", path)(error)),
            Ok(found) if found.len() == 0 => return remove(&path),
            Ok(_) => {}
        }
        self.private(self.command("state").args(["push", ERRORED_STATE])).await?;
        self.close_files()?;
        self.runner.events().note("took back the state that an earlier run could not write to its place");
        remove(&path)
    }

    /// The failure of an apply. A state that found no room is kept, now that the plan has left some.
    fn with_state_kept(&self, done: Done) -> Error {
        let is_lost = done.ui.errors().any(|error| NOT_SAVED.contains(&error.summary.as_str()));
        if !is_lost || done.outcome.interrupted {
            return done.into_failure();
        }
        let path = self.options.dir.join(ERRORED_STATE);
        let is_there = |path: &Utf8Path| fs_err::metadata(path).is_ok_and(|found| found.len() > 0);
        if !is_there(&path)
            && let Some(state) = &done.ui.dumped
        {
            // Whether it could be written is seen by looking, below.
            let _ = atomically(&path, state.to_string(), PRIVATE);
        }
        let kept = is_there(&path).then_some(path);
        let reason = done.ui.errors().next().map(|error| error.detail.clone()).unwrap_or_default();
        let Outcome { command, log, .. } = done.outcome;
        Error::StateNotSaved { command, reason, kept, log }
    }

    fn ui(&self) -> Ui {
        Ui::new(self.tool(), self.runner.events().clone(), self.options.dir.clone())
    }

    fn command(&self, name: &str) -> Command {
        let mut command = Command::new(self.tool().program(), self.program.clone())
            .arg(format!("-chdir={}", self.options.dir))
            .arg(name)
            .cancel(Cancel::FinishFirst)
            .env("TF_IN_AUTOMATION", "1")
            .env("TF_INPUT", "0")
            .env("CHECKPOINT_DISABLE", "1");
        // From a mirror Terraform links its providers, so a cache would save nothing. It also makes each of its
        // entries anew at every `init`, and takes them away from the Terraforms of other deployments for a moment.
        command = if self.options.mirror.is_some() {
            command.env("TF_CLI_CONFIG_FILE", self.options.dir.join(CLI_CONFIG).as_str())
        } else {
            command.env("TF_PLUGIN_CACHE_DIR", self.options.plugin_cache.as_str())
        };
        command.allow(ALLOWED)
    }

    async fn ask_version(&self) -> Result<Version, Error> {
        let command = Command::new(self.tool().program(), self.program.clone())
            .args(["version", "-json"])
            .stdout(Stdout::Private)
            .timeout(Duration::from_mins(1))
            .env("CHECKPOINT_DISABLE", "1");
        let outcome = self.runner.run(command, &mut Quiet).await?;
        let answer: Result<VersionAnswer, _> = serde_json::from_slice(&outcome.private);
        answer
            .map(|answer| answer.terraform_version)
            .map_err(|_| Error::NoVersion { program: self.program.clone(), log: outcome.log })
    }

    /// What has to be there before `init`.
    fn prepare(&self) -> Result<(), Error> {
        let Some(mirror) = &self.options.mirror else {
            let cache = &self.options.plugin_cache;
            return fs_err::create_dir_all(cache).map_err(Error::io("make", cache));
        };
        let path = self.options.dir.join(CLI_CONFIG);
        atomically(&path, cli_config(mirror), PRIVATE)
            .map_err(|error| Error::io("write", &path)(io::Error::other(error)))?;
        // The lock file protects against a provider that changed on its way here. These were built here, and a
        // newer build has another hash under the same version.
        remove(&self.options.dir.join(LOCK_FILE))
    }

    async fn lines(&self, command: Command) -> Result<Done, Error> {
        let mut ui = self.ui();
        let outcome = self.runner.run(command, &mut ui).await?;
        Ok(Done { ui, outcome })
    }

    /// Runs a command whose stdout may hold secrets. Its failures stand on stderr.
    async fn private(&self, command: Command) -> Result<Outcome, Error> {
        let outcome = self.runner.run(command.stdout(Stdout::Private), &mut Quiet).await?;
        if outcome.is_success() {
            return Ok(outcome);
        }
        Err(Done { ui: self.ui(), outcome }.into_failure())
    }

    /// State and plan hold values in clear, and Terraform makes them readable for all.
    fn close_files(&self) -> Result<(), Error> {
        for name in [PLAN, STATE, "terraform.tfstate.backup", ERRORED_STATE] {
            let path = self.options.dir.join(name);
            match fs_err::set_permissions(&path, std::fs::Permissions::from_mode(PRIVATE)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(Error::io("close to others", path)(error));
                }
                _ => {}
            }
        }
        Ok(())
    }
}

fn new_enough(program: &Utf8Path, version: &Version) -> Result<(), Error> {
    if *version < OLDEST {
        return Err(Error::TooOld {
            program: program.to_owned(),
            found: version.to_string(),
            needed: NEEDED,
        });
    }
    Ok(())
}

/// Sends Terraform to a folder of providers and nowhere else.
fn cli_config(mirror: &Utf8Path) -> String {
    // A string of HCL is one of JSON, but for the two signs that begin a template.
    let path = Value::from(mirror.as_str()).to_string().replace("${", "$${").replace("%{", "%%{");
    format!("provider_installation {{\n  filesystem_mirror {{\n    path = {path}\n  }}\n}}\n")
}

fn remove(path: &Utf8Path) -> Result<(), Error> {
    match fs_err::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(Error::io("remove", path)(error)),
        _ => Ok(()),
    }
}

fn unknown(outcome: &Outcome, reason: impl Into<String>) -> Error {
    Error::UnknownFormat { command: outcome.command.clone(), reason: reason.into() }
}

/// A command that has ended.
struct Done {
    ui: Ui,
    outcome: Outcome,
}

impl Done {
    fn success(self) -> Result<(), Error> {
        if self.outcome.is_success() { Ok(()) } else { Err(self.into_failure()) }
    }

    /// What stopped it, if it did not just fail.
    fn failure(&self) -> Option<Error> {
        let (command, log) = (self.outcome.command.clone(), self.outcome.log.clone());
        if let Ended::Signal(_) = self.outcome.ended {
            let unfinished = match self.ui.at_work.keys().cloned().collect::<Vec<_>>() {
                none if none.is_empty() => "nothing that it told of".to_owned(),
                addresses => addresses.join(", "),
            };
            return Some(Error::Killed { command, ended: self.outcome.ended, unfinished, log });
        }
        // An interrupted Terraform ends with 1, as if it had failed by itself.
        self.outcome.interrupted.then_some(Error::Interrupted { command, log })
    }

    fn into_failure(self) -> Error {
        if let Some(error) = self.failure() {
            return error;
        }
        let Outcome { command, log, tail, ended, .. } = self.outcome;
        if let Some(known) = self.ui.errors().find_map(|error| recognised(error, &command)) {
            return known;
        }
        let errors = self.ui.errors().count();
        let message = match (self.ui.errors().next(), errors) {
            (None, _) => gist(&tail).map_or_else(|| ended.to_string(), |line| format!("{ended}, {line}")),
            (Some(first), 1) => first.to_string(),
            (Some(first), 2) => format!("{first}, and one more error"),
            (Some(first), _) => format!("{first}, and {} more errors", errors - 1),
        };
        Error::Failed { command, message, diagnostics: self.ui.diagnostics, log }
    }
}

/// The few errors that call for something else than reading them. Terraform gives them no code but this line.
fn recognised(error: &Diagnostic, command: &str) -> Option<Error> {
    match error.summary.as_str() {
        STALE => Some(Error::StalePlan),
        STATE_LOCKED => {
            Some(Error::StateLocked { command: command.to_owned(), holder: error.detail.clone() })
        }
        summary if summary.eq_ignore_ascii_case(OWNED_ELSEWHERE) => {
            Some(Error::OwnedElsewhere { summary: error.summary.clone(), detail: error.detail.clone() })
        }
        _ => None,
    }
}

/// The line that says most of what Terraform wrote for people, where it has no machine interface: its error, else
/// the last one. It draws a frame around each error.
fn gist(lines: &[String]) -> Option<&str> {
    let mut said =
        lines.iter().map(|line| line.trim_matches([' ', '╷', '│', '╵'])).filter(|line| !line.is_empty());
    let last = said.clone().next_back();
    said.find(|line| line.starts_with("Error: ")).or(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mirror_path_is_taken_literally() {
        let config = cli_config(Utf8Path::new(r#"/a "b"/${c}/%{d}"#));
        assert!(config.contains(r#"path = "/a \"b\"/$${c}/%%{d}""#), "{config}");
    }

    #[test]
    fn the_error_is_found_within_its_frame() {
        let lines = |text: &str| text.lines().map(str::to_owned).collect::<Vec<_>>();
        let framed = lines("╷\n│ Error: Failed to load plugin schemas\n│ \n│ Could not load it.\n╵");
        assert_eq!(gist(&framed), Some("Error: Failed to load plugin schemas"));
        assert_eq!(gist(&lines("killed\n\n")), Some("killed"));
        assert_eq!(gist(&[]), None);
    }

    #[test]
    fn an_old_one_is_refused() {
        assert!(new_enough(Utf8Path::new("/bin/t"), &Version::new(1, 11, 0)).is_ok());
        let error = new_enough(Utf8Path::new("/bin/t"), &Version::new(1, 9, 8)).unwrap_err();
        assert_eq!(error.to_string(), "use /bin/t: it is 1.9.8, and refarch needs 1.11 or newer");
    }
}
