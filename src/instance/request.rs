//! What is asked of an instance, as a value.

use serde_json::Value;
use url::Url;

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// Reads.
    Get,
    /// Makes something, each time anew.
    Post,
    /// Puts something in its place.
    Put,
    /// Removes.
    Delete,
}

impl Method {
    /// Its name on the wire.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Delete => "DELETE",
        }
    }

    /// Whether asking twice does the same as asking once.
    pub(super) const fn is_idempotent(self) -> bool {
        match self {
            Self::Get | Self::Put | Self::Delete => true,
            Self::Post => false,
        }
    }
}

/// Which proof of identity goes along.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Proof {
    /// None.
    Nobody,
    /// The token, as the REST API takes it.
    Token,
    /// The token, as Git over HTTP takes it.
    Git,
}

#[derive(Clone, Debug)]
pub(super) enum Place {
    /// A path below the instance's URL.
    Page(String),
    /// A whole URL, as the instance itself gave it.
    Given(Url),
}

/// One request. The secrets that it needs are the instance's, and come to it when it is sent.
#[derive(Clone)]
pub struct Request {
    pub(super) method: Method,
    pub(super) place: Place,
    pub(super) proof: Proof,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
    pub(super) largest: usize,
}

/// No page that is asked for comes near this; what is larger is not the page that was meant.
const LARGEST: usize = 4 * 1024 * 1024;

impl Request {
    /// A page of the instance, asked as nobody.
    pub fn page(method: Method, path: impl Into<String>) -> Self {
        Self {
            method,
            place: Place::Page(path.into()),
            proof: Proof::Nobody,
            headers: Vec::new(),
            body: Vec::new(),
            largest: LARGEST,
        }
    }

    /// A call of the REST API, version 4, with the token: `projects/7`.
    #[must_use]
    pub fn api(method: Method, path: &str) -> Self {
        Self::authorized(method, format!("/api/v4/{path}"))
    }

    /// A page of the instance, asked with the token.
    pub fn authorized(method: Method, path: impl Into<String>) -> Self {
        Self { proof: Proof::Token, ..Self::page(method, path) }
    }

    /// A page beside a repository, with the token as Git sends it.
    #[must_use]
    pub fn git(method: Method, url: Url) -> Self {
        Self { place: Place::Given(url), proof: Proof::Git, ..Self::page(method, "") }
    }

    /// A URL that the instance gave, with the headers that it gave and no token.
    #[must_use]
    pub fn given(method: Method, url: Url, headers: Vec<(String, String)>) -> Self {
        Self { place: Place::Given(url), headers, ..Self::page(method, "") }
    }

    /// With a header.
    #[must_use]
    pub fn header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    /// With a JSON body. A content type that was set before stays.
    #[must_use]
    pub fn json(self, body: &Value) -> Self {
        let body = body.to_string().into_bytes();
        if self.has_header("content-type") {
            return Self { body, ..self };
        }
        Self { body, ..self.header("content-type", "application/json") }
    }

    /// With these bytes as its body.
    #[must_use]
    pub fn bytes(self, body: &[u8]) -> Self {
        let body = body.to_vec();
        if self.has_header("content-type") {
            return Self { body, ..self };
        }
        Self { body, ..self.header("content-type", "application/octet-stream") }
    }

    /// With one file as a form's field. `boundary` must not occur in the file; anything random serves.
    #[must_use]
    pub fn file(self, field: &str, name: &str, content: &[u8], boundary: &str) -> Self {
        let head = format!(
            "--{boundary}\r\ncontent-disposition: form-data; name=\"{field}\"; filename=\"{name}\"\r\n\
             content-type: application/octet-stream\r\n\r\n"
        );
        let tail = format!("\r\n--{boundary}--\r\n");
        let body = [head.as_bytes(), content, tail.as_bytes()].concat();
        let kind = format!("multipart/form-data; boundary={boundary}");
        Self { body, ..self.header("content-type", kind) }
    }

    /// What it asks, for people: the method and where. A URL's query may be a key, and is left out.
    #[must_use]
    pub fn described(&self) -> String {
        match &self.place {
            Place::Page(path) => format!("{} {path}", self.method.name()),
            Place::Given(url) => {
                let host = url.host_str().unwrap_or_default();
                let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
                format!("{} {}://{host}{port}{}", self.method.name(), url.scheme(), url.path())
            }
        }
    }

    fn has_header(&self, wanted: &str) -> bool {
        self.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case(wanted))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_becomes_a_form() {
        let request =
            Request::api(Method::Post, "projects/7/uploads").file("file", "a.bin", b"\x00\xff", "b0");
        let body = String::from_utf8_lossy(&request.body).into_owned();
        assert!(
            body.starts_with("--b0\r\ncontent-disposition: form-data; name=\"file\"; filename=\"a.bin\"\r\n")
        );
        assert!(body.ends_with("\r\n--b0--\r\n"), "{body}");
        assert!(request.has_header("Content-Type"));
    }

    #[test]
    fn what_may_be_a_key_is_not_described() {
        let url = Url::parse("https://storage.example/bucket/file?X-Amz-Signature=s3cr3t").unwrap();
        let request = Request::given(Method::Get, url, vec![("authorization".into(), "s3cr3t".into())]);
        assert_eq!(request.described(), "GET https://storage.example/bucket/file");
    }
}
