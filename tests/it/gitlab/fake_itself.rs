//! The fake does what GitLab's documentation says, seen with `curl`, `git` and `ssh`.

use std::process::{Command, Output};

use camino::{Utf8Path, Utf8PathBuf};
use jiff::SignedDuration;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::fake::{Endpoint, Fake, Fault, Lie, Proxy, Site, SshDoor, Writes};

/// The variables that hold git's settings.
const NAMES: [[&str; 2]; 5] = [
    ["GIT_CONFIG_KEY_0", "GIT_CONFIG_VALUE_0"],
    ["GIT_CONFIG_KEY_1", "GIT_CONFIG_VALUE_1"],
    ["GIT_CONFIG_KEY_2", "GIT_CONFIG_VALUE_2"],
    ["GIT_CONFIG_KEY_3", "GIT_CONFIG_VALUE_3"],
    ["GIT_CONFIG_KEY_4", "GIT_CONFIG_VALUE_4"],
];

/// Someone who uses the fake by hand.
struct Hand<'a> {
    fake: &'a Fake,
    token: String,
    _keep: TempDir,
    folder: Utf8PathBuf,
}

impl<'a> Hand<'a> {
    fn of(fake: &'a Fake) -> Self {
        let keep = tempfile::tempdir().unwrap();
        let folder = Utf8PathBuf::from_path_buf(keep.path().to_path_buf()).unwrap();
        fs_err::write(folder.join("ca.pem"), &fake.ca_pem).unwrap();
        Self { fake, token: fake.token(&["api"]), _keep: keep, folder }
    }

    fn run(&self, program: &str, arguments: &[&str], environment: &[(&str, String)]) -> Output {
        Command::new(program)
            .args(arguments)
            .current_dir(&self.folder)
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .env("HOME", &self.folder)
            .envs(environment.iter().map(|(name, value)| (*name, value.as_str())))
            .output()
            .unwrap()
    }

    /// Status and body of a call.
    fn curl(&self, method: &str, path: &str, more: &[&str]) -> (u16, String) {
        let site = self.fake.url().split("//").nth(1).unwrap().split('/').next().unwrap();
        // A name that is an address is found without help.
        let resolve = format!("{}:{}", site.replace("[::1]", "unused"), self.fake.address.ip());
        let (url, token) = (format!("{}{path}", self.fake.url()), format!("private-token: {}", self.token));
        let fixed = [
            "--silent",
            "--globoff",
            "--cacert",
            "ca.pem",
            "--resolve",
            &resolve,
            "--request",
            method,
            "--header",
            &token,
            "--write-out",
            "\n%{http_code}",
            "--max-time",
            "5",
        ];
        let output = self.run("curl", &[&fixed, more, &[&url]].concat(), &[]);
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let (body, status) = text.rsplit_once('\n').unwrap();
        (status.parse().unwrap(), body.to_owned())
    }

    fn call(&self, method: &str, path: &str, body: &Value) -> (u16, Value) {
        let body = body.to_string();
        let (status, text) = self.curl(
            method,
            &format!("/api/v4/{path}"),
            &["--header", "content-type: application/json", "--data", &body],
        );
        (status, serde_json::from_str(&text).unwrap_or_default())
    }

    fn get(&self, path: &str) -> (u16, Value) {
        let (status, text) = self.curl("GET", &format!("/api/v4/{path}"), &[]);
        (status, serde_json::from_str(&text).unwrap_or_default())
    }

    /// A project in a subgroup of its own: the subgroup and the project.
    fn project(&self) -> (Value, Value) {
        let (status, top) =
            self.call("POST", "groups", &json!({"name": "refarch-verify", "path": "refarch-verify"}));
        assert_eq!(status, 201, "{top}");
        let body = json!({"name": "run-1", "path": "run-1", "parent_id": top["id"]});
        let (_, group) = self.call("POST", "groups", &body);
        let (status, project) =
            self.call("POST", "projects", &json!({"name": "probe", "namespace_id": group["id"]}));
        assert_eq!(status, 201, "{project}");
        (group, project)
    }

    /// The environment in which `git` finds and trusts the fake, and in which no argument holds the token.
    fn git_environment(&self) -> Vec<(&'static str, String)> {
        let site = self.fake.url().split("//").nth(1).unwrap().split('/').next().unwrap();
        let pair =
            base64::Engine::encode(&base64::prelude::BASE64_STANDARD, format!("oauth2:{}", self.token));
        let ssh = format!(
            "ssh -F none -i {0}/key -o IdentitiesOnly=yes -o BatchMode=yes -o UserKnownHostsFile={0}/known_hosts \
             -o StrictHostKeyChecking=accept-new -o HostName={1} -o LogLevel=ERROR",
            self.folder,
            self.fake.address.ip(),
        );
        let settings = [
            ("http.sslCAInfo", self.folder.join("ca.pem").into_string()),
            ("http.curloptResolve", format!("{site}:{}", self.fake.address.ip())),
            ("http.extraHeader", format!("Authorization: Basic {pair}")),
            ("user.name", "Ada".to_owned()),
            ("user.email", "ada@acme.example".to_owned()),
        ];
        let mut environment = vec![
            ("GIT_CONFIG_NOSYSTEM", "1".to_owned()),
            ("GIT_TERMINAL_PROMPT", "0".to_owned()),
            ("GIT_SSH_COMMAND", ssh),
            ("GIT_CONFIG_COUNT", settings.len().to_string()),
        ];
        for ([key, value], (name, setting)) in NAMES.into_iter().zip(settings) {
            environment.extend([(key, name.to_owned()), (value, setting)]);
        }
        environment
    }

    fn git(&self, arguments: &[&str]) -> Result<String, String> {
        let output = self.run("git", arguments, &self.git_environment());
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
        if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
    }

    /// A clone with one commit in it that is not pushed, and that commit.
    fn commit(&self, folder: &str, files: &[(&str, &str)]) -> String {
        self.git(&["init", "--quiet", "--initial-branch=main", folder]).unwrap();
        for (name, text) in files {
            fs_err::write(self.folder.join(folder).join(name), text).unwrap();
        }
        self.git(&["-C", folder, "add", "."]).unwrap();
        self.git(&["-C", folder, "commit", "--quiet", "--message", "a commit"]).unwrap();
        self.git(&["-C", folder, "rev-parse", "HEAD"]).unwrap()
    }

    fn deploy_key(&self, project: &Value) -> Value {
        self.run("ssh-keygen", &["-q", "-t", "ed25519", "-N", "", "-f", "key"], &[]);
        let public = fs_err::read_to_string(self.folder.join("key.pub")).unwrap();
        let body = json!({"title": "probe", "key": public, "can_push": true});
        let (status, key) = self.call("POST", &format!("projects/{}/deploy_keys", project["id"]), &body);
        assert_eq!(status, 201, "{key}");
        key
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

#[test]
fn it_says_who_it_is_to_who_it_knows() {
    let fake = Fake::start();
    let hand = Hand::of(&fake);
    assert_eq!(hand.get("version").1["version"], "18.11.2-ee");
    assert_eq!(hand.get("metadata").1["enterprise"], true);
    assert_eq!(hand.get("user").1["username"], "root");
    assert_eq!(hand.get("personal_access_tokens/self").1["scopes"], json!(["api"]));
    let query = json!({"query": "{ metadata { version } }"}).to_string();
    let asked = ["--header", "content-type: application/json", "--data", &query];
    assert!(hand.curl("POST", "/api/graphql", &asked).1.contains("18.11.2-ee"));
    assert_eq!(hand.curl("DELETE", "/api/v4/personal_access_tokens/self", &[]).0, 204);
    assert_eq!(hand.get("version").0, 401);
    assert!(fake.leaks().is_empty() && fake.unknown().is_empty());
    let writes: Vec<_> = fake.seen().into_iter().filter(|seen| seen.writes).collect();
    assert_eq!((writes.len(), writes[0].endpoint, writes[0].status), (1, Endpoint::RevokeSelf, 204));
    assert_eq!((writes[0].path.as_str(), fake.most_at_once()), ("/api/v4/personal_access_tokens/self", 1));
}

#[test]
fn a_subgroup_goes_when_it_is_asked_twice_and_a_top_level_group_never() {
    let fake = Fake::start();
    let hand = Hand::of(&fake);
    let (group, project) = hand.project();
    let id = group["id"].to_string();
    let remove = |path: &str| {
        hand.call("DELETE", &format!("groups/{id}?permanently_remove=true&full_path={path}"), &json!({})).0
    };
    assert_eq!(remove("refarch-verify%2Frun-1"), 400);
    assert_eq!(hand.call("DELETE", &format!("groups/{id}"), &json!({})).0, 202);
    let marked = hand.get(&format!("groups/{id}")).1;
    assert!(text(&marked["full_path"]).contains("deletion_scheduled"), "{marked}");
    assert_eq!(remove("refarch-verify%2Frun-1"), 400);
    assert_eq!(remove(&text(&marked["full_path"]).replace('/', "%2F")), 202);
    assert_eq!(hand.get(&format!("groups/{id}")).0, 200);
    assert_eq!(hand.get(&format!("groups/{id}")).0, 404);
    assert_eq!(hand.get(&format!("projects/{}", project["id"])).0, 404);
    let (status, said) = hand.call("DELETE", "groups/refarch-verify?permanently_remove=true", &json!({}));
    assert_eq!((status, text(&said["message"]).contains("only available for subgroups")), (400, true));
    assert_eq!(fake.holds(), ["refarch-verify"]);
}

#[test]
fn lists_come_in_pages() {
    let fake = Fake::start();
    let hand = Hand::of(&fake);
    let top = fake.group(None, "refarch-verify", SignedDuration::ZERO);
    for number in 0..25 {
        fake.group(Some(top), &format!("run-{number}"), SignedDuration::from_hours(2));
    }
    let length = |query: &str| {
        hand.get(&format!("groups/refarch-verify/subgroups{query}")).1.as_array().unwrap().len()
    };
    assert_eq!((length(""), length("?page=2"), length("?per_page=100")), (20, 5, 25));
}

#[test]
fn git_over_https_pushes_and_clones() {
    let fake = Fake::start();
    let hand = Hand::of(&fake);
    let (_, project) = hand.project();
    let url = text(&project["http_url_to_repo"]);
    let commit = hand.commit("made", &[("a.txt", "a")]);
    hand.git(&["-C", "made", "push", "--quiet", url, "HEAD:main"]).unwrap();
    hand.git(&["clone", "--quiet", url, "cloned"]).unwrap();
    assert_eq!(hand.git(&["-C", "cloned", "rev-parse", "HEAD"]).unwrap(), commit);
    assert!(fake.leaks().is_empty());
    let stranger = Hand { token: "glpat-nobody".to_owned(), ..Hand::of(&fake) };
    let refused = stranger.git(&["ls-remote", url]).unwrap_err();
    assert!(refused.contains("could not read Username"), "{refused}");
}

#[test]
fn git_over_ssh_pushes_and_clones_with_a_deploy_key() {
    let fake = Fake::start();
    let hand = Hand::of(&fake);
    let (_, project) = hand.project();
    let url = text(&project["ssh_url_to_repo"]);
    let commit = hand.commit("made", &[("a.txt", "a")]);
    let key = hand.deploy_key(&project);
    hand.git(&["-C", "made", "push", "--quiet", url, "HEAD:main"]).unwrap();
    hand.git(&["clone", "--quiet", url, "cloned"]).unwrap();
    assert_eq!(hand.git(&["-C", "cloned", "rev-parse", "HEAD"]).unwrap(), commit);
    let other = url.replace("probe", "other");
    assert!(hand.git(&["ls-remote", &other]).unwrap_err().contains("could not be found"));
    assert_eq!(
        hand.call("DELETE", &format!("projects/{}/deploy_keys/{}", project["id"], key["id"]), &json!({})).0,
        204
    );
    assert!(hand.git(&["ls-remote", url]).unwrap_err().contains("Permission denied"));
}

#[test]
fn the_door_of_ssh_has_its_faults() {
    let fake = Fake::start();
    let hand = Hand::of(&fake);
    let (_, project) = hand.project();
    let url = text(&project["ssh_url_to_repo"]);
    hand.deploy_key(&project);
    fake.switches().ssh = SshDoor::LateKeys;
    assert!(hand.git(&["ls-remote", url]).unwrap_err().contains("Permission denied"));
    hand.git(&["ls-remote", url]).unwrap();
    fake.switches().ssh = SshDoor::KeyChanges;
    let seen: Vec<bool> = (0..2).map(|_| hand.git(&["ls-remote", url]).is_ok()).collect();
    assert_eq!(seen.iter().filter(|fine| **fine).count(), 1, "one of the two host keys is the known one");
    fake.switches().ssh = SshDoor::RefusesKeys;
    assert!(hand.git(&["ls-remote", url]).is_err());
    fake.switches().ssh = SshDoor::Cut;
    assert!(hand.git(&["ls-remote", url]).is_err());
    fake.switches().ssh = SshDoor::Silent;
    let waits = hand.run("timeout", &["0.2", "git", "ls-remote", url], &hand.git_environment());
    assert_eq!(waits.status.code(), Some(124), "a door that says nothing lets nobody know");
    fake.closes_ssh();
    assert!(hand.git(&["ls-remote", url]).unwrap_err().contains("Connection refused"));
}

#[test]
fn a_merge_request_is_checked_and_merged_in_its_own_time() {
    let fake = Fake::start();
    let hand = Hand::of(&fake);
    let (_, project) = hand.project();
    let url = text(&project["http_url_to_repo"]);
    let id = &project["id"];
    hand.commit("made", &[("a.txt", "a")]);
    hand.git(&["-C", "made", "push", "--quiet", url, "HEAD:main"]).unwrap();
    fs_err::write(hand.folder.join("made/b.txt"), "b").unwrap();
    hand.git(&["-C", "made", "add", "."]).unwrap();
    hand.git(&["-C", "made", "commit", "--quiet", "--message", "b"]).unwrap();
    hand.git(&["-C", "made", "push", "--quiet", url, "HEAD:change"]).unwrap();
    let body = json!({"source_branch": "change", "target_branch": "main", "title": "b"});
    let (status, made) = hand.call("POST", &format!("projects/{id}/merge_requests"), &body);
    assert_eq!((status, text(&made["detailed_merge_status"])), (201, "preparing"));
    let path = format!("projects/{id}/merge_requests/1");
    assert_eq!(hand.call("PUT", &format!("{path}/merge"), &json!({})).0, 405);
    let statuses: Vec<Value> = (0..2).map(|_| hand.get(&path).1["detailed_merge_status"].clone()).collect();
    assert_eq!(statuses, ["checking", "mergeable"]);
    assert_eq!(hand.call("PUT", &format!("{path}/merge"), &json!({})).1["state"], "opened");
    let ends: Vec<Value> = (0..2).map(|_| hand.get(&path).1["state"].clone()).collect();
    assert_eq!(ends, ["opened", "merged"]);
    let branch = hand.get(&format!("projects/{id}/repository/branches/main")).1;
    assert_eq!(branch["commit"]["parent_ids"].as_array().unwrap().len(), 2, "{branch}");
}

#[test]
fn what_is_stored_comes_back() {
    let fake = Fake::start();
    let hand = Hand::of(&fake);
    let (_, project) = hand.project();
    let id = &project["id"];
    fs_err::write(hand.folder.join("file.bin"), b"some bytes\0\r\n\r\nand more").unwrap();
    let bytes = fs_err::read_to_string(hand.folder.join("file.bin")).unwrap();
    let (status, said) =
        hand.curl("POST", &format!("/api/v4/projects/{id}/uploads"), &["--form", "file=@file.bin"]);
    let said: Value = serde_json::from_str(&said).unwrap();
    assert_eq!(status, 201, "{said}");
    assert_eq!(
        hand.curl("GET", &format!("/api/v4/projects/{id}{}", text(&said["url"])), &[]),
        (200, bytes.clone())
    );
    let package = format!("/api/v4/projects/{id}/packages/generic/probe/1.0.0/file.bin");
    assert_eq!(hand.curl("PUT", &package, &["--upload-file", "file.bin"]).0, 201);
    assert_eq!(hand.curl("GET", &package, &[]), (200, bytes));
}

#[test]
fn lfs_takes_an_object_in_the_coding_that_it_asks_for() {
    let fake = Fake::start();
    let hand = Hand::of(&fake);
    let (_, project) = hand.project();
    let path = text(&project["path_with_namespace"]);
    fs_err::write(hand.folder.join("object"), "hello").unwrap();
    let oid = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";
    let user = format!("oauth2:{}", hand.token);
    let batch = |operation: &str| {
        let body =
            json!({"operation": operation, "transfers": ["basic"], "objects": [{"oid": oid, "size": 5}]});
        let lfs = ["accept: application/vnd.git-lfs+json", "content-type: application/vnd.git-lfs+json"];
        let more = ["--user", &user, "--header", lfs[0], "--header", lfs[1], "--data", &body.to_string()];
        let (status, said) = hand.curl("POST", &format!("/{path}.git/info/lfs/objects/batch"), &more);
        assert_eq!(status, 200, "{said}");
        serde_json::from_str::<Value>(&said).unwrap()["objects"][0].clone()
    };
    assert_eq!(batch("download")["error"]["code"], 404);
    let upload = batch("upload")["actions"]["upload"].clone();
    let below = |action: &Value| text(&action["href"]).strip_prefix(fake.url()).unwrap().to_owned();
    assert_eq!(upload["header"]["Transfer-Encoding"], "chunked");
    let chunked = ["--user", &user, "--upload-file", "object", "--header", "transfer-encoding: chunked"];
    assert_eq!(hand.curl("PUT", &below(&upload), &chunked).0, 200);
    let download = batch("download")["actions"]["download"].clone();
    assert_eq!(hand.curl("GET", &below(&download), &["--user", &user]), (200, "hello".to_owned()));
    assert!(batch("upload")["actions"].is_null());
}

#[test]
fn a_job_waits_for_a_runner() {
    let fake = Fake::start();
    let hand = Hand::of(&fake);
    let (_, project) = hand.project();
    let (url, id) = (text(&project["http_url_to_repo"]), &project["id"]);
    let file = "probe:\n  script:\n    - echo hello from the job\n    - echo made > made.txt\n  artifacts:\n    paths: [made.txt]\n";
    hand.commit("made", &[(".gitlab-ci.yml", file)]);
    hand.git(&["-C", "made", "push", "--quiet", url, "HEAD:main"]).unwrap();
    assert_eq!(hand.get(&format!("projects/{id}/runners?status=online")).1, json!([]));
    let pipeline = hand.get(&format!("projects/{id}/pipelines")).1[0]["id"].clone();
    let jobs = || hand.get(&format!("projects/{id}/pipelines/{pipeline}/jobs")).1[0].clone();
    let statuses: Vec<Value> = (0..4).map(|_| jobs()["status"].clone()).collect();
    assert_eq!(statuses, ["pending"; 4]);
    fake.switches().runner = true;
    let job = jobs();
    assert_eq!(job["status"], "success");
    let job = format!("/api/v4/projects/{id}/jobs/{}", job["id"]);
    assert!(hand.curl("GET", &format!("{job}/trace"), &[]).1.contains("\nhello from the job\n"));
    assert_eq!(hand.curl("GET", &format!("{job}/artifacts/made.txt"), &[]), (200, "made\n".to_owned()));
}

#[test]
fn its_lies_are_lies() {
    let fake = Fake::start();
    let hand = Hand::of(&fake);
    fake.lies(Lie::PushForgotten);
    let (_, project) = hand.project();
    let url = text(&project["http_url_to_repo"]);
    hand.commit("made", &[("a.txt", "a")]);
    hand.git(&["-C", "made", "push", "--quiet", url, "HEAD:main"]).unwrap();
    assert_eq!(hand.git(&["ls-remote", url]).unwrap(), "");

    let fake = Fake::start();
    let hand = Hand::of(&fake);
    fake.lies(Lie::PushReplaced);
    let (_, project) = hand.project();
    let url = text(&project["http_url_to_repo"]);
    let commit = hand.commit("made", &[("a.txt", "a")]);
    hand.git(&["-C", "made", "push", "--quiet", url, "HEAD:main"]).unwrap();
    let there = hand.git(&["ls-remote", url, "refs/heads/main"]).unwrap();
    assert!(there.ends_with("refs/heads/main") && !there.contains(&commit), "{there}");
}

#[test]
fn its_faults_are_faults() {
    let fake = Fake::start();
    let hand = Hand::of(&fake);
    let with = |fault| {
        fake.breaks(Endpoint::Version, fault);
        hand.curl("GET", "/api/v4/version", &[])
    };
    assert_eq!([404, 500, 502].map(|status| with(Fault::Status(status)).0), [404, 500, 502]);
    assert!(with(Fault::Html).1.contains("<html>"));
    assert!(serde_json::from_str::<Value>(&with(Fault::Truncated).1).is_err());
    assert!(with(Fault::OtherShape).1.contains("surprise"));
    assert_eq!(with(Fault::RedirectLoop).0, 302);
    let (status, body) = with(Fault::Cut);
    assert!(status == 200 && serde_json::from_str::<Value>(&body).is_err(), "{status} {body}");
    assert_eq!(with(Fault::RateLimited(1)).0, 429);
    assert_eq!(hand.get("version").0, 200);
    assert_eq!((with(Fault::Unauthorized).0, with(Fault::Forbidden).0), (401, 403));
    fake.breaks(Endpoint::Version, Fault::Slow);
    assert_eq!(hand.curl("GET", "/api/v4/version", &["--max-time", "0.1"]).0, 0);
    let message = json!({"message": {"base": ["no"]}});
    assert_eq!(with(Fault::Says(422, message.clone())), (422, message.to_string()));
    assert_eq!((with(Fault::Busy(1)).0, hand.get("version").0), (503, 200));
    fake.switches().writes = Writes::Refused;
    assert_eq!(hand.call("POST", "groups", &json!({"name": "a", "path": "a"})).0, 403);
}

#[tokio::test(flavor = "multi_thread")]
async fn it_stands_below_a_root_on_ipv6_and_behind_a_proxy() {
    let fake = Fake::at(&Site { root: "/gitlab", ..Site::default() });
    assert_eq!(Hand::of(&fake).get("version").0, 200);
    assert!(fake.url().ends_with("/gitlab"));

    let fake = Fake::at(&Site { name: "[::1]", ipv6: true, ..Site::default() });
    assert_eq!(Hand::of(&fake).get("version").0, 200);

    let fake = Fake::start();
    let proxy = Proxy::to(fake.address).await;
    let hand = Hand::of(&fake);
    let through = format!("http://{}", proxy.address);
    assert_eq!(hand.curl("GET", "/api/v4/version", &["--proxy", &through]).0, 200);
    let name = fake.url().strip_prefix("https://").unwrap();
    assert_eq!(proxy.passed(), [format!("CONNECT {name}")]);
}

#[test]
fn nothing_of_it_is_left() {
    let fake = Fake::start();
    let folder = fake.folder().to_owned();
    drop(fake);
    assert!(!Utf8Path::new(&folder).exists());
}
