//! One TLS handshake, and what the server showed in it.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, DigitallySignedStruct, InvalidMessage, SignatureScheme};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use x509_parser::prelude::{FromDer as _, X509Certificate};

use super::fault::{Fault, seconds};
use super::trust::{Trust, Untrusted};
use super::way::Way;

/// A handshake that succeeded: the certificate is trusted, valid now and made for the name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Handshake {
    /// The server's certificate.
    pub presented: Presented,
    /// How many certificates the server sent, its own included.
    pub chain: usize,
}

/// What a certificate says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Presented {
    /// Whom it was made for, as a distinguished name.
    pub subject: String,
    /// Who signed it, as a distinguished name.
    pub issuer: String,
    /// From when on it is valid.
    pub not_before: Timestamp,
    /// Until when it is valid.
    pub not_after: Timestamp,
}

/// Why a handshake failed; each has other people to ask and another remedy.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TlsFault {
    /// The port speaks HTTP without TLS.
    #[error("the port speaks plain HTTP")]
    PlainHttp,
    /// The port speaks something that is neither TLS nor HTTP.
    #[error("the port answers, but not with TLS")]
    NotTls,
    /// The certificate was signed by a CA that is not trusted here.
    #[error("the certificate is signed by an unknown CA{}", detail("issuer", .issuer.as_deref()))]
    UnknownCa {
        /// The issuer that the certificate names, where it could be read.
        issuer: Option<String>,
    },
    /// The certificate was signed by itself.
    #[error("the certificate is self-signed{}", detail("subject", .subject.as_deref()))]
    SelfSigned {
        /// The subject that the certificate names, where it could be read.
        subject: Option<String>,
    },
    /// The certificate was made for other names.
    #[error("the certificate is for {}, not for `{expected}`", names(.presented))]
    WrongName {
        /// The name that was asked for.
        expected: String,
        /// The names in the certificate.
        presented: Vec<String>,
    },
    /// The certificate's time is over.
    #[error("the certificate expired{}", at("on", *.not_after))]
    Expired {
        /// When it ended, where it could be read.
        not_after: Option<Timestamp>,
    },
    /// The certificate's time has not begun.
    #[error("the certificate is not yet valid{}", at("; it begins on", *.not_before))]
    NotYetValid {
        /// When it begins, where it could be read.
        not_before: Option<Timestamp>,
    },
    /// The server took the connection and said nothing.
    #[error("the port takes the connection, but no handshake came within {}", seconds(*.0))]
    Silent(Duration),
    /// The server ended the connection.
    #[error("the server ended the connection during the handshake: {0}")]
    Cut(String),
    /// No connection was made at all.
    #[error("{0}")]
    NoConnection(Box<Fault>),
    /// Anything else, in the words of the TLS library.
    #[error("the handshake failed: {0}")]
    Other(String),
}

impl TlsFault {
    /// Whether the same handshake may succeed a little later.
    #[must_use]
    pub const fn passing(&self) -> bool {
        match self {
            Self::Silent(_) | Self::Cut(_) | Self::NoConnection(_) => true,
            Self::PlainHttp
            | Self::NotTls
            | Self::UnknownCa { .. }
            | Self::SelfSigned { .. }
            | Self::WrongName { .. }
            | Self::Expired { .. }
            | Self::NotYetValid { .. }
            | Self::Other(_) => false,
        }
    }

    pub(super) fn of(error: &rustls::Error, chain: &[CertificateDer<'_>]) -> Self {
        match error {
            rustls::Error::InvalidCertificate(error) => Self::of_certificate(error, chain),
            rustls::Error::InvalidMessage(InvalidMessage::InvalidContentType) => Self::NotTls,
            other => Self::Other(other.to_string()),
        }
    }

    fn of_certificate(error: &CertificateError, chain: &[CertificateDer<'_>]) -> Self {
        let seen = chain.first().and_then(read);
        let issuer = seen.as_ref().map(|seen| seen.issuer.clone());
        match error {
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
                Self::Expired { not_after: seen.map(|seen| seen.not_after) }
            }
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                Self::NotYetValid { not_before: seen.map(|seen| seen.not_before) }
            }
            CertificateError::NotValidForNameContext { expected, presented } => {
                let presented = presented.iter().map(|name| plain(name)).collect();
                Self::WrongName { expected: expected.to_str().into_owned(), presented }
            }
            _ if seen.as_ref().is_some_and(|seen| seen.issuer == seen.subject) => {
                Self::SelfSigned { subject: issuer }
            }
            // A CA of the same name with another key is an unknown CA to people, and a bad signature to the library.
            CertificateError::UnknownIssuer | CertificateError::BadSignature => Self::UnknownCa { issuer },
            other => Self::Other(other.to_string()),
        }
    }
}

/// Makes one handshake with `name` at the end of a way, and gives it `limit`.
pub async fn handshake(way: &Way, name: &str, trust: &Trust, limit: Duration) -> Result<Handshake, TlsFault> {
    let outcome = timeout(limit, shake(way, name, trust)).await;
    match outcome.unwrap_or(Err(TlsFault::Silent(limit))) {
        Err(TlsFault::NotTls) if speaks_http(way, name, limit).await => Err(TlsFault::PlainHttp),
        outcome => outcome,
    }
}

async fn shake(way: &Way, name: &str, trust: &Trust) -> Result<Handshake, TlsFault> {
    let other = |error: Untrusted| TlsFault::Other(error.to_string());
    let server = ServerName::try_from(name.to_owned()).map_err(|error| TlsFault::Other(error.to_string()))?;
    let witness = Arc::new(Witness { inner: trust.verifier().map_err(other)?, seen: Mutex::default() });
    let mut config = trust.config().map_err(other)?;
    config.dangerous().set_certificate_verifier(witness.clone());
    let stream = way.connect().await.map_err(|fault| TlsFault::NoConnection(Box::new(fault)))?;
    let connected = TlsConnector::from(Arc::new(config)).connect(server, stream).await;
    let chain = witness.chain();
    connected.map_err(|error| of_io(&error, &chain))?;
    let presented = chain.first().and_then(read);
    let presented = presented.ok_or_else(|| TlsFault::Other("the certificate can't be read".into()))?;
    Ok(Handshake { presented, chain: chain.len() })
}

fn of_io(error: &io::Error, chain: &[CertificateDer<'_>]) -> TlsFault {
    match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        Some(error) => TlsFault::of(error, chain),
        None => TlsFault::Cut(error.to_string()),
    }
}

/// Asks the port in plain HTTP, once it is known not to speak TLS.
async fn speaks_http(way: &Way, name: &str, limit: Duration) -> bool {
    let ask = async {
        let mut stream = way.connect().await.map_err(io::Error::other)?;
        stream
            .write_all(format!("HEAD / HTTP/1.1\r\nhost: {name}\r\nconnection: close\r\n\r\n").as_bytes())
            .await?;
        let mut start = [0; 5];
        stream.read_exact(&mut start).await?;
        Ok::<_, io::Error>(&start == b"HTTP/")
    };
    matches!(timeout(limit, ask).await, Ok(Ok(true)))
}

/// Verifies as usual and remembers what was shown, so that a refusal can say what it refused.
#[derive(Debug)]
struct Witness {
    inner: Arc<WebPkiServerVerifier>,
    seen: Mutex<Vec<CertificateDer<'static>>>,
}

impl Witness {
    fn chain(&self) -> Vec<CertificateDer<'static>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl ServerCertVerifier for Witness {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let shown = std::iter::once(end_entity).chain(intermediates);
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) =
            shown.map(|certificate| certificate.clone().into_owned()).collect();
        self.inner.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.inner.verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.inner.verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.inner.supported_verify_schemes()
    }
}

fn read(certificate: &CertificateDer<'_>) -> Option<Presented> {
    let (_, parsed) = X509Certificate::from_der(certificate).ok()?;
    let validity = parsed.validity();
    Some(Presented {
        subject: parsed.subject().to_string(),
        issuer: parsed.issuer().to_string(),
        not_before: Timestamp::from_second(validity.not_before.timestamp()).ok()?,
        not_after: Timestamp::from_second(validity.not_after.timestamp()).ok()?,
    })
}

/// The library names a DNS name as `DnsName("x")`; people know it as `x`.
fn plain(name: &str) -> String {
    let inner = name.split_once('(').and_then(|(_, rest)| rest.strip_suffix(')')).unwrap_or(name);
    inner.trim_matches('"').to_owned()
}

fn names(presented: &[String]) -> String {
    if presented.is_empty() {
        return "no name".into();
    }
    presented.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

fn detail(word: &str, value: Option<&str>) -> String {
    value.map(|value| format!(" ({word} `{value}`)")).unwrap_or_default()
}

fn at(word: &str, time: Option<Timestamp>) -> String {
    let Some(time) = time else { return String::new() };
    let gap = if word.starts_with(';') { "" } else { " " };
    format!("{gap}{word} {}", time.strftime("%Y-%m-%d %H:%M UTC"))
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret as _;

    use super::*;
    use crate::instance::testing::{Authority, Behaviour, Identity, TlsServer};
    use crate::secrets;

    const NAME: &str = "gitlab.acme.example";
    const LIMIT: Duration = Duration::from_secs(5);

    async fn shown(identity: Identity, ca: &Authority) -> Result<Handshake, TlsFault> {
        let server = TlsServer::start(identity, Behaviour::Hold).await;
        handshake(&server.address.into(), NAME, &Trust::new(Some(&ca.pem())).unwrap(), LIMIT).await
    }

    #[tokio::test]
    async fn a_good_certificate_is_read() {
        let ca = Authority::new("Acme CA");
        let seen = shown(ca.issue(&[NAME]), &ca).await.unwrap();
        assert_eq!(seen.presented.issuer, "CN=Acme CA");
        assert!(seen.presented.not_after > Timestamp::now());
    }

    #[tokio::test]
    async fn what_refarch_makes_for_a_deployment_is_accepted() {
        let authority = secrets::authority("acme", secrets::today()).unwrap();
        let made = secrets::certificate(&authority, NAME, secrets::today()).unwrap();
        let identity = Identity::from_pem(&made.certificate, made.key.expose_secret());
        let server = TlsServer::start(identity, Behaviour::Hold).await;
        let trust = Trust::new(Some(&authority.certificate)).unwrap();
        let seen = handshake(&server.address.into(), NAME, &trust, LIMIT).await.unwrap();
        assert_eq!(seen.presented.issuer, "CN=refarch authority of acme");
        assert_eq!(seen.chain, 1);
    }

    #[tokio::test]
    async fn each_certificate_fault_has_its_own_name() {
        let ca = Authority::new("Acme CA");
        let fault = shown(Authority::new("Other CA").issue(&[NAME]), &ca).await.unwrap_err();
        assert_eq!(fault, TlsFault::UnknownCa { issuer: Some("CN=Other CA".into()) });

        let fault = shown(Authority::new("Acme CA").issue(&[NAME]), &ca).await.unwrap_err();
        assert_eq!(fault, TlsFault::UnknownCa { issuer: Some("CN=Acme CA".into()) });

        let fault = shown(Identity::self_signed(NAME), &ca).await.unwrap_err();
        assert!(matches!(fault, TlsFault::SelfSigned { .. }), "{fault:?}");

        let fault = shown(ca.issue(&["other.example"]), &ca).await.unwrap_err();
        assert_eq!(fault.to_string(), format!("the certificate is for `other.example`, not for `{NAME}`"));

        let fault = shown(ca.issue_between(&[NAME], 2020, 2021), &ca).await.unwrap_err();
        assert_eq!(fault.to_string(), "the certificate expired on 2021-01-01 00:00 UTC");

        let fault = shown(ca.issue_between(&[NAME], 2090, 2091), &ca).await.unwrap_err();
        assert_eq!(fault.to_string(), "the certificate is not yet valid; it begins on 2090-01-01 00:00 UTC");
    }

    #[tokio::test]
    async fn a_port_without_tls_says_what_it_speaks() {
        let ca = Trust::new(Some(&Authority::new("Acme CA").pem())).unwrap();
        let http = wiremock::MockServer::start().await;
        assert_eq!(handshake(&(*http.address()).into(), NAME, &ca, LIMIT).await, Err(TlsFault::PlainHttp));

        let banner = TlsServer::plain("SSH-2.0-OpenSSH_10.0\r\n").await;
        assert_eq!(handshake(&banner.address.into(), NAME, &ca, LIMIT).await, Err(TlsFault::NotTls));
    }

    #[tokio::test]
    async fn silence_and_a_hang_up_are_told_apart() {
        let ca = Trust::new(Some(&Authority::new("Acme CA").pem())).unwrap();
        let limit = Duration::from_millis(80);
        let silent = TlsServer::silent().await;
        assert_eq!(handshake(&silent.address.into(), NAME, &ca, limit).await, Err(TlsFault::Silent(limit)));

        let cut = TlsServer::plain("").await;
        let fault = handshake(&cut.address.into(), NAME, &ca, LIMIT).await.unwrap_err();
        assert!(matches!(fault, TlsFault::Cut(_)), "{fault:?}");
    }
}
