//! nginx and TLS: the main site's keys stand under `nginx` before 19.2 and under `gitlab_rails['nginx']`
//! from then on, where the old ones still count.

use serde_json::Value;

use super::{Error, ExternalUrl};
use crate::paths;
use crate::settings::Settings;

/// The web server's settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Web {
    /// Server name.
    pub host: String,
    /// Port of the main site.
    pub port: u16,
    /// Whether the main site speaks TLS.
    pub tls: bool,
    /// Addresses to listen on.
    pub addresses: Vec<String>,
    /// The port that redirects to https, if one does.
    pub redirect_from: Option<u16>,
    /// Where the redirect leads.
    pub redirect_to: String,
    /// Certificate chain.
    pub certificate: String,
    /// Its key.
    pub key: String,
    /// The largest request body; `0` is any.
    pub body_size: String,
    /// Proxies in front whose word on the client's address counts.
    pub trusted_addresses: Vec<String>,
    /// The header in which they say it.
    pub real_ip_header: Option<String>,
    /// Whether to look through several of them.
    pub real_ip_recursive: bool,
    /// Whether, where and to whom the status page answers.
    pub status: Option<Status>,
    /// Let's Encrypt.
    pub lets_encrypt: LetsEncrypt,
}

/// nginx's own status page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// Its port.
    pub port: u16,
    /// Addresses to listen on.
    pub addresses: Vec<String>,
    /// Who may ask.
    pub allow: Vec<String>,
}

/// Whether the package would ask Let's Encrypt for the certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LetsEncrypt {
    /// Switched on in gitlab.rb.
    On,
    /// Switched off in gitlab.rb, or meaningless because the site speaks no TLS.
    Off,
    /// Not mentioned: the package switches it on for an https URL without a certificate.
    IfNoCertificate,
}

impl Web {
    /// The web server that the settings describe.
    pub fn from_settings(settings: &Settings, url: &ExternalUrl) -> Result<Self, Error> {
        let site = Site { settings };
        let port = site.port("listen_port")?.unwrap_or(url.port);
        let tls = site.flag("listen_https").unwrap_or(url.https);
        let redirect = site.flag("redirect_http_to_https").unwrap_or(false);
        let file = |key: &str, ending: &str| {
            site.text(key).unwrap_or_else(|| format!("{}/{}.{ending}", paths::SSL, url.host))
        };
        let off = || vec!["*".to_owned(), "[::]".to_owned()];
        Ok(Self {
            host: url.host.clone(),
            port,
            tls,
            addresses: site.list("listen_addresses").unwrap_or_else(off),
            redirect_from: if redirect && tls {
                Some(site.port("redirect_http_to_https_port")?.unwrap_or(80))
            } else {
                None
            },
            redirect_to: url.origin(),
            certificate: file("ssl_certificate", "crt"),
            key: file("ssl_certificate_key", "key"),
            body_size: site.text("client_max_body_size").unwrap_or_else(|| "0".to_owned()),
            trusted_addresses: site.list("real_ip_trusted_addresses").unwrap_or_default(),
            real_ip_header: site.text("real_ip_header"),
            real_ip_recursive: site.flag("real_ip_recursive").unwrap_or(false),
            status: Status::from_settings(settings),
            lets_encrypt: match (tls, settings.flag(&["letsencrypt", "enable"])) {
                (_, Some(true)) => LetsEncrypt::On,
                (true, None) if url.https => LetsEncrypt::IfNoCertificate,
                _ => LetsEncrypt::Off,
            },
        })
    }
}

impl Status {
    fn from_settings(settings: &Settings) -> Option<Self> {
        if settings.flag(&["nginx", "status", "enable"]) == Some(false) {
            return None;
        }
        let port = settings.number(&["nginx", "status", "port"]).and_then(|port| u16::try_from(port).ok());
        Some(Self {
            port: port.unwrap_or(8060),
            addresses: settings
                .list(&["nginx", "status", "listen_addresses"])
                .unwrap_or_else(|| vec!["*".to_owned()]),
            allow: settings
                .list(&["nginx", "status", "options", "allow"])
                .unwrap_or_else(|| vec!["127.0.0.1".to_owned()]),
        })
    }
}

/// Reads a key of the main site from where this version keeps it.
struct Site<'a> {
    settings: &'a Settings,
}

impl Site<'_> {
    fn at(&self, key: &str) -> Option<&Value> {
        let new = self.settings.version().at_least(19, 2);
        let moved = if new { self.settings.at(&["gitlab_rails", "nginx", key]) } else { None };
        moved.or_else(|| self.settings.at(&["nginx", key]))
    }

    fn path<'k>(&self, key: &'k str) -> Vec<&'k str> {
        let new = self.settings.version().at_least(19, 2);
        if new && self.settings.at(&["gitlab_rails", "nginx", key]).is_some() {
            vec!["gitlab_rails", "nginx", key]
        } else {
            vec!["nginx", key]
        }
    }

    fn text(&self, key: &str) -> Option<String> {
        self.settings.text(&self.path(key))
    }

    fn flag(&self, key: &str) -> Option<bool> {
        self.settings.flag(&self.path(key))
    }

    fn list(&self, key: &str) -> Option<Vec<String>> {
        self.settings.list(&self.path(key))
    }

    fn port(&self, key: &str) -> Result<Option<u16>, Error> {
        let Some(value) = self.at(key) else { return Ok(None) };
        let port = self.settings.number(&self.path(key)).and_then(|port| u16::try_from(port).ok());
        port.map(Some).ok_or_else(|| Error::Setting {
            setting: self.path(key).join("."),
            reason: format!("`{value}` is no port"),
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::manifest::Version;

    fn web(value: Value, version: Version) -> Web {
        let Value::Object(map) = value else { panic!("not a hash") };
        let settings = Settings::new(map, version);
        let url = ExternalUrl { host: "gitlab.example.com".into(), port: 443, https: true };
        Web::from_settings(&settings, &url).expect("settings")
    }

    #[test]
    fn the_old_keys_count_in_both_versions() {
        let set = json!({"nginx": {"listen_port": 80, "listen_https": false}});
        for version in [Version::new(18, 11, 2), Version::new(19, 3, 0)] {
            let web = web(set.clone(), version);
            assert_eq!((web.port, web.tls), (80, false));
        }
    }

    #[test]
    fn the_new_keys_count_from_19_2() {
        let set = json!({"gitlab_rails": {"nginx": {"redirect_http_to_https": true}}});
        assert_eq!(web(set.clone(), Version::new(18, 11, 2)).redirect_from, None);
        assert_eq!(web(set, Version::new(19, 3, 0)).redirect_from, Some(80));
    }

    #[test]
    fn lets_encrypt_is_on_by_itself_only_without_a_word() {
        let version = Version::new(19, 3, 0);
        assert_eq!(web(json!({}), version).lets_encrypt, LetsEncrypt::IfNoCertificate);
        let off = web(json!({"letsencrypt": {"enable": false}}), version);
        assert_eq!(off.lets_encrypt, LetsEncrypt::Off);
    }
}
