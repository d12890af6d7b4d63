//! How Rails and Sidekiq reach the object storage.
//!
//! Source: <https://docs.gitlab.com/administration/object_storage/> (read 2026-11).

use super::settings::says;
use super::{Conflict, Settings, Value};
use crate::deployment::{Deployment, Node, OBJECT_KINDS, Objects, SecretName, bucket};
use crate::render::ports;

/// The region that servers accept which have none.
const NO_REGION: &str = "us-east-1";
/// The kinds of objects that don't share the connection of the others.
const BACKUPS: &str = "backups";
const SECURE_FILES: &str = "ci-secure-files";

/// A storage as its clients see it.
struct Storage {
    connection: Value,
    /// What the name of each bucket begins with.
    prefix: String,
    /// Whether users get objects through GitLab, because they can't reach the storage.
    through_gitlab: bool,
}

/// Nothing, where objects lie on the node's own disk.
pub(super) fn client(deployment: &Deployment, node: &Node) -> Result<Settings, Conflict> {
    let Some(storage) = storage(deployment) else { return Ok(Settings::default()) };
    consolidated(node, &storage)?.merge(by_kind(node, &storage)?)
}

/// What the lab's own storage is given.
pub(super) fn server() -> Settings {
    Settings::default()
        .carrying(SecretName::ObjectStorageAccessKey)
        .carrying(SecretName::ObjectStorageSecretKey)
}

fn storage(deployment: &Deployment) -> Option<Storage> {
    match &deployment.topology.objects {
        Objects::LocalDisk => None,
        Objects::Lab(node) => Some(Storage {
            connection: connection(
                Value::at("http://", node, ports::OBJECT_STORAGE),
                NO_REGION,
                SecretName::ObjectStorageAccessKey.into(),
                SecretName::ObjectStorageSecretKey.into(),
            ),
            prefix: deployment.name.to_string(),
            through_gitlab: true,
        }),
        Objects::External(server) => Some(Storage {
            connection: connection(
                server.endpoint.as_str().into(),
                &server.region,
                Value::Given(server.access_key.source.clone()),
                Value::Given(server.secret_key.source.clone()),
            ),
            prefix: server.bucket_prefix.clone(),
            through_gitlab: false,
        }),
    }
}

fn connection(endpoint: Value, region: &str, access_key: Value, secret_key: Value) -> Value {
    Value::map([
        ("provider", "AWS".into()),
        ("endpoint", endpoint),
        ("region", region.into()),
        // Few servers but Amazon's own answer to a name per bucket.
        ("path_style", true.into()),
        ("aws_access_key_id", access_key),
        ("aws_secret_access_key", secret_key),
    ])
}

/// The kinds of objects that share one connection. A user who sets any of it sets all of it.
fn consolidated(node: &Node, storage: &Storage) -> Result<Settings, Conflict> {
    let root = ["gitlab_rails", "object_store"];
    if says(&node.settings, &root) {
        return Ok(Settings::default());
    }
    let key = |name| [root.as_slice(), &[name]].concat();
    let mut settings = Settings::default()
        .with(&key("enabled"), true)?
        .with(&key("connection"), storage.connection.clone())?
        .with(&key("proxy_download"), storage.through_gitlab)?;
    for kind in OBJECT_KINDS.into_iter().filter(|kind| ![BACKUPS, SECURE_FILES].contains(kind)) {
        let name = kind.replace('-', "_");
        let path = [root.as_slice(), &["objects", &name, "bucket"]].concat();
        settings = settings.with(&path, bucket(&storage.prefix, kind))?;
    }
    Ok(settings)
}

/// The kinds that have a connection of their own.
fn by_kind(node: &Node, storage: &Storage) -> Result<Settings, Conflict> {
    let bucket = |kind| bucket(&storage.prefix, kind);
    let connection = || storage.connection.clone();
    Settings::default()
        .suggest(node, &["gitlab_rails", "backup_upload_connection"], connection())?
        .suggest(node, &["gitlab_rails", "backup_upload_remote_directory"], bucket(BACKUPS))?
        .suggest(node, &["gitlab_rails", "ci_secure_files_object_store_enabled"], true)?
        .suggest(node, &["gitlab_rails", "ci_secure_files_object_store_connection"], connection())?
        .suggest(
            node,
            &["gitlab_rails", "ci_secure_files_object_store_remote_directory"],
            bucket(SECURE_FILES),
        )
}
