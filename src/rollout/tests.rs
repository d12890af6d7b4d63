use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;

use super::{
    Decision, NodeState, Question, Refusal, Rollout, Wanted, added_by_node, decide, differences, lacks,
    role_keys, tree_of_node,
};
use crate::architecture::Component;
use crate::deployment::testing::{cluster, demo};
use crate::deployment::{Deployment, NodeName, SecretName};

const UUID: &str = "d1fa0b4d-7a20-43b4-a01c-d8e7106ff8b4";

struct World {
    deployment: Deployment,
    wanted: BTreeMap<NodeName, Wanted>,
    states: BTreeMap<NodeName, NodeState>,
    disks: BTreeMap<(NodeName, String), String>,
    accepted: BTreeSet<String>,
    held: BTreeMap<NodeName, String>,
}

impl World {
    /// One node that is as it should be.
    fn settled() -> Self {
        Self::of(demo())
    }

    /// A deployment of which every node is as it should be, built and verified.
    fn of(deployment: Deployment) -> Self {
        let mut world = Self {
            wanted: BTreeMap::new(),
            states: BTreeMap::new(),
            disks: BTreeMap::new(),
            accepted: BTreeSet::new(),
            held: BTreeMap::new(),
            deployment,
        };
        for node in world.deployment.nodes.values() {
            let (wanted, state) =
                if node.component.has_package() { gitlab_node() } else { plain_node(node.component) };
            world.wanted.insert(node.name.clone(), wanted);
            world.states.insert(node.name.clone(), serde_json::from_value(state).expect("a state"));
            world.disks.insert((node.name.clone(), "data".into()), UUID.into());
        }
        world
    }

    fn of_node(&mut self, name: &str) -> &mut NodeState {
        let found = self.states.iter_mut().find(|(node, _)| node.as_str() == name);
        found.unwrap_or_else(|| panic!("no {name}")).1
    }

    /// It was never verified as a whole.
    fn is_building(&mut self) {
        for disk in self.states.values_mut().flat_map(|state| &mut state.data_disks) {
            disk.marker.as_mut().expect("a marker").built = false;
        }
    }

    fn state(&mut self) -> &mut NodeState {
        self.states.values_mut().next().expect("one node")
    }

    fn rollout(&self) -> Result<Rollout, Vec<Refusal>> {
        decide(Question {
            deployment: &self.deployment,
            suffix: "abc123",
            wanted: &self.wanted,
            states: &self.states,
            known_disks: &self.disks,
            accepted: &self.accepted,
            held: &self.held,
            built: false,
        })
    }

    /// What is decided of the only node.
    fn decide(&self) -> Result<Decision, Vec<Refusal>> {
        self.rollout().map(|rollout| rollout.decisions[0].1.clone())
    }

    /// The nodes that are converged.
    fn converged(&self) -> Result<Vec<String>, Vec<Refusal>> {
        self.rollout().map(|rollout| rollout.converged().iter().map(ToString::to_string).collect())
    }
}

fn gitlab_node() -> (Wanted, serde_json::Value) {
    let text = |text: &str| Some(text.to_owned());
    let wanted = Wanted {
        package: text("18.11.2-ee.0"),
        gitlab_rb: text("a"),
        refarch_secrets: text("b"),
        gitlab_secrets: text("c"),
        certificate: text("d"),
        data: None,
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
    (wanted, state)
}

fn plain_node(component: Component) -> (Wanted, serde_json::Value) {
    let wanted = Wanted { data: Some("e".into()), ..Wanted::default() };
    let (_, mut state) = gitlab_node();
    state["package"] = json!({ "installed": "3.0.11", "held": false });
    state["files"] = json!({ "data": "e", "rendered": "f" });
    state["services"] = json!([{ "name": component.services()[0], "state": "run", "since_s": null }]);
    state["stamp"] = json!({
        "version": 1, "deployment": "demo", "suffix": "abc123", "component": component, "package": "3.0.10",
        "data": "e", "rendered": "f",
    });
    (wanted, state)
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
        ("another stamp", |state| {
            state.stamp.as_mut().expect("a stamp").files.gitlab_rb = Some("old".into());
        }),
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
fn what_others_hold_is_replaced_without_a_word_of_the_user() {
    for (name, spoil) in LOSSES {
        let mut world = World::of(cluster("demo"));
        let node = world.states.keys().find(|node| node.as_str() == "demo-redis-1").expect("a node").clone();
        spoil(world.of_node("demo-redis-1"));
        assert!(world.converged().is_err(), "{name}");
        world.held = BTreeMap::from([(node.clone(), "demo-redis-2 leads".to_owned())]);
        let rollout = world.rollout().expect("nothing is lost");
        let reasons = rollout.decisions.iter().find(|(decided, _)| *decided == node).expect("a decision");
        assert!(format!("{reasons:?}").contains("is new, and demo-redis-2 leads"), "{name}: {reasons:?}");
        assert_eq!(rollout.given_up[0].held.as_deref(), Some("demo-redis-2 leads"), "{name}");
        // Of another node, nothing is proven.
        spoil(world.of_node("demo-redis-3"));
        assert!(matches!(world.rollout().as_ref().map_err(Vec::as_slice), Err([Refusal::DataGone { .. }])));
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
fn a_settled_cluster_is_left_alone_also_where_the_distribution_keeps_its_package_current() {
    assert_eq!(World::of(cluster("demo")).converged(), Ok(Vec::new()));
}

#[test]
fn a_load_balancer_is_proven_by_what_it_was_made_from_and_by_what_was_made_of_it() {
    let spoils: [Spoil; 5] = [
        ("no package", |state| state.package.installed = None),
        ("other data", |state| state.files.data = Some("x".into())),
        ("edited by hand", |state| state.files.rendered = Some("x".into())),
        ("down", |state| state.services[0].state = super::ServiceState::Down),
        ("no stamp", |state| state.stamp = None),
    ];
    for (name, spoil) in spoils {
        let mut world = World::of(cluster("demo"));
        world.is_building();
        spoil(world.of_node("demo-internal-lb-1"));
        assert_eq!(world.converged(), Ok(vec!["demo-internal-lb-1".to_owned()]), "{name}");
    }
}

#[test]
fn in_a_built_cluster_only_who_serves_nobody_is_touched() {
    let allowed: [Spoil; 4] = [
        ("gone", |state| {
            state.package.installed = None;
            state.stamp = None;
            state.services.clear();
        }),
        ("its rebuild was interrupted", |state| {
            state.stamp = None;
            state.files.gitlab_rb = None;
        }),
        ("a service is down", |state| state.services[0].state = super::ServiceState::Down),
        ("its certificate was renewed", |state| {
            state.files.certificate = Some("old".into());
            state.stamp.as_mut().expect("a stamp").files.certificate = Some("old".into());
        }),
    ];
    for (name, spoil) in allowed {
        let mut world = World::of(cluster("demo"));
        spoil(world.of_node("demo-rails-2"));
        assert_eq!(world.converged(), Ok(vec!["demo-rails-2".to_owned()]), "{name}");
    }
    let refused: [Spoil; 3] = [
        ("gitlab.rb", |state| state.files.gitlab_rb = Some("old".into())),
        ("the secrets", |state| state.files.refarch_secrets = Some("old".into())),
        ("delivered and not configured", |state| {
            state.stamp.as_mut().expect("a stamp").files.gitlab_rb = Some("old".into());
        }),
    ];
    for (name, spoil) in refused {
        let mut world = World::of(cluster("demo"));
        spoil(world.of_node("demo-rails-2"));
        let refusals = world.converged().expect_err(name);
        assert!(matches!(refusals.as_slice(), [Refusal::Serving { .. }]), "{name}: {refusals:?}");
        assert!(refusals[0].to_string().starts_with("demo-rails-2 serves"), "{name}: {refusals:?}");
    }
}

#[test]
fn a_cluster_that_is_still_building_goes_on() {
    let mut world = World::of(cluster("demo"));
    world.is_building();
    world.of_node("demo-rails-2").files.gitlab_rb = Some("old".into());
    assert_eq!(world.converged(), Ok(vec!["demo-rails-2".to_owned()]));
}

#[test]
fn secrets_are_compared_by_role() {
    let deployment = cluster("demo");
    let keys = |component: Component| {
        let node = deployment.nodes_of(component).next().expect("a node");
        role_keys(&deployment, node)
    };
    let store = json!({ "gitlab_rails": { "db_key_base": "right" } });
    let value = |name: SecretName| Some(name.key().to_owned());
    let of = |component: Component| tree_of_node(&store, &keys(component), value);
    assert_eq!(of(Component::Rails)["gitlab_rails"]["gitaly_token"], "praefect_external_token");
    assert!(of(Component::Rails).get("gitaly").is_none());
    let gitaly = of(Component::Gitaly);
    assert_eq!(gitaly["gitaly"]["configuration"]["auth"]["token"], "praefect_internal_token");

    // What another role has in the same place is no difference, and never gets into the store.
    let node = json!({
        "gitlab_rails": { "db_key_base": "right", "gitaly_token": "own", "orbit_secret": "new" },
        "gitaly": { "configuration": { "auth": { "token": "praefect_internal_token" } } },
    });
    assert_eq!(differences(&gitaly, &node), []);
    let found = differences(&of(Component::Sidekiq), &node);
    assert_eq!(found.iter().map(|it| it.key.as_str()).collect::<Vec<_>>(), ["gitaly_token"]);
    let merged = added_by_node(&store, &node, &keys(Component::Gitaly));
    assert_eq!(merged, json!({ "gitlab_rails": { "db_key_base": "right", "orbit_secret": "new" } }));
    assert!(lacks(&of(Component::Rails), &json!({ "gitlab_rails": { "db_key_base": "right" } })));
    assert!(!lacks(&gitaly, &node));
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
    let merged = added_by_node(&store, &node, &[]);
    assert_eq!(merged["gitlab_rails"]["db_key_base"], "right");
    assert_eq!(merged["gitlab_rails"]["orbit_secret"], "new");
    assert!(merged.get("letsencrypt").is_none());
}
