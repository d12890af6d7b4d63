//! Which authorities are trusted: the deployment's own, or this machine's.

use std::sync::Arc;

use rustls::RootCertStore;
use rustls::client::WebPkiServerVerifier;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;

/// The authorities that a certificate is checked against.
#[derive(Clone, Debug)]
pub struct Trust {
    roots: Arc<RootCertStore>,
    provider: Arc<CryptoProvider>,
    own: bool,
}

/// Why no trust could be made of what was given.
#[derive(Debug, thiserror::Error)]
pub enum Untrusted {
    /// The deployment's CA can't be read as certificates.
    #[error("the deployment's CA holds no certificate that can be read: {0}")]
    Ca(String),
    /// This machine has no certificate store.
    #[error("this machine's certificate store holds no usable certificate ({0})")]
    Store(String),
    /// TLS itself can't be set up.
    #[error("TLS can't be set up on this machine: {0}")]
    Setup(String),
}

impl Trust {
    /// Trusts exactly the certificates in `ca_pem`, or without one what this machine trusts.
    pub fn new(ca_pem: Option<&str>) -> Result<Self, Untrusted> {
        let roots = match ca_pem {
            Some(pem) => own_roots(pem)?,
            None => machine_roots()?,
        };
        Ok(Self {
            roots: Arc::new(roots),
            provider: Arc::new(rustls::crypto::aws_lc_rs::default_provider()),
            own: ca_pem.is_some(),
        })
    }

    /// What is trusted, in words that fit after "signed by".
    #[must_use]
    pub fn described(&self) -> &'static str {
        if self.own { "the deployment's own CA" } else { "a CA that this machine trusts" }
    }

    /// Trusts besides what this machine trusts, as far as that can be read.
    pub(super) fn and_the_machines(&self) -> Self {
        let mut roots = RootCertStore::clone(&self.roots);
        if self.own {
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
        Self { roots: Arc::new(roots), ..self.clone() }
    }

    /// What judges a chain of certificates by this trust.
    pub(crate) fn verifier(&self) -> Result<Arc<WebPkiServerVerifier>, Untrusted> {
        WebPkiServerVerifier::builder_with_provider(self.roots.clone(), self.provider.clone())
            .build()
            .map_err(|error| Untrusted::Setup(error.to_string()))
    }

    pub(super) fn config(&self) -> Result<rustls::ClientConfig, Untrusted> {
        Ok(rustls::ClientConfig::builder_with_provider(self.provider.clone())
            .with_safe_default_protocol_versions()
            .map_err(|error| Untrusted::Setup(error.to_string()))?
            .with_root_certificates(self.roots.clone())
            .with_no_client_auth())
    }
}

fn own_roots(pem: &str) -> Result<RootCertStore, Untrusted> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
        let certificate = certificate.map_err(|error| Untrusted::Ca(error.to_string()))?;
        roots.add(certificate).map_err(|error| Untrusted::Ca(error.to_string()))?;
    }
    if roots.is_empty() {
        return Err(Untrusted::Ca("no `BEGIN CERTIFICATE` block in it".into()));
    }
    Ok(roots)
}

fn machine_roots() -> Result<RootCertStore, Untrusted> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(found.certs);
    if roots.is_empty() {
        let why = found.errors.first().map_or_else(|| "it is empty".into(), ToString::to_string);
        return Err(Untrusted::Store(why));
    }
    Ok(roots)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::instance::testing::Authority;

    #[test]
    fn the_own_ca_is_taken() {
        let trust = Trust::new(Some(&Authority::new("Acme CA").pem())).unwrap();
        assert_eq!(trust.described(), "the deployment's own CA");
        assert_eq!(trust.roots.len(), 1);
    }

    #[test]
    fn what_is_no_certificate_is_refused() {
        for pem in ["", "hello", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"] {
            assert!(matches!(Trust::new(Some(pem)), Err(Untrusted::Ca(_))), "{pem:?} was taken for a CA");
        }
    }
}
