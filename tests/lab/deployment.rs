//! One deployment of a test: its spec and work directory in a folder of its own, and what goes on in it.

use std::cell::Cell;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

use super::ended::Ended;
use super::machine::{self, Package};
use super::process::{Running, run};
use super::secrets::Secrets;

const EXAMPLE: &str = include_str!("../../examples/lab-1k.yml");
/// The host of the example's URL.
pub const HOST: &str = "gitlab.demo.example";

/// A deployment that is destroyed with this value.
pub struct Deployment {
    pub name: &'static str,
    example: &'static str,
    folder: TempDir,
    package: Option<Package>,
    started: Cell<u32>,
    gone: Cell<bool>,
}

impl Deployment {
    /// A 1k under another name, in a new folder. Nothing is made yet.
    pub fn new(name: &'static str) -> Self {
        Self::of_example(name, EXAMPLE)
    }

    /// An example's spec under another name, in a new folder. Nothing is made yet.
    pub fn of_example(name: &'static str, example: &'static str) -> Self {
        assert!(nix::unistd::geteuid().is_root(), "the lab needs root: run this as root");
        let folder = tempfile::tempdir().expect("a folder");
        let package = machine::package();
        if let Some(package) = &package {
            // A package of more than a gigabyte is not copied for each deployment.
            std::os::unix::fs::symlink(&package.path, folder.path().join("package.deb")).expect("a link");
        }
        let deployment =
            Self { name, example, folder, package, started: Cell::new(0), gone: Cell::new(false) };
        // A test that was killed could not clean up behind itself.
        deployment.sweep();
        assert_eq!(machine::left_of(name, deployment.folder()), [""; 0]);
        deployment.specify(|text| text);
        deployment
    }

    /// Writes the spec: the example's, and what the closure makes of it.
    pub fn specify(&self, change: impl FnOnce(String) -> String) {
        let named = self.example.lines().find(|line| line.starts_with("name: ")).expect("a name");
        let mut text = self.example.replace(named, &format!("name: {}", self.name));
        if let Some(package) = &self.package {
            text = text
                .replace("18.11.2", &package.version)
                .replace("{standin: {}}", "{file: {path: package.deb}}");
        }
        std::fs::write(self.spec(), change(text)).expect("a spec");
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub fn spec(&self) -> PathBuf {
        self.folder().join("gitlab.yml")
    }

    /// The work directory.
    pub fn work(&self) -> PathBuf {
        self.folder().join(".refarch").join(self.name)
    }

    /// Whether the package is one that was given, and so perhaps the real one.
    pub fn is_given(&self) -> bool {
        self.package.is_some()
    }

    /// GitLab's version in its package.
    pub fn version(&self) -> &str {
        self.package.as_ref().map_or("18.11.2", |package| &package.version)
    }

    /// The name of its one node.
    pub fn node(&self) -> String {
        format!("{}-all-in-one-1", self.name)
    }

    /// Runs `refarch` with the spec as its last argument.
    pub fn refarch(&self, args: &[&str]) -> Ended {
        self.start(args).end()
    }

    /// Starts `refarch` with the spec as its last argument.
    pub fn start(&self, args: &[&str]) -> Running {
        self.started.set(self.started.get() + 1);
        let said = self.folder().join(format!("said-{}", self.started.get()));
        let mut command = refarch(self.folder());
        Running::start(command.args(args).arg(self.spec()), said, self.work().join("runs"))
    }

    /// Runs `refarch` with more in its environment and the spec as its last argument.
    pub fn refarch_with(&self, environment: &[(&str, &str)], args: &[&str]) -> Ended {
        let mut command = refarch(self.folder());
        run(command.envs(environment.iter().copied()).args(args).arg(self.spec()))
    }

    /// `refarch up --yes`, which must end well.
    #[track_caller]
    pub fn up(&self) -> Ended {
        let ended = self.refarch(&["up", "--yes"]);
        ended.assert(0, &[]);
        ended
    }

    /// `refarch destroy` with the name that confirms it.
    pub fn destroy(&self) -> Ended {
        self.refarch(&["destroy", "--confirm", self.name])
    }

    /// Asserts that this machine has nothing of the deployment any more, and that the work directory holds logs
    /// and the secrets that were put aside.
    #[track_caller]
    pub fn assert_gone(&self) {
        assert_eq!(machine::left_of(self.name, &self.work()), [""; 0]);
        let mut names: Vec<String> = std::fs::read_dir(self.work())
            .expect("a folder")
            .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
            .filter(|name| !(name.starts_with("destroyed-") && name.ends_with(".secrets.json")))
            .collect();
        names.sort();
        assert_eq!(names, ["lock", "runs"]);
        self.gone.set(true);
    }

    /// What a command prints on the node; it must end well.
    #[track_caller]
    pub fn on_node(&self, script: &str) -> String {
        self.on("all-in-one-1", script)
    }

    /// What a command prints on one of several nodes, which is named without the deployment; it must end well.
    #[track_caller]
    pub fn on(&self, node: &str, script: &str) -> String {
        let ended = self.try_on(node, script);
        assert_eq!(ended.code, Some(0), "{node}: {script}: {}", ended.said);
        ended.said
    }

    /// How a command ends on one of several nodes, which is named without the deployment.
    pub fn try_on(&self, node: &str, script: &str) -> Ended {
        let node = format!("{}-{node}", self.name);
        let config = self.work().join("ansible/ssh_config");
        run(Command::new("ssh").arg("-F").arg(config).args([&node, "--", script]))
    }

    /// Which process each service is on the node: a restart changes it.
    #[track_caller]
    pub fn service_processes(&self) -> Vec<String> {
        let status = self.on_node("gitlab-ctl status");
        let processes: Vec<_> =
            status.lines().filter_map(|line| Some(line.split_once(')')?.0.to_owned())).collect();
        assert!(processes.len() > 5 && processes.iter().all(|line| line.starts_with("run: ")), "{status}");
        processes
    }

    /// What tells one making of the database from another, and a row that was written at its making.
    #[track_caller]
    pub fn database(&self) -> String {
        self.on_node(
            "LC_ALL=C /opt/gitlab/embedded/bin/pg_controldata /var/opt/gitlab/postgresql/data | grep identifier && \
             runuser -u gitlab-psql -- /opt/gitlab/embedded/bin/psql --no-psqlrc --tuples-only \
             --host /var/opt/gitlab/postgresql --dbname gitlabhq_production --command 'SELECT * FROM users'",
        )
    }

    /// The secrets store.
    pub fn secrets(&self) -> Value {
        json(&self.work().join("secrets.json"))
    }

    /// Finds its secrets where they must not be.
    pub fn leaks(&self) -> Secrets {
        let fetched = self.work().join("ansible/fetched").join(self.node()).join("gitlab-secrets.json");
        Secrets::of(&self.secrets(), &json(&fetched))
    }

    /// What the lab's own program says of it.
    pub fn inspect(&self) -> Value {
        let ended = run(&mut Self::lab(&["inspect", self.name]));
        ended.assert(0, &[]);
        serde_json::from_str(&ended.said).expect("JSON")
    }

    fn sweep(&self) {
        run(&mut Self::lab(&["sweep", self.name]));
    }

    /// The lab's own program.
    pub fn lab(args: &[&str]) -> Command {
        let mut command = Command::new(machine::cache().join("lab/bin/refarch-lab"));
        command.args(args);
        command
    }

    /// The process of systemd-nspawn that is the node.
    pub fn host_process(&self) -> u32 {
        let process = self.inspect()["hosts"][0]["process"].as_u64().expect("a process");
        assert_ne!(process, 0, "the host does not run");
        process.try_into().expect("a pid")
    }

    /// The process that is number 1 within the node.
    pub fn first_process(&self) -> u32 {
        let supervisor = self.host_process();
        let children = std::fs::read_to_string(format!("/proc/{supervisor}/task/{supervisor}/children"));
        children.expect("its children").trim().parse().expect("one child")
    }

    /// The address of one of several nodes.
    pub fn address_of(&self, node: &str) -> String {
        let node = format!("{}-{node}", self.name);
        let found = self.inspect();
        let mut hosts = found["hosts"].as_array().expect("hosts").iter();
        let host = hosts.find(|host| host["name"] == node.as_str()).expect("the node");
        host["address"].as_str().expect("an address").to_owned()
    }

    /// The address of the node.
    pub fn address(&self) -> String {
        self.inspect()["hosts"][0]["address"].as_str().expect("an address").to_owned()
    }
}

impl Drop for Deployment {
    fn drop(&mut self) {
        if self.gone.get() {
            return;
        }
        if self.work().exists() {
            let _ = self.destroy();
        }
        self.sweep();
    }
}

/// The program with an environment of its own.
pub fn refarch(home: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_refarch"));
    command
        .current_dir(home)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("HOME", home)
        .env("REFARCH_CACHE", machine::cache());
    command
}

/// A file of JSON.
pub fn json(path: &Path) -> Value {
    let text = std::fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_slice(&text).expect("JSON")
}
