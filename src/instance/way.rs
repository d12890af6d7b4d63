//! The way to an instance: straight to an address, or through a proxy that the environment names.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use url::Url;

use super::fault::Fault;

/// No proxy says more before the tunnel is open.
const LARGEST: usize = 16 * 1024;

/// The way to an instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Way {
    /// Straight to an address.
    Straight(SocketAddr),
    /// Through a proxy, which resolves the name.
    Through(Proxied),
}

/// An instance behind a proxy.
#[derive(Clone, PartialEq, Eq)]
pub struct Proxied {
    proxy: Url,
    host: String,
    port: u16,
    tunnel: bool,
}

/// A proxy that can't be used. What is said of it holds no password.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the variable `{variable}` holds no `http://` URL of a proxy")]
pub struct Unusable {
    variable: &'static str,
}

impl Proxied {
    /// The proxy that the environment names for a URL; none where `NO_PROXY` names the host. Lower-case names go
    /// first, as curl and Git read them.
    pub fn from_environment<'a>(
        url: &Url,
        variable: impl Fn(&str) -> Option<&'a str>,
    ) -> Result<Option<Self>, Unusable> {
        let names: [&'static str; 2] = if url.scheme() == "https" {
            ["https_proxy", "HTTPS_PROXY"]
        } else {
            ["http_proxy", "HTTP_PROXY"]
        };
        let Some((name, value)) = names.into_iter().find_map(|name| Some((name, variable(name)?))) else {
            return Ok(None);
        };
        let (Some(host), Some(port)) = (url.host_str(), url.port_or_known_default()) else { return Ok(None) };
        let host = host.trim_matches(['[', ']']).to_owned();
        let exempt = ["no_proxy", "NO_PROXY"].into_iter().find_map(&variable).unwrap_or_default();
        if is_exempt(&host, exempt) {
            return Ok(None);
        }
        let value = if value.contains("://") { value.to_owned() } else { format!("http://{value}") };
        let proxy = Url::parse(&value).ok().filter(|proxy| proxy.scheme() == "http" && proxy.has_host());
        let proxy = proxy.ok_or(Unusable { variable: name })?;
        Ok(Some(Self { proxy, host, port, tunnel: url.scheme() == "https" }))
    }

    /// The proxy's URL, which may hold a password.
    #[must_use]
    pub const fn proxy(&self) -> &Url {
        &self.proxy
    }

    async fn connect(&self) -> Result<TcpStream, Fault> {
        let host = self.proxy.host_str().unwrap_or_default().trim_matches(['[', ']']);
        let at = (host, self.proxy.port_or_known_default().unwrap_or(80));
        let no = |why: &dyn fmt::Display| Fault::Proxy(format!("{}: {why}", self.named()));
        let mut stream = TcpStream::connect(at).await.map_err(|error| no(&error))?;
        if !self.tunnel {
            return Ok(stream);
        }
        stream.write_all(self.request().as_bytes()).await.map_err(|error| no(&error))?;
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            // Byte by byte: what follows belongs to the instance.
            let byte = stream.read_u8().await.map_err(|error| no(&error))?;
            head.push(byte);
            if head.len() > LARGEST {
                return Err(no(&"an endless answer"));
            }
        }
        let head = String::from_utf8_lossy(&head).into_owned();
        let status = head.split(' ').nth(1).unwrap_or_default().to_owned();
        match status.as_str() {
            "200" => Ok(stream),
            "407" => Err(no(&"407, it wants a user and a password")),
            status => Err(no(&format!("{status}, it opens no way to `{}`, port {}", self.host, self.port))),
        }
    }

    fn request(&self) -> String {
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        let to = format!("{host}:{}", self.port);
        let mut request = format!("CONNECT {to} HTTP/1.1\r\nHost: {to}\r\n");
        if !self.proxy.username().is_empty() {
            let decoded = |text: &str| {
                let pairs = format!("x={}", text.replace('+', "%2B"));
                url::form_urlencoded::parse(pairs.as_bytes()).next().map(|(_, value)| value.into_owned())
            };
            let user = decoded(self.proxy.username()).unwrap_or_default();
            let password = self.proxy.password().and_then(decoded).unwrap_or_default();
            let pair = BASE64_STANDARD.encode(format!("{user}:{password}"));
            request = format!("{request}Proxy-Authorization: Basic {pair}\r\n");
        }
        format!("{request}\r\n")
    }

    fn named(&self) -> String {
        let host = self.proxy.host_str().unwrap_or_default();
        format!("the proxy `{host}:{}`", self.proxy.port_or_known_default().unwrap_or(80))
    }
}

impl fmt::Debug for Proxied {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Proxied({self})")
    }
}

impl fmt::Display for Proxied {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{} through {}", self.host, self.port, self.named())
    }
}

impl Way {
    /// Opens a connection, through which the instance itself answers.
    pub(super) async fn connect(&self) -> Result<TcpStream, Fault> {
        match self {
            Self::Straight(address) => {
                let stream = TcpStream::connect(address).await;
                stream.map_err(|error| Fault::of_io(&error, std::time::Duration::ZERO))
            }
            Self::Through(proxied) => proxied.connect().await,
        }
    }

    /// Opens a connection within `limit`, and closes it.
    pub async fn try_out(&self, limit: std::time::Duration) -> Result<(), Fault> {
        match tokio::time::timeout(limit, self.connect()).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(Fault::Silent(_))) | Err(_) => Err(Fault::Silent(limit)),
            Ok(Err(fault)) => Err(fault),
        }
    }

    /// The port at its end.
    #[must_use]
    pub const fn port(&self) -> u16 {
        match self {
            Self::Straight(address) => address.port(),
            Self::Through(proxied) => proxied.port,
        }
    }
}

impl From<SocketAddr> for Way {
    fn from(address: SocketAddr) -> Self {
        Self::Straight(address)
    }
}

impl fmt::Display for Way {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Straight(address) => address.fmt(formatter),
            Self::Through(proxied) => proxied.fmt(formatter),
        }
    }
}

/// Whether a list as in `NO_PROXY` names the host: `*`, a name and all below it, an address, or a range of them.
fn is_exempt(host: &str, list: &str) -> bool {
    let address: Option<IpAddr> = host.parse().ok();
    let entries = list.split([',', ' ']).map(str::trim).filter(|entry| !entry.is_empty());
    entries.map(|entry| entry.trim_matches(['[', ']'])).any(|entry| match (entry, address) {
        ("*", _) => true,
        (entry, Some(address)) => match entry.split_once('/') {
            Some((base, bits)) => in_range(address, base, bits),
            None => entry.parse() == Ok(address),
        },
        (entry, None) => {
            let name = entry.trim_start_matches("*.").trim_start_matches('.').to_ascii_lowercase();
            host == name || host.strip_suffix(&name).is_some_and(|rest| rest.ends_with('.'))
        }
    })
}

fn in_range(address: IpAddr, base: &str, bits: &str) -> bool {
    let (Ok(base), Ok(bits)) = (base.parse::<IpAddr>(), bits.parse::<u32>()) else { return false };
    match (address, base) {
        (IpAddr::V4(address), IpAddr::V4(base)) if bits <= 32 => {
            let mask = u32::MAX.checked_shl(32 - bits).unwrap_or(0);
            address.to_bits() & mask == base.to_bits() & mask
        }
        (IpAddr::V6(address), IpAddr::V6(base)) if bits <= 128 => {
            let mask = u128::MAX.checked_shl(128 - bits).unwrap_or(0);
            address.to_bits() & mask == base.to_bits() & mask
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::instance::testing::TlsServer;

    fn found(url: &str, variables: &[(&'static str, &'static str)]) -> Result<Option<Proxied>, Unusable> {
        let variable =
            |wanted: &str| variables.iter().find(|(name, _)| *name == wanted).map(|(_, value)| *value);
        Proxied::from_environment(&Url::parse(url).unwrap(), variable)
    }

    #[test]
    fn the_environment_names_a_proxy() {
        let https = "https://gitlab.acme.example/gitlab";
        assert_eq!(found(https, &[("HTTP_PROXY", "http://p:1")]).unwrap(), None);
        let proxied = found(https, &[("HTTPS_PROXY", "http://kim:s3cr3t@p.example:3128")]).unwrap().unwrap();
        assert_eq!(proxied.to_string(), "gitlab.acme.example:443 through the proxy `p.example:3128`");
        assert!(!format!("{proxied:?}").contains("s3cr3t"));
        assert!(proxied.request().contains("Proxy-Authorization: Basic a2ltOnMzY3IzdA==\r\n"));
        let plain = found("http://gitlab.acme.example", &[("http_proxy", "p:1")]).unwrap().unwrap();
        assert_eq!(plain.proxy().as_str(), "http://p:1/");
        let unusable = found(https, &[("https_proxy", "socks5://kim:s3cr3t@p")]).unwrap_err().to_string();
        assert!(unusable.contains("`https_proxy`") && !unusable.contains("s3cr3t"), "{unusable}");
    }

    #[test]
    fn no_proxy_exempts() {
        for (host, list) in [
            ("gitlab.acme.example", "*"),
            ("gitlab.acme.example", "localhost, acme.example"),
            ("gitlab.acme.example", ".acme.example"),
            ("gitlab.acme.example", "*.ACME.example"),
            ("198.18.4.2", "198.18.0.0/15"),
            ("fd00::2", "fd00::/8"),
            ("::1", "[::1]"),
        ] {
            assert!(is_exempt(host, list), "{host} {list}");
        }
        for (host, list) in [
            ("gitlab.acme.example", "me.example"),
            ("gitlab.acme.example", ""),
            ("198.18.4.2", "198.20.0.0/16,198.18.4.20"),
            ("198.18.4.2", "fd00::/8, 1.2.3.4/99"),
        ] {
            assert!(!is_exempt(host, list), "{host} {list}");
        }
    }

    #[tokio::test]
    async fn a_proxy_that_refuses_is_named() {
        for (answer, words) in [
            ("HTTP/1.1 407 Who?\r\n\r\n", "wants a user and a password"),
            ("HTTP/1.1 403 No\r\n\r\n", "403, it opens no way to `gitlab.acme.example`, port 443"),
            ("", "the proxy `127.0.0.1:"),
        ] {
            let proxy = TlsServer::plain(answer).await;
            let proxied = Proxied {
                proxy: Url::parse(&format!("http://{}", proxy.address)).unwrap(),
                host: "gitlab.acme.example".into(),
                port: 443,
                tunnel: true,
            };
            let fault = Way::Through(proxied).try_out(std::time::Duration::from_secs(5)).await.unwrap_err();
            assert!(fault.to_string().contains(words), "{fault} lacks {words}");
        }
    }
}
