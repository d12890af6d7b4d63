//! A private certificate authority and the certificate of the instance.

use jiff::civil::Date;
use jiff::{ToSpan as _, Zoned};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair, KeyUsagePurpose,
};
use secrecy::{ExposeSecret as _, SecretString};

use super::Error;

/// How many days before its end a certificate is made anew.
const RENEW_BEFORE_DAYS: i32 = 30;

/// Years an authority is valid: longer than a deployment stays as it is.
const AUTHORITY_YEARS: i32 = 10;
/// Days a certificate is valid. Browsers refuse more than 398 for public authorities; nothing is won
/// by being laxer with a private one.
const CERTIFICATE_DAYS: i32 = 397;

/// A certificate, its key, and the last day it is valid.
#[derive(Clone, Debug)]
pub struct Issued {
    /// The certificate as PEM; public.
    pub certificate: String,
    /// Its key as PEM.
    pub key: SecretString,
    /// The last day on which it is valid.
    pub not_after: Date,
}

/// Makes an authority that vouches for this deployment only.
///
/// # Errors
/// When the library refuses.
pub fn authority(deployment: &str, today: Date) -> Result<Issued, Error> {
    let not_after = today.saturating_add(AUTHORITY_YEARS.years());
    let mut params = params(&format!("refarch authority of {deployment}"), Vec::new(), today, not_after)?;
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let key = KeyPair::generate().map_err(failed("a key"))?;
    let certificate = params.self_signed(&key).map_err(failed("an authority"))?;
    Ok(Issued { certificate: certificate.pem(), key: key.serialize_pem().into(), not_after })
}

/// Makes a server certificate for `host`, signed by `authority`.
///
/// # Errors
/// When the library refuses, or when the authority's files are not what [`authority`] made.
pub fn certificate(authority: &Issued, host: &str, today: Date) -> Result<Issued, Error> {
    let key = KeyPair::from_pem(authority.key.expose_secret()).map_err(failed("an issuer"))?;
    let issuer = Issuer::from_ca_cert_pem(&authority.certificate, key).map_err(failed("an issuer"))?;
    let not_after = today.saturating_add(CERTIFICATE_DAYS.days());
    let mut params = params(host, vec![host.to_owned()], today, not_after)?;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.use_authority_key_identifier_extension = true;
    let key = KeyPair::generate().map_err(failed("a key"))?;
    let certificate = params.signed_by(&key, &issuer).map_err(failed("a certificate"))?;
    Ok(Issued { certificate: certificate.pem(), key: key.serialize_pem().into(), not_after })
}

impl Issued {
    /// Puts a certificate that was kept together again; nothing if it is not one.
    #[must_use]
    pub fn read(certificate: &str, key: SecretString) -> Option<Self> {
        let (_, pem) = x509_parser::pem::parse_x509_pem(certificate.as_bytes()).ok()?;
        let end = pem.parse_x509().ok()?.validity().not_after.timestamp();
        let not_after = jiff::Timestamp::from_second(end).ok()?.to_zoned(jiff::tz::TimeZone::UTC).date();
        Some(Self { certificate: certificate.to_owned(), key, not_after })
    }

    /// Whether it ends so soon that it has to be made anew.
    #[must_use]
    pub fn ends_soon(&self, today: Date) -> bool {
        self.not_after < today.saturating_add(RENEW_BEFORE_DAYS.days())
    }
}

/// Valid from yesterday, so that a node whose clock is behind accepts it.
fn params(name: &str, hosts: Vec<String>, today: Date, not_after: Date) -> Result<CertificateParams, Error> {
    let mut params = CertificateParams::new(hosts).map_err(failed("a certificate"))?;
    let mut subject = DistinguishedName::new();
    subject.push(DnType::CommonName, name);
    params.distinguished_name = subject;
    params.not_before = day(today.saturating_sub(1.day()));
    params.not_after = day(not_after);
    Ok(params)
}

fn day(date: Date) -> time::OffsetDateTime {
    // A month and a day of a date are in range by their type.
    let (month, day) = (date.month().unsigned_abs(), date.day().unsigned_abs());
    rcgen::date_time_ymd(i32::from(date.year()), month, day)
}

fn failed(what: &'static str) -> impl Fn(rcgen::Error) -> Error {
    move |error| Error::Make { what, message: error.to_string() }
}

/// Today in UTC, which is what certificates count in.
#[must_use]
pub fn today() -> Date {
    Zoned::now().with_time_zone(jiff::tz::TimeZone::UTC).date()
}
