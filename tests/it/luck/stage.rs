//! A spec, a cache folder with what the lab consists of, and fakes: all that `refarch up` asks for.

use std::fs::File;
use std::os::unix::fs::symlink;
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::thread::sleep;
use std::time::{Duration, Instant};

use camino::{Utf8Path, Utf8PathBuf};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::super::drive::{PATIENCE, fake};
use crate::ended::Ended;

const EXAMPLE: &str = include_str!("../../../examples/lab-1k.yml");
/// The name under which the recordings were made.
pub const NAME: &str = "recorded";
pub const NODE: &str = "recorded-all-in-one-1";
const LOOK: Duration = Duration::from_millis(10);

pub struct Stage {
    _keep: TempDir,
    pub root: Utf8PathBuf,
    /// Where the spec lies; a test may mount something there.
    pub place: Utf8PathBuf,
}

/// The steps of a run up to the end of `provision`; `apply` is what the test makes of it.
pub fn until_provision(apply: Value) -> Vec<Value> {
    let mut steps: Vec<Value> = [
        ("inspect", "lab/inspect-nothing"),
        ("version", "terraform/version"),
        ("version", "ansible/version"),
        ("init", "terraform/init"),
        ("validate", "terraform/validate"),
        ("plan", "terraform/plan-deployment"),
        ("show", "terraform/show-deployment"),
    ]
    .iter()
    .map(|(command, play)| json!({"command": command, "play": play}))
    .collect();
    steps.push(apply);
    steps
}

/// The steps of a run up to the playbook that configures; that one is what the test makes of it.
pub fn until_configure(site: Value) -> Vec<Value> {
    let mut steps = until_provision(json!({"command": "apply", "play": "terraform/apply-deployment"}));
    steps.extend(
        [
            ("output", "terraform/output-deployment"),
            ("ssh-keyscan", "ssh/keyscan"),
            ("probe.yml", "ansible/good"),
        ]
        .iter()
        .map(|(command, play)| json!({"command": command, "play": play})),
    );
    steps.push(site);
    steps
}

/// A secrets store as `up --until render` makes it.
fn store() -> &'static [u8] {
    static STORE: OnceLock<Vec<u8>> = OnceLock::new();
    STORE.get_or_init(|| {
        let stage =
            Stage::bare(&until_provision(json!({"command": "apply", "play": "terraform/apply-deployment"})));
        stage.run(&["up", "--yes", "--until", "render"]).assert(0, &[]);
        fs_err::read(stage.work().join("secrets.json")).unwrap()
    })
}

/// A package of the name, version and architecture that the example asks for, with nothing in it.
fn package() -> &'static [u8] {
    static PACKAGE: OnceLock<Vec<u8>> = OnceLock::new();
    PACKAGE.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        let control = "Package: gitlab-ee\nVersion: 18.11.2-ee.0\nArchitecture: amd64\nMaintainer: nobody\nDescription: none\n";
        fs_err::create_dir_all(folder.path().join("tree/DEBIAN")).unwrap();
        fs_err::write(folder.path().join("tree/DEBIAN/control"), control).unwrap();
        let file = folder.path().join("package.deb");
        let built = Command::new("dpkg-deb").arg("--build").arg(folder.path().join("tree")).arg(&file).output();
        assert!(built.unwrap().status.success());
        fs_err::read(file).unwrap()
    })
}

impl Stage {
    /// A deployment that has its secrets and nothing else.
    pub fn with(steps: &[Value]) -> Self {
        let stage = Self::bare(steps);
        stage.seed();
        stage
    }

    /// A deployment of which nothing is there but its spec.
    pub fn bare(steps: &[Value]) -> Self {
        assert!(nix::unistd::geteuid().is_root(), "the lab needs root: run this as root");
        let keep = tempfile::tempdir().unwrap();
        let root = Utf8PathBuf::from_path_buf(keep.path().canonicalize().unwrap()).unwrap();
        let lab = root.join("cache/lab");
        for folder in ["bin", "place", "cache/lab/image/rootfs", "cache/lab/mirror", "cache/lab/packages"] {
            fs_err::create_dir_all(root.join(folder)).unwrap();
        }
        symlink(root.join("bin"), lab.join("bin")).unwrap();
        for tool in ["terraform", "tofu", "ansible-playbook", "ssh", "ssh-keyscan", "refarch-lab"] {
            symlink(fake(), root.join("bin").join(tool)).unwrap();
        }
        fs_err::write(lab.join("packages/gitlab-ee_18.11.2-ee.0_amd64.deb"), package()).unwrap();
        let stage = Self { _keep: keep, place: root.join("place"), root };
        stage.steps(steps);
        stage.specify();
        stage
    }

    /// Gives the deployment the secrets that one run of all made: making them takes seconds.
    pub fn seed(&self) {
        fs_err::create_dir_all(self.work()).unwrap();
        fs_err::write(self.work().join("secrets.json"), store()).unwrap();
    }

    /// Writes the spec, such as after something was mounted where it lies.
    pub fn specify(&self) {
        let spec = EXAMPLE.replace("name: demo", &format!("name: {NAME}"));
        fs_err::write(self.place.join("gitlab.yml"), spec).unwrap();
    }

    /// What the tools do from now on.
    pub fn steps(&self, steps: &[Value]) {
        let recordings = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fakes/recordings");
        let scenario = json!({"recordings": recordings, "steps": steps});
        fs_err::write(self.root.join("bin/scenario.json"), scenario.to_string()).unwrap();
    }

    /// The work directory.
    pub fn work(&self) -> Utf8PathBuf {
        self.place.join(".refarch").join(NAME)
    }

    /// Lets a tool go on that holds.
    pub fn go(&self) {
        fs_err::write(self.root.join("bin/go"), "").unwrap();
    }

    /// How many interrupts the tools were sent.
    pub fn interrupts(&self) -> usize {
        fs_err::read_to_string(self.root.join("bin/interrupts")).unwrap_or_default().lines().count()
    }

    /// The commands that the tools were called with, in order.
    pub fn calls(&self) -> Vec<String> {
        let text = fs_err::read_to_string(self.root.join("bin/calls.jsonl")).unwrap_or_default();
        let command =
            |line: &str| serde_json::from_str::<Value>(line).unwrap()["command"].as_str().unwrap().to_owned();
        text.lines().map(command).collect()
    }

    /// The secrets store.
    pub fn secrets(&self) -> Value {
        serde_json::from_slice(&fs_err::read(self.work().join("secrets.json")).unwrap()).unwrap()
    }

    /// The program, in an environment of its own, with the spec as its last argument.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_refarch"));
        command
            .args(args)
            .arg("gitlab.yml")
            .current_dir(&self.place)
            .env_clear()
            .env("PATH", [self.root.join("bin").as_str(), "/usr/bin", "/bin"].join(":"))
            .env("HOME", &self.root)
            .env("REFARCH_CACHE", self.root.join("cache"))
            .stdin(Stdio::null());
        command
    }

    /// Starts it, with what it says going to a file that is not where the spec lies.
    pub fn start(&self, args: &[&str]) -> Running<'_> {
        self.start_with(args, &[])
    }

    /// The same, with more in its environment.
    pub fn start_with(&self, args: &[&str], environment: &[(&str, &str)]) -> Running<'_> {
        // The steps begin anew with each run.
        let _ = fs_err::remove_file(self.root.join("bin/calls.jsonl"));
        let said = self.root.join("said");
        let file = File::create(&said).unwrap();
        let mut command = self.command(args);
        command.envs(environment.iter().copied());
        command.stdout(file.try_clone().unwrap()).stderr(file);
        Running { child: command.spawn().unwrap(), stage: self, said, earlier: self.runs() }
    }

    /// Runs it to its end.
    pub fn run(&self, args: &[&str]) -> Ended {
        self.start(args).end()
    }

    fn runs(&self) -> Vec<Utf8PathBuf> {
        let Ok(entries) = self.work().join("runs").read_dir_utf8() else { return Vec::new() };
        entries.map(|entry| entry.unwrap().into_path()).collect()
    }
}

/// A refarch at work; it and what it started end with this value.
pub struct Running<'a> {
    child: Child,
    stage: &'a Stage,
    said: Utf8PathBuf,
    earlier: Vec<Utf8PathBuf>,
}

impl Running<'_> {
    pub fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.child.id().try_into().unwrap()), signal).unwrap();
    }

    /// The events of this run so far.
    pub fn events(&self) -> Vec<Value> {
        let folder = self.stage.runs().into_iter().find(|folder| !self.earlier.contains(folder));
        let text = folder.and_then(|folder| fs_err::read_to_string(folder.join("events.jsonl")).ok());
        let text = text.unwrap_or_default();
        // The last line may still be in the writing.
        text.lines()
            .filter_map(|line| Some(serde_json::from_str::<Value>(line).ok()?["event"].take()))
            .collect()
    }

    /// Waits until `look` finds something; the program must not end before.
    #[track_caller]
    pub fn until<T>(&mut self, what: &str, look: impl Fn(&Self) -> Option<T>) -> T {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let ended = self.child.try_wait().unwrap();
            if let Some(found) = look(self) {
                return found;
            }
            assert!(ended.is_none(), "it ended before {what}:\n{}", self.said());
            assert!(Instant::now() < deadline, "waited for {what} in vain:\n{}", self.said());
            sleep(LOOK);
        }
    }

    /// Waits until a tool was called with this command, and a while of its output was seen.
    #[track_caller]
    pub fn until_said(&mut self, text: &str) {
        self.until(text, |running| running.said().contains(text).then_some(()));
    }

    /// Waits for so many answers to an interrupt, and gives what the last one says would come next.
    #[track_caller]
    pub fn interrupted(&mut self, times: usize) -> String {
        self.until("the answer to the interrupt", |running| {
            let events = running.events();
            let told = events.iter().filter_map(|event| event["waiting_for"]["interrupted"]["next"].as_str());
            told.map(str::to_owned).nth(times - 1)
        })
    }

    /// Waits until work on a resource, or a task on a node, has begun.
    #[track_caller]
    pub fn begun(&mut self, kind: &str) {
        self.until(kind, |running| {
            let begun = |event: &Value| event["type"] == kind && event["status"] == "started";
            running.events().iter().any(begun).then_some(())
        });
    }

    pub fn end(&mut self) -> Ended {
        let deadline = Instant::now() + PATIENCE;
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            assert!(Instant::now() < deadline, "it does not end:\n{}", self.said());
            sleep(LOOK);
        };
        Ended { code: status.code(), said: self.said() }
    }

    pub fn said(&self) -> String {
        fs_err::read_to_string(&self.said).unwrap_or_default()
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        end_tools(&self.stage.root);
    }
}

/// Ends the fakes that a killed refarch has left: those that were started through the links of this test.
fn end_tools(root: &Utf8Path) {
    let bin = root.join("bin/").into_string();
    for entry in std::fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        let command = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
        if String::from_utf8_lossy(&command).starts_with(&bin) {
            let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
        }
    }
}
