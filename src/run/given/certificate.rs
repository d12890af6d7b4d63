//! Whether a certificate of the user's will serve: asked before anything is made, because a node that can't start its
//! NGINX says so half an hour later.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use rustls::client::danger::ServerCertVerifier as _;
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::sign::CertifiedKey;
use rustls::{CertificateError, InconsistentKeys};
use secrecy::{ExposeSecret as _, SecretString};
use x509_parser::prelude::{FromDer as _, X509Certificate};

use super::{Flaw, Warning};
use crate::instance::Trust;

/// A certificate that ends sooner is worth a warning: renewals by hand need about that long.
const SOON_DAYS: i64 = 30;

/// The keys of the spec that flaws name.
const CERTIFICATE: &str = "tls.files.certificate";
const KEY: &str = "tls.files.key";
const CA: &str = "tls.files.ca";

/// Checks a certificate with its chain against its key, its authority and the host that it is for.
pub(super) fn check(
    certificate: &str,
    key: &SecretString,
    ca: Option<&str>,
    host: &str,
    now: Timestamp,
) -> Result<Vec<Warning>, Vec<Flaw>> {
    let mut flaws = Vec::new();
    let chain = certificates(certificate, CERTIFICATE).map_err(|flaw| flaws.push(flaw)).ok();
    let key = private_key(key).map_err(|flaw| flaws.push(flaw)).ok();
    if let Some(Err(flaw)) = ca.map(|ca| certificates(ca, CA)) {
        flaws.push(flaw);
    }
    let Some(chain) = chain else { return Err(flaws) };
    let Some(read) = parsed(&chain) else {
        let what = "a block in it is no X.509 certificate";
        flaws.push(Flaw::certificate(CERTIFICATE, what, "export the certificate as PEM again"));
        return Err(flaws);
    };
    let in_order = order(&read).map_err(|flaw| flaws.push(flaw)).is_ok();
    if let (Some(key), true) = (key, in_order) {
        flaws.extend(belongs(&chain, key));
    }
    let timely = times(&read, now).map_err(|flaw| flaws.push(flaw));
    if flaws.is_empty() {
        flaws.extend(vouched(&chain, ca, host, now));
    }
    if flaws.is_empty() { Ok(timely.unwrap_or_default()) } else { Err(flaws) }
}

/// The certificates of a PEM file, and nothing that must not be shown.
fn certificates(pem: &str, key: &'static str) -> Result<Vec<CertificateDer<'static>>, Flaw> {
    if pem.contains("PRIVATE KEY-----") {
        let what = "the file also holds a private key, and everyone on the nodes may read it";
        return Err(Flaw::certificate(
            key,
            what,
            "put the key into a file of its own and name it in `tls.files.key`",
        ));
    }
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem.as_bytes()).collect();
    match found {
        Ok(found) if !found.is_empty() => Ok(found),
        Ok(_) => {
            let help =
                "convert it: `openssl x509 -in FILE -out FILE.pem`, with `-inform der` for a binary file";
            Err(Flaw::certificate(key, "the file holds no `BEGIN CERTIFICATE` block", help))
        }
        Err(error) => {
            let what = format!("the file can't be read as PEM: {error}");
            Err(Flaw::certificate(key, what, "export the certificate as PEM again"))
        }
    }
}

fn private_key(key: &SecretString) -> Result<PrivateKeyDer<'static>, Flaw> {
    let pem = key.expose_secret();
    if pem.contains("BEGIN ENCRYPTED PRIVATE KEY") || pem.contains("Proc-Type: 4,ENCRYPTED") {
        let help = "NGINX can't be asked for a passphrase at its start: remove it by `openssl pkey -in FILE -out NEW`, \
                    and close NEW by `chmod 600`";
        return Err(Flaw::certificate(KEY, "the key is encrypted with a passphrase", help));
    }
    // The parser's own message could quote the key.
    PrivateKeyDer::from_pem_slice(pem.as_bytes()).map_err(|_| {
        let help = "give the key as PEM, as `openssl pkey -in FILE -out NEW` writes it";
        Flaw::certificate(KEY, "there is no `BEGIN PRIVATE KEY` block that could be read", help)
    })
}

fn parsed<'c>(chain: &'c [CertificateDer<'_>]) -> Option<Vec<X509Certificate<'c>>> {
    chain.iter().map(|der| X509Certificate::from_der(der).ok().map(|(_, read)| read)).collect()
}

/// The server's own certificate comes first, and each further one signed the one before it.
fn order(chain: &[X509Certificate<'_>]) -> Result<(), Flaw> {
    let help = "write the server's own certificate first, then the one that signed it, and so on; the root may be left out";
    let wrong = |what: String| Err(Flaw::certificate(CERTIFICATE, what, help));
    if let Some(first) = chain.first()
        && first.is_ca()
    {
        let what = format!("the first certificate is an authority's (`{}`), not a server's", first.subject());
        if chain.len() == 1 {
            let help = "issue a server's certificate with it, since browsers and checks take no authority's as one; \
                        or use `tls: {private_ca: {}}`, which does that";
            return Err(Flaw::certificate(CERTIFICATE, what, help));
        }
        return wrong(what);
    }
    for (nth, pair) in chain.windows(2).enumerate() {
        let [one, next] = pair else { continue };
        if one.issuer() != next.subject() {
            let (issuer, found) = (one.issuer(), next.subject());
            let place = nth + 2;
            return wrong(format!(
                "certificate {place} of the file is `{found}`, and the one before it was signed by `{issuer}`"
            ));
        }
    }
    Ok(())
}

fn belongs(chain: &[CertificateDer<'static>], key: PrivateKeyDer<'static>) -> Option<Flaw> {
    match CertifiedKey::from_der(chain.to_vec(), key, &default_provider()) {
        Ok(_) => None,
        Err(rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch)) => {
            let help = "give the key that the certificate was requested with; `openssl x509 -noout -pubkey -in FILE` and \
                        `openssl pkey -pubout -in KEY` print the same where both belong together";
            Some(Flaw::certificate(KEY, "the key belongs to another certificate", help))
        }
        Err(error) => {
            let help = "use an RSA key of 2048 bits or more, or an ECDSA key";
            Some(Flaw::certificate(KEY, format!("the key can't be used for TLS: {error}"), help))
        }
    }
}

/// Whether each certificate is valid now; the warning is about the first one to end.
fn times(chain: &[X509Certificate<'_>], now: Timestamp) -> Result<Vec<Warning>, Flaw> {
    let at = |seconds: i64| Timestamp::from_second(seconds).unwrap_or(Timestamp::MAX);
    let day = |time: Timestamp| time.strftime("%Y-%m-%d").to_string();
    let mut soonest: Option<(Timestamp, String)> = None;
    for read in chain {
        let (from, until) =
            (at(read.validity().not_before.timestamp()), at(read.validity().not_after.timestamp()));
        let who = read.subject().to_string();
        if now > until {
            let what = format!("`{who}` expired on {}", day(until));
            return Err(Flaw::certificate(CERTIFICATE, what, "have it renewed"));
        }
        if now < from {
            let what = format!("`{who}` is valid from {} on only", day(from));
            return Err(Flaw::certificate(
                CERTIFICATE,
                what,
                "wait for that day, or look at this machine's clock",
            ));
        }
        if soonest.as_ref().is_none_or(|(soonest, _)| until < *soonest) {
            soonest = Some((until, who));
        }
    }
    let soon = now + SignedDuration::from_hours(24 * SOON_DAYS);
    Ok(soonest
        .filter(|(until, _)| *until < soon)
        .map(|(until, who)| Warning {
            message: format!("the certificate `{who}` ends on {}", day(until)),
            help: "have it renewed, put it where the old one lies and run `refarch up` again".to_owned(),
        })
        .into_iter()
        .collect())
}

/// Whether who asks for `host` and trusts what the checks trust takes this chain.
fn vouched(chain: &[CertificateDer<'static>], ca: Option<&str>, host: &str, now: Timestamp) -> Option<Flaw> {
    let trust = match Trust::new(ca) {
        Ok(trust) => trust,
        Err(error) => {
            let key = if ca.is_some() { CA } else { CERTIFICATE };
            let help = "name the authority's certificate in `tls.files.ca`, as PEM";
            return Some(Flaw::certificate(key, error.to_string(), help));
        }
    };
    let flaw = |what: String, help: &str| Some(Flaw::certificate(CERTIFICATE, what, help));
    let (Some((leaf, rest)), Ok(name)) = (chain.split_first(), ServerName::try_from(host)) else {
        return flaw(format!("`{host}` can't be asked for"), "correct `gitlab.url`");
    };
    let since = u64::try_from(now.as_second()).unwrap_or_default();
    let time = UnixTime::since_unix_epoch(std::time::Duration::from_secs(since));
    let verified = match trust.verifier() {
        Ok(verifier) => Arc::clone(&verifier).verify_server_cert(leaf, rest, &name, &[], time),
        Err(error) => return flaw(error.to_string(), "report this: the program's own data is wrong"),
    };
    let Err(error) = verified else { return None };
    match error {
        rustls::Error::InvalidCertificate(
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
        ) => flaw(
            format!("the certificate is not for `{host}`, the host of `gitlab.url`"),
            "have one issued whose alternative names (SAN) hold the host; the common name alone counts no more",
        ),
        rustls::Error::InvalidCertificate(
            CertificateError::UnknownIssuer | CertificateError::BadSignature,
        ) => flaw(
            format!("the chain doesn't lead to {}", trust.described()),
            "add the certificates in between behind the server's own, or name the authority in `tls.files.ca`",
        ),
        other => flaw(
            format!("the certificate would be refused: {other}"),
            "have a server's certificate issued, signed with SHA-256 or better",
        ),
    }
}
