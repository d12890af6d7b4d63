//! The nodes' own `gitlab-secrets.json`: brought here for all nodes at once, compared key by key and by role, and what
//! the package added taken into the store for the other nodes.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;

use camino::Utf8PathBuf;
use secrecy::ExposeSecret as _;
use serde_json::Value;

use super::bind::{remove_if_there, sha256};
use super::{Error, world::World};
use crate::ansible::{self, Playbook};
use crate::deployment::{Node, NodeName};
use crate::rollout::{NodeState, added_by_node, differences, lacks, role_keys, tree_of_node};
use crate::workdir::PRIVATE;

/// Where the copy of the node's file lies after a reconfigure.
fn copy_of(world: &World, name: &NodeName) -> Utf8PathBuf {
    world.workdir.ansible().join("fetched").join(name.as_str()).join("gitlab-secrets.json")
}

/// The hash of the copy; nothing where there is none.
pub fn copy_hash(world: &World, name: &NodeName) -> Option<String> {
    fs_err::read(copy_of(world, name)).ok().map(|bytes| sha256(&bytes))
}

/// Brings the files of all nodes whose copy here is not what they hold, in one run of Ansible, and compares every copy
/// with the store. Usually each reconfigure has brought its own, and nobody is asked.
pub async fn gather(
    world: &World,
    ansible: &ansible::Client,
    states: &BTreeMap<NodeName, NodeState>,
) -> Result<(), Error> {
    let holds_another = |(name, state): &(&NodeName, &NodeState)| {
        let on_node = state.files.gitlab_secrets.as_ref();
        on_node.is_some() && on_node != copy_hash(world, name).as_ref()
    };
    let stale: Vec<&NodeName> = states.iter().filter(holds_another).map(|(name, _)| name).collect();
    if !stale.is_empty() {
        for name in &stale {
            if let Some(folder) = copy_of(world, name).parent() {
                world.workdir.private_folder(folder)?;
            }
        }
        ansible.playbook(Playbook::new("fetch_secrets.yml").on(&stale)).await?.success()?;
    }
    for (name, state) in states {
        if state.files.gitlab_secrets.is_some() {
            compare(world, name)?;
        } else {
            // A node that was made anew: what its predecessor held is in the store.
            remove_if_there(&copy_of(world, name))?;
        }
    }
    Ok(())
}

/// The copy of a node's file, compared with what it should say.
fn compare(world: &World, name: &NodeName) -> Result<Option<Value>, Error> {
    let path = copy_of(world, name);
    let Ok(bytes) = fs_err::read(&path) else { return Ok(None) };
    close(&path)?;
    let found: Value = serde_json::from_slice(&bytes).map_err(|_| Error::Outputs {
        why: format!("`/etc/gitlab/gitlab-secrets.json` of {name} could not be read as JSON"),
    })?;
    #[cfg(feature = "lab-tests")]
    if world.mistake.is_some() {
        return Ok(Some(found));
    }
    let differences = differences(&wanted(world, &world.deployment.nodes[name]), &found);
    if differences.is_empty() {
        return Ok(Some(found));
    }
    Err(Error::OtherSecrets { node: name.to_string(), differences })
}

/// Ansible writes what it fetches as the user's umask says; the folder is closed already.
fn close(path: &Utf8PathBuf) -> Result<(), Error> {
    let failed = |error: std::io::Error| Error::LocalFile { path: path.clone(), why: error.to_string() };
    if fs_err::metadata(path).map_err(failed)?.permissions().mode() & 0o777 != PRIVATE {
        fs_err::set_permissions(path, std::fs::Permissions::from_mode(PRIVATE)).map_err(failed)?;
    }
    Ok(())
}

/// What the node's file should say.
fn wanted(world: &World, node: &Node) -> Value {
    let keys = role_keys(&world.deployment, node);
    tree_of_node(&world.secrets.gitlab_secrets, &keys, |name| {
        world.secrets.named.get(name.key()).map(|value| value.expose_secret().to_owned())
    })
}

/// Takes the keys that the package made on these nodes into the store, so that every other node gets them.
pub fn take_over(world: &mut World, nodes: &[NodeName]) -> Result<(), Error> {
    for name in nodes {
        if let Some(found) = compare(world, name)? {
            let keys = role_keys(&world.deployment, &world.deployment.nodes[name]);
            world.secrets.gitlab_secrets = added_by_node(&world.secrets.gitlab_secrets, &found, &keys);
        }
    }
    world.redactor.learn(&world.secrets.values());
    Ok(world.secrets.save(&world.workdir)?)
}

/// Puts `gitlab-secrets.json` where the role takes it from, for each of these nodes that lacks the file or a key of it.
/// What a node holds is never replaced: it was compared before.
pub fn deliver(
    world: &World,
    nodes: &[NodeName],
    states: &BTreeMap<NodeName, NodeState>,
) -> Result<(), Error> {
    for name in nodes {
        let node = &world.deployment.nodes[name];
        let local = world.workdir.ansible().join("files").join(name.as_str()).join("gitlab-secrets.json");
        let wanted = wanted(world, node);
        let is_there = states.get(name).is_some_and(|state| state.files.gitlab_secrets.is_some());
        let has_all = is_there && compare(world, name)?.is_some_and(|found| !lacks(&wanted, &found));
        if has_all || !node.component.has_package() {
            remove_if_there(&local)?;
        } else {
            world.workdir.write_private(&local, format!("{wanted:#}\n"))?;
        }
    }
    Ok(())
}
