//! Asks everything of one level, in parallel where one answer does not depend on another.

use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream;
use jiff::Timestamp;
use tokio::time::Instant;

use super::catalogue::Check;
use super::function::{self, Trail, Work, after_interrupt};
use super::level::Level;
use super::node::{Reply, Unasked};
use super::node_state::NodeFacts;
use super::question::Patience;
use super::target::{NodeTarget, Options, Proxy, Target};
use super::verdict::Verdict;
use super::{
    api, behind_proxy, dns, node_health, node_state, readiness_outside, redirect, sign_in, size, ssh,
    standin, tcp, tls,
};
use crate::events::{Finding, Kind, Sender, Status};
use crate::instance::{Instance, Proxied, Trust, Untrusted, Way};
use crate::process::{Ambient, Redactor, Runner};

/// How many nodes are asked at once; each takes a handful of connections.
const NODES_AT_ONCE: usize = 8;

/// How long what is under way may take to end after an interrupt.
const GRACE: Duration = Duration::from_secs(1);
/// How long the removal of what was made may take then.
const PARTING: Duration = Duration::from_secs(10);

/// The user asked to stop before all was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the verification was interrupted")]
pub struct Interrupted;

/// Asks the deployment and its nodes, and sends each finding as it comes. The runner starts `ssh` and `git`.
pub async fn verify(target: &Target, options: &Options, runner: &Runner) -> Result<Verdict, Interrupted> {
    let run = async |node: &NodeTarget, command: &[String], limit: Duration| {
        ssh::run(runner, node, command, limit).await
    };
    if let Ok(token) = &target.token {
        runner.redactor().learn([token]);
    }
    let desk = Desk { options, events: runner.events(), redactor: runner.redactor() };
    let trail = Trail::default();
    let work = Work { target, options, desk: &desk, runner, trail: &trail };
    let mut asking = Box::pin(verify_with(target, options, &desk, &run, Some(&work)));
    tokio::select! {
        verdict = &mut asking => return Ok(verdict),
        // What asks a node ends by itself within seconds.
        _ = runner.interrupts().beyond(0) => {}
    }
    if trail.known().is_something() {
        // Programs were told to end, and requests under way may still make something.
        let _ = tokio::time::timeout(GRACE, &mut asking).await;
    }
    drop(asking);
    tokio::select! {
        removed = after_interrupt(&trail, Patience { deadline: PARTING, attempt: PARTING / 2 }) => {
            if let Err(miss) = removed {
                runner.events().warn(miss.saw, Some(miss.remedy));
            }
        }
        _ = runner.interrupts().beyond(1) => {
            let left = "what the verification made may be left in the group that it works in".to_owned();
            runner.events().warn(left, Some("A later verification removes it.".into()));
        }
    }
    Err(Interrupted)
}

/// Where findings go as they come.
pub(super) struct Desk<'a> {
    options: &'a Options,
    events: &'a Sender,
    redactor: &'a Redactor,
}

impl Desk<'_> {
    /// Tells of a finding. What an instance answered is outside of refarch's hands, and so are the secrets in it.
    pub(super) fn say(&self, finding: Finding) -> Finding {
        let finding = Finding { saw: self.redactor.redact(&finding.saw), ..finding };
        if finding.status == Status::Fail || place(&finding).is_some_and(|check| self.options.names(check)) {
            self.events.send(Kind::Finding(finding.clone()));
        }
        finding
    }
}

/// The same with another way to run a command on a node.
async fn verify_with(
    target: &Target,
    options: &Options,
    desk: &Desk<'_>,
    run: &impl AsyncFn(&NodeTarget, &[String], Duration) -> Result<Reply, Unasked>,
    work: Option<&Work<'_>>,
) -> Verdict {
    let (started, began) = (Timestamp::now(), Instant::now());
    let ((mut findings, sees_standin), of_nodes) = tokio::join!(
        Box::pin(ask_outside(target, options, desk, work)),
        ask_nodes(target, options, desk, run)
    );
    findings.extend(of_nodes);
    findings.sort_by_key(|finding| (place(finding), finding.node.clone()));
    Verdict {
        deployment: target.deployment.clone(),
        url: target.url.as_str().trim_end_matches('/').to_owned(),
        level: options.level,
        read_only: options.read_only,
        only: options.only.clone(),
        waived: Vec::new(),
        standin: target.standin == Some(true) || sees_standin,
        started,
        duration: began.elapsed(),
        findings: reported(options, findings),
    }
}

/// What was asked for, what failed, and what could not look where that stands in the way of what was asked for.
fn reported(options: &Options, findings: Vec<Finding>) -> Vec<Finding> {
    let named = |finding: &Finding| place(finding).filter(|check| options.names(*check));
    let skipped = findings.iter().filter(|finding| finding.status == Status::Skip);
    let skipped: Vec<Check> = skipped.filter_map(named).collect();
    let stands_in_the_way = |finding: &Finding| {
        let of = place(finding);
        let blocks = of.is_some_and(|check| skipped.iter().any(|skipped| skipped.needs(check)));
        finding.status == Status::Fail || (finding.status == Status::Skip && blocks)
    };
    findings.into_iter().filter(|finding| named(finding).is_some() || stands_in_the_way(finding)).collect()
}

/// Asks from here, and says besides whether the instance calls itself a stand-in.
async fn ask_outside(
    target: &Target,
    options: &Options,
    desk: &Desk<'_>,
    work: Option<&Work<'_>>,
) -> (Vec<Finding>, bool) {
    let mut sees_standin = false;
    let mut findings = Vec::new();
    if !options.asks(Check::Dns) {
        return (findings, sees_standin);
    }
    let mut say = |finding| findings.push(desk.say(finding));
    let patience = options.patience;
    let ambient = work.map(|work| work.runner.ambient());
    let (reached, way) = reach(target, patience, ambient).await;
    reached.into_iter().for_each(&mut say);
    let trust = Trust::new(target.ca_pem.as_deref());
    let (finding, usable) = tls::check(&target.url, way.as_ref(), &trust, patience).await;
    say(finding);
    let instance = usable.then(|| connect(target, way.as_ref(), trust)).flatten();
    let instance = instance.as_ref().ok_or(if way.is_none() { Check::Tcp } else { Check::Tls });
    let unasked = target.standin.is_none() && options.level > Level::Reach && !options.asks(Check::SignIn);
    let plain = redirect::place(&target.url, way.as_ref()).filter(|_| options.asks(Check::Redirect));
    let redirected = async { Some(redirect::check(target, plain?, patience).await) };
    let (page, redirected, outside, asked, calls_itself) = tokio::join!(
        when(options.asks(Check::SignIn), sign_in::check(instance, patience)),
        redirected,
        when(options.asks(Check::ReadinessOutside), readiness_outside::check(instance, patience)),
        when(options.asks(Check::Token), api::check(target, options, instance)),
        when(unasked, calls_itself_standin(instance, patience)),
    );
    sees_standin |= calls_itself == Some(true);
    let signed_out = page.as_ref().is_some_and(|(page, _)| page.status == Status::Fail);
    if let Some((page, answer)) = page {
        sees_standin = answer.as_ref().is_some_and(|answer| answer.standin.is_some());
        say(page);
        if options.asks(Check::Standin) {
            say(standin::check(target.standin, answer.as_ref()));
        }
    }
    redirected.into_iter().chain(outside).for_each(&mut say);
    if let Some(asked) = asked {
        let identity = asked.identity.clone();
        asked.behind(signed_out).into_iter().for_each(&mut say);
        if let Some(work) = work.filter(|_| options.asks(Check::Group)) {
            findings.extend(Box::pin(function::check(work, instance.ok(), identity)).await);
        }
    }
    (findings, sees_standin)
}

/// Whether the instance calls itself a stand-in, where nobody said and no named check looks: a verdict on one must
/// never pass for one on GitLab.
async fn calls_itself_standin(instance: Result<&Instance, Check>, patience: Patience) -> bool {
    let Ok(instance) = instance else { return false };
    let answer = instance.get("/users/sign_in", patience.attempt).await;
    answer.is_ok_and(|answer| answer.standin.is_some())
}

/// What `work` gives, if it is to be done at all.
pub(super) async fn when<T>(wanted: bool, work: impl Future<Output = T>) -> Option<T> {
    if wanted { Some(work.await) } else { None }
}

/// Looks for the way to the instance: straight, or through the proxy that the environment names.
async fn reach(
    target: &Target,
    patience: Patience,
    ambient: Option<&Ambient>,
) -> ([Finding; 2], Option<Way>) {
    let proxied = match (target.proxy, ambient) {
        (Proxy::Environment, Some(ambient)) => {
            Proxied::from_environment(&target.url, |name| ambient.variable(name))
        }
        _ => Ok(None),
    };
    match proxied {
        Ok(Some(proxied)) => return behind_proxy::check(proxied, patience).await,
        Err(unusable) => return (behind_proxy::unusable(&unusable.to_string()), None),
        Ok(None) => {}
    }
    let (dns, addresses) = dns::check(target, patience, dns::system).await;
    let (tcp, socket) = tcp::check(&target.url, &addresses, patience).await;
    ([dns, tcp], socket.map(Way::from))
}

fn connect(target: &Target, way: Option<&Way>, trust: Result<Trust, Untrusted>) -> Option<Instance> {
    let (url, trust) = (target.url.clone(), trust.ok()?);
    let instance = match way? {
        Way::Straight(socket) => Instance::new(url, &[*socket], &trust).ok()?,
        Way::Through(proxied) => Instance::through(proxied.proxy().clone(), url, &trust).ok()?,
    };
    Some(match &target.token {
        Ok(token) => instance.with_token(token.clone()),
        Err(_) => instance,
    })
}

async fn ask_nodes(
    target: &Target,
    options: &Options,
    desk: &Desk<'_>,
    run: &impl AsyncFn(&NodeTarget, &[String], Duration) -> Result<Reply, Unasked>,
) -> Vec<Finding> {
    let health = [Check::Health, Check::Liveness, Check::Readiness].map(|check| options.asks(check));
    let (asks_health, asks_size) = (health.contains(&true), options.asks(Check::Size));
    let one = async |node: &NodeTarget| {
        let size = when(asks_size, size::check(node, options.patience, run));
        let health = async {
            match &node.health {
                Some(health) if asks_health => {
                    node_health::check(node, health, options.patience, run).await.to_vec()
                }
                _ => Vec::new(),
            }
        };
        let (health, size) = tokio::join!(health, size);
        let findings = health.into_iter().chain(size);
        findings.map(|finding| desk.say(finding)).collect::<Vec<_>>()
    };
    if !(asks_health || asks_size) {
        return Vec::new();
    }
    stream::iter(&target.nodes).map(one).buffer_unordered(NODES_AT_ONCE).concat().await
}

/// Judges what was gathered of the nodes: there is nothing left to ask. Sends each finding.
pub fn judge_nodes(
    nodes: &[NodeTarget],
    gathered: &dyn Fn(&NodeTarget) -> Result<NodeFacts, String>,
    options: &Options,
    runner: &Runner,
) -> Vec<Finding> {
    let desk = Desk { options, events: runner.events(), redactor: runner.redactor() };
    let now = Timestamp::now();
    let named = |finding: &Finding| place(finding).is_some_and(|check| options.names(check));
    let asked = |finding: &Finding| place(finding).is_some_and(|check| options.asks(check));
    let findings = nodes.iter().flat_map(|node| node_state::check(node, &gathered(node), now));
    let said = findings.filter(asked).map(|finding| desk.say(finding));
    said.filter(|finding| named(finding) || finding.status == Status::Fail).collect()
}

/// Sends findings that were made elsewhere.
#[must_use]
pub fn tell(findings: Vec<Finding>, options: &Options, runner: &Runner) -> Vec<Finding> {
    let desk = Desk { options, events: runner.events(), redactor: runner.redactor() };
    findings.into_iter().map(|finding| desk.say(finding)).collect()
}

fn place(finding: &Finding) -> Option<Check> {
    Check::ALL.into_iter().find(|check| check.name() == finding.check)
}

#[cfg(test)]
pub(super) mod tests {
    use std::collections::BTreeSet;
    use std::sync::{Arc, LazyLock};

    use url::Url;
    use wiremock::MockServer;

    use super::super::group::GroupName;
    use super::super::question::tests::IMPATIENT;
    use super::super::readiness::tests::ALL_OK;
    use super::super::target::{Machine, NodeHealth, SshAccess};
    use super::super::verdict::Outcome;
    use super::*;
    use crate::instance::testing::{Authority, Behaviour, TlsServer};

    /// The part of GitLab's sign-in page that makes it one.
    pub(in crate::checks) const SIGN_IN: &str = r#"<html><form action="/users/sign_in"><input name="user[login]"><input name="user[password]"></form></html>"#;

    pub(in crate::checks) fn target(url: &str) -> Target {
        Target {
            deployment: Some("acme".into()),
            url: Url::parse(url).unwrap(),
            address: None,
            ca_pem: None,
            nodes: Vec::new(),
            standin: Some(false),
            wanted: None,
            token: Err("no token was given".into()),
            group: GroupName::Own,
            ssh: SshAccess::default(),
            proxy: Proxy::None,
        }
    }

    pub(in crate::checks) fn options(level: Level) -> Options {
        let options = Options::new(level, "/nonexistent/scratch".into(), "r1".into());
        Options { patience: IMPATIENT, ..options }
    }

    pub(in crate::checks) fn node(name: &str) -> NodeTarget {
        NodeTarget {
            name: name.into(),
            ssh_config: "ansible/ssh_config".into(),
            health: Some(NodeHealth {
                url: Url::parse("https://gitlab.acme.example/-/readiness?all=1").unwrap(),
                resolve: "gitlab.acme.example:443:127.0.0.1".into(),
                ca: Some("/etc/gitlab/ssl/ca.crt".into()),
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
            standin: Some(true),
            ..target(&format!("https://localhost:{}", server.address.port()))
        };
        (server, target)
    }

    fn status(verdict: &Verdict, check: Check) -> Status {
        verdict.findings.iter().find(|finding| finding.check == check.name()).unwrap().status
    }

    fn nobody(options: &Options) -> Desk<'_> {
        static NOWHERE: Sender = Sender::nowhere();
        static NO_SECRETS: LazyLock<Redactor> = LazyLock::new(Redactor::default);
        Desk { options, events: &NOWHERE, redactor: &NO_SECRETS }
    }

    const PAGE: &str = "HTTP/1.1 200 OK\r\ncontent-type: text/html\r\nx-gitlab-standin: lab";

    #[tokio::test]
    async fn a_healthy_deployment_has_every_check_once_and_in_order() {
        let (_server, target) = serving(PAGE).await;
        let options = options(Level::Health);
        let verdict = verify_with(&target, &options, &nobody(&options), &healthy, None).await;
        let names: Vec<_> = verdict.findings.iter().map(|finding| finding.check.as_str()).collect();
        // The server has a port of its own, beside which nobody expects plain HTTP.
        let applies = |check: &Check| !check.needs_facts() && *check != Check::Redirect;
        let asked = Check::ALL.into_iter().filter(|check| options.asks(*check) && applies(check));
        assert_eq!(names, asked.map(Check::name).collect::<Vec<_>>(), "{:#?}", verdict.findings);
        // Every page of this server is the sign-in page, so that readiness from outside is not what it should be.
        assert_eq!(status(&verdict, Check::ReadinessOutside), Status::Fail);
        assert_eq!((verdict.counts().pass, verdict.counts().skip, verdict.standin), (8, 1, true));
    }

    #[tokio::test]
    async fn level_reach_asks_no_page_and_no_node() {
        let (_server, target) = serving(PAGE).await;
        let options = options(Level::Reach);
        let verdict = verify_with(&target, &options, &nobody(&options), &healthy, None).await;
        assert_eq!((verdict.findings.len(), verdict.outcome()), (3, Outcome::Pass));
    }

    #[tokio::test]
    async fn a_stand_in_where_the_spec_says_gitlab_fails_and_is_called_one() {
        let (_server, target) = serving(PAGE).await;
        let target = Target { standin: Some(false), ..target };
        let options = options(Level::Health);
        let verdict = verify_with(&target, &options, &nobody(&options), &healthy, None).await;
        assert_eq!((status(&verdict, Check::Standin), verdict.standin), (Status::Fail, true));
    }

    #[tokio::test]
    async fn a_stand_in_is_called_one_also_where_other_checks_were_named() {
        let (_server, target) = serving(PAGE).await;
        let target = Target { standin: None, ..target };
        let only = Some(BTreeSet::from([Check::Tls, Check::ReadinessOutside]));
        let options = Options { only, ..options(Level::Health) };
        let verdict = verify_with(&target, &options, &nobody(&options), &healthy, None).await;
        assert!(verdict.standin);
        assert!(verdict.findings.iter().all(|finding| finding.check != "sign_in"), "{:#?}", verdict.findings);
    }

    #[tokio::test]
    async fn one_root_cause_is_one_failure() {
        let (server, target) = serving(PAGE).await;
        server.stop().await;
        let options = options(Level::Health);
        let refused = async |_: &NodeTarget, _: &[String], _| Err(Unasked("no route to host".into()));
        let verdict = verify_with(&target, &options, &nobody(&options), &refused, None).await;
        assert_eq!(status(&verdict, Check::Tcp), Status::Fail);
        assert_eq!(verdict.counts().fail, 1, "{:#?}", verdict.findings);
        assert_eq!(verdict.outcome(), Outcome::Fail);
    }

    #[tokio::test]
    async fn what_was_named_is_reported_and_what_stands_in_its_way() {
        let (server, target) = serving(PAGE).await;
        let only = Some(BTreeSet::from([Check::SignIn, Check::Liveness]));
        let options = Options { only, ..options(Level::Health) };
        let names = |verdict: &Verdict| {
            verdict.findings.iter().map(|finding| finding.check.clone()).collect::<Vec<_>>()
        };
        let verdict = verify_with(&target, &options, &nobody(&options), &healthy, None).await;
        assert_eq!(names(&verdict), ["sign_in", "liveness"]);
        assert_eq!(verdict.outcome(), Outcome::Pass);
        server.stop().await;
        let verdict = verify_with(&target, &options, &nobody(&options), &healthy, None).await;
        assert_eq!(names(&verdict), ["tcp", "tls", "sign_in", "liveness"], "{:#?}", verdict.findings);
    }

    #[tokio::test]
    async fn an_interrupt_ends_it() {
        let (_server, target) = serving(PAGE).await;
        let (_dir, path) = ssh::tests::folder();
        let runner = ssh::tests::runner(&path, "exit 0", Sender::nowhere(), Redactor::default());
        runner.interrupts().interrupt();
        assert_eq!(verify(&target, &options(Level::Health), &runner).await.unwrap_err(), Interrupted);
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
        let options = Options { patience, ..options(Level::Health) };
        let verdict = verify(&target, &options, &runner).await.unwrap();
        drop(runner);
        assert_eq!(writer.finish().stuck_readers, 0);
        assert_eq!(status(&verdict, Check::Liveness), Status::Pass, "{:#?}", verdict.findings);
        let readiness = verdict.findings.iter().find(|finding| finding.check == "readiness").unwrap();
        assert_eq!(readiness.saw, "503, db_check failed: no role [redacted]");
        let said = fs_err::read_to_string(events).unwrap();
        assert_eq!(said.matches(r#""type":"finding""#).count(), verdict.findings.len());
    }
}
