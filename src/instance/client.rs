//! Asks one instance over HTTP.

use std::net::SocketAddr;
use std::time::Duration;

use reqwest::header::{CONTENT_TYPE, HeaderMap, LOCATION};
use reqwest::redirect::Policy;
use url::Url;

use super::STANDIN_HEADER;
use super::fault::Fault;
use super::trust::{Trust, Untrusted};

/// No page that is asked for comes near this; what is larger is not the page that was meant.
const LARGEST: usize = 4 * 1024 * 1024;

/// One GitLab, asked at a fixed address under its own name.
#[derive(Clone, Debug)]
pub struct Instance {
    http: reqwest::Client,
    url: Url,
}

/// What the instance answered.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The media type of the body, without its parameters, in lower case.
    pub content_type: Option<String>,
    /// Where the answer sends the client; nothing follows it.
    pub location: Option<String>,
    /// What the lab's stand-in says of itself, where it is one.
    pub standin: Option<String>,
    /// The body, lossily as text.
    pub body: String,
}

impl Instance {
    /// An instance at `url`, reached at `addresses` whatever DNS says.
    pub fn new(url: Url, addresses: &[SocketAddr], trust: &Trust) -> Result<Self, Untrusted> {
        let mut builder = reqwest::Client::builder()
            .tls_backend_preconfigured(trust.config()?)
            .user_agent(concat!("refarch/", env!("CARGO_PKG_VERSION")))
            .redirect(Policy::none())
            .no_proxy();
        if let Some(host) = url.domain() {
            builder = builder.resolve_to_addrs(host, addresses);
        }
        let http = builder.build().map_err(|error| Untrusted::Setup(error.to_string()))?;
        Ok(Self { http, url })
    }

    /// The URL of a page of this instance.
    #[must_use]
    pub fn page(&self, path: &str) -> String {
        format!("{}/{}", self.url.as_str().trim_end_matches('/'), path.trim_start_matches('/'))
    }

    /// Asks for one page and gives it `limit` to come.
    pub async fn get(&self, path: &str, limit: Duration) -> Result<Answer, Fault> {
        let failed = |error: reqwest::Error| Fault::of_request(&error, limit);
        let mut response = self.http.get(self.page(path)).timeout(limit).send().await.map_err(failed)?;
        let headers = response.headers().clone();
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(failed)? {
            if body.len() + chunk.len() > LARGEST {
                return Err(Fault::TooLarge(LARGEST));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Answer {
            status: response.status().as_u16(),
            content_type: text(&headers, CONTENT_TYPE.as_str()).map(|value| media_type(&value)),
            location: text(&headers, LOCATION.as_str()),
            standin: text(&headers, STANDIN_HEADER),
            body: String::from_utf8_lossy(&body).into_owned(),
        })
    }
}

fn text(headers: &HeaderMap, name: &str) -> Option<String> {
    headers.get(name).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
}

fn media_type(value: &str) -> String {
    value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use wiremock::matchers::{header, path};
    use wiremock::{Mock, MockServer, ResponseTemplate};

    use super::*;
    use crate::instance::TlsFault;
    use crate::instance::testing::{Authority, Behaviour, TlsServer};

    const LIMIT: Duration = Duration::from_secs(5);

    fn instance(server: &MockServer, host: &str) -> Instance {
        let url = Url::parse(&format!("http://{host}:{}", server.address().port())).unwrap();
        let trust = Trust::new(Some(&Authority::new("Acme CA").pem())).unwrap();
        Instance::new(url, &[*server.address()], &trust).unwrap()
    }

    #[tokio::test]
    async fn the_fixed_address_is_asked_under_the_instances_name() {
        let server = MockServer::start().await;
        let name = format!("gitlab.acme.example:{}", server.address().port());
        Mock::given(path("/users/sign_in"))
            .and(header("host", name.as_str()))
            .respond_with(ResponseTemplate::new(200).set_body_raw("page", "Text/HTML; charset=utf-8"))
            .mount(&server)
            .await;
        let answer = instance(&server, "gitlab.acme.example").get("/users/sign_in", LIMIT).await.unwrap();
        assert_eq!((answer.status, answer.body.as_str()), (200, "page"));
        assert_eq!(answer.content_type.as_deref(), Some("text/html"));
    }

    #[tokio::test]
    async fn a_redirect_is_told_and_not_followed() {
        let server = MockServer::start().await;
        Mock::given(path("/"))
            .respond_with(ResponseTemplate::new(302).insert_header("location", "/elsewhere"))
            .mount(&server)
            .await;
        let answer = instance(&server, "gitlab.acme.example").get("/", LIMIT).await.unwrap();
        assert_eq!((answer.status, answer.location.as_deref()), (302, Some("/elsewhere")));
        assert_eq!(server.received_requests().await.unwrap().len(), 1);
    }

    #[tokio::test]
    async fn a_slow_answer_is_silence() {
        let server = MockServer::start().await;
        Mock::given(path("/"))
            .respond_with(ResponseTemplate::new(200).set_delay(Duration::from_secs(30)))
            .mount(&server)
            .await;
        let limit = Duration::from_millis(50);
        let fault = instance(&server, "gitlab.acme.example").get("/", limit).await.unwrap_err();
        assert_eq!(fault, Fault::Silent(limit));
        assert!(fault.passing());
    }

    #[tokio::test]
    async fn a_huge_answer_is_refused() {
        let server = MockServer::start().await;
        let body = vec![b'x'; LARGEST + 1];
        Mock::given(path("/"))
            .respond_with(ResponseTemplate::new(200).set_body_bytes(body))
            .mount(&server)
            .await;
        let fault = instance(&server, "gitlab.acme.example").get("/", LIMIT).await.unwrap_err();
        assert_eq!(fault, Fault::TooLarge(LARGEST));
    }

    #[tokio::test]
    async fn nothing_listening_is_refused() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        drop(listener);
        let url = Url::parse(&format!("http://gitlab.acme.example:{}", address.port())).unwrap();
        let trust = Trust::new(Some(&Authority::new("Acme CA").pem())).unwrap();
        let instance = Instance::new(url, &[address], &trust).unwrap();
        assert_eq!(instance.get("/", LIMIT).await.unwrap_err(), Fault::Refused);
    }

    async fn over_tls(
        behaviour: Behaviour,
        trusted: &Authority,
        signed_by: &Authority,
    ) -> Result<Answer, Fault> {
        let identity = signed_by.issue(&["gitlab.acme.example"]);
        let server = TlsServer::start(identity, behaviour).await;
        let url = Url::parse(&format!("https://gitlab.acme.example:{}", server.address.port())).unwrap();
        let trust = Trust::new(Some(&trusted.pem())).unwrap();
        Instance::new(url, &[server.address], &trust).unwrap().get("/", LIMIT).await
    }

    #[tokio::test]
    async fn the_own_ca_is_trusted_and_no_other() {
        let (own, other) = (Authority::new("Acme CA"), Authority::new("Other CA"));
        let page = Behaviour::Answer(Arc::from("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi"));
        assert_eq!(over_tls(page.clone(), &own, &own).await.unwrap().body, "hi");
        let fault = over_tls(page, &own, &other).await.unwrap_err();
        assert!(matches!(fault, Fault::Tls(TlsFault::UnknownCa { .. })), "{fault:?}");
        assert!(!fault.passing());
    }

    #[tokio::test]
    async fn a_cut_answer_is_cut() {
        let own = Authority::new("Acme CA");
        let page = Behaviour::Answer(Arc::from("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhi"));
        let fault = over_tls(page, &own, &own).await.unwrap_err();
        assert!(matches!(fault, Fault::Cut(_)), "{fault:?}");
    }
}
