//! What the fake answers, and how the answer goes wrong on the way.

use std::convert::Infallible;
use std::io;
use std::time::Duration;

use futures_util::{StreamExt as _, stream};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::Response;
use hyper::body::{Bytes, Frame};
use serde_json::{Value, json};

/// A body that may break off.
pub type Body = BoxBody<Bytes, io::Error>;

/// One answer before it is sent.
#[derive(Clone, Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    /// Sends half of the body and hangs up.
    pub cut: bool,
}

impl Answer {
    pub fn bytes(status: u16, media: &str, body: impl Into<Vec<u8>>) -> Self {
        let headers = vec![("content-type".to_owned(), media.to_owned())];
        Self { status, headers, body: body.into(), cut: false }
    }

    pub fn json(status: u16, value: &Value) -> Self {
        Self::bytes(status, "application/json", value.to_string())
    }

    /// A message in the shape that GitLab's REST API gives most of its own.
    pub fn message(status: u16, message: impl Into<Value>) -> Self {
        Self::json(status, &json!({ "message": message.into() }))
    }

    pub fn html(status: u16, title: &str) -> Self {
        let page = format!(
            "<!DOCTYPE html>\n<html><head><title>{title}</title></head><body>{title}</body></html>\n"
        );
        Self::bytes(status, "text/html; charset=utf-8", page)
    }

    pub fn empty(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: Vec::new(), cut: false }
    }

    pub fn not_found(what: &str) -> Self {
        Self::message(404, format!("404 {what} Not Found"))
    }

    /// A parameter that the call can't do without.
    pub fn missing(name: &str) -> Self {
        Self::json(400, &json!({ "error": format!("{name} is missing") }))
    }

    pub fn header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    pub fn into_response(self) -> Response<Body> {
        let mut response = Response::builder().status(self.status);
        for (name, value) in self.headers {
            response = response.header(name, value);
        }
        if self.cut {
            let half = Bytes::from(self.body[..self.body.len() / 2].to_vec());
            response = response.header("content-length", self.body.len() + 1);
            let first = stream::iter([Ok(Frame::data(half))]);
            // What was said first must be on its way before the connection goes.
            let end = stream::once(async {
                tokio::time::sleep(Duration::from_millis(20)).await;
                Err(io::Error::other("cut on purpose"))
            });
            return response.body(BoxBody::new(StreamBody::new(first.chain(end)))).unwrap();
        }
        let whole = Full::new(Bytes::from(self.body)).map_err(|never: Infallible| match never {});
        response.body(whole.boxed()).unwrap()
    }
}
