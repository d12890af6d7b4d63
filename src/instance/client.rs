//! Asks one instance over HTTP.

use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use jiff::Timestamp;
use reqwest::header::{
    AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, LOCATION, RETRY_AFTER,
};
use reqwest::redirect::Policy;
use secrecy::{ExposeSecret as _, SecretString};
use tokio::sync::Semaphore;
use url::Url;

use super::STANDIN_HEADER;
use super::fault::Fault;
use super::request::{Method, Place, Proof, Request};
use super::trust::{Trust, Untrusted};
use super::waiting::{Limits, pauses, retry_after};

/// How many requests are under way at once; an instance with people on it has other things to do.
const AT_ONCE: usize = 8;
/// How often a download may send the client on: GitLab does so once, to its object storage.
const HOPS: usize = 5;

/// One GitLab, asked at a fixed address under its own name. Clones share the limit of requests under way.
#[derive(Clone, Debug)]
pub struct Instance {
    http: reqwest::Client,
    abroad: Arc<OnceLock<Result<reqwest::Client, String>>>,
    url: Url,
    trust: Trust,
    proxy: Option<Url>,
    token: Option<SecretString>,
    places: Arc<Semaphore>,
}

/// What the instance answered.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The media type of the body, without its parameters, in lower case.
    pub content_type: Option<String>,
    /// Where the answer sends the client; nothing follows it but a download.
    pub location: Option<String>,
    /// What the lab's stand-in says of itself, where it is one.
    pub standin: Option<String>,
    /// How long the instance asks to be left alone.
    pub retry_after: Option<Duration>,
    /// The body.
    pub body: Vec<u8>,
}

impl Answer {
    /// The body, lossily as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON, if it is JSON.
    #[must_use]
    pub fn json(&self) -> Option<serde_json::Value> {
        serde_json::from_slice(&self.body).ok()
    }
}

impl Instance {
    /// An instance at `url`, reached at `addresses` whatever DNS says.
    pub fn new(url: Url, addresses: &[SocketAddr], trust: &Trust) -> Result<Self, Untrusted> {
        Self::build(url, addresses, None, trust)
    }

    /// An instance at `url`, reached through a proxy, which also resolves its name.
    pub fn through(proxy: Url, url: Url, trust: &Trust) -> Result<Self, Untrusted> {
        Self::build(url, &[], Some(proxy), trust)
    }

    fn build(
        url: Url,
        addresses: &[SocketAddr],
        proxy: Option<Url>,
        trust: &Trust,
    ) -> Result<Self, Untrusted> {
        let mut builder = builder(trust, proxy.as_ref())?;
        if let Some(host) = url.domain().filter(|_| !addresses.is_empty()) {
            builder = builder.resolve_to_addrs(host, addresses);
        }
        let http = builder.build().map_err(|error| Untrusted::Setup(error.to_string()))?;
        let (abroad, places) = (Arc::default(), Arc::new(Semaphore::new(AT_ONCE)));
        Ok(Self { http, abroad, url, trust: trust.clone(), proxy, token: None, places })
    }

    /// The same instance, asked with a token where a request takes one.
    #[must_use]
    pub fn with_token(self, token: SecretString) -> Self {
        Self { token: Some(token), ..self }
    }

    /// Where people find it.
    #[must_use]
    pub const fn url(&self) -> &Url {
        &self.url
    }

    /// The proxy that it is asked through.
    #[must_use]
    pub const fn proxy(&self) -> Option<&Url> {
        self.proxy.as_ref()
    }

    /// The URL of a page of this instance.
    #[must_use]
    pub fn page(&self, path: &str) -> String {
        format!("{}/{}", self.url.as_str().trim_end_matches('/'), path.trim_start_matches('/'))
    }

    /// Whether a URL lies on this instance: same scheme, host and port, below its path.
    #[must_use]
    pub fn holds(&self, url: &Url) -> bool {
        let root = self.url.path().trim_end_matches('/');
        let below =
            url.path().strip_prefix(root).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        self.url.origin() == url.origin() && below
    }

    /// Asks for one page, once, and gives it `limit` to come.
    pub async fn get(&self, path: &str, limit: Duration) -> Result<Answer, Fault> {
        self.once(&Request::page(Method::Get, path), limit).await
    }

    /// Asks until there is an answer that stands, or the time is over. What the instance put off is asked again
    /// when it says; what failed on the way is asked again only where asking twice does no more than asking once.
    pub async fn call(&self, request: &Request, limits: Limits) -> Result<Answer, Fault> {
        let mut pauses = pauses();
        let mut before = None;
        loop {
            let limit = limits.now();
            let outcome = self.once(request, limit).await;
            if matches!(outcome, Err(Fault::Silent(_)))
                && limit < limits.attempt
                && let Some(before) = before
            {
                // An attempt that had to be short says nothing of the instance. What was answered before does.
                return before;
            }
            let pause = pauses.next().unwrap_or_default();
            let Some(pause) = again(request.method, &outcome, pause) else { return outcome };
            if !limits.wait(pause).await {
                return outcome;
            }
            before = Some(outcome);
        }
    }

    /// Fetches, and follows where the answer sends: object storage is often another host, which gets no token.
    pub async fn download(&self, request: Request, limits: Limits) -> Result<Answer, Fault> {
        let mut request = request;
        let mut at = self.locate(&request)?;
        for _ in 0..=HOPS {
            let answer = self.call(&request, limits).await?;
            let Some(location) = answer.location.as_deref().filter(|_| is_redirect(answer.status)) else {
                return Ok(answer);
            };
            let next = at.join(location).map_err(|_| Fault::Redirect(format!("to `{}`", shown(location))))?;
            let largest = request.largest;
            request = if next.origin() == at.origin() {
                Request { place: Place::Given(next.clone()), ..request }
            } else {
                Request { largest, ..Request::given(Method::Get, next.clone(), Vec::new()) }
            };
            at = next;
        }
        Err(Fault::Redirect(format!("after redirect, {HOPS} times, the last to `{}`", shown(at.as_str()))))
    }

    /// Asks once.
    async fn once(&self, request: &Request, limit: Duration) -> Result<Answer, Fault> {
        let url = self.locate(request)?;
        let failed = |error: reqwest::Error| Fault::of_request(&error, limit);
        let method = match request.method {
            Method::Get => reqwest::Method::GET,
            Method::Post => reqwest::Method::POST,
            Method::Put => reqwest::Method::PUT,
            Method::Delete => reqwest::Method::DELETE,
        };
        let client = if self.url.origin() == url.origin() { &self.http } else { self.abroad()? };
        let mut builder = client.request(method, url).headers(self.headers(request)?).timeout(limit);
        if !request.body.is_empty() {
            builder = builder.body(request.body.clone());
        }
        // The queue is ours and not the instance's, so that waiting in it is no part of the attempt.
        let _place = self.places.acquire().await.map_err(|error| Fault::Other(error.to_string()))?;
        let mut response = builder.send().await.map_err(failed)?;
        let headers = response.headers().clone();
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(failed)? {
            if body.len() + chunk.len() > request.largest {
                return Err(Fault::TooLarge(request.largest));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Answer {
            status: response.status().as_u16(),
            content_type: text(&headers, CONTENT_TYPE.as_str()).map(|value| media_type(&value)),
            location: text(&headers, LOCATION.as_str()),
            standin: text(&headers, STANDIN_HEADER),
            retry_after: text(&headers, RETRY_AFTER.as_str())
                .and_then(|value| retry_after(&value, Timestamp::now())),
            body,
        })
    }

    fn locate(&self, request: &Request) -> Result<Url, Fault> {
        match &request.place {
            Place::Given(url) => Ok(url.clone()),
            Place::Page(path) => {
                self.page(path).parse().map_err(|error| Fault::Other(format!("{error}: `{path}`")))
            }
        }
    }

    fn headers(&self, request: &Request) -> Result<HeaderMap, Fault> {
        let mut headers = HeaderMap::new();
        for (name, value) in &request.headers {
            let name = HeaderName::try_from(name).map_err(|_| unusable())?;
            headers.insert(name, sensitive(value)?);
        }
        let token = self.token.as_ref().map(secrecy::ExposeSecret::expose_secret);
        match (request.proof, token) {
            (Proof::Token, Some(token)) => {
                headers.insert(HeaderName::from_static("private-token"), sensitive(token)?);
            }
            (Proof::Git, Some(_)) => {
                headers.insert(AUTHORIZATION, sensitive(self.git_authorization().expose_secret())?);
            }
            (Proof::Nobody, _) | (_, None) => {}
        }
        Ok(headers)
    }

    /// The value of `Authorization` by which Git over HTTP takes the token; empty where there is none.
    #[must_use]
    pub fn git_authorization(&self) -> SecretString {
        let Some(token) = &self.token else { return SecretString::default() };
        format!("Basic {}", BASE64_STANDARD.encode(format!("oauth2:{}", token.expose_secret()))).into()
    }

    /// The client for other hosts: a storage has a certificate of its own, often of a public authority.
    fn abroad(&self) -> Result<&reqwest::Client, Fault> {
        let build = || {
            let trust = self.trust.and_the_machines();
            let builder = builder(&trust, self.proxy.as_ref()).map_err(|error| error.to_string())?;
            builder.build().map_err(|error| error.to_string())
        };
        self.abroad.get_or_init(build).as_ref().map_err(|error| Fault::Other(error.clone()))
    }
}

fn builder(trust: &Trust, proxy: Option<&Url>) -> Result<reqwest::ClientBuilder, Untrusted> {
    let builder = reqwest::Client::builder()
        .tls_backend_preconfigured(trust.config()?)
        .user_agent(concat!("refarch/", env!("CARGO_PKG_VERSION")))
        .redirect(Policy::none())
        .no_proxy();
    let Some(proxy) = proxy else { return Ok(builder) };
    let proxy = reqwest::Proxy::all(proxy.clone()).map_err(|error| Untrusted::Setup(error.to_string()))?;
    Ok(builder.proxy(proxy))
}

/// How long to wait before the same request is worth another attempt; nothing where its outcome stands.
fn again(method: Method, outcome: &Result<Answer, Fault>, pause: Duration) -> Option<Duration> {
    let again = match outcome {
        // Nothing was done yet: the instance refused to begin.
        Ok(Answer { status: 429, retry_after, .. }) => return Some(retry_after.unwrap_or(pause)),
        Ok(Answer { status: 503, retry_after: Some(wait), .. }) => return Some(*wait),
        Ok(Answer { status: 502..=504, .. }) => method.is_idempotent(),
        Ok(_) => false,
        // No connection means that nothing was asked.
        Err(Fault::Refused) => true,
        Err(fault) => fault.passing() && method.is_idempotent(),
    };
    again.then_some(pause)
}

pub(super) const fn is_redirect(status: u16) -> bool {
    matches!(status, 301 | 302 | 303 | 307 | 308)
}

/// A URL without its query, which may be a key.
fn shown(location: &str) -> &str {
    location.split(['?', '#']).next().unwrap_or_default()
}

fn sensitive(value: &str) -> Result<HeaderValue, Fault> {
    let mut value = HeaderValue::from_str(value).map_err(|_| unusable())?;
    value.set_sensitive(true);
    Ok(value)
}

/// What can't be a header is not repeated: it may be a secret.
fn unusable() -> Fault {
    Fault::Other(
        "the token or a header that the instance gave holds characters that HTTP does not take".into(),
    )
}

fn text(headers: &HeaderMap, name: &str) -> Option<String> {
    headers.get(name).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
}

fn media_type(value: &str) -> String {
    value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

#[cfg(test)]
#[path = "client_tests.rs"]
mod tests;
