//! The certificate that the fake shows, good or bad.

use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, KeyUsagePurpose,
    date_time_ymd,
};
use rustls::pki_types::PrivateKeyDer;
use tokio_rustls::TlsAcceptor;

/// What is shown to who connects.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Certificate {
    /// Signed by the fake's own CA, valid, of the right name.
    #[default]
    Good,
    Expired,
    OtherName,
    SelfSigned,
    /// No TLS at all.
    None,
}

/// The CA as PEM, and what accepts TLS with a certificate for `name`.
pub fn make(kind: Certificate, name: &str) -> (String, Option<TlsAcceptor>) {
    let mut authority = params("Fake GitLab's CA", &[]);
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    authority.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let shown = if kind == Certificate::OtherName { "other.example" } else { name };
    let mut leaf = params(shown, &[shown]);
    if kind == Certificate::Expired {
        leaf.not_before = date_time_ymd(2020, 1, 1);
        leaf.not_after = date_time_ymd(2021, 1, 1);
    }
    let leaf = match kind {
        Certificate::None => return (authority.pem(), None),
        Certificate::SelfSigned => leaf.self_signed(&key).unwrap(),
        _ => leaf.signed_by(&key, &authority).unwrap(),
    };
    let private = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![leaf.der().clone()], private)
        .unwrap();
    (authority.pem(), Some(TlsAcceptor::from(Arc::new(config))))
}

fn params(subject: &str, names: &[&str]) -> CertificateParams {
    let names: Vec<String> = names.iter().map(ToString::to_string).collect();
    let mut params = CertificateParams::new(names).unwrap();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, subject);
    params.not_before = date_time_ymd(2000, 1, 1);
    params.not_after = date_time_ymd(2090, 1, 1);
    params
}
