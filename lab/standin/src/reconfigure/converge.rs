//! Brings files, directories and links to what they should be, and says what changed.
//!
//! A file is written beside its place and renamed into it, with its owner and mode from the start, so that
//! a secret is never readable by others and a kill leaves either the old file or the new one.

use std::fs::{self, OpenOptions, Permissions};
use std::io::Write as _;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use nix::unistd::{Gid, Group, Uid, User, chown};

use super::Error;
use crate::terminal::say;

/// Who owns a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Owner {
    uid: u32,
    gid: u32,
}

impl Owner {
    /// The superuser.
    pub const ROOT: Self = Self { uid: 0, gid: 0 };

    /// A user and a group by number.
    #[must_use]
    pub const fn of(uid: u32, gid: u32) -> Self {
        Self { uid, gid }
    }

    /// A user and a group by name.
    pub fn named(user: &str, group: &str) -> Result<Self, Error> {
        let missing = |kind, name: &str| Error::Account { kind, name: name.to_owned() };
        let uid = User::from_name(user).ok().flatten().ok_or_else(|| missing("user", user))?.uid;
        let gid = Group::from_name(group).ok().flatten().ok_or_else(|| missing("group", group))?.gid;
        Ok(Self { uid: uid.as_raw(), gid: gid.as_raw() })
    }

    /// The user's id.
    #[must_use]
    pub const fn uid(self) -> u32 {
        self.uid
    }

    /// The group's id.
    #[must_use]
    pub const fn gid(self) -> u32 {
        self.gid
    }
}

fn own(path: &Path, owner: Owner) -> Result<(), Error> {
    chown(path, Some(Uid::from_raw(owner.uid)), Some(Gid::from_raw(owner.gid)))
        .map_err(|errno| Error::file("change the owner of", path)(errno.into()))
}

/// Makes a directory with its parents, owner and mode. True when something changed.
pub fn directory(path: impl AsRef<Path>, owner: Owner, mode: u32) -> Result<bool, Error> {
    let path = path.as_ref();
    let found = fs::metadata(path).ok().filter(fs::Metadata::is_dir);
    let right = found.is_some_and(|found| {
        found.uid() == owner.uid && found.gid() == owner.gid && found.mode() & 0o7777 == mode
    });
    if right {
        return Ok(false);
    }
    fs::create_dir_all(path).map_err(Error::file("make the directory", path))?;
    own(path, owner)?;
    fs::set_permissions(path, Permissions::from_mode(mode)).map_err(Error::file("set the mode of", path))?;
    say(format!("  * directory[{}] made", path.display()));
    Ok(true)
}

/// Whether a file has this content.
pub fn holds(path: impl AsRef<Path>, content: &str) -> bool {
    fs::read(path).is_ok_and(|found| found == content.as_bytes())
}

/// Writes a file with owner and mode. True when its content changed or it is new.
pub fn file(path: impl AsRef<Path>, content: &str, owner: Owner, mode: u32) -> Result<bool, Error> {
    let path = path.as_ref();
    if holds(path, content) {
        let found = fs::metadata(path).map_err(Error::file("read", path))?;
        if found.uid() != owner.uid || found.gid() != owner.gid {
            own(path, owner)?;
        }
        if found.mode() & 0o7777 != mode {
            let mode = Permissions::from_mode(mode);
            fs::set_permissions(path, mode).map_err(Error::file("set the mode of", path))?;
        }
        return Ok(false);
    }
    let beside = beside(path);
    let _ = fs::remove_file(&beside);
    let mut out = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&beside)
        .map_err(Error::file("write", &beside))?;
    out.write_all(content.as_bytes()).map_err(Error::file("write", &beside))?;
    own(&beside, owner)?;
    out.set_permissions(Permissions::from_mode(mode)).map_err(Error::file("set the mode of", &beside))?;
    out.sync_all().map_err(Error::file("write", &beside))?;
    fs::rename(&beside, path).map_err(Error::file("replace", path))?;
    say(format!("  * file[{}] written", path.display()));
    Ok(true)
}

fn beside(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    name.push(".new");
    path.with_file_name(name)
}

/// Makes a symbolic link. True when it changed.
pub fn link(path: impl AsRef<Path>, target: impl AsRef<Path>) -> Result<bool, Error> {
    let (path, target) = (path.as_ref(), target.as_ref());
    if fs::read_link(path).is_ok_and(|found| found == target) {
        return Ok(false);
    }
    if fs::symlink_metadata(path).is_ok() {
        fs::remove_file(path).map_err(Error::file("remove", path))?;
    }
    std::os::unix::fs::symlink(target, path).map_err(Error::file("make the link", path))?;
    say(format!("  * link[{}] made", path.display()));
    Ok(true)
}

/// Removes a file, if it is there. True when it was.
pub fn absent(path: impl AsRef<Path>) -> Result<bool, Error> {
    let path = path.as_ref();
    match fs::remove_file(path) {
        Ok(()) => {
            say(format!("  * file[{}] removed", path.display()));
            Ok(true)
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(Error::file("remove", path)(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn me() -> Owner {
        Owner { uid: nix::unistd::getuid().as_raw(), gid: nix::unistd::getgid().as_raw() }
    }

    #[test]
    fn a_file_changes_once() {
        let scratch = tempfile::tempdir().expect("a directory");
        let path = scratch.path().join("config");
        assert!(file(&path, "one", me(), 0o640).expect("written"));
        assert!(!file(&path, "one", me(), 0o640).expect("kept"));
        assert!(file(&path, "two", me(), 0o600).expect("written"));
        let found = fs::metadata(&path).expect("there");
        assert_eq!(found.mode() & 0o7777, 0o600);
        assert!(!beside(&path).exists());
    }

    #[test]
    fn a_link_follows_its_target() {
        let scratch = tempfile::tempdir().expect("a directory");
        let path = scratch.path().join("service");
        assert!(link(&path, "/a").expect("made"));
        assert!(!link(&path, "/a").expect("kept"));
        assert!(link(&path, "/b").expect("made"));
    }

    #[test]
    fn a_directory_gets_its_mode() {
        let scratch = tempfile::tempdir().expect("a directory");
        let path = scratch.path().join("a/b");
        assert!(directory(&path, me(), 0o700).expect("made"));
        assert!(!directory(&path, me(), 0o700).expect("kept"));
    }
}
