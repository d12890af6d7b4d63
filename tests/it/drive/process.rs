//! Children that are real programs of every machine: sessions, locks, timeouts, a killed driver.

use std::time::{Duration, Instant};

use camino::{Utf8Path, Utf8PathBuf};
use refarch::events::{Kind, Sender};
use refarch::exit::ExitCode;
use refarch::process::{
    self, Ambient, Cancel, Command, Ended, Interrupts, Parts, Quiet, Redactor, Runner, Stdout,
};
use refarch::workdir::{self, Claim, Lock};
use secrecy::{ExposeSecret, SecretString};

use super::harness::{Harness, PATIENCE, SECRET};

fn shell(script: &str) -> Command {
    Command::new("sh", "/bin/sh").args(["-c", script])
}

#[tokio::test]
async fn the_outcome_says_how_it_ended() {
    let mut harness = Harness::playing(&[]);
    let outcome = harness.runner.run(shell("echo out; echo err >&2; exit 3"), &mut Quiet).await.unwrap();
    assert_eq!((outcome.ended, outcome.interrupted), (Ended::Exit(3), false));
    let mut tail = outcome.tail.clone();
    tail.sort();
    assert_eq!(tail, ["err", "out"]);
    assert_eq!(outcome.command, "sh -c 'echo out; echo err >&2; exit 3'");
    let killed = harness.runner.run(shell("kill -KILL $$"), &mut Quiet).await.unwrap();
    assert_eq!(killed.ended, Ended::Signal(9));
    let finished = harness.events().into_iter().filter_map(|event| match event {
        Kind::ChildFinished { status, .. } => Some(status),
        _ => None,
    });
    assert_eq!(finished.collect::<Vec<_>>(), ["exit 3", "SIGKILL"]);
    harness.assert_clean();
}

#[tokio::test]
async fn private_output_is_for_the_caller_only() {
    let harness = Harness::playing(&[]);
    let command = shell("echo PRIVATE").stdout(Stdout::Private);
    let outcome = harness.runner.run(command, &mut Quiet).await.unwrap();
    assert_eq!(outcome.private, b"PRIVATE\n");
    assert!(!harness.log("sh").lines().any(|line| line == "PRIVATE"));
    assert!(outcome.tail.is_empty());
    harness.assert_clean();
}

#[tokio::test]
async fn a_secret_on_stdin_reaches_the_child_and_nothing_that_is_left_behind() {
    let mut harness = Harness::playing(&[]);
    // Longer than a pipe holds, so that a child which never reads would block whoever writes to one.
    let text = format!("{SECRET}\n").repeat(10_000);
    let script = "head -c 25; tr '\\0' ' ' </proc/$$/cmdline; cat /proc/$$/environ; readlink /proc/$$/fd/0";
    let command = shell(script).stdin(SecretString::from(text.clone())).stdout(Stdout::Private);
    let outcome = harness.runner.run(command, &mut Quiet).await.unwrap();
    let seen = String::from_utf8_lossy(&outcome.private).into_owned();
    let (read, told) = seen.split_at(25);
    assert_eq!(read, &text[..25]);
    assert!(!told.contains(SECRET) && told.contains("memfd:"), "{told}");
    let unread = shell("true").stdin(SecretString::from(text));
    assert!(harness.runner.run(unread, &mut Quiet).await.unwrap().is_success());
    let events = format!("{:?}", harness.events());
    assert!(!events.contains("s3cr3t"), "{events}");
    harness.assert_clean();
}

#[tokio::test]
async fn without_one_stdin_is_empty() {
    let harness = Harness::playing(&[]);
    let outcome = harness.runner.run(shell("cat; echo end"), &mut Quiet).await.unwrap();
    assert_eq!(outcome.tail, ["end"]);
}

#[tokio::test]
async fn one_that_takes_too_long_is_stopped_with_its_children() {
    let harness = Harness::playing(&[]);
    let command = shell("sleep 600 & echo $!; wait").timeout(Duration::from_millis(200));
    let outcome = harness.runner.run(command, &mut Quiet).await.unwrap();
    assert!(outcome.timed_out && !outcome.interrupted);
    assert_eq!(outcome.ended, Ended::Signal(15));
    let grandchild = outcome.tail[0].parse().unwrap();
    // It is no child of ours, so it is gone once its new parent has reaped it.
    while process::start_ticks(grandchild).is_some() {
        if state(grandchild) == Some('Z') {
            break;
        }
        tokio::task::yield_now().await;
    }
}

fn state(pid: u32) -> Option<char> {
    let stat = fs_err::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(") ")?.1.chars().next()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_lock_names_the_child_while_it_runs() {
    let folder = tempfile::tempdir().unwrap();
    let path = Utf8PathBuf::from_path_buf(folder.path().join("lock")).unwrap();
    let (lock, _) = Lock::take(&path, Claim { command: "refarch up".into() }).unwrap();
    let harness = Harness::locked(&[], Some(lock));
    let runner = harness.runner.clone();
    let running = tokio::spawn(async move { runner.run(shell("exec sleep 600"), &mut Quiet).await });
    let started =
        tokio::task::block_in_place(|| harness.wait_for(|event| matches!(event, Kind::ChildStarted { .. })));
    let Kind::ChildStarted { child, .. } = started else { unreachable!() };
    let owner = Lock::holder(&path).unwrap();
    assert_eq!(owner.child.as_ref(), Some(&child));
    assert_eq!((owner.pid, child.tool.as_str()), (std::process::id(), "sh"));
    harness.interrupts.interrupt();
    let outcome = running.await.unwrap().unwrap();
    assert!(outcome.interrupted && outcome.ended == Ended::Signal(15));
    assert_eq!(Lock::holder(&path).unwrap().child, None);
}

/// Tells the test below, started once more as a process of its own, which folder it works in.
const DRIVER: &str = "REFARCH_TEST_KILLED_DRIVER";

#[tokio::test]
async fn a_child_outlives_a_killed_driver_and_the_next_run_completes_its_record() {
    if let Some(folder) = std::env::var_os(DRIVER) {
        return drive_until_killed(&Utf8PathBuf::from_path_buf(folder.into()).unwrap()).await;
    }
    let keep = tempfile::tempdir().unwrap();
    let folder = Utf8Path::from_path(keep.path()).unwrap();
    let this = "drive::process::a_child_outlives_a_killed_driver_and_the_next_run_completes_its_record";
    let mut driver = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", this])
        .env(DRIVER, folder)
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let lock_file = folder.join("lock");
    let named = || Lock::holder(&lock_file).and_then(|owner| owner.child);
    let began = Instant::now();
    while named().is_none() && began.elapsed() < PATIENCE {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let child = named().expect("the driver must start its child");
    driver.kill().unwrap();
    driver.wait().unwrap();
    assert!(process::is_running(&child), "it died with its driver");

    let (lock, leftover) = Lock::take(&lock_file, Claim { command: "refarch up".into() }).unwrap();
    assert_eq!(leftover.as_ref().map(|leftover| &leftover.child), Some(&child));
    fs_err::write(folder.join("go"), "").unwrap();
    leftover.unwrap().wait(&lock, &Sender::nowhere(), &Interrupts::default()).await.unwrap();
    let redactor = Redactor::knowing(&[SecretString::from(SECRET)]);
    assert_eq!(process::recover(folder, &redactor).unwrap(), 2);
    let log = fs_err::read_to_string(folder.join("sh.log")).unwrap();
    assert!(log.ends_with("said before [redacted]\nsaid after [redacted]\n"), "{log}");
    assert!(!folder.join("raw").exists());
}

async fn drive_until_killed(folder: &Utf8Path) {
    let (lock, _) = Lock::take(&folder.join("lock"), Claim { command: "refarch up".into() }).unwrap();
    let runner = Runner::new(Parts {
        logs: folder.to_owned(),
        redactor: Redactor::knowing(&[SecretString::from(SECRET)]),
        events: Sender::nowhere(),
        interrupts: Interrupts::default(),
        ambient: Ambient::of_this_process(),
        lock: Some(lock),
    });
    let script = "echo \"said before $S\"; until [ -e go ]; do sleep 0.05; done; echo \"said after $S\"";
    let command = shell(script).dir(folder).env("S", SECRET).cancel(Cancel::FinishFirst);
    runner.run(command, &mut Quiet).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn interrupts_that_come_at_once_are_counted_one_by_one() {
    let harness = Harness::playing(&[]);
    let runner = harness.runner.clone();
    let running = tokio::spawn(async move { runner.run(shell("exec sleep 600"), &mut Quiet).await });
    harness.wait_for(|event| matches!(event, Kind::ChildStarted { .. }));
    harness.interrupts.interrupt();
    harness.interrupts.interrupt();
    // The second one alone would send nothing.
    assert_eq!(running.await.unwrap().unwrap().ended, Ended::Signal(15));
}

#[tokio::test]
async fn after_an_interrupt_nothing_is_started() {
    let harness = Harness::playing(&[]);
    harness.interrupts.interrupt();
    let error = harness.runner.run(shell("true"), &mut Quiet).await.unwrap_err();
    assert_eq!(error.exit_code(), ExitCode::Interrupted);
}

#[tokio::test]
async fn what_can_not_be_started_is_named() {
    let harness = Harness::playing(&[]);
    let file = harness.root.join("no-program");
    fs_err::write(&file, "text").unwrap();
    let error = harness.runner.run(Command::new("thing", file.clone()), &mut Quiet).await.unwrap_err();
    assert!(error.to_string().contains(file.as_str()), "{error}");
    assert_eq!(error.exit_code(), ExitCode::ToolMissing);
    harness.assert_clean();
}

#[tokio::test]
async fn keys_are_made_and_leave_no_file() {
    let harness = Harness::playing(&[]);
    let key = workdir::ssh_key(&harness.runner, "refarch demo").await.unwrap();
    assert!(
        key.public.starts_with("ssh-ed25519 ") && key.public.ends_with(" refarch demo"),
        "{}",
        key.public
    );
    assert!(key.private.expose_secret().starts_with("-----BEGIN OPENSSH PRIVATE KEY-----"));
    harness.assert_clean();
    let names: Vec<_> = harness
        .root
        .join("logs")
        .read_dir_utf8()
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_owned())
        .collect();
    assert_eq!(names.len(), 2, "the log and the events: {names:?}");
}
