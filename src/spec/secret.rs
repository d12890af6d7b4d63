//! References to secrets: a spec says where a secret comes from, and never what it is.

use std::fmt;
use std::str::FromStr;

use camino::Utf8PathBuf;
use schemars::JsonSchema;
use serde::Serialize;

use super::block::{Block, Field, Placed, refused};
use super::problem::Findings;
use super::refusal::Refusal;
use super::rule;
use super::values::written_as_string;

/// A secret by where it comes from: `{secret: {env: NAME}}` or `{secret: {file: PATH}}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct SecretReference {
    /// Where the secret is read at the beginning of each run that needs it: exactly one source.
    #[serde(rename = "secret")]
    pub source: SecretSource,
    /// Where the spec refers to it.
    #[serde(skip)]
    #[schemars(skip)]
    pub place: Place,
}

/// Where a secret is read.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(deny_unknown_fields)]
pub enum SecretSource {
    /// An environment variable that refarch is started with.
    Env(EnvName),
    /// A file on this machine, relative to the folder that the spec lies in. A line end at its end is left out.
    File(#[schemars(with = "String")] Utf8PathBuf),
}

impl SecretSource {
    /// The names of the sources, as a spec writes them.
    pub const SOURCES: &'static [&'static str] = &["env", "file"];
}

/// As `refarch-secrets.json` and gitlab.rb name the secret. A name that refarch gives itself has no colon.
impl fmt::Display for SecretSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Env(name) => write!(f, "env:{name}"),
            Self::File(path) => write!(f, "file:{path}"),
        }
    }
}

/// The name of an environment variable.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EnvName(String);

written_as_string!(EnvName, {
    "type": "string",
    "description": "The name of an environment variable: letters, digits and underscores.",
    "pattern": "^[A-Za-z_][A-Za-z0-9_]*$",
    "maxLength": 200,
});

impl EnvName {
    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for EnvName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for EnvName {
    type Err = Refusal;

    fn from_str(text: &str) -> Result<Self, Refusal> {
        let allowed = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let begins = text.starts_with(|c: char| allowed(c) && !c.is_ascii_digit());
        if begins && text.len() <= 200 && text.chars().all(allowed) {
            return Ok(Self(text.to_owned()));
        }
        let help = "write the name alone, without `$`, as in `env: SMTP_PASSWORD`";
        Err(Refusal::new(&rule::SECRET_ENV, "this is not the name of an environment variable", help))
    }
}

/// A place in the spec, for who has only the spec's values and something to say about one of them.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// The way to the key, as `tls.files.key`.
    pub key: String,
    /// The line, counted from 1; 0 where there is but one such key.
    pub line: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => write!(f, "`{}`", self.key),
            line => write!(f, "`{}` (line {line})", self.key),
        }
    }
}

/// How a reference is written.
const EXAMPLE: &str = "`{secret: {env: NAME}}` or `{secret: {file: PATH}}`";

/// Reads the block behind a key that holds `{secret: …}`.
pub(super) fn read(field: &Field<'_>, text: &str, findings: &mut Findings) -> Option<SecretReference> {
    let mut block = Block::of(field, EXAMPLE, findings)?;
    let source = block.required("secret", EXAMPLE).and_then(|field| source(&field, findings));
    block.close(&[], findings);
    Some(SecretReference { source: source?, place: place(field, text) })
}

fn source(field: &Field<'_>, findings: &mut Findings) -> Option<SecretSource> {
    let (source, chosen) = field.choice(SecretSource::SOURCES, EXAMPLE, findings)?;
    if source == "env" {
        let name: Placed<EnvName> = chosen.value("`env: SMTP_PASSWORD`", findings)?;
        return Some(SecretSource::Env(name.value));
    }
    let path = chosen.text("`file: secrets/smtp-password`", findings)?;
    if path.value.chars().any(char::is_control) {
        let help = "name the file by a path without line breaks";
        let refusal = Refusal::new(&rule::SECRET_REFERENCE, "the path holds control characters", help);
        findings.add(refused(refusal, chosen.node));
        return None;
    }
    Some(SecretSource::File(Utf8PathBuf::from(path.value)))
}

/// Where a field's value stands.
pub(super) fn place(field: &Field<'_>, text: &str) -> Place {
    let start = field.at().start.min(text.len());
    let line = text.as_bytes()[..start].split(|byte| *byte == b'\n').count();
    Place { key: field.path.clone(), line }
}
