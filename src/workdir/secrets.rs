//! The secrets store: what was made once for a deployment and must never be made twice.

use std::collections::BTreeMap;
use std::fmt;

use jiff::civil::Date;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Error, Workdir};

const VERSION: u64 = 4;

/// What is known of the data disks, by `node/disk`.
pub type DataDisks = BTreeMap<String, DataDisk>;

/// The secrets of a deployment, and what identifies it. Printed for debugging, it shows names only.
#[derive(Clone)]
pub struct Secrets {
    /// Tells two deployments of one name apart; chosen once.
    pub suffix: String,
    /// The key that opens the nodes.
    pub ssh: Option<SshKey>,
    /// Secrets that gitlab.rb refers to, by name.
    pub named: BTreeMap<String, SecretString>,
    /// Certificates with their keys, by what they are for: `ca`, or a host's name.
    pub certificates: BTreeMap<String, Certificate>,
    /// The tree of `gitlab-secrets.json`; `null` until it is decided.
    pub gitlab_secrets: Value,
    /// The data disks that were seen to hold data.
    pub data_disks: DataDisks,
    /// The token that the checks use the instance with, if one was made. Since version 2.
    pub token: Option<Token>,
    /// The SSH host keys that all nodes which answer Git over SSH share, by kind; empty where one node answers alone.
    /// Since version 3.
    pub host_keys: BTreeMap<String, SshKey>,
    /// Nodes of Redis that were made anew while another one led, and whom each was told to follow. Since version 4.
    pub redis_follows: BTreeMap<String, String>,
}

/// A personal access token of the instance.
#[derive(Clone)]
pub struct Token {
    /// Its name on the instance, which tells whose it is.
    pub name: String,
    /// What it opens the instance with.
    pub value: SecretString,
    /// The day at whose beginning, in UTC, it ends.
    pub expires: Date,
}

/// A key pair of OpenSSH.
#[derive(Clone)]
pub struct SshKey {
    /// The line for `authorized_keys`.
    pub public: String,
    /// The private key, as `ssh-keygen` writes it.
    pub private: SecretString,
}

/// A certificate and its private key.
#[derive(Clone)]
pub struct Certificate {
    /// The certificate, and its chain if any, as PEM.
    pub certificate: String,
    /// The private key as PEM.
    pub key: SecretString,
}

/// What is known of a data disk.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DataDisk {
    /// The UUID of its file system, once it has one.
    pub uuid: Option<String>,
    /// Whether the deployment was verified with it: from then on, losing it loses data.
    pub built: bool,
}

/// The file's format.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    version: u64,
    suffix: String,
    ssh: Option<StoredPair>,
    named: BTreeMap<String, String>,
    certificates: BTreeMap<String, StoredPair>,
    gitlab_secrets: Value,
    data_disks: DataDisks,
    #[serde(default)]
    token: Option<StoredToken>,
    #[serde(default)]
    host_keys: BTreeMap<String, StoredPair>,
    #[serde(default)]
    redis_follows: BTreeMap<String, String>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StoredToken {
    name: String,
    value: String,
    expires: Date,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StoredPair {
    public: String,
    private: String,
}

impl Secrets {
    /// An empty store of a new deployment.
    #[must_use]
    pub fn new(suffix: String) -> Self {
        Self {
            suffix,
            ssh: None,
            named: BTreeMap::new(),
            certificates: BTreeMap::new(),
            gitlab_secrets: Value::Null,
            token: None,
            data_disks: DataDisks::new(),
            host_keys: BTreeMap::new(),
            redis_follows: BTreeMap::new(),
        }
    }

    /// Reads the store; nothing if there is none. What can't be understood is an error, never a new store.
    pub fn load(workdir: &Workdir) -> Result<Option<Self>, Error> {
        let path = workdir.secrets_file();
        let text = match fs_err::read(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            text => text.map_err(Error::io("read", &path))?,
        };
        // The parser's own message may quote a value, so it is reduced to a place.
        let place = |error: &serde_json::Error| {
            format!("it isn't what refarch wrote, near line {}, column {}", error.line(), error.column())
        };
        let unreadable = |reason: String| Error::SecretsUnreadable { path: path.clone(), reason };
        let value: Value = serde_json::from_slice(&text).map_err(|error| unreadable(place(&error)))?;
        match value.get("version").and_then(Value::as_u64) {
            None | Some(0) => return Err(unreadable("it has no version".into())),
            Some(found @ VERSION..) if found > VERSION => {
                return Err(Error::SecretsNewer { path, found, known: VERSION });
            }
            Some(_) => {}
        }
        let stored: Stored = serde_json::from_slice(&text).map_err(|error| unreadable(place(&error)))?;
        Ok(Some(stored.into()))
    }

    /// Writes the store, whole and for the owner only.
    pub fn save(&self, workdir: &Workdir) -> Result<(), Error> {
        let path = workdir.secrets_file();
        let mut text = serde_json::to_vec_pretty(&Stored::from(self))
            .map_err(|error| Error::io("write", &path)(error.into()))?;
        text.push(b'\n');
        workdir.write_private(&path, text)
    }

    /// The nodes of Redis that were made anew, each with the one that it was told to follow.
    pub fn follows(&self) -> impl Iterator<Item = (&str, &str)> {
        self.redis_follows.iter().map(|(node, leader)| (node.as_str(), leader.as_str()))
    }

    /// Every secret value, for the redactor.
    #[must_use]
    pub fn values(&self) -> Vec<SecretString> {
        let mut values: Vec<SecretString> = self.named.values().cloned().collect();
        values.extend(self.ssh.iter().chain(self.host_keys.values()).map(|key| key.private.clone()));
        values.extend(self.certificates.values().map(|certificate| certificate.key.clone()));
        values.extend(self.token.iter().map(|token| token.value.clone()));
        leaves(&self.gitlab_secrets, &mut values);
        values
    }
}

fn leaves(value: &Value, values: &mut Vec<SecretString>) {
    match value {
        Value::String(text) => values.push(text.as_str().into()),
        Value::Array(items) => items.iter().for_each(|item| leaves(item, values)),
        Value::Object(fields) => fields.values().for_each(|item| leaves(item, values)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

impl From<Stored> for Secrets {
    fn from(stored: Stored) -> Self {
        Self {
            suffix: stored.suffix,
            ssh: stored.ssh.map(|pair| SshKey { public: pair.public, private: pair.private.into() }),
            named: stored.named.into_iter().map(|(name, value)| (name, value.into())).collect(),
            certificates: stored
                .certificates
                .into_iter()
                .map(|(name, pair)| {
                    (name, Certificate { certificate: pair.public, key: pair.private.into() })
                })
                .collect(),
            gitlab_secrets: stored.gitlab_secrets,
            data_disks: stored.data_disks,
            token: stored.token.map(|token| Token {
                name: token.name,
                value: token.value.into(),
                expires: token.expires,
            }),
            host_keys: stored
                .host_keys
                .into_iter()
                .map(|(kind, pair)| (kind, SshKey { public: pair.public, private: pair.private.into() }))
                .collect(),
            redis_follows: stored.redis_follows,
        }
    }
}

impl From<&Secrets> for Stored {
    fn from(secrets: &Secrets) -> Self {
        let pair = |public: &str, private: &SecretString| StoredPair {
            public: public.to_owned(),
            private: private.expose_secret().to_owned(),
        };
        Self {
            version: VERSION,
            suffix: secrets.suffix.clone(),
            ssh: secrets.ssh.as_ref().map(|key| pair(&key.public, &key.private)),
            named: secrets
                .named
                .iter()
                .map(|(name, value)| (name.clone(), value.expose_secret().to_owned()))
                .collect(),
            certificates: secrets
                .certificates
                .iter()
                .map(|(name, certificate)| (name.clone(), pair(&certificate.certificate, &certificate.key)))
                .collect(),
            gitlab_secrets: secrets.gitlab_secrets.clone(),
            data_disks: secrets.data_disks.clone(),
            token: secrets.token.as_ref().map(|token| StoredToken {
                name: token.name.clone(),
                value: token.value.expose_secret().to_owned(),
                expires: token.expires,
            }),
            host_keys: secrets
                .host_keys
                .iter()
                .map(|(kind, key)| (kind.clone(), pair(&key.public, &key.private)))
                .collect(),
            redis_follows: secrets.redis_follows.clone(),
        }
    }
}

impl fmt::Debug for Secrets {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Secrets")
            .field("suffix", &self.suffix)
            .field("ssh", &self.ssh)
            .field("named", &self.named.keys())
            .field("certificates", &self.certificates.keys())
            .field("gitlab_secrets", &if self.gitlab_secrets.is_null() { "none" } else { "[redacted]" })
            .field("data_disks", &self.data_disks)
            .field("token", &self.token)
            .field("host_keys", &self.host_keys)
            .field("redis_follows", &self.redis_follows)
            .finish()
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Token({:?} until {}, [redacted])", self.name, self.expires)
    }
}

impl fmt::Debug for SshKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "SshKey({:?}, [redacted])", self.public)
    }
}

impl fmt::Debug for Certificate {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Certificate([redacted])")
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use camino::Utf8PathBuf;
    use serde_json::json;

    use super::*;
    use crate::exit::ExitCode;

    fn workdir() -> (tempfile::TempDir, Workdir) {
        let folder = tempfile::tempdir().unwrap();
        let spec = Utf8PathBuf::from_path_buf(folder.path().join("gitlab.yml")).unwrap();
        let workdir = Workdir::open(&spec, "demo").unwrap();
        (folder, workdir)
    }

    fn filled() -> Secrets {
        let mut secrets = Secrets::new("ab12cd".into());
        secrets.ssh = Some(SshKey { public: "ssh-ed25519 AAAA".into(), private: "PRIVATE-ssh".into() });
        secrets.named.insert("root_password".into(), "PRIVATE-root".into());
        let certificate = Certificate { certificate: "PEM".into(), key: "PRIVATE-ca".into() };
        secrets.certificates.insert("ca".into(), certificate);
        secrets.gitlab_secrets =
            json!({"gitlab_rails": {"db_key_base": "PRIVATE-db", "list": ["PRIVATE-list"]}});
        let disk = DataDisk { uuid: Some("uuid".into()), built: true };
        secrets.data_disks.insert("demo-all-in-one-1/data".into(), disk);
        let expires = Date::constant(2026, 11, 24);
        secrets.token =
            Some(Token { name: "refarch-verify-1".into(), value: "PRIVATE-token".into(), expires });
        let host = SshKey { public: "ecdsa-sha2-nistp256 AAAA".into(), private: "PRIVATE-host".into() };
        secrets.host_keys.insert("ecdsa".into(), host);
        secrets.redis_follows.insert("demo-redis-1".into(), "demo-redis-2".into());
        secrets
    }

    #[test]
    fn what_was_saved_comes_back() {
        let (_keep, workdir) = workdir();
        assert!(Secrets::load(&workdir).unwrap().is_none());
        filled().save(&workdir).unwrap();
        let loaded = Secrets::load(&workdir).unwrap().unwrap();
        assert_eq!(loaded.suffix, "ab12cd");
        assert_eq!(loaded.named["root_password"].expose_secret(), "PRIVATE-root");
        assert_eq!(loaded.gitlab_secrets, filled().gitlab_secrets);
        assert_eq!(loaded.data_disks, filled().data_disks);
        assert_eq!(loaded.host_keys["ecdsa"].private.expose_secret(), "PRIVATE-host");
        assert_eq!(loaded.redis_follows, filled().redis_follows);
        let token = loaded.token.unwrap();
        assert_eq!(token.value.expose_secret(), "PRIVATE-token");
        assert_eq!(
            (token.name.as_str(), token.expires.to_string().as_str()),
            ("refarch-verify-1", "2026-11-24")
        );
        let mode = fs_err::metadata(workdir.secrets_file()).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn the_redactor_gets_every_secret_and_debug_prints_none() {
        let mut values: Vec<_> =
            filled().values().iter().map(|value| value.expose_secret().to_owned()).collect();
        values.sort();
        let wanted =
            ["ca", "db", "host", "list", "root", "ssh", "token"].map(|name| format!("PRIVATE-{name}"));
        assert_eq!(values, wanted);
        assert!(!format!("{:?}", filled()).contains("PRIVATE"));
    }

    #[test]
    fn files_of_every_version_still_load() {
        let (_keep, workdir) = workdir();
        for (fixture, token) in [
            (include_str!("../../tests/fixtures/secrets-v1.json"), None),
            (include_str!("../../tests/fixtures/secrets-v2.json"), Some("refarch-verify-20261123T145000-2")),
            (include_str!("../../tests/fixtures/secrets-v3.json"), Some("refarch-verify-20261123T145000-2")),
            (include_str!("../../tests/fixtures/secrets-v4.json"), Some("refarch-verify-20261123T145000-2")),
        ] {
            workdir.write_private(&workdir.secrets_file(), fixture).unwrap();
            let secrets = Secrets::load(&workdir).unwrap().unwrap();
            assert_eq!(secrets.suffix, "q7w2x9");
            assert!(secrets.data_disks["demo-all-in-one-1/data"].built);
            assert!(secrets.ssh.is_some() && secrets.certificates.contains_key("ca"));
            assert_eq!(secrets.token.map(|token| token.name).as_deref(), token);
        }
    }

    #[test]
    fn what_is_not_understood_stays_untouched_and_is_not_quoted() {
        let (_keep, workdir) = workdir();
        for (text, reason) in [
            ("", "near line 1"),
            ("{\"version\": 1, \"suffix\": 5, \"x\": \"PRIVATE\"}", "near line 1"),
            ("{\"suffix\": \"PRIVATE\"}", "no version"),
            ("{\"version\": 5, \"suffix\": \"PRIVATE\"}", "version 5, and this refarch knows up to 4"),
        ] {
            fs_err::write(workdir.secrets_file(), text).unwrap();
            let error = Secrets::load(&workdir).unwrap_err();
            assert_eq!(error.exit_code(), ExitCode::Refused);
            assert!(error.to_string().contains(reason), "{error}");
            assert!(!format!("{error} {error:?}").contains("PRIVATE"), "{error:?}");
            assert_eq!(fs_err::read_to_string(workdir.secrets_file()).unwrap(), text);
        }
    }
}
