//! What the user wrote: the spec's types, reading it with places, its rules and its JSON Schema.
//!
//! Pure: bytes in, values or problems out. Reading the file is the command line's work.
//!
//! The way of a spec: [`parse_bytes`] checks the bytes (`source`), makes a tree that knows its places
//! (`parse`), reads the keys block by block (`draft`, with `block`) and compares them (`across`). Each step
//! notes every problem and goes on as far as it can.

mod across;
mod block;
mod counts;
mod demand;
mod draft;
mod managed;
mod managed_values;
mod modifications;
mod nodes;
mod parse;
mod problem;
mod refusal;
mod rule;
mod schema;
mod secret;
mod settings;
mod sizing;
mod source;
mod suggest;
mod tls;
mod types;
mod values;
mod versions;

pub use demand::RequestsPerSecond;
pub use managed::{
    ExternalObjectStorage, ExternalPostgres, ExternalRedis, Managed, ManagedObjectStorage, ManagedPostgres,
    ManagedRedis,
};
pub use modifications::{Modifications, ShardedGitaly, SidekiqOnRails};
pub use nodes::{ComponentNodes, DiskSize, DiskSizes, Host, MachineSize, Nodes, Pool, PoolName};
pub use parse::read_yaml;
pub use problem::{Invalid, Problem};
pub use refusal::Refusal;
pub use rule::{Rule, rules};
pub use schema::{schema, schema_text};
pub use secret::{EnvName, Place, SecretReference, SecretSource};
pub use settings::{SettingTree, SettingValue, Settings, Standing, merged, owner, standing};
pub use source::MAX_BYTES;
pub use tls::{PrivateCa, Tls, TlsFiles, TlsKey};
pub use types::{FORMAT, Gitlab, Lab, Package, Provider, Size, Spec};
pub use values::{Cidr, DeploymentName, ExternalUrl, GitlabVersion, PackageUrl, Sha256};

/// A spec that can be used, and what is worth a warning about it.
#[derive(Clone, Debug)]
pub struct Parsed {
    /// What the user wrote.
    pub spec: Spec,
    /// What is worth a warning, in the order of the file.
    pub warnings: Vec<Problem>,
}

impl Parsed {
    /// The spec, if there is nothing to warn about; `name` is the file's.
    pub fn strictly(self, name: &str) -> Result<Spec, Invalid> {
        if self.warnings.is_empty() {
            Ok(self.spec)
        } else {
            Err(Invalid::from_warnings(name, self.warnings))
        }
    }
}

/// Reads a spec from text; `name` is the file's, for the reports.
pub fn parse(text: &str, name: &str) -> Result<Parsed, Invalid> {
    parse_bytes(text.as_bytes(), name)
}

/// Reads a spec from a file's bytes; `name` is the file's, for the reports.
pub fn parse_bytes(bytes: &[u8], name: &str) -> Result<Parsed, Invalid> {
    let (text, mut findings) = source::read(bytes, name).map_err(problem::Findings::into_invalid)?;
    let tree = match parse::tree(text) {
        Ok(tree) => tree,
        Err(problem) => {
            findings.add(problem);
            return Err(findings.into_invalid());
        }
    };
    if matches!(tree.value, parse::Value::Null) {
        findings.add(Problem::new(&rule::EMPTY, "the file says nothing but comments"));
        return Err(findings.into_invalid());
    }
    let draft = draft::read(&tree, text, &mut findings);
    across::check(&draft, &mut findings);
    match draft.into_spec() {
        Some(spec) if !findings.any() => Ok(Parsed { spec, warnings: findings.into_warnings() }),
        _ => Err(findings.into_invalid()),
    }
}
