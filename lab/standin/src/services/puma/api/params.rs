//! A request's parameters, which may come in the query, as a form or as JSON, and are one set to an endpoint.

use axum::body::to_bytes;
use axum::extract::{FromRequest, Request};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use serde_json::{Map, Value};
use url::form_urlencoded;

use super::Failure;

/// The longest body of parameters.
const LONGEST: usize = 1024 * 1024;

/// The parameters.
#[derive(Debug, Default)]
pub struct Params(Map<String, Value>);

impl<S: Sync> FromRequest<S> for Params {
    type Rejection = Failure;

    async fn from_request(request: Request, _: &S) -> Result<Self, Failure> {
        let mut found = Map::new();
        let pairs = |found: &mut Map<String, Value>, text: &[u8]| {
            found.extend(
                form_urlencoded::parse(text)
                    .map(|(name, value)| (name.into_owned(), Value::from(value.into_owned()))),
            );
        };
        pairs(&mut found, request.uri().query().unwrap_or_default().as_bytes());
        let kind = request.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
        let kind = kind.unwrap_or_default().split(';').next().unwrap_or_default().trim().to_owned();
        let body = to_bytes(request.into_body(), LONGEST)
            .await
            .map_err(|_| Failure::error(StatusCode::PAYLOAD_TOO_LARGE, "413 Request Entity Too Large"))?;
        match kind.as_str() {
            _ if body.is_empty() => {}
            "application/json" => {
                let parsed = serde_json::from_slice::<Map<String, Value>>(&body)
                    .map_err(|_| Failure::bad_parameter("the body is not a JSON object"))?;
                found.extend(parsed);
            }
            "application/x-www-form-urlencoded" => pairs(&mut found, &body),
            other => {
                let message = format!("The provided content-type '{other}' is not supported.");
                return Err(Failure::error(StatusCode::UNSUPPORTED_MEDIA_TYPE, message));
            }
        }
        Ok(Self(found))
    }
}

impl Params {
    /// A text; numbers count as one.
    pub fn text(&self, name: &str) -> Option<String> {
        match self.0.get(name)? {
            Value::String(text) => Some(text.clone()),
            Value::Number(number) => Some(number.to_string()),
            Value::Bool(flag) => Some(flag.to_string()),
            _ => None,
        }
    }

    /// A text that must be there.
    pub fn required(&self, name: &str) -> Result<String, Failure> {
        let value = self.text(name).ok_or_else(|| Failure::bad_parameter(format!("{name} is missing")))?;
        if value.is_empty() { Err(Failure::bad_parameter(format!("{name} is empty"))) } else { Ok(value) }
    }

    /// Refuses a request that lacks any of these, naming all it lacks.
    pub fn need(&self, names: &[&str]) -> Result<(), Failure> {
        let missing: Vec<String> = names
            .iter()
            .filter(|name| self.text(name).is_none())
            .map(|name| format!("{name} is missing"))
            .collect();
        if missing.is_empty() { Ok(()) } else { Err(Failure::bad_parameter(missing.join(", "))) }
    }

    /// A whole number.
    pub fn number(&self, name: &str) -> Result<Option<i64>, Failure> {
        let Some(text) = self.text(name).filter(|text| !text.is_empty()) else { return Ok(None) };
        text.parse().map(Some).map_err(|_| Failure::bad_parameter(format!("{name} is invalid")))
    }

    /// Yes or no.
    pub fn flag(&self, name: &str) -> Result<Option<bool>, Failure> {
        match self.text(name).as_deref() {
            None | Some("") => Ok(None),
            Some("true" | "1" | "t" | "on") => Ok(Some(true)),
            Some("false" | "0" | "f" | "off") => Ok(Some(false)),
            Some(_) => Err(Failure::bad_parameter(format!("{name} is invalid"))),
        }
    }

    /// One of a set of words.
    pub fn one_of(&self, name: &str, allowed: &[&str]) -> Result<Option<String>, Failure> {
        match self.text(name) {
            Some(value) if !allowed.contains(&value.as_str()) => {
                Err(Failure::bad_parameter(format!("{name} does not have a valid value")))
            }
            value => Ok(value),
        }
    }

    /// Refuses what the real endpoint would act on and this one can't, instead of passing over it.
    pub fn not_stood_in(&self, names: &[&str]) -> Result<(), Failure> {
        match names.iter().find(|name| self.text(name).is_some_and(|value| value != "false")) {
            Some(name) => {
                let message = format!("{name} is not answered here: this is a {}", crate::paths::NOTICE);
                Err(Failure::error(StatusCode::NOT_IMPLEMENTED, message))
            }
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::body::Body;

    use super::*;

    async fn read(uri: &str, kind: &str, body: &'static str) -> Result<Params, Failure> {
        let request = Request::builder().uri(uri).header(CONTENT_TYPE, kind).body(Body::from(body));
        Params::from_request(request.expect("a request"), &()).await
    }

    #[tokio::test]
    async fn query_form_and_json_are_one_set() {
        let form = read("/?a=1", "application/x-www-form-urlencoded", "b=x+y&c=true").await.expect("read");
        assert_eq!((form.number("a"), form.text("b").as_deref()), (Ok(Some(1)), Some("x y")));
        assert_eq!(form.flag("c"), Ok(Some(true)));
        let json =
            read("/", "application/json; charset=utf-8", r#"{"a": 7, "b": false}"#).await.expect("read");
        assert_eq!((json.number("a"), json.flag("b")), (Ok(Some(7)), Ok(Some(false))));
        assert!(read("/", "application/json", "[]").await.is_err());
        assert!(read("/", "text/plain", "x").await.is_err());
    }

    #[tokio::test]
    async fn what_lacks_is_named() {
        let params = read("/?name=&n=x", "", "").await.expect("read");
        assert_eq!(params.required("path"), Err(Failure::bad_parameter("path is missing")));
        assert_eq!(params.required("name"), Err(Failure::bad_parameter("name is empty")));
        assert_eq!(params.number("n"), Err(Failure::bad_parameter("n is invalid")));
        let both = params.need(&["a", "name", "b"]);
        assert_eq!(both, Err(Failure::bad_parameter("a is missing, b is missing")));
        assert!(params.one_of("n", &["y"]).is_err());
    }
}
