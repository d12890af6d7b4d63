//! Where what is in a work directory, and whose it must be.

use std::fs::DirBuilder;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};

use camino::{Utf8Path, Utf8PathBuf};

use super::{Error, PRIVATE, PUBLIC, atomically};

/// The folder beside the spec that holds all work directories.
const PARENT: &str = ".refarch";

/// A deployment's work directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Workdir {
    root: Utf8PathBuf,
}

impl Workdir {
    /// The work directory of the deployment `name` beside its spec; made if it isn't there.
    pub fn open(spec: &Utf8Path, name: &str) -> Result<Self, Error> {
        let root = Self::place(spec, name)?;
        if let Some(parent) = root.parent() {
            make_private(parent)?;
            let ignore = parent.join(".gitignore");
            if !ignore.exists() {
                // State and secrets must not be committed by a hasty `git add`.
                atomically(&ignore, "*\n", PUBLIC)?;
            }
        }
        make_private(&root)?;
        Ok(Self { root })
    }

    /// The work directory of the deployment `name` beside its spec, if it is there; nothing is made.
    pub fn existing(spec: &Utf8Path, name: &str) -> Result<Option<Self>, Error> {
        let root = Self::place(spec, name)?;
        Ok(root.is_dir().then_some(Self { root }))
    }

    /// Where the work directory of the deployment `name` lies, whether it is there or not.
    pub fn place(spec: &Utf8Path, name: &str) -> Result<Utf8PathBuf, Error> {
        let folder = match spec.parent() {
            Some(parent) if parent == "" => Utf8Path::new("."),
            Some(parent) => parent,
            None => return Err(Error::NoFolder { path: spec.to_owned() }),
        };
        let folder = folder.canonicalize_utf8().map_err(Error::io("find", folder))?;
        Ok(folder.join(PARENT).join(name))
    }

    /// The directory itself, absolute.
    #[must_use]
    pub fn root(&self) -> &Utf8Path {
        &self.root
    }

    /// Held by the one run that may change things.
    #[must_use]
    pub fn lock_file(&self) -> Utf8PathBuf {
        self.root.join("lock")
    }

    /// The secrets store.
    #[must_use]
    pub fn secrets_file(&self) -> Utf8PathBuf {
        self.root.join("secrets.json")
    }

    /// The root module, its values and its state.
    #[must_use]
    pub fn terraform(&self) -> Utf8PathBuf {
        self.root.join("terraform")
    }

    /// Playbooks, roles, inventory and what is copied to the nodes.
    #[must_use]
    pub fn ansible(&self) -> Utf8PathBuf {
        self.root.join("ansible")
    }

    /// The host keys that were seen at first contact.
    #[must_use]
    pub fn known_hosts(&self) -> Utf8PathBuf {
        self.root.join("known_hosts")
    }

    /// The private half of the key that opens the nodes; a copy of the one in the store, because ssh wants a file.
    #[must_use]
    pub fn ssh_key(&self) -> Utf8PathBuf {
        self.root.join("ssh").join("id_ed25519")
    }

    /// The certificate of the authority to trust, for people; none where it is a public one.
    #[must_use]
    pub fn ca(&self) -> Utf8PathBuf {
        self.root.join("ca.pem")
    }

    /// One directory a run.
    #[must_use]
    pub fn runs_folder(&self) -> Utf8PathBuf {
        self.root.join("runs")
    }

    /// Makes a folder of the work directory, and those above it, for the owner only.
    pub fn private_folder(&self, path: &Utf8Path) -> Result<(), Error> {
        make_private(path)
    }

    /// Writes a file of the work directory that holds a secret.
    pub fn write_private(&self, path: &Utf8Path, content: impl AsRef<[u8]>) -> Result<(), Error> {
        if let Some(folder) = path.parent().filter(|folder| folder.starts_with(&self.root)) {
            make_private(folder)?;
        }
        atomically(path, content, PRIVATE)
    }
}

/// Makes a folder for the owner only, or makes sure that one is.
pub(super) fn make_private(path: &Utf8Path) -> Result<(), Error> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .or_else(|error| if fs_err::symlink_metadata(path).is_ok() { Ok(()) } else { Err(error) })
        .map_err(Error::io("make", path))?;
    let meta = fs_err::symlink_metadata(path).map_err(Error::io("look at", path))?;
    let refused = |what: String| Err(Error::NotOurs { path: path.to_owned(), what });
    if meta.is_symlink() {
        return refused("a symbolic link".into());
    }
    if !meta.is_dir() {
        return refused("no folder".into());
    }
    let us = nix::unistd::geteuid().as_raw();
    if meta.uid() != us {
        return refused(format!("owned by the user with id {}, and refarch runs as {us}", meta.uid()));
    }
    if meta.permissions().mode() & 0o077 != 0 {
        let narrow = std::fs::Permissions::from_mode(0o700);
        fs_err::set_permissions(path, narrow).map_err(Error::io("close to others", path))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder() -> (tempfile::TempDir, Utf8PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = Utf8PathBuf::from_path_buf(folder.path().canonicalize().unwrap()).unwrap();
        (folder, path)
    }

    fn mode(path: &Utf8Path) -> u32 {
        fs_err::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn lies_beside_the_spec_for_the_owner_only_and_out_of_git() {
        let (_keep, path) = folder();
        let workdir = Workdir::open(&path.join("gitlab.yml"), "demo").unwrap();
        assert_eq!(workdir.root(), path.join(".refarch/demo"));
        assert_eq!((mode(workdir.root()), mode(&path.join(".refarch"))), (0o700, 0o700));
        assert_eq!(fs_err::read_to_string(path.join(".refarch/.gitignore")).unwrap(), "*\n");
    }

    #[test]
    fn looking_for_one_makes_none() {
        let (_keep, path) = folder();
        let spec = path.join("gitlab.yml");
        assert_eq!(Workdir::existing(&spec, "demo").unwrap(), None);
        assert!(!path.join(".refarch").exists());
        let made = Workdir::open(&spec, "demo").unwrap();
        assert_eq!(Workdir::existing(&spec, "demo").unwrap(), Some(made));
    }

    #[test]
    fn a_folder_that_others_may_read_is_closed() {
        let (_keep, path) = folder();
        let root = path.join(".refarch/demo");
        fs_err::create_dir_all(&root).unwrap();
        fs_err::set_permissions(&root, std::fs::Permissions::from_mode(0o755)).unwrap();
        Workdir::open(&path.join("gitlab.yml"), "demo").unwrap();
        assert_eq!(mode(&root), 0o700);
    }

    #[test]
    fn a_link_or_a_file_in_its_place_is_refused() {
        let (_keep, path) = folder();
        fs_err::create_dir(path.join(".refarch")).unwrap();
        fs_err::os::unix::fs::symlink(&path, path.join(".refarch/demo")).unwrap();
        let error = Workdir::open(&path.join("gitlab.yml"), "demo").unwrap_err();
        assert!(error.to_string().ends_with("it is a symbolic link"), "{error}");
        fs_err::write(path.join(".refarch/other"), "").unwrap();
        let error = Workdir::open(&path.join("gitlab.yml"), "other").unwrap_err();
        assert!(error.to_string().ends_with("it is no folder"), "{error}");
    }
}
