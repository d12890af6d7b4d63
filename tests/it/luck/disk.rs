//! A disk that is full: before the run, while Terraform makes things, while Ansible works. Nothing is half-written, and
//! the next run goes on.

use std::io::Write as _;
use std::process::Command;

use camino::{Utf8Path, Utf8PathBuf};
use serde_json::json;

use super::stage::{Running, Stage, until_configure, until_provision};

/// A small disk where the spec lies; it goes with this value.
struct Disk(Utf8PathBuf);

impl Disk {
    /// One with a deployment that has its secrets.
    fn of(stage: &Stage) -> Self {
        let disk = Self::empty(stage);
        stage.seed();
        disk
    }

    fn empty(stage: &Stage) -> Self {
        run(Command::new("mount").args(["-t", "tmpfs", "-o", "size=80m", "tmpfs"]).arg(&stage.place));
        let disk = Self(stage.place.clone());
        stage.specify();
        disk
    }

    /// Leaves not one byte.
    fn fill(&self) {
        let mut file = fs_err::File::create(self.0.join("fill")).unwrap();
        let piece = vec![0; 4096];
        while file.write_all(&piece).is_ok() {}
    }

    fn free(&self) {
        fs_err::remove_file(self.0.join("fill")).unwrap();
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // What still works there was ended before; a lazy unmount leaves nothing in any case.
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}

fn run(command: &mut Command) {
    assert!(command.status().unwrap().success(), "{command:?}");
}

/// Every JSON file of the work directory is whole, and no temporary file is left.
fn assert_nothing_half_written(work: &Utf8Path) {
    for entry in work.read_dir_utf8().unwrap() {
        let path = entry.unwrap().into_path();
        assert!(!path.file_name().unwrap().starts_with(".refarch-"), "{path} is left");
        if path.extension() == Some("json") {
            serde_json::from_slice::<serde_json::Value>(&fs_err::read(&path).unwrap()).unwrap();
        }
    }
}

#[test]
fn on_a_full_disk_nothing_is_begun() {
    let stage =
        Stage::bare(&until_provision(json!({"command": "apply", "play": "terraform/apply-deployment"})));
    let disk = Disk::empty(&stage);
    let reserve = disk.0.join("fill");
    fs_err::write(&reserve, vec![0; 40 << 20]).unwrap();
    stage.run(&["up", "--yes", "--until", "provision"]).assert(
        4,
        &[
            "there is no room left on the disk of",
            stage.work().as_str(),
            "make room there",
            "the same command again",
        ],
    );
    assert!(stage.calls().is_empty() && !stage.work().join("secrets.json").exists());
    disk.fill();
    // Not even the lock can be written now.
    stage.run(&["up", "--yes", "--until", "provision"]).assert(4, &["disk"]);
    disk.free();
    stage.run(&["up", "--yes", "--until", "provision"]).assert(0, &[]);
    assert_nothing_half_written(&stage.work());
}

/// Fills the disk while a tool holds, and lets it go on.
fn fill_while_held(stage: &Stage, disk: &Disk, up: &mut Running<'_>, command: &str) {
    up.until(command, |_| (stage.calls().last()? == command).then_some(()));
    disk.fill();
    stage.go();
}

#[test]
fn a_state_that_finds_no_room_is_kept_and_taken_back() {
    let stage = Stage::with(&until_provision(json!({
        "command": "apply", "play": "terraform/apply-disk-full", "hold_before": "Emergency state dump",
    })));
    let disk = Disk::of(&stage);
    let mut up = stage.start(&["up", "--yes"]);
    up.begun("resource");
    fill_while_held(&stage, &disk, &mut up, "apply");
    let kept = stage.work().join("terraform/errored.tfstate");
    up.end().assert(
        5,
        &[
            "what it made could not be written to the state",
            "no space left on device",
            "Make room on that disk",
            kept.as_str(),
            "failed to write the run's events",
        ],
    );
    assert_nothing_half_written(&stage.work());
    let taken: serde_json::Value = serde_json::from_slice(&fs_err::read(&kept).unwrap()).unwrap();
    assert_eq!(taken["resources"][0]["name"], "fills");

    let secrets = stage.secrets();
    disk.free();
    let mut steps = until_provision(json!({"command": "apply", "play": "terraform/apply-deployment"}));
    steps.push(json!({"command": "state", "play": "terraform/state-push"}));
    stage.steps(&steps);
    stage.run(&["up", "--yes", "--until", "provision"]).assert(0, &["took back the state"]);
    let calls = stage.calls();
    let at = |command: &str| calls.iter().position(|call| call == command);
    assert!(at("init") < at("state") && at("state") < at("plan"), "{calls:?}");
    assert!(!kept.exists() && stage.secrets() == secrets);
}

#[test]
fn a_disk_that_fills_while_ansible_works_is_named_and_proves_nothing() {
    let stage = Stage::with(&until_configure(json!({
        "command": "prepare.yml", "play": "ansible/good", "hold_before": "host_start",
    })));
    let disk = Disk::of(&stage);
    let mut up = stage.start(&["up", "--yes"]);
    up.until("the playbook", |_| (stage.calls().last()? == "prepare.yml").then_some(()));
    let secrets = stage.secrets();
    fill_while_held(&stage, &disk, &mut up, "prepare.yml");
    up.end().assert(
        6,
        &[
            "configure failed",
            "Nothing is taken for done",
            "there is no room left on the disk of",
            "make room there",
        ],
    );
    assert!(stage.secrets() == secrets);
    assert_nothing_half_written(&stage.work());
    disk.free();
    stage.steps(&until_configure(json!({"command": "prepare.yml", "play": "ansible/failed"})));
    stage.run(&["up", "--yes"]).assert(6, &["the package is broken"]);
    assert!(stage.secrets()["suffix"] == secrets["suffix"], "it was begun anew");
}
