//! Each check against a small server: it passes on what is right, fails on its own fault, and skips when it can't look.
//! What git and ssh do is tried against a whole GitLab in `tests/it/gitlab`.

use serde_json::{Value, json};
use url::Url;
use wiremock::matchers::{method, path};
use wiremock::{Mock, MockServer, Request, ResponseTemplate};

use super::super::group::GroupName;
use super::super::question::tests::IMPATIENT;
use super::super::verify::tests::instance;
use super::git::Pushed;
use super::group::Place;
use super::project::SshUrl;
use super::*;
use crate::events::Status;

const PLACE: Place = Place { top: 1, id: 2 };

fn ground(instance: &Instance) -> Ground<'_> {
    let http = Url::parse(&instance.page("refarch-verify/run/probe.git")).unwrap();
    let ssh = SshUrl::parse("git@gitlab.acme.example:refarch-verify/run/probe.git").unwrap();
    Ground { instance, project: Project { id: 7, http, ssh }, patience: IMPATIENT }
}

fn pushed() -> Pushed {
    Pushed {
        main: "main",
        main_commit: "a".repeat(40),
        change: "refarch-change",
        change_commit: "b".repeat(40),
        files: Vec::new(),
        folder: "/nonexistent".into(),
    }
}

async fn answers(server: &MockServer, verb: &str, place: &str, status: u16, body: Value) {
    let answer = ResponseTemplate::new(status).set_body_json(body);
    Mock::given(method(verb)).and(path(format!("/api/v4/{place}"))).respond_with(answer).mount(server).await;
}

/// Keeps what is put at a path, and gives it back through `change`.
async fn keeps(server: &MockServer, put: (&str, &str), get: &str, change: fn(Vec<u8>) -> Vec<u8>) {
    let kept = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let keep = kept.clone();
    let made = json!({"url": "/uploads/0123456789abcdef/probe.bin"});
    let store = move |request: &Request| {
        *keep.lock().unwrap() = content(&request.body);
        ResponseTemplate::new(201).set_body_json(&made)
    };
    Mock::given(method(put.0)).and(path(put.1)).respond_with(store).mount(server).await;
    let fetch =
        move |_: &Request| ResponseTemplate::new(200).set_body_bytes(change(kept.lock().unwrap().clone()));
    Mock::given(method("GET")).and(path(get)).respond_with(fetch).mount(server).await;
}

/// The file in a form, or the whole body where it is none.
fn content(body: &[u8]) -> Vec<u8> {
    if !body.starts_with(b"--") {
        return body.to_vec();
    }
    let find = |what: &[u8]| body.windows(what.len()).position(|window| window == what);
    let start = find(b"\r\n\r\n").unwrap() + 4;
    let boundary = [b"\r\n".as_slice(), &body[..find(b"\r\n").unwrap()]].concat();
    body[start..find(&boundary).unwrap()].to_vec()
}

fn same(bytes: Vec<u8>) -> Vec<u8> {
    bytes
}

fn shorter(mut bytes: Vec<u8>) -> Vec<u8> {
    bytes.pop();
    bytes
}

#[tokio::test]
async fn a_package_and_an_upload_come_back_or_are_told() {
    for (change, status) in [(same as fn(Vec<u8>) -> Vec<u8>, Status::Pass), (shorter, Status::Fail)] {
        let server = MockServer::start().await;
        let package = "/api/v4/projects/7/packages/generic/refarch-probe/1.0.0/probe.bin";
        keeps(&server, ("PUT", package), package, change).await;
        let upload = "/api/v4/projects/7/uploads";
        keeps(&server, ("POST", upload), &format!("{upload}/0123456789abcdef/probe.bin"), change).await;
        let instance = instance(&server);
        let ground = ground(&instance);
        for finding in [package::check(Ok(&ground)).await, upload::check(Ok(&ground)).await] {
            assert_eq!(finding.status, status, "{finding:#?}");
            assert!(status == Status::Pass || finding.saw.contains("32767 bytes came back of 32768"));
        }
    }
}

#[tokio::test]
async fn an_lfs_object_that_is_not_taken_is_told() {
    let server = MockServer::start().await;
    let instance = instance(&server);
    let finding = lfs::check(Ok(&ground(&instance))).await;
    assert_eq!(finding.status, Status::Fail, "{finding:#?}");
    let batch = |request: &Request| {
        let asked: Value = serde_json::from_slice(&request.body).unwrap();
        let object = json!({"oid": asked["objects"][0]["oid"], "error": {"code": 507, "message": "full"}});
        ResponseTemplate::new(200).set_body_json(json!({"objects": [object]}))
    };
    let place = "/refarch-verify/run/probe.git/info/lfs/objects/batch";
    Mock::given(path(place)).respond_with(batch).mount(&server).await;
    let finding = lfs::check(Ok(&ground(&instance))).await;
    assert!(finding.status == Status::Fail && finding.saw.contains("507"), "{finding:#?}");
}

#[tokio::test]
async fn an_issue_that_does_not_close_is_told() {
    for (state, status) in [("closed", Status::Pass), ("opened", Status::Fail)] {
        let server = MockServer::start().await;
        let titles = std::sync::Arc::new(std::sync::Mutex::new(Value::Null));
        let title = titles.clone();
        let make = move |request: &Request| {
            let asked: Value = serde_json::from_slice(&request.body).unwrap();
            *title.lock().unwrap() = asked["title"].clone();
            ResponseTemplate::new(201).set_body_json(json!({"iid": 1}))
        };
        Mock::given(method("POST"))
            .and(path("/api/v4/projects/7/issues"))
            .respond_with(make)
            .mount(&server)
            .await;
        let read = move |_: &Request| {
            ResponseTemplate::new(200)
                .set_body_json(json!({"title": *titles.lock().unwrap(), "state": state}))
        };
        Mock::given(path("/api/v4/projects/7/issues/1")).respond_with(read).mount(&server).await;
        let instance = instance(&server);
        let finding = issue::check(Ok(&ground(&instance))).await;
        assert_eq!(finding.status, status, "{finding:#?}");
    }
}

#[tokio::test]
async fn a_merge_request_is_merged_or_held_by_a_rule_or_stuck() {
    for (state, status, words) in [
        ("mergeable", Status::Pass, "`main` holds it"),
        ("not_approved", Status::Skip, "`not_approved`"),
        ("checking", Status::Fail, "stays `checking`"),
        ("conflict", Status::Fail, "`conflict`"),
    ] {
        let server = MockServer::start().await;
        let request = "projects/7/merge_requests";
        answers(&server, "POST", request, 201, json!({"iid": 1})).await;
        let body =
            json!({"detailed_merge_status": state, "state": "merged", "merge_commit_sha": "c".repeat(40)});
        answers(&server, "GET", &format!("{request}/1"), 200, body).await;
        answers(&server, "PUT", &format!("{request}/1/merge"), 200, json!({})).await;
        let branch = json!({"commit": {"id": "c".repeat(40)}});
        answers(&server, "GET", "projects/7/repository/branches/main", 200, branch).await;
        let instance = instance(&server);
        let finding = merge_request::check(Ok(&ground(&instance)), Ok(&pushed())).await;
        assert!(finding.status == status && finding.saw.contains(words), "{state}: {finding:#?}");
    }
}

#[tokio::test]
async fn a_project_that_is_cloned_from_elsewhere_is_told() {
    for (host, status) in [("gitlab.acme.example", Status::Pass), ("other.example", Status::Fail)] {
        let server = MockServer::start().await;
        let made = json!({
            "id": 7,
            "http_url_to_repo": format!("http://{host}:{}/a/probe.git", server.address().port()),
            "ssh_url_to_repo": format!("git@{host}:a/probe.git"),
        });
        answers(&server, "POST", "projects", 201, made).await;
        let instance = instance(&server);
        let (finding, project) =
            project::check(Ok(&instance), Ok(&PLACE), IMPATIENT, &Trail::default()).await;
        assert_eq!((finding.status, project.is_ok()), (status, status == Status::Pass), "{finding:#?}");
        assert!(project.is_ok() || finding.remedy.unwrap().contains("external_url"));
    }
}

#[tokio::test]
async fn a_group_is_used_made_or_missed() {
    let server = MockServer::start().await;
    answers(&server, "GET", "groups/team", 200, json!({"id": 1})).await;
    let subgroup = |request: &Request| {
        let asked: Value = serde_json::from_slice(&request.body).unwrap();
        let full_path = format!("team/{}", asked["path"].as_str().unwrap());
        ResponseTemplate::new(201).set_body_json(json!({"id": 2, "full_path": full_path}))
    };
    Mock::given(method("POST")).and(path("/api/v4/groups")).respond_with(subgroup).mount(&server).await;
    answers(&server, "GET", "groups/gone", 404, json!({"message": "404 Group Not Found"})).await;
    let instance = instance(&server);
    let trail = Trail::default();
    let named = |name: &str| GroupName::Existing(name.into());
    let (finding, place) = group::check(Ok(&instance), &named("team"), IMPATIENT, &trail).await;
    assert_eq!((finding.status, place), (Status::Pass, Ok(PLACE)));
    assert!(trail.known().is_something());
    let (finding, place) = group::check(Ok(&instance), &named("gone"), IMPATIENT, &Trail::default()).await;
    assert_eq!((finding.status, place), (Status::Fail, Err(Obstacle::Check(Check::Group))));
}

#[tokio::test]
async fn what_stays_is_named_and_what_is_only_scheduled_is_a_warning() {
    let marked = json!({"id": 2, "full_path": "team/run-x", "marked_for_deletion_on": "2026-11-23"});
    for (group, permanently, status) in [
        (Some(json!({"id": 2})), 202, Status::Fail),
        (Some(marked), 403, Status::Warn),
        (None, 202, Status::Pass),
    ] {
        let server = MockServer::start().await;
        let delete = move |request: &Request| {
            let for_good = request.url.query().is_some();
            ResponseTemplate::new(if for_good { permanently } else { 202 }).set_body_json(json!({}))
        };
        Mock::given(method("DELETE")).respond_with(delete).mount(&server).await;
        let code = if group.is_some() { 200 } else { 404 };
        answers(&server, "GET", "groups/2", code, group.unwrap_or_else(|| json!({}))).await;
        let instance = instance(&server);
        let trail = Trail::default();
        trail.begin(&instance, "team/run-x");
        trail.made_group(2);
        let finding = cleanup::check(Ok(&instance), &trail, Ok(cleanup::Swept::default()), IMPATIENT).await;
        assert_eq!(finding.status, status, "{finding:#?}");
        assert_eq!(trail.known().is_something(), status != Status::Pass);
        assert!(status == Status::Pass || finding.saw.contains("/team/run-x` is left"), "{}", finding.saw);
    }
}

#[tokio::test]
async fn every_check_skips_when_it_can_not_look() {
    let obstacle = Obstacle::NoToken("no token was given".into());
    let (no, no_git) = (|| Err(obstacle.clone()), Err(Miss::skip("", "")));
    let trail = Trail::default();
    let (group, place) = group::check(no(), &GroupName::Own, IMPATIENT, &trail).await;
    let (project, ground) =
        project::check(no(), place.as_ref().map_err(Clone::clone), IMPATIENT, &trail).await;
    assert_eq!(ground.unwrap_err(), obstacle);
    let ground = || Err::<&Ground<'_>, _>(&obstacle);
    let (push, pushed) = https::push(ground(), &no_git).await;
    let findings = [
        group,
        project,
        push,
        https::clone(ground(), &no_git, pushed.as_ref()).await,
        lfs::check(ground()).await,
        package::check(ground()).await,
        upload::check(ground()).await,
        issue::check(ground()).await,
        merge_request::check(ground(), pushed.as_ref()).await,
        job::check(ground(), &no_git, pushed.as_ref()).await,
        cleanup::check(no(), &trail, Ok(cleanup::Swept::default()), IMPATIENT).await,
    ];
    for finding in findings {
        assert_eq!(
            (finding.status, finding.saw.as_str()),
            (Status::Skip, "no token was given"),
            "{finding:#?}"
        );
    }
}
