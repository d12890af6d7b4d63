//! Faults that the level `api` owns.

use std::time::Duration;

use refarch::checks::{Check, Level, Patience, WantedVersion};
use serde_json::json;

use super::fake::{Endpoint, Fault, Lie, Token};
use super::table::{Case, judge};
use super::trial::Trial;

/// What is not asked when the token is not good.
const AFTER_TOKEN: [Check; 3] = [Check::Version, Check::Metadata, Check::Graphql];
/// Each call, the check that owns it, and what that one blocks.
const OWNERS: [(Endpoint, Check, &[Check]); 5] = [
    (Endpoint::TokenSelf, Check::Token, &AFTER_TOKEN),
    (Endpoint::User, Check::Token, &AFTER_TOKEN),
    (Endpoint::Version, Check::Version, &[]),
    (Endpoint::Metadata, Check::Metadata, &[]),
    (Endpoint::Graphql, Check::Graphql, &[]),
];

fn faults() -> Vec<(&'static str, Fault)> {
    vec![
        ("404", Fault::Status(404)),
        ("500", Fault::Status(500)),
        ("502", Fault::Status(502)),
        ("a page", Fault::Html),
        ("half of its JSON", Fault::Truncated),
        ("other JSON", Fault::OtherShape),
        ("a redirect to itself", Fault::RedirectLoop),
        ("half an answer", Fault::Cut),
        ("nothing", Fault::Slow),
        ("401", Fault::Unauthorized),
        ("403", Fault::Forbidden),
        ("429 for ever", Fault::RateLimited(u32::MAX)),
    ]
}

fn case(name: impl Into<String>, arrange: impl Fn(&mut Trial) + Send + 'static) -> Case {
    Case::new(name, move |trial| {
        trial.options.level = Level::Api;
        trial.options.patience =
            Patience { deadline: Duration::from_secs(2), attempt: Duration::from_millis(1500) };
        arrange(trial);
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn every_call_of_the_api_level_goes_wrong_in_every_way() {
    let mut cases = Vec::new();
    for (endpoint, owner, blocked) in OWNERS {
        for (words, fault) in faults() {
            let name = format!("{endpoint:?} answers {words}");
            let switched = fault.clone();
            let row = case(name, move |trial| trial.fake.breaks(endpoint, switched.clone()));
            // Who is told to come back later has not looked.
            let row =
                if fault == Fault::RateLimited(u32::MAX) { row.skips(&[owner]) } else { row.fails(&[owner]) };
            cases.push(row.skips(blocked));
        }
    }
    judge("faults_api", &[], cases).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_passes_by_itself_is_waited_for() {
    let mut cases = Vec::new();
    for (endpoint, ..) in OWNERS {
        for fault in [Fault::RateLimited(2), Fault::Busy(1)] {
            let name = format!("{endpoint:?} {fault:?}");
            cases.push(Case::new(name, move |trial| {
                trial.options.level = Level::Api;
                trial.fake.breaks(endpoint, fault.clone());
            }));
        }
    }
    judge("faults_api_that_pass", &[], cases).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_is_not_good_is_told_by_the_token_check() {
    let token = |name: &str, change: fn(&mut Token)| {
        case(name, move |trial| {
            let mut token = Token {
                scopes: vec!["api".to_owned()],
                expires_at: "2026-01-01".to_owned(),
                revoked: false,
                expired: false,
                admin: true,
            };
            change(&mut token);
            let token = trial.fake.add_token(token);
            trial.with_token(token);
        })
        .fails(&[Check::Token])
        .skips(&AFTER_TOKEN)
    };
    let unknown = |trial: &mut Trial| trial.with_token("glpat-nobodyknowsthisone0".to_owned());
    let absent = |trial: &mut Trial| {
        trial.target.token = Err("no token was given: name a variable with `--token-env NAME`".to_owned());
    };
    let cases = vec![
        case("a wrong token", unknown).fails(&[Check::Token]).skips(&AFTER_TOKEN),
        case("no token", absent).skips(&[Check::Token]).skips(&AFTER_TOKEN),
        token("a revoked token", |token| token.revoked = true),
        token("an expired token", |token| token.expired = true),
        token("a token for the registry only", |token| token.scopes = vec!["read_registry".to_owned()]),
    ];
    judge("faults_token", &[], cases).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_gitlab_than_wanted_is_told() {
    let runs = |version: &'static str| {
        move |trial: &mut Trial| version.clone_into(&mut trial.fake.switches().version)
    };
    let cases = vec![
        case("another patch", runs("18.11.1-ee")).fails(&[Check::Version]),
        case("another minor", runs("18.5.2-ee")).fails(&[Check::Version]),
        case("another edition", runs("18.11.2")).fails(&[Check::Version]),
        case("the other edition wanted", |trial| {
            trial.target.wanted = Some(WantedVersion { version: "18.11.2".to_owned(), enterprise: false });
        })
        .fails(&[Check::Version]),
        case("nobody said which", |trial| trial.target.wanted = None),
        case("nobody said which, and the version is not told", |trial| {
            trial.target.wanted = None;
            trial.fake.breaks(Endpoint::Version, Fault::Status(404));
        })
        .fails(&[Check::Version])
        .skips(&[Check::Metadata, Check::Graphql]),
        case("GraphQL of another version", |trial| trial.fake.lies(Lie::GraphqlOtherVersion))
            .fails(&[Check::Graphql]),
        case("metadata that contradict themselves", |trial| {
            let said = json!({"version": "18.11.2-ee", "revision": "0", "kas": {"enabled": false}, "enterprise": false});
            trial.fake.breaks(Endpoint::Metadata, Fault::Says(200, said));
        })
        .fails(&[Check::Metadata]),
    ];
    judge("faults_version", &[], cases).await;
}
