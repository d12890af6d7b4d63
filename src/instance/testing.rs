//! What tests need of a network: an authority, certificates good and bad, and servers on loopback.

use std::net::SocketAddr;
use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, KeyUsagePurpose,
    date_time_ymd,
};
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

/// A CA made for one test.
pub(crate) struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A server's certificate and its key.
pub(crate) struct Identity {
    certificate: CertificateDer<'static>,
    key: PrivateKeyDer<'static>,
}

impl Authority {
    pub(crate) fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    pub(crate) fn pem(&self) -> String {
        self.0.pem()
    }

    /// A certificate that is valid for decades.
    pub(crate) fn issue(&self, names: &[&str]) -> Identity {
        self.issue_between(names, 2000, 2090)
    }

    /// A certificate that is valid from one year's first day to another's.
    pub(crate) fn issue_between(&self, names: &[&str], from: i32, to: i32) -> Identity {
        self.issue_with(names, |params| {
            params.not_before = date_time_ymd(from, 1, 1);
            params.not_after = date_time_ymd(to, 1, 1);
        })
    }

    /// A certificate that ends in some days from now.
    pub(crate) fn issue_ending_in(&self, names: &[&str], days: i64) -> Identity {
        let end = jiff::Timestamp::now() + jiff::SignedDuration::from_hours(24 * days + 1);
        let end = end.to_zoned(jiff::tz::TimeZone::UTC).date();
        self.issue_with(names, |params| {
            params.not_before = date_time_ymd(2000, 1, 1);
            let (month, day) = (end.month().unsigned_abs(), end.day().unsigned_abs());
            params.not_after = date_time_ymd(i32::from(end.year()), month, day);
        })
    }

    fn issue_with(&self, names: &[&str], adjust: impl FnOnce(&mut CertificateParams)) -> Identity {
        let names: Vec<String> = names.iter().map(ToString::to_string).collect();
        let mut params = CertificateParams::new(names).unwrap();
        adjust(&mut params);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        Identity::of(certificate.der(), &key)
    }
}

impl Identity {
    pub(crate) fn self_signed(name: &str) -> Self {
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new(vec![name.to_owned()]).unwrap().self_signed(&key).unwrap();
        Self::of(certificate.der(), &key)
    }

    /// What refarch itself made for a deployment.
    pub(crate) fn from_pem(certificate: &str, key: &str) -> Self {
        Self {
            certificate: CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap(),
            key: PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap(),
        }
    }

    fn of(certificate: &CertificateDer<'static>, key: &KeyPair) -> Self {
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        Self { certificate: certificate.clone(), key }
    }
}

/// What a server does once the handshake is over.
#[derive(Clone)]
pub(crate) enum Behaviour {
    /// Keeps the connection open and says nothing.
    Hold,
    /// Reads a request and writes these bytes, then ends the connection.
    Answer(Arc<str>),
}

/// A server on loopback that ends with the test.
pub(crate) struct TlsServer {
    pub(crate) address: SocketAddr,
    task: JoinHandle<()>,
}

impl Drop for TlsServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl TlsServer {
    /// Ends it; afterwards nothing listens there any more, which dropping it alone only begins.
    pub(crate) async fn stop(mut self) {
        self.task.abort();
        let _ = (&mut self.task).await;
    }

    pub(crate) async fn start(identity: Identity, behaviour: Behaviour) -> Self {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![identity.certificate], identity.key)
            .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        Self::serve(move |stream| {
            let (acceptor, behaviour) = (acceptor.clone(), behaviour.clone());
            async move {
                let Ok(mut stream) = acceptor.accept(stream).await else { return };
                match behaviour {
                    Behaviour::Hold => std::future::pending().await,
                    Behaviour::Answer(text) => {
                        let mut request = [0; 4096];
                        let _ = stream.read(&mut request).await;
                        let _ = stream.write_all(text.as_bytes()).await;
                        let _ = stream.shutdown().await;
                    }
                }
            }
        })
        .await
    }

    /// Reads something, writes `text` and ends the connection, without TLS.
    pub(crate) async fn plain(text: &'static str) -> Self {
        Self::serve(move |mut stream| async move {
            let mut request = [0; 4096];
            let _ = stream.read(&mut request).await;
            let _ = stream.write_all(text.as_bytes()).await;
        })
        .await
    }

    /// Takes connections and never says a word.
    pub(crate) async fn silent() -> Self {
        Self::serve(|stream| async move {
            let _open = stream;
            std::future::pending::<()>().await;
        })
        .await
    }

    async fn serve<F, Fut>(handle: F) -> Self
    where
        F: Fn(TcpStream) -> Fut + Send + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let task = tokio::spawn(async move {
            let mut open = tokio::task::JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                open.spawn(handle(stream));
            }
        });
        Self { address, task }
    }
}

/// An address on loopback where nothing listens.
pub(crate) async fn closed_port() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap()
}
