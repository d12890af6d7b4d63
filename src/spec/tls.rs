//! Where the certificate of GitLab's address comes from.

use camino::Utf8PathBuf;
use schemars::JsonSchema;
use serde::Serialize;

use super::block::{Block, Field};
use super::parse::Value;
use super::problem::Findings;
use super::secret::{self, SecretReference};

/// Where the certificate of GitLab's address comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(deny_unknown_fields)]
pub enum Tls {
    /// refarch makes a certificate authority for this deployment and issues the certificate.
    PrivateCa(PrivateCa),
    /// A certificate of yours, from files on this machine.
    Files(TlsFiles),
}

impl Tls {
    /// The names of the sources, as a spec writes them.
    pub const SOURCES: &'static [&'static str] = &["private_ca", "files"];

    /// The name of this source, as a spec writes it.
    #[must_use]
    pub const fn source(&self) -> &'static str {
        match self {
            Self::PrivateCa(_) => "private_ca",
            Self::Files(_) => "files",
        }
    }

    /// Whether the certificate is signed by an authority that is to be trusted alone, and not by a public one.
    #[must_use]
    pub const fn has_own_authority(&self) -> bool {
        match self {
            Self::PrivateCa(_) => true,
            Self::Files(files) => files.ca.is_some(),
        }
    }
}

impl Default for Tls {
    fn default() -> Self {
        Self::PrivateCa(PrivateCa {})
    }
}

/// The private certificate authority has no settings.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct PrivateCa {}

/// A certificate of yours. Paths are relative to the folder that the spec lies in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct TlsFiles {
    /// The certificate as PEM, and behind it those that lead to its authority's.
    #[schemars(with = "String")]
    pub certificate: Utf8PathBuf,
    /// Its private key as PEM, without a passphrase: a file, or a secret by reference.
    pub key: TlsKey,
    /// The authority that signed the certificate, as PEM. With it, checks trust this authority and no other; without
    /// it, they trust what this machine trusts. Default: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String", default)]
    pub ca: Option<Utf8PathBuf>,
}

/// Where the private key comes from.
// These attributes only write and describe: a spec is read by hand.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum TlsKey {
    /// A file on this machine.
    File(#[schemars(with = "String")] Utf8PathBuf),
    /// A secret by reference.
    Secret(SecretReference),
}

/// Reads the block behind `tls`.
pub(super) fn read(field: &Field<'_>, text: &str, findings: &mut Findings) -> Option<Tls> {
    let example = "`tls: {private_ca: {}}`";
    let (source, chosen) = field.choice(Tls::SOURCES, example, findings)?;
    if source == "private_ca" {
        Block::of(&chosen, example, findings)?.close(&[], findings);
        return Some(Tls::PrivateCa(PrivateCa {}));
    }
    files(&chosen, text, findings).map(Tls::Files)
}

fn files(field: &Field<'_>, text: &str, findings: &mut Findings) -> Option<TlsFiles> {
    let mut block = Block::of(field, "`files: {certificate: gitlab.pem, key: gitlab.key}`", findings)?;
    let path = |field: Field<'_>, example: &str, findings: &mut Findings| {
        field.text(example, findings).map(|path| Utf8PathBuf::from(path.value))
    };
    let example = "`certificate: gitlab.pem`";
    let certificate = block.required("certificate", example).map(|field| path(field, example, findings));
    let key = block.required("key", "`key: gitlab.key`").map(|field| key(&field, text, findings));
    let ca = block.optional("ca").map(|field| path(field, "`ca: root.pem`", findings));
    block.close(&[], findings);
    let ca = match ca {
        Some(ca) => Some(ca?),
        None => None,
    };
    Some(TlsFiles { certificate: certificate??, key: key??, ca })
}

fn key(field: &Field<'_>, text: &str, findings: &mut Findings) -> Option<TlsKey> {
    if matches!(field.node.value, Value::Map(_)) {
        return secret::read(field, text, findings).map(TlsKey::Secret);
    }
    let path = field.text("`key: gitlab.key` or `key: {secret: {env: GITLAB_TLS_KEY}}`", findings)?;
    Some(TlsKey::File(Utf8PathBuf::from(path.value)))
}
