use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;

use super::{Decision, NodeState, Question, Refusal, Wanted, added_by_node, decide, differences};
use crate::architecture::of_size;
use crate::deployment::{Deployment, NodeName, resolve};
use crate::spec::{self, Size};

const UUID: &str = "d1fa0b4d-7a20-43b4-a01c-d8e7106ff8b4";

struct World {
    deployment: Deployment,
    wanted: BTreeMap<NodeName, Wanted>,
    states: BTreeMap<NodeName, NodeState>,
    disks: BTreeMap<(NodeName, String), String>,
    accepted: BTreeSet<String>,
}

impl World {
    /// A node that is as it should be.
    fn settled() -> Self {
        let spec = spec::parse(include_str!("../../examples/lab-1k.yml"), "lab-1k.yml").expect("valid").spec;
        let deployment = resolve(&spec, of_size(Size::OneK).expect("a part of the program"));
        let node = deployment.front.clone();
        let wanted = Wanted {
            package: "18.11.2-ee.0".into(),
            gitlab_rb: "a".into(),
            refarch_secrets: "b".into(),
            gitlab_secrets: Some("c".into()),
            certificate: "d".into(),
        };
        let state = json!({
            "version": 2,
            "package": { "installed": "18.11.2-ee.0", "held": true },
            "files": { "gitlab_rb": "a", "refarch_secrets": "b", "gitlab_secrets": "c", "certificate": "d" },
            "services": [{ "name": "puma", "state": "run", "since_s": 12 }],
            "stamp": {
                "version": 1, "deployment": "demo", "suffix": "abc123", "component": "all_in_one",
                "package": "18.11.2-ee.0", "gitlab_rb": "a", "refarch_secrets": "b", "gitlab_secrets": "c",
                "certificate": "d",
            },
            "data_disks": [{
                "name": "data", "path": "/dev/x", "present": true, "signature": "ext4", "uuid": UUID,
                "mounted": true,
                "marker": { "version": 1, "deployment": "demo", "suffix": "abc123", "uuid": UUID, "built": true },
            }],
            "os": { "id": "debian", "version": "13", "architecture": "amd64" },
            "memory_gb": 23.5, "vcpu": 2, "space": [], "certificate": null,
            "clock": { "epoch_s": 1_795_435_200.5, "synchronized": null },
        });
        Self {
            wanted: BTreeMap::from([(node.clone(), wanted)]),
            states: BTreeMap::from([(node.clone(), serde_json::from_value(state).expect("a state"))]),
            disks: BTreeMap::from([((node, "data".into()), UUID.into())]),
            accepted: BTreeSet::new(),
            deployment,
        }
    }

    fn state(&mut self) -> &mut NodeState {
        self.states.values_mut().next().expect("one node")
    }

    fn decide(&self) -> Result<Decision, Vec<Refusal>> {
        let question = Question {
            deployment: &self.deployment,
            suffix: "abc123",
            wanted: &self.wanted,
            states: &self.states,
            known_disks: &self.disks,
            accepted: &self.accepted,
        };
        decide(question).map(|rollout| rollout.decisions[0].1.clone())
    }
}

/// What is spoilt, and how.
type Spoil = (&'static str, fn(&mut NodeState));

/// The ways in which a disk can lose what it held.
const LOSSES: [Spoil; 5] = [
    ("no file system", |state| state.data_disks[0].uuid = None),
    ("another file system", |state| state.data_disks[0].uuid = Some("other".into())),
    ("no device", |state| state.data_disks[0].present = false),
    ("no marker", |state| state.data_disks[0].marker = None),
    ("another's marker", |state| {
        state.data_disks[0].marker.as_mut().expect("a marker").suffix = "zzz999".into();
    }),
];

#[test]
fn a_settled_node_is_left_alone() {
    assert_eq!(World::settled().decide(), Ok(Decision::LeaveAlone));
}

/// Every single fact that the proof rests on, taken away in turn.
#[test]
fn whatever_differs_is_converged() {
    let spoils: [Spoil; 11] = [
        ("no package", |state| state.package.installed = None),
        ("not held", |state| state.package.held = false),
        ("gitlab.rb", |state| state.files.gitlab_rb = Some("x".into())),
        ("named secrets", |state| state.files.refarch_secrets = None),
        ("gitlab-secrets.json", |state| state.files.gitlab_secrets = Some("x".into())),
        ("certificate", |state| state.files.certificate = None),
        ("a service", |state| state.services[0].state = super::ServiceState::Down),
        ("all services", |state| state.services.clear()),
        ("the stamp", |state| state.stamp = None),
        ("another stamp", |state| state.stamp.as_mut().expect("a stamp").gitlab_rb = "old".into()),
        ("the mount", |state| state.data_disks[0].mounted = false),
    ];
    for (name, spoil) in spoils {
        let mut world = World::settled();
        spoil(world.state());
        assert!(matches!(world.decide(), Ok(Decision::Converge(reasons)) if !reasons.is_empty()), "{name}");
    }
}

#[test]
fn another_version_is_refused_both_ways() {
    let mut world = World::settled();
    world.state().package.installed = Some("18.11.1-ee.0".into());
    assert!(matches!(world.decide().as_ref().map_err(Vec::as_slice), Err([Refusal::Upgrade { .. }])));
    world.state().package.installed = Some("18.11.10-ee.0".into());
    assert!(matches!(world.decide().as_ref().map_err(Vec::as_slice), Err([Refusal::Downgrade { .. }])));
}

#[test]
fn a_node_of_another_deployment_is_refused() {
    let mut world = World::settled();
    world.state().stamp.as_mut().expect("a stamp").suffix = "zzz999".into();
    assert!(matches!(world.decide().as_ref().map_err(Vec::as_slice), Err([Refusal::ForeignNode { .. }])));
}

#[test]
fn data_that_is_gone_is_refused_and_named() {
    for (name, spoil) in LOSSES {
        let mut world = World::settled();
        spoil(world.state());
        let refusals = world.decide().expect_err("data is gone");
        assert!(refusals[0].to_string().contains(UUID), "{name}: {refusals:?}");
        let help = miette::Diagnostic::help(&refusals[0]).expect("a way on").to_string();
        assert!(help.contains("`--accept-data-loss demo-all-in-one-1`"), "{name}: {help}");
    }
}

#[test]
fn data_that_was_given_up_is_no_refusal_for_that_node_alone() {
    for (name, spoil) in LOSSES {
        let mut world = World::settled();
        spoil(world.state());
        world.accepted = BTreeSet::from(["demo-gitaly-1".to_owned()]);
        assert!(world.decide().is_err(), "{name}");
        world.accepted = BTreeSet::from(["demo-all-in-one-1".to_owned()]);
        let Ok(Decision::Converge(reasons)) = world.decide() else { panic!("{name}") };
        assert!(reasons.iter().any(|reason| reason.contains("`data` was given up")), "{name}: {reasons:?}");
    }
}

#[test]
fn giving_up_opens_no_other_gate_and_loses_nothing_that_is_there() {
    let mut world = World::settled();
    world.accepted = BTreeSet::from(["demo-all-in-one-1".to_owned()]);
    assert_eq!(world.decide(), Ok(Decision::LeaveAlone));
    world.state().stamp.as_mut().expect("a stamp").suffix = "zzz999".into();
    assert!(matches!(world.decide().as_ref().map_err(Vec::as_slice), Err([Refusal::ForeignNode { .. }])));
}

#[test]
fn secrets_are_compared_by_key_and_never_told() {
    let store = json!({ "gitlab_rails": { "db_key_base": "right", "otp_key_base": "same" } });
    let node = json!({
        "gitlab_rails": { "db_key_base": "wrong", "otp_key_base": "same", "orbit_secret": "new" },
        "letsencrypt": { "auto_enabled": true },
    });
    let found = differences(&store, &node);
    assert_eq!(found.len(), 1);
    assert_eq!(format!("{found:?}").matches("wrong").count(), 0);
    let merged = added_by_node(&store, &node);
    assert_eq!(merged["gitlab_rails"]["db_key_base"], "right");
    assert_eq!(merged["gitlab_rails"]["orbit_secret"], "new");
    assert!(merged.get("letsencrypt").is_none());
}
