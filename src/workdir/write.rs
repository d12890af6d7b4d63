//! Writes files so that a reader, or a kill, meets the old content or the new one.

use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;

use camino::Utf8Path;

use super::Error;

/// The mode of what only the owner may read.
pub const PRIVATE: u32 = 0o600;
/// The mode of what anyone may read who gets there.
pub const PUBLIC: u32 = 0o644;

/// Replaces a file's content, with this mode from the first moment on. Missing folders are made.
pub fn atomically(path: &Utf8Path, content: impl AsRef<[u8]>, mode: u32) -> Result<(), Error> {
    write(path, content.as_ref(), mode).map_err(Error::io("write", path))
}

fn write(path: &Utf8Path, content: &[u8], mode: u32) -> io::Result<()> {
    let folder = path.parent().filter(|folder| *folder != "").unwrap_or(Utf8Path::new("."));
    fs_err::create_dir_all(folder)?;
    // The temporary file is made for the owner only, and widened if at all before it gets its name.
    let mut file = tempfile::Builder::new().prefix(".refarch-").tempfile_in(folder)?;
    file.write_all(content)?;
    file.as_file().set_permissions(std::fs::Permissions::from_mode(mode))?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    // The new name itself must survive a loss of power too.
    fs_err::File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replaces_content_and_mode_and_leaves_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = Utf8Path::from_path(folder.path()).unwrap().join("a/b");
        atomically(&path, "one", PUBLIC).unwrap();
        atomically(&path, "two", PRIVATE).unwrap();
        assert_eq!(fs_err::read_to_string(&path).unwrap(), "two");
        assert_eq!(fs_err::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(path.parent().unwrap().read_dir().unwrap().count(), 1);
    }
}
