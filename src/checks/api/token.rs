//! Whose token is it, and is it enough for what is asked?

use serde_json::Value;

use super::ask::{Api, lacks, text};
use super::words::{refused, said, unanswered};
use super::{Obstacle, limits};
use crate::checks::catalogue::Check;
use crate::checks::level::Level;
use crate::checks::question::{Miss, Question};
use crate::checks::target::{Options, Target};
use crate::events::Finding;
use crate::instance::{Answer, Instance, Method, Request};

const SELF: &str = "personal_access_tokens/self";

/// Whose token it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::checks) struct Identity {
    pub(in crate::checks) user: String,
    /// The address under which the user's commits are made, where the instance tells it.
    pub(in crate::checks) email: Option<String>,
}

/// The answer, and what follows from it for others.
pub(super) struct Answered {
    pub(super) finding: Finding,
    pub(super) identity: Result<Identity, Obstacle>,
    /// Whether what answered is no API of GitLab at all.
    pub(super) foreign: bool,
}

pub(super) async fn check(
    target: &Target,
    options: &Options,
    instance: Result<&Instance, Check>,
) -> Answered {
    let enough = enough(options);
    let wanted = format!("an active token with {} for level {}", either(enough), options.level);
    let question = Question::new(Check::Token, format!("GET /api/v4/{SELF} and /api/v4/user"), wanted);
    let obstacle = match (&target.token, instance) {
        (Err(reason), _) => Obstacle::NoToken(reason.clone()),
        (Ok(_), Err(by)) => Obstacle::Check(by),
        (Ok(_), Ok(instance)) => {
            let api = Api { instance, limits: limits(options.patience) };
            let (answer, foreign) = ask(&api, enough).await;
            let identity = answer
                .as_ref()
                .map(|(_, identity)| identity.clone())
                .map_err(|_| Obstacle::Check(Check::Token));
            return Answered { finding: question.answer(answer.map(|(saw, _)| saw)), identity, foreign };
        }
    };
    Answered { finding: question.obstructed(&obstacle), identity: Err(obstacle), foreign: false }
}

/// The scopes of which one is enough (docs.gitlab.com, security/tokens: "Personal access token scopes").
fn enough(options: &Options) -> &'static [&'static str] {
    if options.level > Level::Api && !options.read_only { &["api"] } else { &["api", "read_api"] }
}

fn either(scopes: &[&str]) -> String {
    let quoted: Vec<_> = scopes.iter().map(|scope| format!("`{scope}`")).collect();
    format!("the scope {}", quoted.join(" or "))
}

/// Says besides whether the answer is none that GitLab's API gives.
async fn ask(api: &Api<'_>, enough: &[&str]) -> (Result<(String, Identity), Miss>, bool) {
    let request = Request::api(Method::Get, SELF);
    let answer = match api.instance.call(&request, api.limits).await {
        Ok(answer) => answer,
        Err(fault) => return (Err(unanswered(&request.described(), &fault)), true),
    };
    match (answer.status, answer.json().filter(Value::is_object)) {
        (200, Some(token)) => (judge(api, &token, enough).await, false),
        (401, Some(_)) => (Err(unknown(&answer)), false),
        (403, Some(body)) if body["error"] == "insufficient_scope" => {
            (Err(too_narrow(&answer, enough)), false)
        }
        (_, body) => (Err(refused(api.instance, &request.described(), &answer)), body.is_none()),
    }
}

fn unknown(answer: &Answer) -> Miss {
    let said = said(answer).unwrap_or_else(|| "no reason".into());
    let lowercase = said.to_ascii_lowercase();
    let (what, remedy) = if lowercase.contains("expired") {
        ("the token is over", "make a new token; this one's last day has passed")
    } else if lowercase.contains("revoked") {
        ("the token was revoked", "make a new token")
    } else {
        (
            "the instance does not know the token",
            "check that it was made on this instance and copied whole, or make a new one",
        )
    };
    Miss::fail(format!("401, {what}: {said}"), remedy)
}

fn too_narrow(answer: &Answer, enough: &[&str]) -> Miss {
    let said = said(answer).unwrap_or_default();
    Miss::fail(format!("403, the token's scopes are too few: {said}"), remedy(enough))
}

fn remedy(enough: &[&str]) -> String {
    format!("make a token with {}", either(enough))
}

async fn judge(api: &Api<'_>, token: &Value, enough: &[&str]) -> Result<(String, Identity), Miss> {
    let scopes = token["scopes"].as_array().ok_or_else(|| lacks(&format!("GET /api/v4/{SELF}"), "scopes"))?;
    let scopes: Vec<&str> = scopes.iter().filter_map(Value::as_str).collect();
    if token["active"] == false || token["revoked"] == true {
        return Err(Miss::fail("200, but the token says that it is not active", "make a new token"));
    }
    if !enough.iter().any(|scope| scopes.contains(scope)) {
        return Err(Miss::fail(format!("scopes {}", listed(&scopes)), remedy(enough)));
    }
    let user = api.get("user").await?;
    let name = text(&user, "username", "GET /api/v4/user")?;
    let state = user["state"].as_str().unwrap_or("active");
    if state != "active" {
        return Err(Miss::fail(
            format!("the token's user `{name}` is {state}"),
            "unblock the user, or make a token for another one",
        ));
    }
    let email = ["commit_email", "email"].iter().find_map(|name| user[*name].as_str());
    let identity = Identity { user: name.to_owned(), email: email.map(ToOwned::to_owned) };
    let admin = if user["is_admin"] == true { ", an administrator" } else { "" };
    let until = match token["expires_at"].as_str() {
        Some(date) => format!("valid until {date}"),
        None => "without an end".into(),
    };
    Ok((format!("user `{name}`{admin}; scopes {}; {until}", listed(&scopes)), identity))
}

fn listed(scopes: &[&str]) -> String {
    if scopes.is_empty() {
        return "none".into();
    }
    scopes.iter().map(|scope| format!("`{scope}`")).collect::<Vec<_>>().join(", ")
}
