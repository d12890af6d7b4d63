//! Does a node answer itself: its web server, its Puma, and the things behind that?

use std::time::Duration;

use super::catalogue::Check;
use super::node::{self, Page, Reply, Unasked};
use super::question::{Miss, Patience, Question};
use super::target::{NodeHealth, NodeTarget};
use super::{page, readiness};
use crate::events::Finding;

/// One page that every node with a Puma has.
struct Ask {
    check: Check,
    page: &'static str,
    wanted: &'static str,
    judge: fn(&Page) -> Result<String, Miss>,
}

const HEALTH: Ask =
    Ask { check: Check::Health, page: "/-/health", wanted: "200 and `GitLab OK`", judge: judge_health };
const LIVENESS: Ask = Ask {
    check: Check::Liveness,
    page: "/-/liveness",
    wanted: "200 and `status: ok`",
    judge: judge_liveness,
};
const READINESS: Ask = Ask {
    check: Check::Readiness,
    page: "/-/readiness?all=1",
    wanted: "200, and `ok` from the database, Redis and Gitaly",
    judge: judge_readiness,
};

/// Asks all three at once.
pub(super) async fn check(
    node: &NodeTarget,
    health: &NodeHealth,
    patience: Patience,
    run: &impl AsyncFn(&NodeTarget, &[String], Duration) -> Result<Reply, Unasked>,
) -> [Finding; 3] {
    let one = async |ask: &Ask| {
        let asked = format!("GET {} on {} itself, over SSH", ask.page, node.name);
        let attempt = async |limit: Duration| {
            let command = node::curl(health, ask.page, limit);
            let reply = run(node, &command, limit).await;
            (ask.judge)(&node::page(node, reply)?).map(|saw| (saw, ()))
        };
        Question::new(ask.check, asked, ask.wanted).on(&node.name).settle(patience, attempt).await.0
    };
    tokio::join!(one(&HEALTH), one(&LIVENESS), one(&READINESS)).into()
}

fn judge_health(seen: &Page) -> Result<String, Miss> {
    match seen.status {
        200 if seen.body.trim() == "GitLab OK" => Ok("200, `GitLab OK`".into()),
        200 => Err(Miss::fail(
            format!("200, but {}", page::excerpt(&seen.body)),
            "see whether GitLab's own NGINX holds port 443 on the node: `ss -ltnp`",
        )),
        404 => Err(not_listed()),
        status => Err(page::unexpected(status, "/-/health", None)),
    }
}

fn judge_liveness(seen: &Page) -> Result<String, Miss> {
    readiness::judge(seen.status, &seen.body, &[]).map_err(on_node)
}

fn judge_readiness(seen: &Page) -> Result<String, Miss> {
    readiness::judge(seen.status, &seen.body, &readiness::BEHIND_PUMA).map_err(on_node)
}

/// On the node the one that asks is loopback, so the remedy for a 404 is another one.
fn on_node(miss: Miss) -> Miss {
    if miss.saw == page::NOT_LISTED { not_listed() } else { miss }
}

fn not_listed() -> Miss {
    Miss::skip(page::NOT_LISTED, "leave `127.0.0.0/8` in the `monitoring_whitelist` of the node's gitlab.rb")
}

#[cfg(test)]
mod tests {
    use super::super::question::tests::IMPATIENT;
    use super::super::verify::tests::node;
    use super::*;
    use crate::events::Status;

    async fn asked(health: &str, liveness: &str, readiness: &str) -> [Finding; 3] {
        let run = async |_: &NodeTarget, command: &[String], _| {
            let url = command.last().unwrap();
            let stdout = if url.ends_with("/-/health") {
                health
            } else if url.ends_with("/-/liveness") {
                liveness
            } else {
                assert!(url.ends_with("/-/readiness?all=1"), "{url}");
                readiness
            };
            Ok(Reply { code: Some(0), stdout: stdout.into(), stderr: String::new() })
        };
        let node = node("acme-all-in-one-1");
        check(&node, node.health.as_ref().unwrap(), IMPATIENT, &run).await
    }

    fn statuses(findings: &[Finding; 3]) -> [Status; 3] {
        [findings[0].status, findings[1].status, findings[2].status]
    }

    #[tokio::test]
    async fn passes_when_all_is_well() {
        let all = format!("{}\n200", readiness::tests::ALL_OK);
        let findings = asked("GitLab OK\n200", "{\"status\":\"ok\"}\n200", &all).await;
        assert_eq!(statuses(&findings), [Status::Pass; 3], "{findings:#?}");
        assert_eq!(findings[2].node.as_deref(), Some("acme-all-in-one-1"));
    }

    #[tokio::test]
    async fn fails_each_on_its_fault() {
        let broken = r#"{"status":"failed","db_check":[{"status":"failed","message":"no connection"}]}"#;
        let readiness = format!("{broken}\n503");
        let findings = asked("Welcome to nginx!\n200", "{\"status\":\"failed\"}\n503", &readiness).await;
        assert_eq!(statuses(&findings), [Status::Fail; 3], "{findings:#?}");
        assert!(findings[2].saw.contains("db_check failed: no connection"), "{}", findings[2].saw);
        let findings = asked("\n502", "\n502", "\n502").await;
        assert_eq!(statuses(&findings), [Status::Fail; 3]);
        assert!(findings[0].saw.contains("Workhorse or Puma"));
    }

    #[tokio::test]
    async fn skips_when_the_node_does_not_let_it_look() {
        let findings = asked("\n404", "\n404", "\n404").await;
        assert_eq!(statuses(&findings), [Status::Skip; 3]);
        assert_eq!(findings[1].saw, "address not in the allowlist");

        let run = async |_: &NodeTarget, _: &[String], _| Err(Unasked("connection refused".into()));
        let node = node("acme-all-in-one-1");
        let findings = check(&node, node.health.as_ref().unwrap(), IMPATIENT, &run).await;
        assert_eq!(statuses(&findings), [Status::Skip; 3]);
    }
}
