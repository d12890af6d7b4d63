//! The disks and file systems of a host.

use super::facts::{Disk, Disks, Places, Speed};
use super::host::TOLD_SHARE;
use crate::checks::Miss;

/// What the package and its download take, in GB.
const PACKAGE_GB: f64 = 8.0;
/// A disk on which a small write takes longer than 10 ms holds up every commit of the database.
const SLOW_WRITES: f64 = 100.0;

/// Is the root disk large enough, and has it room for the package?
pub(super) fn root(found: &Places, wanted_gb: u32) -> Result<String, Miss> {
    let at = |place: &str| found.places.iter().find(|it| it.folder == place);
    let Some(root) = at("/") else {
        return Err(Miss::skip("the host doesn't tell", "look with `df` on the host"));
    };
    let opt = at("/opt").unwrap_or(root);
    let saw = format!("{} GB, of which {} GB are free below {}", root.size_gb, opt.free_gb, opt.mount);
    if opt.free_gb < PACKAGE_GB {
        return Err(Miss::fail(
            saw,
            format!("make room: the package takes about {PACKAGE_GB} GB with its download"),
        ));
    }
    if root.size_gb < f64::from(wanted_gb) * TOLD_SHARE {
        return Err(Miss::warn(saw, format!("give the host a root disk of {wanted_gb} GB")));
    }
    Ok(saw)
}

/// Are the data disks there, and empty or this deployment's?
pub(super) fn data(found: &Disks, deployment: &str, suffix: &str) -> Result<String, Miss> {
    let mut seen = Vec::new();
    let mut bad: Vec<Miss> = Vec::new();
    for disk in &found.disks {
        match of_disk(disk, deployment, suffix) {
            Ok(saw) => seen.push(format!("{} {saw}", disk.path)),
            Err(miss) => bad.push(miss),
        }
    }
    if !bad.is_empty() {
        let joined = |of: fn(Miss) -> String| bad.iter().cloned().map(of).collect::<Vec<_>>().join("; ");
        return Err(Miss::fail(joined(|miss| miss.saw), joined(|miss| miss.remedy)));
    }
    if seen.is_empty() { Ok("the node keeps no data".into()) } else { Ok(seen.join(", ")) }
}

fn of_disk(disk: &Disk, deployment: &str, suffix: &str) -> Result<&'static str, Miss> {
    let path = &disk.path;
    if !disk.state.present {
        return Err(Miss::fail(
            format!("there is no block device {path}"),
            "attach the disk, or name the right one in the spec",
        ));
    }
    if let Some(marker) = &disk.state.marker {
        if marker.deployment == deployment && marker.suffix == suffix {
            return Ok("is this deployment's");
        }
        let saw = format!("{path} holds data of the deployment `{}`", marker.deployment);
        return Err(Miss::fail(saw, "take another disk: refarch never overwrites data that it doesn't know"));
    }
    if let Some(signature) = &disk.state.signature {
        let remedy =
            format!("take another disk, or empty it by `wipefs --all {path}` if nobody needs what is on it");
        return Err(Miss::fail(format!("{path} is not empty: {signature}"), remedy));
    }
    if !disk.covers.is_empty() {
        let saw = format!("where {path} will be mounted lie files: {}", disk.covers.join(", "));
        return Err(Miss::fail(saw, "move them away: the disk would hide them"));
    }
    Ok("is empty")
}

/// Does a disk write fast enough? Only what was measured is judged: many writes at once were not.
pub(super) fn speed(found: &Speed) -> Result<String, Miss> {
    let saw =
        format!("{} small writes a second below {}, one after the other", found.writes_per_s, found.folder);
    if found.writes_per_s < SLOW_WRITES {
        return Err(Miss::warn(
            saw,
            "give the host a disk of SSDs; GitLab asks for 2,000 writes a second at once where repositories lie",
        ));
    }
    Ok(saw)
}

/// Can programs run and data be written where GitLab needs it?
pub(super) fn mounts(found: &Places) -> Result<String, Miss> {
    let named = |which: fn(&super::facts::Place) -> bool| -> Vec<&str> {
        found.places.iter().filter(|place| which(place)).map(|place| place.folder.as_str()).collect()
    };
    let read_only = named(|place| place.read_only);
    if !read_only.is_empty() {
        return Err(Miss::fail(
            format!("{} can't be written to", read_only.join(", ")),
            "mount it without `ro`",
        ));
    }
    let noexec = named(|place| place.noexec);
    if noexec.is_empty() {
        return Ok("programs can run everywhere".into());
    }
    let saw = format!("no program can run in {}", noexec.join(", "));
    let remedy = "mount it without `noexec`";
    // GitLab's programs lie below /opt; some of them, such as Pages, also run copies of themselves from /tmp.
    if noexec.iter().any(|place| place.starts_with("/opt") || place.starts_with("/var/opt") || *place == "/")
    {
        return Err(Miss::fail(saw, remedy));
    }
    Err(Miss::warn(
        saw,
        format!("{remedy}, or set `TMPDIR` for the services that need it, such as GitLab Pages"),
    ))
}
