//! What `refarch verify` looks at: a deployment by its spec, or any GitLab by its URL.

use std::net::IpAddr;
use std::str::FromStr;

use camino::Utf8PathBuf;
use url::Url;

/// What is verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    /// A deployment, by its spec.
    Spec(Utf8PathBuf),
    /// Any GitLab, by its URL.
    Url(Url),
}

/// Why a word is no URL of a GitLab.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoUrl {
    /// It can't be read as one.
    #[error("it is no URL: {0}")]
    Unreadable(url::ParseError),
    /// Another protocol.
    #[error("a GitLab is asked by `https` or `http`, not by `{0}`")]
    Scheme(String),
    /// A user or a password stands in it, where every user of the machine can read them.
    #[error(
        "it holds a user or a password: leave them out, and name a variable with a token by `--token-env`"
    )]
    Credentials,
    /// A page, not an instance.
    #[error("it has a query or a fragment: give the URL of the instance, not of a page")]
    Page,
}

impl FromStr for Subject {
    type Err = NoUrl;

    fn from_str(word: &str) -> Result<Self, Self::Err> {
        let Some((scheme, _)) = word.split_once("://") else { return Ok(Self::Spec(word.into())) };
        if !["https", "http"].iter().any(|known| known.eq_ignore_ascii_case(scheme)) {
            return Err(NoUrl::Scheme(scheme.to_owned()));
        }
        let url = Url::parse(word).map_err(NoUrl::Unreadable)?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(NoUrl::Credentials);
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(NoUrl::Page);
        }
        Ok(Self::Url(url))
    }
}

/// A host, and the address to ask instead of what DNS says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolve {
    /// The host's name.
    pub host: String,
    /// Its address.
    pub address: IpAddr,
}

/// Why a word is no `HOST:ADDRESS`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is no `HOST:ADDRESS`, such as `gitlab.example:192.0.2.7` or `gitlab.example:[2001:db8::7]`; the port is the URL's"
)]
pub struct NoResolve(String);

impl FromStr for Resolve {
    type Err = NoResolve;

    fn from_str(word: &str) -> Result<Self, Self::Err> {
        let read = || {
            let (host, address) = word.split_once(':').filter(|(host, _)| !host.is_empty())?;
            let bare = address.strip_prefix('[').and_then(|address| address.strip_suffix(']'));
            let address = match bare {
                Some(bare) => IpAddr::V6(bare.parse().ok()?),
                None => address.parse().ok()?,
            };
            Some(Self { host: host.to_owned(), address })
        };
        read().ok_or_else(|| NoResolve(word.to_owned()))
    }
}

impl Resolve {
    /// Whether it speaks of the URL's host.
    #[must_use]
    pub fn is_of(&self, url: &Url) -> bool {
        url.domain().is_some_and(|host| host.eq_ignore_ascii_case(&self.host))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(word: &str) -> Url {
        match word.parse::<Subject>() {
            Ok(Subject::Url(url)) => url,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_url_is_told_from_a_file() {
        assert_eq!("a/lab-1k.yml".parse(), Ok(Subject::Spec("a/lab-1k.yml".into())));
        assert_eq!("http.yml".parse(), Ok(Subject::Spec("http.yml".into())));
        assert_eq!(
            url("HTTPS://GitLab.acme.example:8443/git/").as_str(),
            "https://gitlab.acme.example:8443/git/"
        );
        assert_eq!(url("http://[2001:db8::7]").host_str(), Some("[2001:db8::7]"));
    }

    #[test]
    fn what_is_no_url_of_an_instance_says_why() {
        let why = |word: &str| word.parse::<Subject>().unwrap_err();
        assert_eq!(why("ssh://git@gitlab.acme.example"), NoUrl::Scheme("ssh".into()));
        assert_eq!(why("https://root:word@gitlab.acme.example"), NoUrl::Credentials);
        assert_eq!(why("https://token@gitlab.acme.example"), NoUrl::Credentials);
        assert_eq!(why("https://gitlab.acme.example/?private_token=x"), NoUrl::Page);
        assert!(matches!(why("https://"), NoUrl::Unreadable(_)));
        assert!(!why("https://root:word@gitlab.acme.example").to_string().contains("word@"));
    }

    #[test]
    fn a_fixed_address_may_be_of_either_family() {
        let read = |word: &str| word.parse::<Resolve>().map(|it| (it.host, it.address.to_string()));
        assert_eq!(read("a.example:192.0.2.7"), Ok(("a.example".into(), "192.0.2.7".into())));
        assert_eq!(read("a.example:[2001:db8::7]"), Ok(("a.example".into(), "2001:db8::7".into())));
        assert_eq!(read("a.example:2001:db8::7"), Ok(("a.example".into(), "2001:db8::7".into())));
        for word in
            ["a.example", ":192.0.2.7", "a.example:443:192.0.2.7", "a.example:b.example", "a:[192.0.2.7]"]
        {
            assert_eq!(read(word), Err(NoResolve(word.into())));
        }
        let of = |word: &str| word.parse::<Resolve>().unwrap().is_of(&url("https://gitlab.acme.example/x"));
        assert!(of("GitLab.acme.example:192.0.2.7") && !of("acme.example:192.0.2.7"));
    }
}
