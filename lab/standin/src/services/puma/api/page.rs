//! Offset-based pagination (docs: api/rest, "Pagination").

use axum::Json;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Uri};
use axum::response::{IntoResponse as _, Response};
use serde_json::Value;
use url::form_urlencoded;

use super::params::Params;
use super::{Api, Failure};

/// How many items a page has when nobody says.
const USUAL: i64 = 20;
/// The most that a page has.
const MOST: i64 = 100;

/// Which page is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Page {
    number: i64,
    size: i64,
}

impl Page {
    /// As the parameters say.
    pub fn of(params: &Params) -> Result<Self, Failure> {
        let positive = |name: &str, usual: i64| match params.number(name)? {
            Some(number) if number < 1 => {
                Err(Failure::bad_parameter(format!("{name} does not have a valid value")))
            }
            number => Ok(number.unwrap_or(usual)),
        };
        Ok(Self { number: positive("page", 1)?, size: positive("per_page", USUAL)?.min(MOST) })
    }

    /// For SQL: how many, and after how many.
    pub const fn limits(self) -> (i64, i64) {
        (self.size, (self.number - 1).saturating_mul(self.size))
    }

    /// The page as an answer, with the headers that lead to the others.
    pub fn answer(self, api: &Api, uri: &Uri, items: Vec<Value>, total: i64) -> Response {
        let mut response = Json(items).into_response();
        response.headers_mut().extend(self.headers(&api.config.application.origin, uri, total));
        response
    }

    fn headers(self, origin: &str, uri: &Uri, total: i64) -> HeaderMap {
        let last = ((total + self.size - 1) / self.size).max(1);
        let next = (self.number < last).then(|| self.number + 1);
        let before = (self.number > 1).then(|| self.number - 1);
        let shown = |number: Option<i64>| number.map_or_else(String::new, |number| number.to_string());
        let link = [("prev", before), ("next", next), ("first", Some(1)), ("last", Some(last))]
            .into_iter()
            .filter_map(|(name, number)| {
                Some(format!("<{}>; rel=\"{name}\"", self.url(origin, uri, number?)))
            })
            .collect::<Vec<_>>()
            .join(", ");
        [
            ("x-total", total.to_string()),
            ("x-total-pages", last.to_string()),
            ("x-per-page", self.size.to_string()),
            ("x-page", self.number.to_string()),
            ("x-next-page", shown(next)),
            ("x-prev-page", shown(before)),
            ("link", link),
        ]
        .into_iter()
        .filter_map(|(name, value)| {
            Some((HeaderName::from_static(name), HeaderValue::from_str(&value).ok()?))
        })
        .collect()
    }

    fn url(self, origin: &str, uri: &Uri, number: i64) -> String {
        let query = uri.query().unwrap_or_default().as_bytes();
        // A link must not repeat a token that came as a parameter.
        let kept = form_urlencoded::parse(query).filter(|(name, _)| {
            !["page", "per_page", "private_token", "access_token"].contains(&name.as_ref())
        });
        let query = form_urlencoded::Serializer::new(String::new())
            .extend_pairs(kept)
            .append_pair("page", &number.to_string())
            .append_pair("per_page", &self.size.to_string())
            .finish();
        format!("{origin}{}?{query}", uri.path())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_lead_to_each_other() {
        let uri: Uri = "/api/v4/groups?search=a&private_token=t&page=2&per_page=2".parse().expect("a URI");
        let headers = Page { number: 2, size: 2 }.headers("https://a.b", &uri, 5);
        assert_eq!(headers["x-total"], "5");
        assert_eq!(headers["x-total-pages"], "3");
        assert_eq!(headers["x-next-page"], "3");
        assert_eq!(headers["x-prev-page"], "1");
        let link = headers["link"].to_str().expect("text");
        assert!(link.contains("<https://a.b/api/v4/groups?search=a&page=3&per_page=2>; rel=\"next\""));
        assert!(!link.contains("private_token"));
    }

    #[test]
    fn the_last_page_leads_no_further() {
        let headers = Page { number: 1, size: 20 }.headers("", &Uri::from_static("/x"), 0);
        assert_eq!(headers["x-next-page"], "");
        assert_eq!(headers["x-total-pages"], "1");
        assert_eq!(Page { number: 3, size: 20 }.limits(), (20, 40));
    }
}
