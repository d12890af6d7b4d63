//! Files by path, before anybody writes them.

use std::collections::BTreeMap;

use camino::{Utf8Path, Utf8PathBuf};
use include_dir::Dir;

/// Files by their path below some folder, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tree(BTreeMap<Utf8PathBuf, Vec<u8>>);

impl Tree {
    /// Adds or replaces one file.
    pub fn insert(&mut self, path: impl Into<Utf8PathBuf>, content: impl Into<Vec<u8>>) {
        self.0.insert(path.into(), content.into());
    }

    /// Adds all files of `other` below `folder`.
    pub fn extend(&mut self, folder: &str, other: Self) {
        let folder = Utf8Path::new(folder);
        self.0.extend(other.0.into_iter().map(|(path, content)| (folder.join(path), content)));
    }

    /// Adds the files of a folder that the program carries, at the same paths below `folder`.
    pub fn embed(&mut self, folder: &str, embedded: &Dir<'static>) {
        for file in embedded.files() {
            if let Some(path) = file.path().to_str() {
                self.insert(Utf8Path::new(folder).join(path), file.contents());
            }
        }
        for below in embedded.dirs() {
            self.embed(folder, below);
        }
    }

    /// The content of one file.
    #[must_use]
    pub fn get(&self, path: &str) -> Option<&[u8]> {
        self.0.get(Utf8Path::new(path)).map(Vec::as_slice)
    }

    /// All files, by path.
    pub fn iter(&self) -> impl Iterator<Item = (&Utf8Path, &[u8])> {
        self.0.iter().map(|(path, content)| (path.as_path(), content.as_slice()))
    }
}

/// A JSON file as people like to read it, with a last line end.
pub(super) fn json(value: &serde_json::Value) -> Vec<u8> {
    format!("{value:#}\n").into_bytes()
}
