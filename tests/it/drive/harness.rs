//! A folder with fakes in it, a runner that finds only them, and what they and the runner noted.

use std::collections::BTreeMap;
use std::os::unix::fs::symlink;
use std::process::Command;
use std::sync::OnceLock;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use camino::{Utf8Path, Utf8PathBuf};
use refarch::events::{self, Event, Gone, Kind, Reader, Sender, Writer};
use refarch::process::{Ambient, Interrupts, Parts, Redactor, Runner};
use refarch::workdir::Lock;
use secrecy::SecretString;
use serde::Deserialize;
use serde_json::{Value, json};
use tempfile::TempDir;

/// A secret that everything in a test knows and no file may hold.
pub const SECRET: &str = "s3cr3t/Value \"with\" signs";
/// Longer than anything here takes, even on a busy machine.
pub const PATIENCE: Duration = Duration::from_mins(1);

/// One call of a fake, as it noted it.
#[derive(Debug, Deserialize)]
pub struct Call {
    pub command: String,
    pub arguments: Vec<String>,
    pub environment: BTreeMap<String, String>,
    pub folder: Utf8PathBuf,
    pub stdin: String,
    pub leads_its_session: bool,
}

pub struct Harness {
    _keep: TempDir,
    pub root: Utf8PathBuf,
    pub runner: Runner,
    pub interrupts: Interrupts,
    writer: Option<Writer>,
    seen: Receiver<Event>,
}

struct Collects(std::sync::mpsc::Sender<Event>);

impl Reader for Collects {
    fn read(&mut self, event: &Event) -> Result<(), Gone> {
        self.0.send(event.clone()).map_err(|_| Gone)
    }
}

/// The built executable of the crate `fakes`, which no other crate can ask Cargo for by name.
pub fn fake() -> &'static Utf8Path {
    static FAKE: OnceLock<Utf8PathBuf> = OnceLock::new();
    FAKE.get_or_init(|| {
        let build = Command::new(env!("CARGO"))
            .args(["build", "--quiet", "--package", "fakes", "--message-format=json"])
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .output()
            .unwrap();
        assert!(build.status.success(), "{}", String::from_utf8_lossy(&build.stderr));
        let messages = String::from_utf8(build.stdout).unwrap();
        let executables = messages.lines().filter_map(|line| {
            let message: Value = serde_json::from_str(line).ok()?;
            message["executable"].as_str().map(Utf8PathBuf::from)
        });
        executables.collect::<Vec<_>>().pop().expect("the fakes have an executable")
    })
}

impl Harness {
    /// Fakes that do these steps: (command, recording).
    pub fn playing(steps: &[(&str, &str)]) -> Self {
        let steps: Vec<_> =
            steps.iter().map(|(command, play)| json!({"command": command, "play": play})).collect();
        Self::with(&steps)
    }

    /// Fakes that do these steps, in full.
    pub fn with(steps: &[Value]) -> Self {
        Self::locked(steps, None)
    }

    /// The same, with a lock that names the running child.
    pub fn locked(steps: &[Value], lock: Option<Lock>) -> Self {
        let keep = tempfile::tempdir().unwrap();
        let root = Utf8PathBuf::from_path_buf(keep.path().canonicalize().unwrap()).unwrap();
        for folder in ["bin", "logs", "tree", "cache"] {
            fs_err::create_dir(root.join(folder)).unwrap();
        }
        for tool in ["terraform", "tofu", "ansible-playbook", "ssh"] {
            symlink(fake(), root.join("bin").join(tool)).unwrap();
        }
        let recordings = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fakes/recordings");
        let scenario = json!({"recordings": recordings, "steps": steps});
        fs_err::write(root.join("bin/scenario.json"), scenario.to_string()).unwrap();
        let path = [root.join("bin").as_str(), "/usr/bin", "/bin"].join(":");
        let ambient = [
            ("PATH", path.as_str()),
            ("HOME", root.as_str()),
            ("TF_LOG", "trace"),
            ("TF_CLI_ARGS_plan", "-destroy"),
            ("TF_WORKSPACE", "other"),
            ("ANSIBLE_STDOUT_CALLBACK", "json"),
            ("CI", "1"),
        ];
        let ambient = ambient.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let interrupts = Interrupts::default();
        let redactor = Redactor::knowing(&[SecretString::from(SECRET)]);
        let (collect, seen) = channel();
        let (events, writer) = start_events(&root, &redactor, Box::new(Collects(collect)));
        let runner = Runner::new(Parts {
            logs: root.join("logs"),
            redactor,
            events,
            interrupts: interrupts.clone(),
            ambient: ambient.into_iter().collect::<Ambient>(),
            lock,
        });
        Self { _keep: keep, root, runner, interrupts, writer: Some(writer), seen }
    }

    pub fn tree(&self) -> Utf8PathBuf {
        self.root.join("tree")
    }

    /// What the fakes were called with, in order.
    pub fn calls(&self) -> Vec<Call> {
        let text = fs_err::read_to_string(self.root.join("bin/calls.jsonl")).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// Every event so far; closes the stream.
    pub fn events(&mut self) -> Vec<Kind> {
        let ending = self.writer.take().expect("events are asked for once").finish();
        assert!(ending.file_error.is_none(), "{ending:?}");
        self.seen.try_iter().map(|event| event.event).collect()
    }

    /// Waits for an event that the test can't go on without.
    pub fn wait_for(&self, wanted: impl Fn(&Kind) -> bool) -> Kind {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let event = self.seen.recv_timeout(left).expect("the event must come").event;
            if wanted(&event) {
                return event;
            }
        }
    }

    pub fn log(&self, tool: &str) -> String {
        fs_err::read_to_string(self.root.join("logs").join(format!("{tool}.log"))).unwrap()
    }

    /// No file that is left behind holds the secret, raw output is gone, and all is for the owner only.
    pub fn assert_clean(&self) {
        use std::os::unix::fs::PermissionsExt;
        assert!(!self.root.join("logs/raw").exists(), "raw output is left");
        for entry in self.root.join("logs").read_dir_utf8().unwrap() {
            let path = entry.unwrap().into_path();
            let text = fs_err::read_to_string(&path).unwrap();
            let escaped = SECRET.replace('"', "\\\"");
            assert!(!text.contains(SECRET) && !text.contains(&escaped), "{path} holds the secret");
            let mode = fs_err::metadata(&path).unwrap().permissions().mode() & 0o777;
            assert_eq!(mode, 0o600, "{path}");
        }
    }
}

fn start_events(root: &Utf8Path, redactor: &Redactor, reader: Box<dyn Reader>) -> (Sender, Writer) {
    events::start(events::Options {
        run: "test".into(),
        path: root.join("logs/events.jsonl"),
        redactor: redactor.clone(),
        readers: vec![reader],
    })
    .unwrap()
}
