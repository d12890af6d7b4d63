//! Asks everything of one level, in parallel where one answer does not depend on another.

use std::net::SocketAddr;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream;
use jiff::Timestamp;
use tokio::time::Instant;

use super::catalogue::{Check, Level};
use super::node::{Reply, Unasked};
use super::target::{NodeTarget, Options, Target};
use super::verdict::Verdict;
use super::{dns, node_health, readiness_outside, sign_in, size, ssh, standin, tcp, tls};
use crate::events::{Finding, Kind, Sender};
use crate::instance::{Instance, Trust, Untrusted};
use crate::process::{Redactor, Runner};

/// How many nodes are asked at once; each takes a handful of connections.
const NODES_AT_ONCE: usize = 8;

/// Asks the deployment and its nodes, and sends each finding as it comes. The runner starts `ssh`.
pub async fn verify(target: &Target, options: &Options, runner: &Runner) -> Verdict {
    let run = async |node: &NodeTarget, command: &[String], limit: Duration| {
        ssh::run(runner, node, command, limit).await
    };
    let desk = Desk { events: runner.events(), redactor: runner.redactor() };
    verify_with(target, options, &desk, &run).await
}

/// Where findings go as they come.
struct Desk<'a> {
    events: &'a Sender,
    redactor: &'a Redactor,
}

impl Desk<'_> {
    /// Tells of a finding. What an instance answered is outside of refarch's hands, and so are the secrets in it.
    fn say(&self, finding: Finding) -> Finding {
        let finding = Finding { saw: self.redactor.redact(&finding.saw), ..finding };
        self.events.send(Kind::Finding(finding.clone()));
        finding
    }
}

/// The same with another way to run a command on a node.
async fn verify_with(
    target: &Target,
    options: &Options,
    desk: &Desk<'_>,
    run: &impl AsyncFn(&NodeTarget, &[String], Duration) -> Result<Reply, Unasked>,
) -> Verdict {
    let (started, began) = (Timestamp::now(), Instant::now());
    let ((mut findings, sees_standin), of_nodes) =
        tokio::join!(ask_outside(target, options, desk), ask_nodes(target, options, desk, run));
    findings.extend(of_nodes);
    findings.sort_by_key(|finding| (place(finding), finding.node.clone()));
    Verdict {
        deployment: target.deployment.clone(),
        url: target.url.as_str().trim_end_matches('/').to_owned(),
        level: options.level,
        standin: target.standin || sees_standin,
        started,
        duration: began.elapsed(),
        findings,
    }
}

/// Asks from here, and says besides whether the instance calls itself a stand-in.
async fn ask_outside(target: &Target, options: &Options, desk: &Desk<'_>) -> (Vec<Finding>, bool) {
    let mut sees_standin = false;
    let mut findings = Vec::new();
    let mut say = |finding| findings.push(desk.say(finding));
    let patience = options.patience;
    let (finding, addresses) = dns::check(target, patience, dns::system).await;
    say(finding);
    let (finding, socket) = tcp::check(&target.url, &addresses, patience).await;
    say(finding);
    let trust = Trust::new(target.ca_pem.as_deref());
    let (finding, usable) = tls::check(&target.url, socket, &trust, patience).await;
    say(finding);
    if options.level >= Level::Health {
        let instance = usable.then(|| connect(target, socket, trust)).flatten();
        let instance = instance.as_ref().ok_or(if socket.is_none() { Check::Tcp } else { Check::Tls });
        let ((page, answer), outside) =
            tokio::join!(sign_in::check(instance, patience), readiness_outside::check(instance, patience));
        sees_standin = answer.as_ref().is_some_and(|answer| answer.standin.is_some());
        say(page);
        say(standin::check(target.standin, answer.as_ref()));
        say(outside);
    }
    (findings, sees_standin)
}

fn connect(target: &Target, socket: Option<SocketAddr>, trust: Result<Trust, Untrusted>) -> Option<Instance> {
    Instance::new(target.url.clone(), &[socket?], &trust.ok()?).ok()
}

async fn ask_nodes(
    target: &Target,
    options: &Options,
    desk: &Desk<'_>,
    run: &impl AsyncFn(&NodeTarget, &[String], Duration) -> Result<Reply, Unasked>,
) -> Vec<Finding> {
    if options.level < Level::Health {
        return Vec::new();
    }
    let one = async |node: &NodeTarget| {
        let size = size::check(node, options.patience, run);
        let findings = match &node.health {
            Some(health) => {
                let (health, size) =
                    tokio::join!(node_health::check(node, health, options.patience, run), size);
                [health.to_vec(), vec![size]].concat()
            }
            None => vec![size.await],
        };
        findings.into_iter().map(|finding| desk.say(finding)).collect::<Vec<_>>()
    };
    stream::iter(&target.nodes).map(one).buffer_unordered(NODES_AT_ONCE).concat().await
}

fn place(finding: &Finding) -> Option<Check> {
    Check::ALL.into_iter().find(|check| check.name() == finding.check)
}

#[cfg(test)]
pub(super) mod tests {
    use std::sync::{Arc, LazyLock};

    use url::Url;
    use wiremock::MockServer;

    use super::super::question::Patience;
    use super::super::question::tests::IMPATIENT;
    use super::super::readiness::tests::ALL_OK;
    use super::super::target::{Machine, NodeHealth};
    use super::super::verdict::Outcome;
    use super::*;
    use crate::events::Status;
    use crate::instance::testing::{Authority, Behaviour, TlsServer};

    /// The part of GitLab's sign-in page that makes it one.
    pub(in crate::checks) const SIGN_IN: &str = r#"<html><form action="/users/sign_in"><input name="user[login]"><input name="user[password]"></form></html>"#;

    pub(in crate::checks) fn target(url: &str) -> Target {
        Target {
            deployment: "acme".into(),
            url: Url::parse(url).unwrap(),
            address: None,
            ca_pem: None,
            nodes: Vec::new(),
            standin: false,
        }
    }

    pub(in crate::checks) fn node(name: &str) -> NodeTarget {
        NodeTarget {
            name: name.into(),
            ssh_config: "ansible/ssh_config".into(),
            health: Some(NodeHealth {
                url: Url::parse("https://gitlab.acme.example/-/readiness?all=1").unwrap(),
                resolve: "gitlab.acme.example:443:127.0.0.1".into(),
                ca: "/etc/gitlab/ssl/ca.crt".into(),
            }),
            machine: Machine { vcpu: 8, memory_gb: 16.0, simulated: Some("for the test".into()) },
        }
    }

    pub(in crate::checks) fn instance(server: &MockServer) -> Instance {
        let url = Url::parse(&format!("http://gitlab.acme.example:{}", server.address().port())).unwrap();
        let trust = Trust::new(Some(&Authority::new("Acme CA").pem())).unwrap();
        Instance::new(url, &[*server.address()], &trust).unwrap()
    }

    async fn healthy(_: &NodeTarget, command: &[String], _: Duration) -> Result<Reply, Unasked> {
        let url = command.last().map_or("", String::as_str);
        let body = if url.ends_with("health") { "GitLab OK" } else { ALL_OK };
        Ok(Reply { code: Some(0), stdout: format!("{body}\n200"), stderr: String::new() })
    }

    /// A stand-in that answers every page with the sign-in form, over TLS and on loopback.
    async fn serving(head: &str) -> (TlsServer, Target) {
        let ca = Authority::new("Acme CA");
        let answer =
            format!("{head}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{SIGN_IN}", SIGN_IN.len());
        let server =
            TlsServer::start(ca.issue(&["localhost"]), Behaviour::Answer(Arc::from(answer.as_str()))).await;
        let target = Target {
            address: Some(server.address.ip()),
            ca_pem: Some(ca.pem()),
            nodes: vec![node("acme-all-in-one-1")],
            standin: true,
            ..target(&format!("https://localhost:{}", server.address.port()))
        };
        (server, target)
    }

    fn status(verdict: &Verdict, check: Check) -> Status {
        verdict.findings.iter().find(|finding| finding.check == check.name()).unwrap().status
    }

    fn nobody() -> Desk<'static> {
        static NOWHERE: Sender = Sender::nowhere();
        static NO_SECRETS: LazyLock<Redactor> = LazyLock::new(Redactor::default);
        Desk { events: &NOWHERE, redactor: &NO_SECRETS }
    }

    const PAGE: &str = "HTTP/1.1 200 OK\r\ncontent-type: text/html\r\nx-gitlab-standin: lab";

    #[tokio::test]
    async fn a_healthy_deployment_has_every_check_once_and_in_order() {
        let (_server, target) = serving(PAGE).await;
        let options = Options { patience: IMPATIENT, ..Options::default() };
        let verdict = verify_with(&target, &options, &nobody(), &healthy).await;
        let names: Vec<_> = verdict.findings.iter().map(|finding| finding.check.as_str()).collect();
        assert_eq!(names, Check::ALL.map(Check::name), "{:#?}", verdict.findings);
        // Every page of this server is the sign-in page, so that readiness from outside is not what it should be.
        assert_eq!(status(&verdict, Check::ReadinessOutside), Status::Fail);
        assert_eq!((verdict.counts().pass, verdict.counts().skip, verdict.standin), (8, 1, true));
    }

    #[tokio::test]
    async fn level_reach_asks_no_page_and_no_node() {
        let (_server, target) = serving(PAGE).await;
        let options = Options { level: Level::Reach, patience: IMPATIENT };
        let verdict = verify_with(&target, &options, &nobody(), &healthy).await;
        assert_eq!((verdict.findings.len(), verdict.outcome()), (3, Outcome::Pass));
    }

    #[tokio::test]
    async fn a_stand_in_where_the_spec_says_gitlab_fails_and_is_called_one() {
        let (_server, target) = serving(PAGE).await;
        let target = Target { standin: false, ..target };
        let options = Options { patience: IMPATIENT, ..Options::default() };
        let verdict = verify_with(&target, &options, &nobody(), &healthy).await;
        assert_eq!((status(&verdict, Check::Standin), verdict.standin), (Status::Fail, true));
    }

    #[tokio::test]
    async fn one_root_cause_is_one_failure() {
        let (server, target) = serving(PAGE).await;
        drop(server);
        let options = Options { patience: IMPATIENT, ..Options::default() };
        let refused = async |_: &NodeTarget, _: &[String], _| Err(Unasked("no route to host".into()));
        let verdict = verify_with(&target, &options, &nobody(), &refused).await;
        assert_eq!(status(&verdict, Check::Tcp), Status::Fail);
        assert_eq!(verdict.counts().fail, 1, "{:#?}", verdict.findings);
        assert_eq!(verdict.outcome(), Outcome::Fail);
    }

    #[tokio::test]
    async fn everything_together_with_a_program_called_ssh() {
        let (_server, target) = serving(PAGE).await;
        let (_dir, path) = ssh::tests::folder();
        let script = r#"case "$*" in
            */-/health) printf 'GitLab OK\n200' ;;
            */-/liveness) printf '{"status":"ok"}\n200' ;;
            *) printf '{"status":"failed","db_check":[{"status":"failed","message":"no role s3cr3t-word"}]}\n503' ;;
        esac"#;
        let events = path.join("events.jsonl");
        let redactor = Redactor::knowing(&[secrecy::SecretString::from("s3cr3t-word")]);
        let (sender, writer) = crate::events::start(crate::events::Options {
            run: "r1".into(),
            path: events.clone(),
            redactor: redactor.clone(),
            readers: Vec::new(),
        })
        .unwrap();
        let runner = ssh::tests::runner(&path, script, sender, redactor);
        let patience = Patience { deadline: Duration::from_secs(4), attempt: Duration::from_secs(3) };
        let options = Options { patience, ..Options::default() };
        let verdict = verify(&target, &options, &runner).await;
        drop(runner);
        assert_eq!(writer.finish().stuck_readers, 0);
        assert_eq!(status(&verdict, Check::Liveness), Status::Pass, "{:#?}", verdict.findings);
        let readiness = verdict.findings.iter().find(|finding| finding.check == "readiness").unwrap();
        assert_eq!(readiness.saw, "503, db_check failed: no role [redacted]");
        let said = fs_err::read_to_string(events).unwrap();
        assert_eq!(said.matches(r#""type":"finding""#).count(), verdict.findings.len());
    }
}
