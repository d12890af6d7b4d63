//! A deployment (and its addresses, once known) as files: Terraform, Ansible, gitlab.rb.
//!
//! Pure: the same deployment gives the same bytes. Templates give shape only; every value travels in a
//! JSON file that serde writes. No file made here holds a secret.

mod ansible;
mod bound;
pub mod gitlab_rb;
mod health;
mod inventory;
mod load_balancer;
mod ports;
mod templates;
mod terraform;
mod tree;

pub use bound::{Access, Bound, BoundNode};
pub use load_balancer::STATS_SOCKET;
pub use terraform::Identity;
pub use tree::Tree;

use std::collections::BTreeMap;

use camino::Utf8PathBuf;

use crate::deployment::{Deployment, NodeName};

/// What rendering can't do.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
pub enum Error {
    /// Two contributions to one gitlab.rb.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Conflict(#[from] gitlab_rb::Conflict),
    /// A template that doesn't fit its data.
    #[error("failed to render the template `{name}`: {message}")]
    #[diagnostic(
        code(refarch::render::template),
        help("this is a bug in refarch: report it with this message")
    )]
    Template {
        /// Which template.
        name: String,
        /// What Tera says.
        message: String,
    },
}

/// What is known beside the deployment when rendering.
#[derive(Clone, Copy, Debug)]
pub struct Inputs<'a> {
    /// What to make.
    pub deployment: &'a Deployment,
    /// Who owns it, and with which key its nodes are reached.
    pub identity: &'a Identity,
    /// What Terraform made; `None` before it has run.
    pub bound: Option<&'a Bound>,
    /// The package or the repository's key, where the spec names a file on this machine.
    pub local_file: Option<&'a LocalFile>,
    /// File-system UUIDs of data disks that hold data already, by node and disk.
    pub known_disks: &'a BTreeMap<(NodeName, String), String>,
}

impl Inputs<'_> {
    fn known_disk(&self, node: &NodeName, disk: &str) -> Option<&str> {
        self.known_disks.get(&(node.clone(), disk.to_owned())).map(String::as_str)
    }
}

/// A file on this machine that nodes are given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalFile {
    /// Where it lies, absolute.
    pub path: Utf8PathBuf,
    /// Its SHA-256 in hex.
    pub sha256: String,
}

/// All files of a deployment.
///
/// # Errors
/// Only on a bug of refarch; each error says so.
pub fn render(inputs: Inputs<'_>) -> Result<Tree, Error> {
    let mut tree = Tree::default();
    tree.extend("terraform", terraform::files(inputs)?);
    tree.extend("ansible", ansible::files(inputs)?);
    Ok(tree)
}

#[cfg(test)]
mod several;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
