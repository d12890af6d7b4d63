//! Plays `terraform`, `ansible-playbook` and what else refarch drives in tests: it replays what the real one was
//! recorded to say.
//!
//! A test links it by the tool's name into a folder of its own and lays a `scenario.json` beside the link,
//! because a child's environment is rebuilt and so can't choose one. Each call is noted in `calls.jsonl` there:
//! arguments, environment, stdin, session; and each interrupt that was heeded in `interrupts`.

use std::collections::BTreeMap;
use std::error::Error;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::thread::sleep;
use std::time::Duration;

use nix::sys::signal::{SigSet, Signal, raise};
use nix::unistd::{getpid, getsid};
use serde::{Deserialize, Serialize};

/// How often a fake that waits looks whether it may go on.
const LOOK: Duration = Duration::from_millis(10);

type Outcome<T> = Result<T, Box<dyn Error>>;

/// What the tool does in a test.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Scenario {
    recordings: PathBuf,
    steps: Vec<Step>,
}

/// What it does for one call of a command. The nth call takes the nth step for that command, or the last one.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Step {
    /// The command, such as `apply`; Ansible's is the playbook's file.
    command: String,
    /// The recording to replay.
    play: PathBuf,
    /// Lines that it says besides, before all others.
    #[serde(default)]
    first: Vec<String>,
    /// Where it waits for an interrupt: before the first line that holds this.
    #[serde(default)]
    wait_before: Option<String>,
    /// How many interrupts it waits for there.
    #[serde(default = "one")]
    heeds: u32,
    /// Whether it does not heed the interrupt it waits for.
    #[serde(default)]
    stubborn: bool,
    /// Where it waits until a file `go` lies beside the link: before the first line that holds this.
    #[serde(default)]
    hold_before: Option<String>,
    /// Where it is killed: before the first line that holds this.
    #[serde(default)]
    die_before: Option<String>,
}

fn one() -> u32 {
    1
}

/// One call, as it is noted.
#[derive(Serialize, Deserialize)]
struct Call {
    command: String,
    arguments: Vec<String>,
    environment: BTreeMap<String, String>,
    folder: PathBuf,
    stdin: String,
    leads_its_session: bool,
}

fn main() -> Outcome<ExitCode> {
    // Blocked from the start, so that a signal which comes early is not lost and doesn't kill.
    let interrupt = SigSet::from_iter([Signal::SIGINT]);
    interrupt.thread_block()?;
    let arguments: Vec<String> = std::env::args().collect();
    let folder = Path::new(&arguments[0]).parent().ok_or("called without a path")?.to_owned();
    let command = command(&arguments);
    let scenario: Scenario = serde_json::from_reader(File::open(folder.join("scenario.json"))?)?;
    let steps: Vec<&Step> = scenario.steps.iter().filter(|step| step.command == command).collect();
    let earlier = note(&folder, &command, &arguments)?;
    let step = steps.get(earlier).or(steps.last()).ok_or(format!("no step for `{command}`"))?;
    save_plan(&arguments)?;
    replay(step, &scenario.recordings.join(&step.play), &Surroundings { interrupt, folder })
}

/// The word by which a scenario names a call; programs without commands of their own are called by their name.
fn command(arguments: &[String]) -> String {
    let (name, arguments) = (arguments[0].rsplit('/').next().unwrap_or_default(), &arguments[1..]);
    if name.starts_with("ssh") {
        return name.into();
    }
    if arguments.iter().any(|argument| argument == "--version") {
        return "version".into();
    }
    arguments.iter().find(|argument| !argument.starts_with('-')).cloned().unwrap_or_default()
}

/// Notes the call, and says how many of the same command came before.
fn note(folder: &Path, command: &str, arguments: &[String]) -> Outcome<usize> {
    let path = folder.join("calls.jsonl");
    let before = fs::read_to_string(&path).unwrap_or_default();
    let mut earlier = 0;
    for line in before.lines().filter(|line| line.ends_with('}')) {
        earlier += usize::from(serde_json::from_str::<Call>(line)?.command == command);
    }
    let mut stdin = String::new();
    io::stdin().read_to_string(&mut stdin)?;
    let call = Call {
        command: command.to_owned(),
        arguments: arguments[1..].to_vec(),
        environment: std::env::vars().collect(),
        folder: std::env::current_dir()?,
        stdin,
        leads_its_session: getsid(None)? == getpid(),
    };
    let mut file = OpenOptions::new().create(true).append(true).open(path)?;
    // Several may be called at once: a line is one write, so that none comes between.
    file.write_all(format!("{}\n", serde_json::to_string(&call)?).as_bytes())?;
    Ok(earlier)
}

/// Writes the file that `plan -out` asks for, and wants to see the one that `apply` is given.
fn save_plan(arguments: &[String]) -> Outcome<()> {
    let Some(folder) = arguments.iter().find_map(|argument| argument.strip_prefix("-chdir=")) else {
        return Ok(());
    };
    if let Some(name) = arguments.iter().find_map(|argument| argument.strip_prefix("-out=")) {
        fs::write(Path::new(folder).join(name), "a plan\n")?;
    }
    if arguments.iter().any(|argument| argument == "apply") {
        fs::metadata(Path::new(folder).join(arguments.last().ok_or("no arguments")?))?;
        fs::write(Path::new(folder).join("terraform.tfstate"), "{}\n")?;
    }
    Ok(())
}

/// What a replay waits for.
struct Surroundings {
    interrupt: SigSet,
    folder: PathBuf,
}

impl Surroundings {
    /// Waits for an interrupt, and notes it.
    fn interrupt(&self) -> Outcome<()> {
        self.interrupt.wait()?;
        let mut file = OpenOptions::new().create(true).append(true).open(self.folder.join("interrupts"))?;
        Ok(writeln!(file, "{}", Signal::SIGINT)?)
    }

    /// Waits until it may go on.
    fn go(&self) {
        while !self.folder.join("go").exists() {
            sleep(LOOK);
        }
    }
}

fn replay(step: &Step, recording: &Path, surroundings: &Surroundings) -> Outcome<ExitCode> {
    let read = |name: &str| fs::read_to_string(recording.join(name)).unwrap_or_default();
    let status = fs::read_to_string(recording.join("status"))?;
    let mut stdout = io::stdout();
    for line in &step.first {
        writeln!(stdout, "{line}")?;
    }
    if let Ok(path) = std::env::var("REFARCH_ANSIBLE_EVENTS") {
        let mut file = OpenOptions::new().append(true).open(path)?;
        say(step, &read("events"), &mut file, surroundings)?;
    }
    say(step, &read("stderr"), &mut io::stderr(), surroundings)?;
    say(step, &read("stdout"), &mut stdout, surroundings)?;
    Ok(ExitCode::from(status.trim().parse::<u8>()?))
}

fn say(step: &Step, text: &str, to: &mut dyn Write, surroundings: &Surroundings) -> Outcome<()> {
    let mut waited = false;
    for line in text.lines() {
        let holds = |word: &Option<String>| word.as_ref().is_some_and(|word| line.contains(word));
        if holds(&step.die_before) {
            raise(Signal::SIGKILL)?;
        }
        if holds(&step.wait_before) && !waited {
            waited = true;
            to.flush()?;
            for _ in 0..step.heeds {
                surroundings.interrupt()?;
            }
            if step.stubborn {
                loop {
                    surroundings.interrupt()?;
                }
            }
        }
        if holds(&step.hold_before) {
            to.flush()?;
            surroundings.go();
        }
        writeln!(to, "{line}")?;
    }
    Ok(())
}
