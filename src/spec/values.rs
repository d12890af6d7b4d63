//! The values of a spec that are more than a string: each can only be made from text that is right.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use super::refusal::Refusal;
use super::rule;

/// A newtype that is written as a string: in JSON, on screen and in the schema.
macro_rules! written_as_string {
    ($type:ident, $schema:tt) => {
        impl serde::Serialize for $type {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl schemars::JsonSchema for $type {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($type).into()
            }

            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!($schema)
            }
        }
    };
}
pub(super) use written_as_string;

/// A deployment's name: fit for host names, cloud tags and folders.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DeploymentName(String);

written_as_string!(DeploymentName, {
    "type": "string",
    "description": "2 to 30 lower-case letters, digits and single dashes, beginning with a letter and not ending with a dash.",
    "pattern": "^[a-z](-?[a-z0-9])+$",
    "minLength": 2,
    "maxLength": 30,
});

impl DeploymentName {
    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for DeploymentName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for DeploymentName {
    type Err = Refusal;

    fn from_str(text: &str) -> Result<Self, Refusal> {
        let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        let wrong = if !(2..=30).contains(&text.chars().count()) {
            format!("a name has 2 to 30 characters, this one has {}", text.chars().count())
        } else if let Some(c) = text.chars().find(|c| !allowed(*c)) {
            format!("a name can't contain {}", shown(c))
        } else if !text.starts_with(|c: char| c.is_ascii_lowercase()) {
            "a name begins with a letter".to_owned()
        } else if text.ends_with('-') || text.contains("--") {
            "a name can't end with a dash or have two dashes in a row".to_owned()
        } else {
            return Ok(Self(text.to_owned()));
        };
        let help =
            "use 2 to 30 lower-case letters, digits and single dashes; begin with a letter, as in `acme`";
        Err(Refusal::new(&rule::NAME, wrong, help))
    }
}

/// A GitLab version. Any x.y.z can be one; which can be deployed is for [`GitlabVersion::is_supported`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GitlabVersion {
    /// x of x.y.z.
    pub major: u16,
    /// y of x.y.z.
    pub minor: u16,
    /// z of x.y.z.
    pub patch: u16,
}

written_as_string!(GitlabVersion, {
    "type": "string",
    "description": "A GitLab version as a quoted x.y.z, from 18.5 to 19.x.",
    "pattern": "^(18\\.([5-9]|1[01])|19\\.(0|[1-9][0-9]?))\\.(0|[1-9][0-9]*)$",
    "examples": ["18.11.2", "19.3.0"],
});

impl GitlabVersion {
    /// The oldest minor version that this refarch knows how to configure.
    pub const OLDEST: (u16, u16) = (18, 5);
    /// The last minor version of GitLab 18: the package of 19.0 upgrades from nothing older.
    pub const LAST_OF_18: (u16, u16) = (18, 11);
    /// The newest minor version whose gitlab.rb keys this refarch has read. Later ones of 19 are taken to know
    /// them still.
    pub const KNOWN_TO: (u16, u16) = (19, 3);

    /// A version from its numbers.
    #[must_use]
    pub const fn new(major: u16, minor: u16, patch: u16) -> Self {
        Self { major, minor, patch }
    }

    /// Whether this refarch knows how to configure it.
    #[must_use]
    pub fn is_supported(self) -> bool {
        let minor = self.minor();
        (Self::OLDEST..=Self::LAST_OF_18).contains(&minor) || self.major == Self::KNOWN_TO.0
    }

    /// x.y of x.y.z.
    #[must_use]
    pub const fn minor(self) -> (u16, u16) {
        (self.major, self.minor)
    }

    /// The version of the gitlab-ee package that carries it.
    #[must_use]
    pub fn package_version(self) -> String {
        format!("{self}-ee.0")
    }
}

impl fmt::Display for GitlabVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

impl FromStr for GitlabVersion {
    type Err = Refusal;

    fn from_str(text: &str) -> Result<Self, Refusal> {
        let number = |part: &str| {
            let plain = !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
            let canonical = part == "0" || !part.starts_with('0');
            (plain && canonical).then(|| part.parse::<u16>().ok()).flatten()
        };
        let parts: Option<Vec<u16>> = text.split('.').map(number).collect();
        match parts.as_deref() {
            Some(&[major, minor, patch]) => Ok(Self::new(major, minor, patch)),
            _ => Err(Refusal::new(
                &rule::VERSION,
                "a GitLab version is three numbers, x.y.z",
                "write the full version in quotes, as in `version: \"18.11.2\"`",
            )),
        }
    }
}

/// The address under which people reach GitLab: https, a DNS name in lower case and perhaps a port.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ExternalUrl {
    text: String,
    host: String,
    port: Option<u16>,
}

written_as_string!(ExternalUrl, {
    "type": "string",
    "description": "https, a host name with a dot in lower case, and a port if it isn't 443.",
    "pattern": "^https://[a-z0-9-]+(\\.[a-z0-9-]+)+(:[0-9]+)?/?$",
    "examples": ["https://gitlab.example.com"],
});

impl ExternalUrl {
    /// The host name alone.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port that is asked, 443 where the spec names none.
    #[must_use]
    pub fn port_or_default(&self) -> u16 {
        self.port.unwrap_or(443)
    }

    /// The whole address, without a slash at its end.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl fmt::Display for ExternalUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl FromStr for ExternalUrl {
    type Err = Refusal;

    fn from_str(text: &str) -> Result<Self, Refusal> {
        let example = "write https and a host name, as in `url: https://gitlab.example.com`";
        let Some((scheme, rest)) = text.split_once("://") else {
            return Err(Refusal::new(&rule::URL, "this is not a URL", example));
        };
        match scheme {
            "https" => {}
            "http" => {
                let help = "write `https://`; the certificate comes from `tls`";
                return Err(Refusal::new(&rule::URL_SCHEME, "GitLab is only served over https", help));
            }
            _ => return Err(Refusal::new(&rule::URL_SCHEME, "GitLab is only served over https", example)),
        }
        let end = rest.find(['/', '?', '#', '\\']).unwrap_or(rest.len());
        let (authority, after) = rest.split_at(end);
        if authority.contains('@') {
            return Err(Refusal::new(
                &rule::URL_CREDENTIALS,
                "the URL carries a user name or a password",
                "remove everything up to the `@`, and change the password: it was written to a file",
            ));
        }
        if !matches!(after, "" | "/") {
            return Err(Refusal::new(
                &rule::URL_PATH,
                "the URL goes on behind the host name",
                "remove what follows the host name; GitLab has a host name of its own",
            ));
        }
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if !authority.ends_with(']') => (host, Some(parse_port(port)?)),
            _ => (authority, None),
        };
        check_host(host)?;
        let port = port.filter(|port| *port != 443);
        let text = port.map_or_else(|| format!("https://{host}"), |port| format!("https://{host}:{port}"));
        Ok(Self { text, host: host.to_owned(), port })
    }
}

fn parse_port(text: &str) -> Result<u16, Refusal> {
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let port = if digits { text.parse::<u16>().ok() } else { None };
    port.filter(|port| *port != 0).ok_or_else(|| {
        Refusal::new(
            &rule::URL_PORT,
            "the port is not a number from 1 to 65535",
            "correct the port, or remove it with its colon to use 443",
        )
    })
}

fn check_host(host: &str) -> Result<(), Refusal> {
    let refuse = |message: &str, help: &str| Err(Refusal::new(&rule::URL_HOST, message, help));
    let example = "give GitLab a DNS name with a dot in lower case, as in `https://gitlab.example.com`";
    if host.is_empty() {
        return refuse("the URL has no host name", example);
    }
    // A last label of digits only is read as an IPv4 address by browsers and by curl, whatever precedes it.
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let last_is_number =
        host.rsplit('.').next().is_some_and(|label| label.bytes().all(|b| b.is_ascii_digit()));
    if bare.parse::<IpAddr>().is_ok() || last_is_number {
        return refuse(
            "the host is an IP address",
            "give GitLab a DNS name: its certificate and its clone URLs carry the name, and the address may change",
        );
    }
    if host.bytes().any(|b| b.is_ascii_uppercase()) {
        return refuse("the host name has upper-case letters", "write the host name in lower case");
    }
    if !host.is_ascii() {
        return refuse(
            "the host name has characters beyond ASCII",
            "write the name in its ASCII form, which begins with `xn--`",
        );
    }
    if !host.contains('.') {
        return refuse("the host name has no dot", example);
    }
    let label_ok = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    if host.len() > 253 || !host.split('.').all(label_ok) {
        return refuse("the host is not a DNS name", example);
    }
    Ok(())
}

/// Where a package or a repository is downloaded from.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PackageUrl(url::Url);

written_as_string!(PackageUrl, {
    "type": "string",
    "description": "An http or https URL without a user name or password.",
    "pattern": "^https?://[^@/]+(/.*)?$",
});

impl PackageUrl {
    /// The whole address.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// The last part of the address's path, if it has one.
    #[must_use]
    pub fn file_name(&self) -> Option<&str> {
        self.0.path_segments()?.next_back().filter(|name| !name.is_empty())
    }

    /// Whether it is fetched without encryption.
    #[must_use]
    pub fn is_plain_http(&self) -> bool {
        self.0.scheme() == "http"
    }
}

impl fmt::Display for PackageUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_str())
    }
}

impl FromStr for PackageUrl {
    type Err = Refusal;

    fn from_str(text: &str) -> Result<Self, Refusal> {
        let help = "write an http or https URL with a host name";
        let url = url::Url::parse(text)
            .map_err(|error| Refusal::new(&rule::PACKAGE_URL, format!("this is not a URL: {error}"), help))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(Refusal::new(
                &rule::PACKAGE_URL,
                "packages are fetched over https or http only",
                help,
            ));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(Refusal::new(
                &rule::URL_CREDENTIALS,
                "the URL carries a user name or a password",
                "remove everything up to the `@`, and change the password: it was written to a file",
            ));
        }
        Ok(Self(url))
    }
}

/// A SHA-256 as 64 hexadecimal digits in lower case.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Sha256(String);

written_as_string!(Sha256, {
    "type": "string",
    "description": "64 hexadecimal digits, as `sha256sum FILE` prints them.",
    "pattern": "^[0-9a-fA-F]{64}$",
});

impl Sha256 {
    /// The digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Sha256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Sha256 {
    type Err = Refusal;

    fn from_str(text: &str) -> Result<Self, Refusal> {
        if text.len() == 64 && text.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Ok(Self(text.to_ascii_lowercase()));
        }
        Err(Refusal::new(
            &rule::PACKAGE_SHA256,
            "a SHA-256 is 64 hexadecimal digits",
            "copy the digits that `sha256sum FILE` prints",
        ))
    }
}

/// A network: an address and the length of its prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cidr {
    network: IpAddr,
    prefix: u8,
}

written_as_string!(Cidr, {
    "type": "string",
    "description": "A network, as 10.0.0.0/8 or fd00::/8.",
    "pattern": "^[0-9a-fA-F:.]+/[0-9]{1,3}$",
    "examples": ["10.20.0.0/24"],
});

impl Cidr {
    /// Whether the address lies in this network.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        masked(address, self.prefix) == self.network && address.is_ipv4() == self.network.is_ipv4()
    }

    /// Whether it is the whole internet.
    #[must_use]
    pub const fn is_everyone(&self) -> bool {
        self.prefix == 0
    }
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.network, self.prefix)
    }
}

impl FromStr for Cidr {
    type Err = Refusal;

    fn from_str(text: &str) -> Result<Self, Refusal> {
        let refuse = |message: &str, help: String| Err(Refusal::new(&rule::CIDR, message, help));
        let example = || "write an address, a slash and the prefix length, as in `10.20.0.0/24`".to_owned();
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address.parse::<IpAddr>().ok(), Some(prefix)),
            None => (text.parse::<IpAddr>().ok(), None),
        };
        let Some(address) = address else { return refuse("this is not a network", example()) };
        let bits: u8 = if address.is_ipv4() { 32 } else { 128 };
        let Some(prefix) = prefix else {
            return refuse(
                "the prefix length is missing",
                format!("write `{address}/{bits}` for one address"),
            );
        };
        let digits = !prefix.is_empty() && prefix.bytes().all(|b| b.is_ascii_digit());
        let parsed = if digits { prefix.parse::<u8>().ok() } else { None };
        let Some(prefix) = parsed.filter(|prefix| *prefix <= bits) else {
            return refuse("the prefix length is out of range", format!("write a length from 0 to {bits}"));
        };
        let network = masked(address, prefix);
        if network != address {
            return refuse(
                "the address has bits set behind its prefix",
                format!(
                    "write `{network}/{prefix}` for the network, or `{address}/{bits}` for the one address"
                ),
            );
        }
        Ok(Self { network, prefix })
    }
}

fn masked(address: IpAddr, prefix: u8) -> IpAddr {
    match address {
        IpAddr::V4(v4) => {
            let mask = u32::MAX.checked_shl(32 - u32::from(prefix.min(32))).unwrap_or(0);
            IpAddr::V4((u32::from(v4) & mask).into())
        }
        IpAddr::V6(v6) => {
            let mask = u128::MAX.checked_shl(128 - u32::from(prefix.min(128))).unwrap_or(0);
            IpAddr::V6((u128::from(v6) & mask).into())
        }
    }
}

/// A character as a message shows it: the ones that can't be seen by their name or number.
fn shown(c: char) -> String {
    match c {
        ' ' => "a space".to_owned(),
        '\n' => "a line break".to_owned(),
        c if c.is_ascii_uppercase() => format!("the upper-case letter `{c}`"),
        c if c.is_control() || c.is_whitespace() => format!("the character U+{:04X}", u32::from(c)),
        c => format!("`{c}`"),
    }
}
