//! The buckets of the object storage: one a kind of object, because GitLab doesn't support one for all.

use super::{Deployment, Objects};

/// The kinds of objects that GitLab keeps in a bucket of their own, as the buckets are named.
///
/// Source: <https://docs.gitlab.com/administration/object_storage/> "Configure a single storage connection for all
/// object types (consolidated form)", with `ci_secure_files` and backups, which have settings of their own (read
/// 2026-08).
pub const OBJECT_KINDS: [&str; 10] = [
    "artifacts",
    "backups",
    "ci-secure-files",
    "dependency-proxy",
    "external-diffs",
    "lfs",
    "packages",
    "pages",
    "terraform-state",
    "uploads",
];

/// The name of the bucket for one kind of object.
#[must_use]
pub fn bucket(prefix: &str, kind: &str) -> String {
    format!("{prefix}-{kind}")
}

/// The buckets of a deployment; none where objects lie on the one node's disk.
#[must_use]
pub fn buckets(deployment: &Deployment) -> Vec<String> {
    let prefix = match &deployment.topology.objects {
        Objects::LocalDisk => return Vec::new(),
        Objects::Lab(_) => deployment.name.as_str(),
        Objects::External(external) => &external.bucket_prefix,
    };
    OBJECT_KINDS.map(|kind| bucket(prefix, kind)).to_vec()
}
