//! A 3k whose driver is killed at any moment: the next run goes on from there, and the nodes end up as if nothing had
//! happened. Nodes are files here, and one program plays all tools.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::PermissionsExt as _;

use proptest::test_runner::{Config, TestRunner};
use refarch::architecture::{Component, of_size};
use refarch::deployment::{Deployment, Node, NodeName, resolve};
use refarch::spec::{self, Size};
use serde_json::{Value, json};

use super::stage::Stage;

const EXAMPLE: &str = include_str!("../../../../examples/lab-3k.yml");
const WORLD: &str = include_str!("world.py");
const NAME: &str = "recorded";
const UP: [&str; 4] = ["up", "--yes", "--until", "configure"];
/// After how many of a run's events it is killed, each time in a run of its own and after another one; `REFARCH_KILLS` says
/// another number, or `all`.
const KILLS: u32 = 4;

fn text() -> String {
    let named = EXAMPLE.lines().map(|line| if line.starts_with("name: ") { "name: recorded" } else { line });
    named.collect::<Vec<_>>().join("\n") + "\n"
}

fn deployment() -> Deployment {
    let spec = spec::parse(&text(), "lab-3k.yml").unwrap().spec;
    resolve(&spec, of_size(Size::ThreeK).unwrap())
}

/// A 3k of which the hosts exist and nothing is on them.
fn stage(deployment: &Deployment, secrets: Option<&[u8]>) -> Stage {
    let stage = Stage::bare(&[]);
    let bin = stage.root.join("bin");
    for tool in ["terraform", "ansible-playbook", "ssh-keyscan", "refarch-lab"] {
        fs_err::remove_file(bin.join(tool)).unwrap();
        fs_err::write(bin.join(tool), WORLD).unwrap();
        fs_err::set_permissions(bin.join(tool), std::fs::Permissions::from_mode(0o700)).unwrap();
    }
    let names: Vec<&str> = deployment.nodes.keys().map(NodeName::as_str).collect();
    fs_err::create_dir(bin.join("world")).unwrap();
    fs_err::write(bin.join("world/nodes.json"), json!(names).to_string()).unwrap();
    fs_err::write(bin.join("recordings"), concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fakes/recordings"))
        .unwrap();
    fs_err::write(stage.place.join("gitlab.yml"), text()).unwrap();
    if let Some(secrets) = secrets {
        fs_err::create_dir_all(stage.place.join(".refarch").join(NAME)).unwrap();
        fs_err::write(stage.work().join("secrets.json"), secrets).unwrap();
    }
    stage
}

/// What was done to which node, in order, over all runs.
fn log(stage: &Stage) -> Vec<(String, String)> {
    let text = fs_err::read_to_string(stage.root.join("bin/world/log")).unwrap_or_default();
    let pair = |line: &str| line.split_once(' ').map(|(what, node)| (what.to_owned(), node.to_owned()));
    text.lines().filter_map(pair).collect()
}

fn needs(deployment: &Deployment, node: &Node, other: &Node) -> bool {
    if node.component == other.component {
        return node.name != other.name && deployment.is_deploy_node(other);
    }
    let is_needed = node.component.configure_needs().contains(&other.component);
    is_needed && (other.component != Component::Rails || deployment.is_deploy_node(other))
}

/// Whatever happened on the way: each node was prepared, and configured after all that it needs.
fn assert_order(deployment: &Deployment, log: &[(String, String)]) {
    let first = |what: &str, name: &str| log.iter().position(|(did, node)| did == what && node == name);
    for node in deployment.nodes.values() {
        let name = node.name.as_str();
        let configured = first("configure", name).unwrap_or_else(|| panic!("{name} is not configured"));
        assert!(first("prepare", name).is_some_and(|prepared| prepared < configured), "{name}");
        for other in deployment.nodes.values().filter(|other| needs(deployment, node, other)) {
            let before = first("configure", other.name.as_str());
            assert!(before.is_some_and(|before| before < configured), "{name} before {}", other.name);
        }
    }
}

/// All nodes hold the same keys, which are the store's; each has its role's token, and Rails nodes one host key.
fn assert_one_set_of_keys(stage: &Stage, deployment: &Deployment) {
    let store = stage.secrets();
    let mut host_keys = BTreeSet::new();
    for node in deployment.nodes.values().filter(|node| node.component.has_package()) {
        let folder = stage.root.join("bin/world").join(node.name.as_str());
        let text = fs_err::read(folder.join("gitlab-secrets.json")).unwrap();
        let own: BTreeMap<String, BTreeMap<String, Value>> = serde_json::from_slice(&text).unwrap();
        for (section, keys) in store["gitlab_secrets"].as_object().unwrap() {
            for (key, value) in keys.as_object().unwrap() {
                assert_eq!(own[section].get(key), Some(value), "{section}.{key} of {}", node.name);
            }
        }
        assert!(store["gitlab_secrets"]["package"]["added"].is_string(), "the added key was not taken over");
        if node.component == Component::Rails {
            let token = &own["gitlab_rails"]["gitaly_token"];
            assert_eq!(*token, store["named"]["praefect_external_token"], "{}", node.name);
            host_keys.insert(fs_err::read_to_string(folder.join("host-key")).unwrap());
        }
    }
    assert_eq!(host_keys.len(), 1);
    let known = fs_err::read_to_string(stage.work().join("known_hosts")).unwrap();
    assert!(known.contains("recorded-rails-3 ssh-ed25519"), "{known}");
}

/// A run changes nothing, and is not held up by what it finds.
fn assert_settled(stage: &Stage) {
    let before = log(stage);
    stage.run(&UP).assert(0, &["is left alone"]);
    assert_eq!(log(stage), before);
    let calls = stage.calls();
    assert!(calls.iter().filter(|call| call.contains(".yml")).eq(["probe.yml"]), "{calls:?}");
}

#[test]
fn wherever_the_driver_of_a_3k_is_killed_the_next_run_finishes_its_work() {
    let deployment = deployment();
    let whole = stage(&deployment, None);
    whole.run(&UP).assert(0, &["step 7 of 7"]);
    assert_order(&deployment, &log(&whole));
    assert_one_set_of_keys(&whole, &deployment);
    assert_settled(&whole);
    // Making the secrets takes seconds, and is the only part that the other runs are spared.
    let mut store = whole.secrets();
    store["gitlab_secrets"].as_object_mut().unwrap().remove("package");
    store["data_disks"] = json!({});
    let store = store.to_string();
    let spared = stage(&deployment, Some(store.as_bytes()));
    let mut unharmed = spared.start(&UP);
    unharmed.end().assert(0, &["step 7 of 7"]);
    let events = unharmed.events().len();

    let killed = |after: usize| {
        let stage = stage(&deployment, Some(store.as_bytes()));
        let mut up = stage.start_with(&UP, &[("REFARCH_TEST_KILLED_AFTER", &after.to_string())]);
        assert_eq!(up.end().code, None, "it outlived event {after} of {events}");
        drop(up);
        stage.run(&UP).assert(0, &[]);
        assert_order(&deployment, &log(&stage));
        assert_one_set_of_keys(&stage, &deployment);
        assert_settled(&stage);
    };
    let wanted = std::env::var("REFARCH_KILLS").unwrap_or_default();
    if wanted == "all" {
        (1..events).for_each(killed);
        return;
    }
    let cases = wanted.parse().unwrap_or(KILLS);
    let mut runner = TestRunner::new(Config {
        cases,
        max_shrink_iters: 0,
        failure_persistence: None,
        ..Config::default()
    });
    let result = runner.run(&(1..events), |after| {
        killed(after);
        Ok(())
    });
    result.unwrap();
}

#[test]
fn a_host_that_dies_stops_the_next_step_and_not_its_neighbours() {
    let deployment = deployment();
    let stage = stage(&deployment, None);
    let dying = stage.root.join("bin/world/dying");
    fs_err::write(&dying, "recorded-gitaly-2").unwrap();
    let wanted =
        ["step 3 of 7", "recorded-gitaly-2 can't be reached: it went away", "No later step was begun"];
    stage.run(&UP).assert(6, &wanted);
    let configured = |name: &str| log(&stage).contains(&("configure".to_owned(), name.to_owned()));
    assert!(["recorded-consul-3", "recorded-gitaly-1", "recorded-redis-1"].into_iter().all(configured));
    assert!(!configured("recorded-gitaly-2") && !configured("recorded-postgres-1"));
    let before = log(&stage);
    fs_err::remove_file(dying).unwrap();
    stage.run(&UP).assert(0, &["recorded-gitaly-1 is left alone", "step 5 of 5"]);
    assert!(log(&stage)[before.len()..].iter().all(|(_, node)| node != "recorded-gitaly-1"));
    assert_order(&deployment, &log(&stage));
    assert_one_set_of_keys(&stage, &deployment);
}
