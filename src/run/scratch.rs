//! A folder for the owner only that goes with the run, for runs that have no directory of their own.

use std::os::unix::fs::PermissionsExt as _;

use camino::{Utf8Path, Utf8PathBuf};
use tempfile::TempDir;

use super::Error;

/// The folder; dropping it removes it with all that is in it.
#[derive(Debug)]
pub(super) struct Scratch {
    _keep: TempDir,
    path: Utf8PathBuf,
}

impl Scratch {
    pub fn make() -> Result<Self, Error> {
        let failed = |why: String| Error::Events { path: "TMPDIR".into(), why };
        let only_ours = std::fs::Permissions::from_mode(0o700);
        let folder = tempfile::Builder::new().prefix("refarch-").permissions(only_ours).tempdir();
        let folder = folder.map_err(|error| failed(error.to_string()))?;
        let path = Utf8PathBuf::from_path_buf(folder.path().to_owned())
            .map_err(|path| failed(format!("`{}` is no UTF-8", path.display())))?;
        Ok(Self { _keep: folder, path })
    }

    pub fn path(&self) -> &Utf8Path {
        &self.path
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_for_the_owner_only_and_goes_with_its_value() {
        let scratch = Scratch::make().unwrap();
        let path = scratch.path().to_owned();
        assert_eq!(fs_err::metadata(&path).unwrap().permissions().mode() & 0o777, 0o700);
        fs_err::write(path.join("file"), "content").unwrap();
        drop(scratch);
        assert!(!path.exists());
    }
}
