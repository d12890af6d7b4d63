//! The bind phase: with Terraform's outputs known, writes what the nodes will get.
//!
//! Every file that holds a secret is 0600 and lies below the 0700 work directory.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::io::{self, Read as _};
use std::os::unix::fs::PermissionsExt as _;

use camino::{Utf8Path, Utf8PathBuf};
use data_encoding::HEXLOWER;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use super::{Error, node_keys, world::World};
use crate::architecture::Component;
use crate::deployment::{NodeName, SecretName, buckets};
use crate::render::{self, Bound, Tree, gitlab_rb};
use crate::rollout::Wanted;
use crate::secrets::today;
use crate::spec::Tls;
use crate::workdir::{self, PRIVATE, Workdir};

/// The file with the secrets that gitlab.rb refers to.
const SECRETS_FILE: &str = "refarch-secrets.json";
/// Where the lab's object storage listens.
const OBJECT_STORAGE_PORT: u16 = 9000;

/// SHA-256 in hex.
pub fn sha256(bytes: &[u8]) -> String {
    HEXLOWER.encode(&Sha256::digest(bytes))
}

/// The same of a file, read in pieces: a GitLab package is larger than what the driver may hold in memory.
pub fn sha256_of_file(path: &Utf8Path) -> io::Result<String> {
    let mut file = fs_err::File::open(path)?;
    let mut hasher = Sha256::new();
    let mut piece = vec![0; 64 * 1024];
    loop {
        match file.read(&mut piece)? {
            0 => return Ok(HEXLOWER.encode(&hasher.finalize())),
            length => hasher.update(&piece[..length]),
        }
    }
}

/// Writes what is known without addresses. What is bound already stays as it is until they are known again.
pub fn write_unbound(world: &World, tree: &Tree) -> Result<(), Error> {
    let is_bound = world.workdir.ansible().join("ssh_config").exists();
    write(world, tree.iter().filter(|(path, _)| !is_bound || path.starts_with("terraform")))
}

fn write<'a>(world: &World, files: impl Iterator<Item = (&'a Utf8Path, &'a [u8])>) -> Result<(), Error> {
    for (path, content) in files {
        let path = world.workdir.root().join(path);
        put(world, &path, content)?;
    }
    Ok(())
}

/// Writes a file, unless it is as wanted: then it keeps its time, so that a provider's checksum or an editor isn't
/// disturbed, and a run with nothing to do doesn't wait for the disk.
fn put(world: &World, path: &Utf8Path, content: impl AsRef<[u8]>) -> Result<(), workdir::Error> {
    let is_as_wanted = fs_err::read(path).is_ok_and(|now| now == content.as_ref())
        && fs_err::metadata(path).is_ok_and(|meta| meta.permissions().mode() & 0o777 == PRIVATE);
    if is_as_wanted { Ok(()) } else { world.workdir.write_private(path, content) }
}

/// Writes all files of all nodes, and says what each node should be.
pub fn bind(world: &mut World, bound: &Bound) -> Result<BTreeMap<NodeName, Wanted>, Error> {
    refuse_changed_secrets(world)?;
    renew_certificate(world)?;
    let tree = world.render(Some(bound))?;
    write(world, tree.iter())?;
    for name in world.deployment.nodes.keys() {
        write_node(world, &tree, name)?;
    }
    wanted_by(world, &tree)
}

/// What each node should be. Writes nothing.
pub fn wanted(world: &World, bound: &Bound) -> Result<BTreeMap<NodeName, Wanted>, Error> {
    wanted_by(world, &world.render(Some(bound))?)
}

fn wanted_by(world: &World, tree: &Tree) -> Result<BTreeMap<NodeName, Wanted>, Error> {
    let names = world.deployment.nodes.keys();
    names.map(|name| Ok((name.clone(), wanted_of(world, tree, name)?))).collect()
}

fn wanted_of(world: &World, tree: &Tree, name: &NodeName) -> Result<Wanted, Error> {
    let component = world.deployment.nodes[name].component;
    let certificate = if serves_tls(component) { Some(sha256(&certificate(world, name)?)) } else { None };
    if !component.has_package() {
        let data = data(world, tree, name)?.map(|(_, content)| sha256(&content));
        return Ok(Wanted { certificate, data, ..Wanted::default() });
    }
    let gitlab_rb = tree.get(&format!("ansible/files/{name}/gitlab.rb")).unwrap_or_default();
    Ok(Wanted {
        package: Some(world.deployment.package_version()),
        gitlab_rb: Some(sha256(gitlab_rb)),
        refarch_secrets: Some(sha256(&named_secrets(world, name)?)),
        gitlab_secrets: node_keys::copy_hash(world, name),
        certificate,
        data: None,
    })
}

/// Whether users, or the load balancer for them, speak TLS to a node.
const fn serves_tls(component: Component) -> bool {
    matches!(component, Component::AllInOne | Component::ExternalLb | Component::Rails)
}

/// What a node without the GitLab package is configured from: the file's name and its content.
fn data(world: &World, tree: &Tree, name: &NodeName) -> Result<Option<(&'static str, Vec<u8>)>, Error> {
    let node = &world.deployment.nodes[name];
    let value = match node.component {
        Component::ExternalLb | Component::InternalLb => {
            ("haproxy.json", load_balancer(tree, node.component, name)?)
        }
        Component::ObjectStorage => ("object-storage.json", object_storage(world)?),
        _ => return Ok(None),
    };
    Ok(Some((value.0, format!("{:#}\n", value.1).into_bytes())))
}

/// The load balancer's configuration, as it stands in the inventory.
fn load_balancer(tree: &Tree, component: Component, name: &NodeName) -> Result<Value, Error> {
    let inventory: Value = serde_json::from_slice(tree.get("ansible/inventory.json").unwrap_or_default())
        .map_err(|error| Error::Outputs { why: format!("the inventory: {error}") })?;
    let host = &inventory["all"]["children"][component.name()]["hosts"][name.as_str()];
    match &host["load_balancer_config"] {
        Value::Null => Err(Error::Outputs { why: format!("the inventory has no configuration for {name}") }),
        config => Ok(config.clone()),
    }
}

/// What the lab's object storage serves, and to whom.
fn object_storage(world: &World) -> Result<Value, Error> {
    let secret = |name: SecretName| {
        let value = world.secrets.named.get(name.key()).map(|value| value.expose_secret().to_owned());
        value.ok_or_else(|| Error::Outputs { why: format!("`{name}` was not decided") })
    };
    Ok(json!({
        "version": 1,
        "port": OBJECT_STORAGE_PORT,
        "access_key": secret(SecretName::ObjectStorageAccessKey)?,
        "secret_key": secret(SecretName::ObjectStorageSecretKey)?,
        "buckets": buckets(&world.deployment),
    }))
}

fn write_node(world: &World, tree: &Tree, name: &NodeName) -> Result<(), Error> {
    let folder = folder(world, name);
    let host = world.deployment.gitlab.url.host();
    let component = world.deployment.nodes[name].component;
    if component.has_package() {
        put(world, &folder.join(SECRETS_FILE), named_secrets(world, name)?)?;
    }
    if let Some((file, content)) = data(world, tree, name)? {
        put(world, &folder.join(file), content)?;
    }
    let ssl = folder.join("ssl");
    if serves_tls(component) {
        put(world, &ssl.join(format!("{host}.crt")), certificate(world, name)?)?;
        put(world, &ssl.join(format!("{host}.key")), world.certificate()?.key.expose_secret())?;
    }
    if let Some(authority) = world.authority()? {
        put(world, &ssl.join(format!("{host}.ca.crt")), authority)?;
    }
    if shares_host_keys(world, name) {
        for (kind, key) in &world.secrets.host_keys {
            let path = folder.join("ssh").join(format!("ssh_host_{kind}_key"));
            put(world, &path, key.private.expose_secret())?;
            put(world, &path.with_extension("pub"), format!("{}\n", key.public))?;
        }
    }
    Ok(())
}

/// The folder of what a node gets.
fn folder(world: &World, name: &NodeName) -> Utf8PathBuf {
    world.workdir.ansible().join("files").join(name.as_str())
}

/// Whether a node answers Git over SSH for the same name as others do, and so with the same keys.
pub fn shares_host_keys(world: &World, name: &NodeName) -> bool {
    world.deployment.nodes.get(name).is_some_and(|node| node.component == Component::Rails)
}

/// Refuses to go on where a secret that a node was given has another value now. What is new, or goes, is no change.
fn refuse_changed_secrets(world: &World) -> Result<(), Error> {
    #[cfg(feature = "lab-tests")]
    if world.mistake.is_some() {
        return Ok(());
    }
    let read = |bytes: &[u8]| serde_json::from_slice::<BTreeMap<String, String>>(bytes).unwrap_or_default();
    let mut changed = BTreeSet::new();
    for name in world.deployment.nodes.keys() {
        let before = read(&fs_err::read(folder(world, name).join(SECRETS_FILE)).unwrap_or_default());
        let made = |key: &&String| world.secrets.named.contains_key(key.as_str());
        for key in before.keys().filter(made) {
            let now = world.secrets.named.get(key).map(ExposeSecret::expose_secret);
            if now != before.get(key).map(String::as_str) {
                changed.insert(key.clone());
            }
        }
    }
    if changed.is_empty() {
        Ok(())
    } else {
        Err(Error::ChangedSecrets { names: changed.into_iter().collect() })
    }
}

/// The certificate that a node should have. A run that only looks reads nothing of the user's: for it, what was
/// delivered is what should be there.
fn certificate(world: &World, name: &NodeName) -> Result<Vec<u8>, Error> {
    if world.given.is_none() && matches!(world.deployment.tls, Tls::Files(_)) {
        let host = world.deployment.gitlab.url.host();
        return delivered(world, name, &format!("ssl/{host}.crt"));
    }
    let certificate = world.certificate()?.certificate.as_str();
    #[cfg(feature = "lab-tests")]
    let certificate = world.mistake.as_ref().and_then(|it| it.certificate(name)).unwrap_or(certificate);
    Ok(certificate.into())
}

/// A file as it was written for a node by the last run that bound it.
fn delivered(world: &World, name: &NodeName, file: &str) -> Result<Vec<u8>, Error> {
    let path = world.workdir.ansible().join("files").join(name.as_str()).join(file);
    fs_err::read(&path).map_err(|error| Error::LocalFile { path, why: error.to_string() })
}

/// The secrets in what was delivered to the nodes by earlier runs. What the user gave is kept nowhere else, and the logs
/// of a killed run may hold it.
pub fn delivered_secrets(workdir: &Workdir) -> Vec<SecretString> {
    let folders = fs_err::read_dir(workdir.ansible().join("files")).into_iter().flatten().flatten();
    let mut found = Vec::new();
    for folder in folders.filter_map(|entry| Utf8PathBuf::from_path_buf(entry.path()).ok()) {
        let text = fs_err::read(folder.join(SECRETS_FILE)).unwrap_or_default();
        let values: BTreeMap<String, String> = serde_json::from_slice(&text).unwrap_or_default();
        found.extend(values.into_values().map(SecretString::from));
        let storage = fs_err::read(folder.join("object-storage.json")).unwrap_or_default();
        let storage: Value = serde_json::from_slice(&storage).unwrap_or_default();
        found.extend(
            ["access_key", "secret_key"].iter().filter_map(|key| Some(storage[*key].as_str()?.into())),
        );
        let keys = fs_err::read_dir(folder.join("ssl")).into_iter().flatten().flatten();
        let keys = keys.filter(|entry| entry.path().extension().is_some_and(|extension| extension == "key"));
        found.extend(
            keys.filter_map(|entry| fs_err::read_to_string(entry.path()).ok()).map(SecretString::from),
        );
    }
    found
}

/// The secrets that this node's gitlab.rb refers to, and no others. A run that only looks reads nothing of the user's:
/// for it, what was delivered is what should be there.
fn named_secrets(world: &World, name: &NodeName) -> Result<Vec<u8>, Error> {
    let node = &world.deployment.nodes[name];
    let settings = gitlab_rb::settings(&world.deployment, node).map_err(render::Error::from)?;
    let sources = settings.given();
    let given = world.given.as_ref().map(|given| &given.secrets);
    if given.is_none() && !sources.is_empty() {
        return delivered(world, name, SECRETS_FILE);
    }
    let made = settings.secrets().into_iter().filter_map(|secret| {
        let value = world.secrets.named.get(secret.key())?.expose_secret();
        #[cfg(feature = "lab-tests")]
        let value = world.mistake.as_ref().and_then(|it| it.secret(name, secret.key())).unwrap_or(value);
        Some((secret.key().to_owned(), Value::from(value)))
    });
    let given = sources.iter().filter_map(|source| {
        let value = given?.get(source)?;
        Some((source.to_string(), Value::from(value.expose_secret())))
    });
    let values: Map<String, Value> = made.chain(given).collect();
    Ok(ascii(&format!("{:#}\n", Value::Object(values))).into_bytes())
}

/// JSON with everything beyond ASCII escaped: Ruby reads the file in the encoding of whoever runs it.
fn ascii(json: &str) -> String {
    let mut text = String::with_capacity(json.len());
    for character in json.chars() {
        if character.is_ascii() {
            text.push(character);
        } else {
            for unit in character.encode_utf16(&mut [0; 2]) {
                let _ = write!(text, "\\u{unit:04x}");
            }
        }
    }
    text
}

/// Makes the certificate anew when it ends soon or is for another name, unless it is the user's own.
fn renew_certificate(world: &mut World) -> Result<(), Error> {
    if let Tls::PrivateCa(_) = world.deployment.tls {
        let host = world.deployment.gitlab.url.host().to_owned();
        let name = world.deployment.name.as_str();
        super::identity::ensure_certificates(&mut world.secrets, name, &host, today())?;
        world.secrets.save(&world.workdir)?;
        world.redactor.learn(&world.secrets.values());
    }
    match world.authority()? {
        Some(authority) => Ok(world.workdir.write_private(&world.workdir.ca(), authority)?),
        None => remove_if_there(&world.workdir.ca()),
    }
}

/// Removes a file of an earlier spec.
pub(super) fn remove_if_there(path: &Utf8Path) -> Result<(), Error> {
    match fs_err::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(Error::Outputs { why: format!("`{path}` could not be removed: {error}") })
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::{ascii, sha256, sha256_of_file};

    #[test]
    fn json_beyond_ascii_means_the_same() {
        let value = serde_json::json!({"env:P": "Gr\u{f6}\u{df}e \u{1f980} \" \n"});
        let text = ascii(&value.to_string());
        assert!(text.is_ascii(), "{text}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&text).expect("JSON"), value);
    }

    #[test]
    fn a_file_hashes_as_its_bytes_do() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        let bytes: Vec<u8> = (0..200_000_u32).map(|nth| (nth % 251) as u8).collect();
        std::fs::write(file.path(), &bytes).expect("written");
        let path = camino::Utf8Path::from_path(file.path()).expect("UTF-8");
        assert_eq!(sha256_of_file(path).expect("readable"), sha256(&bytes));
        assert_eq!(sha256(b""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    }
}
