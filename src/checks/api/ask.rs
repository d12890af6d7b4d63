//! The instance's API as one check asks it: within that check's time, and with every refusal in words.

use serde_json::Value;

use super::words::{refused, unanswered};
use crate::checks::page;
use crate::checks::question::Miss;
use crate::instance::{Answer, Instance, Limits, Method, Request};

/// The API for the time of one check.
#[derive(Clone, Copy)]
pub(in crate::checks) struct Api<'a> {
    pub(in crate::checks) instance: &'a Instance,
    pub(in crate::checks) limits: Limits,
}

impl Api<'_> {
    /// Sends a request and takes any answer.
    pub(in crate::checks) async fn answer(&self, request: &Request) -> Result<Answer, Miss> {
        let answer = self.instance.call(request, self.limits).await;
        answer.map_err(|fault| unanswered(&request.described(), &fault))
    }

    /// Sends a request and takes the answers with one of these statuses.
    pub(in crate::checks) async fn wanted(
        &self,
        request: &Request,
        statuses: &[u16],
    ) -> Result<Answer, Miss> {
        let answer = self.answer(request).await?;
        if statuses.contains(&answer.status) {
            return Ok(answer);
        }
        Err(refused(self.instance, &request.described(), &answer))
    }

    /// Fetches the bytes behind a request, wherever they are kept.
    pub(in crate::checks) async fn download(&self, request: Request) -> Result<Vec<u8>, Miss> {
        let asked = request.described();
        let answer = self.instance.download(request, self.limits).await;
        let answer = answer.map_err(|fault| unanswered(&asked, &fault))?;
        if answer.status == 200 { Ok(answer.body) } else { Err(refused(self.instance, &asked, &answer)) }
    }

    /// Fetches what was accepted before. That it is missing is a matter of `storage`, and not of rights.
    pub(in crate::checks) async fn fetch_back(
        &self,
        request: Request,
        accepted: &str,
        storage: &str,
    ) -> Result<Vec<u8>, Miss> {
        let asked = request.described();
        let answer = self.instance.download(request, self.limits).await;
        let answer = answer.map_err(|fault| unanswered(&asked, &fault))?;
        match answer.status {
            200 => Ok(answer.body),
            404 => Err(Miss::fail(
                format!("the {accepted} was accepted, and is not there: {asked}: 404"),
                storage,
            )),
            _ => Err(refused(self.instance, &asked, &answer)),
        }
    }

    /// Sends a request and reads the JSON of its answer.
    pub(in crate::checks) async fn json(&self, request: &Request, statuses: &[u16]) -> Result<Value, Miss> {
        let answer = self.wanted(request, statuses).await?;
        answer.json().ok_or_else(|| {
            let (asked, body) = (request.described(), answer.text());
            Miss::fail(
                format!("{asked}: {}, but no JSON: {}", answer.status, page::excerpt(&body)),
                "see whether GitLab answers at this address, or another server in its place",
            )
        })
    }

    /// Reads something of the REST API.
    pub(in crate::checks) async fn get(&self, path: &str) -> Result<Value, Miss> {
        self.json(&Request::api(Method::Get, path), &[200]).await
    }

    /// Makes something by the REST API.
    pub(in crate::checks) async fn post(&self, path: &str, body: &Value) -> Result<Value, Miss> {
        self.json(&Request::api(Method::Post, path).json(body), &[201]).await
    }

    /// Changes something by the REST API.
    pub(in crate::checks) async fn put(&self, path: &str, body: &Value) -> Result<Value, Miss> {
        self.json(&Request::api(Method::Put, path).json(body), &[200]).await
    }
}

/// Reads a text from an answer that has to hold it.
pub(in crate::checks) fn text<'a>(answer: &'a Value, name: &str, asked: &str) -> Result<&'a str, Miss> {
    answer.get(name).and_then(Value::as_str).ok_or_else(|| lacks(asked, name))
}

/// Reads a number from an answer that has to hold it.
pub(in crate::checks) fn number(answer: &Value, name: &str, asked: &str) -> Result<u64, Miss> {
    answer.get(name).and_then(Value::as_u64).ok_or_else(|| lacks(asked, name))
}

/// An answer that is JSON and not what was asked for.
pub(in crate::checks) fn lacks(asked: &str, name: &str) -> Miss {
    Miss::fail(
        format!("{asked}: an answer without `{name}`"),
        "see whether GitLab answers at this address, or another server in its place",
    )
}
