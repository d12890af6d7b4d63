//! Rendering as the tests do it, for an owner and a package that are always the same.

use std::collections::BTreeMap;

use super::{Bound, Identity, Inputs, LocalFile, Tree, render};
use crate::deployment::Deployment;

/// All files of a deployment.
pub fn tree(deployment: &Deployment, bound: Option<&Bound>) -> Tree {
    let identity = Identity {
        suffix: "abc123".into(),
        ssh_public_key: "ssh-ed25519 AAAA refarch".into(),
        work_directory: "/customers/acme/.refarch/demo".into(),
        lab_image: "/cache/lab/images/0123456789ab".into(),
    };
    let local_file = LocalFile { path: "/cache/gitlab-ee.deb".into(), sha256: "00".repeat(32) };
    let known_disks = BTreeMap::new();
    let local_file = Some(&local_file);
    render(Inputs { deployment, identity: &identity, bound, local_file, known_disks: &known_disks })
        .expect("rendering has no errors but bugs")
}

/// One of the files.
pub fn text(tree: &Tree, path: &str) -> String {
    String::from_utf8(tree.get(path).unwrap_or_else(|| panic!("{path} is rendered")).to_vec()).expect("UTF-8")
}
