//! The external URL.

use url::Url;

use super::Error;
use crate::settings::Settings;

/// Where users find the instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExternalUrl {
    /// Host name or address.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// Whether it is reached over TLS.
    pub https: bool,
}

impl ExternalUrl {
    /// Reads `external_url` as the package does.
    pub fn from_settings(settings: &Settings) -> Result<Self, Error> {
        let Some(value) = settings.at(&["external_url"]) else { return Err(Error::NoUrl) };
        let Some(text) = value.as_str() else { return Err(Error::Url(value.to_string())) };
        Self::parse(text)
    }

    /// The address where gitlab.rb has one; a node of a database needs none.
    pub fn if_set(settings: &Settings) -> Result<Self, Error> {
        if settings.at(&["external_url"]).is_some() {
            return Self::from_settings(settings);
        }
        Ok(Self { host: "localhost".to_owned(), port: 80, https: false })
    }

    fn parse(text: &str) -> Result<Self, Error> {
        let url = Url::parse(text).map_err(|_| Error::Url(text.to_owned()))?;
        let host = url.host_str().filter(|host| !host.is_empty());
        let host = host.ok_or_else(|| Error::Url(text.to_owned()))?.to_owned();
        let https = match url.scheme() {
            "http" => false,
            "https" => true,
            other => return Err(Error::Scheme(other.to_owned())),
        };
        if !matches!(url.path(), "" | "/") {
            return Err(Error::NotStoodIn(format!("external_url `{text}` has a path (a relative URL)")));
        }
        Ok(Self { host, port: url.port_or_known_default().unwrap_or(if https { 443 } else { 80 }), https })
    }

    /// The origin, without a port that goes without saying.
    #[must_use]
    pub fn origin(&self) -> String {
        let (scheme, usual) = if self.https { ("https", 443) } else { ("http", 80) };
        if self.port == usual {
            format!("{scheme}://{}", self.host)
        } else {
            format!("{scheme}://{}:{}", self.host, self.port)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_scheme_host_and_port() {
        let url = ExternalUrl::parse("https://gitlab.example.com").expect("a URL");
        assert_eq!((url.host.as_str(), url.port, url.https), ("gitlab.example.com", 443, true));
        assert_eq!(ExternalUrl::parse("http://a.b:8443").expect("a URL").origin(), "http://a.b:8443");
    }

    #[test]
    fn refuses_what_is_no_address() {
        assert_eq!(ExternalUrl::parse("gitlab.example.com"), Err(Error::Url("gitlab.example.com".into())));
        assert_eq!(ExternalUrl::parse("ftp://a.b"), Err(Error::Scheme("ftp".into())));
        assert!(matches!(ExternalUrl::parse("https://a.b/gitlab"), Err(Error::NotStoodIn(_))));
    }
}
