//! What the nodes were found to be, against what they should be: the checks that need nothing but the facts which one
//! Ansible run gathered from all nodes.

mod certificate;
mod clock;
mod configuration;
mod disk_space;
mod package;
mod services;

use jiff::Timestamp;

use super::catalogue::Check;
use super::question::{Miss, Question};
use super::target::NodeTarget;
use crate::events::Finding;
use crate::rollout::{NodeState, Wanted};

pub use clock::Offset;

/// What is known of one node, and what it should be.
#[derive(Clone, Debug, PartialEq)]
pub struct NodeFacts {
    /// What it was found to be.
    pub state: NodeState,
    /// What it should be.
    pub wanted: Wanted,
    /// The services without which it can't do what it is for, as `gitlab-ctl` names them.
    pub services: &'static [&'static str],
    /// How its clock stands against this machine's.
    pub offset: Offset,
    /// Whether its clock is this machine's own, as on the lab.
    pub shares_clock: bool,
    /// Whether this run configured it just before, so that its services are young for a good reason.
    pub just_configured: bool,
}

/// What a check asks, what it wants to see, and how it judges the facts.
struct Ask {
    check: Check,
    asked: &'static str,
    wanted: fn(&NodeFacts) -> String,
    judge: fn(&NodeFacts, Timestamp) -> Result<String, Miss>,
}

const ASKS: [Ask; 6] = [
    Ask {
        check: Check::Services,
        asked: "runit's record of every service",
        wanted: |_| "every service runs, and has for a while".into(),
        judge: |facts, _| services::judge(facts),
    },
    Ask {
        check: Check::PackageInstalled,
        asked: "dpkg for the package",
        wanted: |facts| match &facts.wanted.package {
            Some(version) => format!("gitlab-ee {version}, held against upgrades"),
            None => "the package that the node serves with".into(),
        },
        judge: |facts, _| package::judge(facts),
    },
    Ask {
        check: Check::Configuration,
        asked: "the hashes of gitlab.rb and of the secrets in `/etc/gitlab`",
        wanted: |_| "the files that refarch delivered, and that were configured last".into(),
        judge: |facts, _| configuration::judge(facts),
    },
    Ask {
        check: Check::DiskSpace,
        asked: "the file systems of `/`, `/var/opt/gitlab` and `/var/log`",
        wanted: |_| disk_space::wanted(),
        judge: |facts, _| disk_space::judge(facts),
    },
    Ask {
        check: Check::Certificate,
        asked: "the certificate in `/etc/gitlab/ssl`",
        wanted: |_| certificate::wanted(),
        judge: certificate::judge,
    },
    Ask {
        check: Check::Clock,
        asked: "the node's clock",
        wanted: |_| clock::wanted(),
        judge: |facts, _| clock::judge(facts),
    },
];

/// Judges what is known of a node. Where nothing is, every check says why it could not look.
pub(super) fn check(node: &NodeTarget, facts: &Result<NodeFacts, String>, now: Timestamp) -> Vec<Finding> {
    let one = |ask: &Ask| {
        let asked = format!("{} on {}", ask.asked, node.name);
        let (wanted, answer) = match facts {
            Ok(facts) => ((ask.wanted)(facts), (ask.judge)(facts, now)),
            Err(why) => ("the node's own word".into(), Err(unknown(node, why))),
        };
        Question::new(ask.check, asked, wanted).on(&node.name).answer(answer)
    };
    // A node that serves no TLS has no certificate to ask about.
    let applies = |ask: &&Ask| {
        ask.check != Check::Certificate
            || facts.as_ref().is_ok_and(|facts| facts.wanted.certificate.is_some())
            || facts.is_err()
    };
    ASKS.iter().filter(applies).map(one).collect()
}

fn unknown(node: &NodeTarget, why: &str) -> Miss {
    let remedy = format!("see whether the host runs, and try `ssh -F {} {}`", node.ssh_config, node.name);
    Miss::skip(format!("nothing is known of the node: {why}"), remedy)
}

#[cfg(test)]
pub(super) mod tests {
    use serde_json::json;

    use super::super::verify::tests::node;
    use super::*;
    use crate::events::Status;

    /// The facts of a node that is as it should be.
    pub(in crate::checks) fn facts() -> NodeFacts {
        let state = json!({
            "version": 2,
            "package": { "installed": "18.11.2-ee.0", "held": true },
            "files": { "gitlab_rb": "a", "refarch_secrets": "b", "gitlab_secrets": "c", "certificate": "d" },
            "services": [
                { "name": "nginx", "state": "run", "since_s": 3600 },
                { "name": "puma", "state": "run", "since_s": 3600 },
            ],
            "stamp": {
                "deployment": "acme", "suffix": "abc123", "package": "18.11.2-ee.0", "gitlab_rb": "a",
                "refarch_secrets": "b", "gitlab_secrets": "c", "certificate": "d",
            },
            "data_disks": [],
            "os": { "id": "debian", "version": "13", "architecture": "amd64" },
            "memory_gb": 16.0, "vcpu": 8,
            "space": [
                { "place": "/", "size_bytes": 100, "free_bytes": 60, "inodes": 100, "free_inodes": 90 },
                { "place": "/var/opt/gitlab", "size_bytes": 200, "free_bytes": 60, "inodes": 0, "free_inodes": 0 },
            ],
            "certificate": { "not_after_s": 1_829_692_800 },
            "clock": { "epoch_s": 1.0, "synchronized": true },
        });
        NodeFacts {
            state: serde_json::from_value(state).unwrap(),
            wanted: Wanted {
                package: Some("18.11.2-ee.0".into()),
                gitlab_rb: Some("a".into()),
                refarch_secrets: Some("b".into()),
                gitlab_secrets: Some("c".into()),
                certificate: Some("d".into()),
                data: None,
            },
            services: &["nginx", "puma"],
            offset: Offset { seconds: 0.1, uncertainty_s: 0.4 },
            shares_clock: false,
            just_configured: false,
        }
    }

    #[test]
    fn a_node_that_is_as_it_should_be_passes_every_check() {
        let node = node("acme-all-in-one-1");
        let findings = check(&node, &Ok(facts()), certificate::tests::TODAY.parse().unwrap());
        assert_eq!(findings.len(), 6);
        for finding in &findings {
            assert_eq!(finding.status, Status::Pass, "{finding:#?}");
            assert_eq!(finding.node.as_deref(), Some("acme-all-in-one-1"));
        }
    }

    #[test]
    fn a_node_that_could_not_be_asked_skips_every_check_with_the_reason() {
        let why = "connection refused".to_owned();
        for finding in check(&node("acme-all-in-one-1"), &Err(why), Timestamp::now()) {
            assert_eq!(finding.status, Status::Skip, "{finding:#?}");
            assert_eq!(finding.saw, "nothing is known of the node: connection refused");
            assert!(finding.remedy.is_some_and(|remedy| remedy.contains("ssh -F ")));
        }
    }
}
