//! What this machine has of a deployment, asked of the kernel and not of what made it.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::process::run;

/// Where the lab keeps what it makes.
pub const LAB: &str = "/var/lib/refarch-lab";

/// The cache folder that holds the lab's parts.
pub fn cache() -> PathBuf {
    let of = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    of("REFARCH_CACHE")
        .or_else(|| of("XDG_CACHE_HOME").map(|path| path.join("refarch")))
        .or_else(|| of("HOME").map(|path| path.join(".cache/refarch")))
        .expect("HOME")
}

/// A package to test with in place of the stand-in, as `make real` names one.
pub struct Package {
    /// The file.
    pub path: PathBuf,
    /// GitLab's version in it, as a spec writes it.
    pub version: String,
}

/// The package to test with, if it is not the stand-in.
pub fn package() -> Option<Package> {
    let path = std::env::var_os("REFARCH_TEST_PACKAGE").map(PathBuf::from)?;
    let version = std::env::var("REFARCH_TEST_VERSION").expect("a package is given with its version");
    assert!(path.is_absolute() && path.exists(), "{} is no package", path.display());
    Some(Package { path, version })
}

/// Everything that this machine has of a deployment.
pub fn left_of(name: &str, work: &Path) -> Vec<String> {
    let folder = format!("{LAB}/{name}");
    let within = format!("{folder}/");
    let mut left: Vec<String> = Vec::new();
    if Path::new(&folder).exists() {
        left.push(folder);
    }
    let namespace = format!("refarch.{name}");
    let found = std::fs::read_dir("/run/netns").into_iter().flatten();
    left.extend(
        found
            .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
            .filter(|found| *found == namespace || found.starts_with(&format!("{namespace}.")))
            .map(|found| format!("namespace {found}")),
    );
    let matching = |what: &str, said: &str, sign: &str| -> Vec<String> {
        said.lines().filter(|line| line.contains(sign)).map(|line| format!("{what} {line}")).collect()
    };
    let links = run(Command::new("ip").args(["-oneline", "link"])).said;
    left.extend(
        links.lines().filter(|line| line.ends_with(&format!("alias refarch lab {name}"))).map(str::to_owned),
    );
    let loops =
        run(Command::new("losetup").args(["--list", "--noheadings", "--output", "NAME,BACK-FILE"])).said;
    left.extend(matching("loop device", &loops, &within));
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").expect("mounts");
    left.extend(matching("mount", &mounts, &within));
    let groups =
        run(Command::new("find").args(["/sys/fs/cgroup", "-path", &format!("*/refarch-lab/{name}")])).said;
    left.extend(matching("control group", &groups, "refarch-lab"));
    left.extend(processes(name, work));
    left
}

/// The processes whose command names the deployment's node, or that work in its work directory.
fn processes(name: &str, work: &Path) -> Vec<String> {
    let node = format!("{name}-all-in-one-1");
    let mut found = Vec::new();
    for pid in pids() {
        let proc = PathBuf::from(format!("/proc/{pid}"));
        let command = std::fs::read(proc.join("cmdline")).unwrap_or_default();
        let command = String::from_utf8_lossy(&command).replace('\0', " ");
        // A removed folder keeps its path here, with a remark behind it.
        let inside = std::fs::read_link(proc.join("cwd")).is_ok_and(|path| path.starts_with(work));
        let named = command.contains(&node) || command.contains(&*work.to_string_lossy());
        if pid != std::process::id() && (inside || named) {
            found.push(format!("process {pid}: {command}"));
        }
    }
    found
}

/// All processes of this machine, those within its hosts included.
pub fn pids() -> Vec<u32> {
    let entries = std::fs::read_dir("/proc").expect("/proc");
    entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).collect()
}

/// Removes the data disk of a host that is gone.
#[track_caller]
pub fn remove_disk(deployment: &str, node: &str) {
    let file = format!("{LAB}/{deployment}/disks/{node}-data.img");
    std::fs::remove_file(&file).expect("the disk's file");
    let loops =
        run(Command::new("losetup").args(["--list", "--noheadings", "--output", "NAME,BACK-FILE"])).said;
    for device in loops.lines().filter(|line| line.contains(&file)) {
        let device = device.split_whitespace().next().expect("a device");
        run(Command::new("losetup").args(["--detach", device])).assert(0, &[]);
    }
}

/// Keeps the lab from making or removing a host for as long as this lives, as a second process at the same work
/// would: whoever is at it stands still at a known place.
pub fn hold_host(deployment: &str, node: &str) -> File {
    let path = PathBuf::from(format!("{LAB}/{deployment}/locks/host-{node}"));
    std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
    let file = File::create(&path).expect("a file");
    file.lock().expect("nobody else holds it");
    file
}
