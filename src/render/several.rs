//! Deployments of several nodes, rendered.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::testing::{text, tree};
use super::{Bound, Tree};
use crate::architecture::Component;
use crate::deployment::Deployment;
use crate::deployment::testing::of as deployment;
use crate::spec;

const TWO: &str = include_str!("../../examples/lab-2k.yml");
const THREE: &str = include_str!("../../examples/lab-3k.yml");
const TEN: &str = include_str!("../../examples/lab-10k.yml");
const FIFTY: &str = include_str!("../../examples/lab-50k.yml");

/// Addresses by the order of the nodes.
fn address(index: usize) -> String {
    format!("198.18.{}.{}", index / 200, 10 + index % 200)
}

fn bound(deployment: &Deployment) -> Bound {
    let each = |of: &dyn Fn(usize) -> Value| {
        let names = deployment.nodes.keys().enumerate();
        names.map(|(index, name)| (name.to_string(), of(index))).collect::<serde_json::Map<_, _>>()
    };
    serde_json::from_value(json!({
        "nodes": each(&|index| json!({
            "provider_id": "x", "zone": 0, "private_address": address(index), "data_disks": {},
        })),
        "access": each(&|index| json!({
            "host": address(index), "port": 22, "user": "root", "proxy_command": null,
        })),
        "endpoints": { "external": { "address": address(0) } },
    }))
    .expect("outputs as the contract gives them")
}

fn variables(tree: &Tree, component: Component, name: &str) -> Value {
    let inventory: Value = serde_json::from_str(&text(tree, "ansible/inventory.json")).expect("JSON");
    inventory["all"]["children"][component.name()]["hosts"][name].clone()
}

/// The first node of each component, which is the deploy node where there is one.
fn first_nodes(spec: &str) -> String {
    let deployment = deployment(spec);
    let tree = tree(&deployment, None);
    let nodes = Component::ALL.into_iter().filter_map(|component| deployment.nodes_of(component).next());
    let files = nodes.filter(|node| node.component.has_package());
    files
        .map(|node| text(&tree, &format!("ansible/files/{}/gitlab.rb", node.name)))
        .collect::<Vec<_>>()
        .join("\n")
}

#[test]
fn the_gitlab_rb_of_each_component_reads_as_reviewed() {
    insta::assert_snapshot!("2k", first_nodes(TWO));
    insta::assert_snapshot!("3k", first_nodes(THREE));
    insta::assert_snapshot!("10k", first_nodes(TEN));
}

#[test]
fn what_the_roles_are_told_reads_as_reviewed() {
    let deployment = deployment(THREE);
    let tree = tree(&deployment, Some(&bound(&deployment)));
    let nodes = Component::ALL.into_iter().filter_map(|component| deployment.nodes_of(component).next());
    let told: serde_json::Map<String, Value> = nodes
        .map(|node| (node.name.to_string(), variables(&tree, node.component, node.name.as_str())))
        .collect();
    insta::assert_snapshot!("variables_3k", format!("{:#}", Value::Object(told)));
}

#[test]
fn what_plan_shows_is_what_is_deployed() {
    for spec in [TWO, THREE, TEN, FIFTY] {
        let deployment = deployment(spec);
        let shown = tree(&deployment, None);
        let deployed = tree(&deployment, Some(&bound(&deployment)));
        let mut names: Vec<(usize, String)> =
            deployment.nodes.keys().map(ToString::to_string).enumerate().collect();
        // A name that begins another comes after it.
        names.sort_by_key(|(_, name)| std::cmp::Reverse(name.len()));
        for node in deployment.nodes.values().filter(|node| node.component.has_package()) {
            let path = format!("ansible/files/{}/gitlab.rb", node.name);
            let replace = |text: String, (index, name): &(usize, String)| {
                text.replace(&format!("address of {name}"), &address(*index))
            };
            assert_eq!(names.iter().fold(text(&shown, &path), replace), text(&deployed, &path), "{path}");
        }
    }
}

#[test]
fn rendering_again_gives_the_same_bytes() {
    for spec in [TWO, FIFTY] {
        assert_eq!(tree(&deployment(spec), None), tree(&deployment(spec), None));
    }
}

#[test]
fn nodes_of_a_tier_differ_in_nothing_but_themselves() {
    let deployment = deployment(THREE);
    let tree = tree(&deployment, None);
    let lines = |name: &str| {
        let text = text(&tree, &format!("ansible/files/demo-3k-{name}/gitlab.rb"));
        text.replace(&format!("demo-3k-{name}"), "NODE").lines().map(str::to_owned).collect::<Vec<_>>()
    };
    let only_in = |one: &str, other: &str| {
        let other = lines(other);
        lines(one).into_iter().filter(|line| !other.contains(line)).collect::<Vec<_>>()
    };
    let migration = "/etc/gitlab/refarch-migrate.rb";
    assert_eq!(
        only_in("rails-1", "rails-2"),
        [
            "gitlab_rails['initial_root_password'] = secrets.fetch('root_password')".to_owned(),
            "# There while this node migrates the database, and at no other time.".to_owned(),
            format!("from_file '{migration}' if File.exist?('{migration}')"),
        ]
    );
    assert_eq!(only_in("praefect-1", "praefect-2"), ["praefect['auto_migrate'] = true"]);
    assert_eq!(
        only_in("redis-1", "redis-2"),
        [
            "redis['master_ip'] = 'address of NODE'",
            "roles ['redis_sentinel_role', 'redis_master_role', 'consul_role']",
        ]
    );
    assert_eq!(only_in("gitaly-1", "gitaly-2"), ["    'name' => 'gitaly-1',"]);
    assert_eq!(lines("pgbouncer-1"), lines("pgbouncer-2"));
}

#[test]
fn git_has_the_usual_port_of_the_load_balancer() {
    let values: Value =
        serde_json::from_str(&text(&tree(&deployment(THREE), None), "terraform/terraform.tfvars.json"))
            .expect("JSON");
    let port = |name: &str| values["nodes"][name]["ssh_port"].as_u64();
    assert_eq!((port("demo-3k-external-lb-1"), port("demo-3k-internal-lb-1")), (Some(2222), Some(22)));
}

#[test]
fn the_roles_are_told_what_they_declare_and_nothing_else() {
    let specs: Value =
        spec::read_yaml(include_str!("../../roles/gitlab_node/meta/argument_specs.yml")).expect("YAML");
    let entries = specs["argument_specs"].as_object().into_iter().flat_map(serde_json::Map::values);
    let declared: BTreeSet<&String> =
        entries.filter_map(|entry| entry["options"].as_object()).flat_map(serde_json::Map::keys).collect();
    for spec in [TWO, THREE, FIFTY] {
        let deployment = deployment(spec);
        let inventory: Value =
            serde_json::from_str(&text(&tree(&deployment, None), "ansible/inventory.json")).expect("JSON");
        let groups = inventory["all"]["children"].as_object().into_iter().flat_map(serde_json::Map::values);
        let hosts = groups.filter_map(|group| group["hosts"].as_object()).flat_map(serde_json::Map::values);
        for told in hosts.chain([&inventory["all"]["vars"]]).filter_map(Value::as_object) {
            let of_role = told.keys().filter(|name| name.starts_with("gitlab_node_"));
            let unknown: Vec<_> = of_role.filter(|name| !declared.contains(name)).collect();
            assert!(unknown.is_empty(), "{unknown:?}");
        }
    }
}

#[test]
fn only_gitlabs_own_nodes_have_a_gitlab_rb() {
    let tree = tree(&deployment(THREE), None);
    for name in ["external-lb-1", "internal-lb-1", "object-storage-1"] {
        assert!(tree.get(&format!("ansible/files/demo-3k-{name}/gitlab.rb")).is_none(), "{name}");
    }
}
