//! Level api against a small server with GitLab's answers.

use secrecy::SecretString;
use wiremock::matchers::{header, path};
use wiremock::{Mock, MockServer, ResponseTemplate};

use super::super::question::tests::IMPATIENT;
use super::super::target::WantedVersion;
use super::super::verify::tests::{instance, options, target};
use super::*;
use crate::checks::Level;

const TOKEN: &str = "glpat-0123456789abcdefghij";

/// The answers of a healthy instance, by path.
fn healthy() -> Vec<(&'static str, ResponseTemplate)> {
    let json = |body: serde_json::Value| ResponseTemplate::new(200).set_body_json(body);
    vec![
        (
            "/api/v4/personal_access_tokens/self",
            json(serde_json::json!({"scopes": ["api"], "active": true, "expires_at": "2026-11-24"})),
        ),
        ("/api/v4/user", json(serde_json::json!({"username": "root", "state": "active", "is_admin": true}))),
        ("/api/v4/version", json(serde_json::json!({"version": "18.11.2-ee"}))),
        (
            "/api/v4/metadata",
            json(serde_json::json!({"version": "18.11.2-ee", "enterprise": true, "kas": {"enabled": false}})),
        ),
        ("/api/graphql", json(serde_json::json!({"data": {"metadata": {"version": "18.11.2-ee"}}}))),
    ]
}

/// Asks a healthy instance but for one answer.
async fn asked(other: Option<(&'static str, ResponseTemplate)>, wanted: Option<&str>) -> Asked {
    let server = MockServer::start().await;
    for (place, answer) in other.into_iter().chain(healthy()) {
        let mock = Mock::given(path(place)).and(header("private-token", TOKEN));
        mock.respond_with(answer).mount(&server).await;
    }
    let token = SecretString::from(TOKEN);
    let wanted = wanted.map(|version| WantedVersion { version: version.into(), enterprise: true });
    let target = Target { wanted, token: Ok(token.clone()), ..target("https://gitlab.acme.example") };
    let instance = instance(&server).with_token(token);
    check(&target, &options(Level::Api), Ok(&instance)).await
}

fn status(asked: &Asked, check: Check) -> (Status, &str) {
    let finding = asked.findings.iter().find(|finding| finding.check == check.name()).unwrap();
    (finding.status, &finding.saw)
}

fn json(status: u16, body: &str) -> ResponseTemplate {
    ResponseTemplate::new(status).set_body_raw(body, "application/json")
}

#[tokio::test]
async fn all_pass_on_the_version_that_was_wanted_or_on_any() {
    for wanted in [Some("18.11.2"), None] {
        let asked = asked(None, wanted).await;
        assert!(asked.findings.iter().all(|finding| finding.status == Status::Pass), "{:#?}", asked.findings);
        assert_eq!(asked.findings.len(), 4);
        let (_, saw) = status(&asked, Check::Token);
        assert_eq!(saw, "user `root`, an administrator; scopes `api`; valid until 2026-11-24");
        assert_eq!(status(&asked, Check::Metadata).1, "18.11.2-ee, agent server off");
    }
}

#[tokio::test]
async fn another_version_is_told_once_and_disagreement_by_whom_it_concerns() {
    let all = asked(None, Some("18.11.3")).await;
    assert_eq!(status(&all, Check::Version), (Status::Fail, "18.11.2-ee, not 18.11.3-ee"));
    for check in [Check::Metadata, Check::Graphql] {
        assert_eq!(status(&all, check).0, Status::Pass, "{check}");
    }
    let graphql = ("/api/graphql", json(200, r#"{"data":{"metadata":{"version":"18.11.1-ee"}}}"#));
    let one = asked(Some(graphql), None).await;
    assert_eq!(status(&one, Check::Version).0, Status::Pass);
    assert_eq!(status(&one, Check::Graphql), (Status::Fail, "18.11.1-ee, while `version` says 18.11.2-ee"));
}

#[tokio::test]
async fn each_fault_is_its_owners_alone() {
    let cases = [
        (Check::Version, "/api/v4/version", json(500, ""), "500, GitLab failed"),
        (Check::Version, "/api/v4/version", json(200, "{}"), "an answer without `version`"),
        (Check::Metadata, "/api/v4/metadata", json(404, r#"{"error":"404 Not Found"}"#), "404"),
        (
            Check::Metadata,
            "/api/v4/metadata",
            json(200, r#"{"version":"18.11.2-ee","enterprise":false}"#),
            "the other edition",
        ),
        (
            Check::Graphql,
            "/api/graphql",
            json(200, r#"{"errors":[{"message":"Timeout on it"}]}"#),
            "Timeout on it",
        ),
        (Check::Graphql, "/api/graphql", json(200, "<html>"), "but no JSON"),
    ];
    for (owner, place, answer, words) in cases {
        let asked = asked(Some((place, answer)), Some("18.11.2")).await;
        for check in [Check::Token, Check::Version, Check::Metadata, Check::Graphql] {
            let (status, saw) = status(&asked, check);
            let expected = if check == owner { Status::Fail } else { Status::Pass };
            assert_eq!(status, expected, "{check}: {saw}");
            assert!(check != owner || saw.contains(words), "{saw:?} lacks {words:?}");
        }
    }
}

#[tokio::test]
async fn a_token_that_is_not_enough_fails_once_and_blocks_the_others() {
    let place = "/api/v4/personal_access_tokens/self";
    let cases = [
        (place, json(401, r#"{"message":"401 Unauthorized"}"#), "does not know the token"),
        (
            place,
            json(401, r#"{"error":"invalid_token","error_description":"Token is expired. Renew."}"#),
            "is over",
        ),
        (
            place,
            json(401, r#"{"error":"invalid_token","error_description":"Token was revoked."}"#),
            "was revoked",
        ),
        (place, json(403, r#"{"error":"insufficient_scope"}"#), "scopes are too few"),
        (place, json(200, r#"{"scopes":["read_user"],"active":true}"#), "scopes `read_user`"),
        ("/api/v4/user", json(200, r#"{"username":"kim","state":"blocked"}"#), "`kim` is blocked"),
    ];
    for (place, answer, words) in cases {
        let asked = asked(Some((place, answer)), None).await;
        let (token, saw) = status(&asked, Check::Token);
        assert!(token == Status::Fail && saw.contains(words), "{saw:?} lacks {words:?}");
        assert!(!saw.contains(TOKEN));
        assert_eq!(status(&asked, Check::Version), (Status::Skip, "not asked, because `token` did not pass"));
        assert_eq!(asked.identity, Err(Obstacle::Check(Check::Token)));
        assert!(!asked.foreign);
    }
}

#[tokio::test]
async fn without_a_token_or_a_way_all_skip() {
    let no_token = target("https://gitlab.acme.example");
    let options = Options { patience: IMPATIENT, ..options(Level::Api) };
    let asked = check(&no_token, &options, Err(Check::Tcp)).await;
    assert!(asked.findings.iter().all(|finding| finding.status == Status::Skip));
    assert_eq!(status(&asked, Check::Version).1, "no token was given");
    let target = Target { token: Ok(TOKEN.into()), ..no_token };
    let asked = check(&target, &options, Err(Check::Tcp)).await;
    assert_eq!(status(&asked, Check::Token), (Status::Skip, "not asked, because `tcp` did not pass"));
}

#[tokio::test]
async fn what_is_no_gitlab_is_one_finding() {
    let asked_once =
        asked(Some(("/api/v4/personal_access_tokens/self", json(404, "<html>nginx</html>"))), None).await;
    assert!(asked_once.foreign);
    let token =
        |findings: Vec<Finding>| findings.iter().find(|finding| finding.check == "token").unwrap().status;
    assert_eq!(token(asked_once.behind(true)), Status::Skip);
    let again =
        asked(Some(("/api/v4/personal_access_tokens/self", json(404, "<html>nginx</html>"))), None).await;
    assert_eq!(token(again.behind(false)), Status::Fail, "where the sign-in page came, nothing else says it");
}
