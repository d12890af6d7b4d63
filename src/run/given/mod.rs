//! What the user gives beside the spec: secrets by reference, and a certificate of his own. Read anew in each run that
//! needs it and never kept in the store, so that the place where it is kept stays the only one that decides.

mod certificate;
mod flaw;
mod read;

pub use flaw::{Flaw, Warning};

use std::collections::BTreeMap;

use camino::Utf8Path;
use jiff::Timestamp;
use secrecy::{ExposeSecret as _, SecretString};

use crate::deployment::Deployment;
use crate::process::Ambient;
use crate::spec::{Place, SecretReference, SecretSource, Tls, TlsFiles, TlsKey};
use crate::workdir::Certificate;

/// What a look at things given says of them: warnings, or all that is wrong.
pub type Inspected = Result<Vec<Warning>, Vec<Flaw>>;

/// Where things given are found.
#[derive(Clone, Copy, Debug)]
pub struct Sources<'a> {
    /// The environment that refarch was started with.
    pub ambient: &'a Ambient,
    /// The folder that the spec lies in.
    pub folder: &'a Utf8Path,
}

/// What was given, after it was found to be usable.
#[derive(Clone, Debug, Default)]
pub struct Given {
    /// The certificate with its chain and its key, where it is the user's.
    pub certificate: Option<Certificate>,
    /// The authority to trust, where the certificate is the user's and he names one.
    pub ca: Option<String>,
    /// The secrets that gitlab.rb refers to, by where they come from.
    pub secrets: BTreeMap<SecretSource, SecretString>,
    /// What is worth a warning.
    pub warnings: Vec<Warning>,
}

impl Given {
    /// Reads all that a deployment refers to, and checks it against the deployment; every flaw is named.
    pub fn take(
        deployment: &Deployment,
        references: &[SecretReference],
        sources: Sources<'_>,
        now: Timestamp,
    ) -> Result<Self, Vec<Flaw>> {
        let mut given = Self::default();
        let mut flaws = Vec::new();
        for reference in references {
            if given.secrets.contains_key(&reference.source) {
                continue;
            }
            match read::secret(reference, sources, &mut given.warnings) {
                Ok(value) => drop(given.secrets.insert(reference.source.clone(), value)),
                Err(flaw) => flaws.push(flaw),
            }
        }
        if let Tls::Files(files) = &deployment.tls {
            given.take_certificate(files, deployment.gitlab.url.host(), sources, now, &mut flaws);
        }
        if flaws.is_empty() { Ok(given) } else { Err(flaws) }
    }

    /// All secrets, for the redactor.
    #[must_use]
    pub fn secret_values(&self) -> Vec<SecretString> {
        let key = self.certificate.iter().map(|certificate| &certificate.key);
        key.chain(self.secrets.values()).cloned().collect()
    }

    fn take_certificate(
        &mut self,
        files: &TlsFiles,
        host: &str,
        sources: Sources<'_>,
        now: Timestamp,
        flaws: &mut Vec<Flaw>,
    ) {
        let mut noted = |found: Result<String, Flaw>| found.map_err(|flaw| flaws.push(flaw)).ok();
        let certificate = noted(read::public(&files.certificate, "tls.files.certificate", sources));
        let ca = files.ca.as_ref().map(|path| noted(read::public(path, "tls.files.ca", sources)));
        let key = match read::secret(&key_reference(&files.key), sources, &mut self.warnings) {
            Ok(key) => Some(key),
            Err(flaw) => {
                flaws.push(flaw);
                None
            }
        };
        let (Some(certificate), Some(key)) = (certificate, key) else { return };
        let ca = match ca {
            Some(None) => return,
            Some(Some(ca)) => Some(ca),
            None => None,
        };
        match certificate::check(&certificate, &key, ca.as_deref(), host, now) {
            Ok(warnings) => self.warnings.extend(warnings),
            Err(found) => flaws.extend(found),
        }
        let key = format!("{}\n", key.expose_secret().trim_end()).into();
        self.certificate = Some(Certificate { certificate, key });
        self.ca = ca;
    }
}

/// A key's file is read as any secret from a file is.
fn key_reference(key: &TlsKey) -> SecretReference {
    match key {
        TlsKey::Secret(reference) => reference.clone(),
        TlsKey::File(path) => SecretReference {
            source: SecretSource::File(path.clone()),
            place: Place { key: "tls.files.key".to_owned(), line: 0 },
        },
    }
}

#[cfg(test)]
mod tests;
