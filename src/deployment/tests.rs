use std::collections::BTreeMap;

use super::{Waves, resolve, shared_secrets, waves};
use crate::architecture::{Component, of_size};
use crate::spec::{self, GitlabVersion, SettingValue, Size};

fn demo() -> super::Deployment {
    let spec = spec::parse(include_str!("../../examples/lab-1k.yml"), "lab-1k.yml")
        .expect("the example is valid")
        .spec;
    resolve(&spec, of_size(Size::OneK).expect("the file is part of the program"))
}

#[test]
fn a_1k_is_one_node_with_a_data_disk() {
    let deployment = demo();
    let names: Vec<_> = deployment.nodes.keys().map(ToString::to_string).collect();
    assert_eq!(names, ["demo-all-in-one-1"]);
    let node = &deployment.nodes[0];
    assert_eq!(node.data_disks["data"].mount, "/var/opt/gitlab");
    assert_eq!(deployment.front, node.name);
}

#[test]
fn a_node_is_as_the_architecture_says_unless_its_component_or_itself_says_else() {
    let of = |nodes: &str| {
        let text = include_str!("../../examples/lab-1k.yml").to_owned() + nodes;
        let spec = spec::parse(&text, "spec.yml").expect("valid").spec;
        resolve(&spec, of_size(Size::OneK).expect("the file is part of the program")).nodes[0].clone()
    };
    let plain = of("");
    assert_eq!((plain.machine.vcpu, plain.root_disk_gb, plain.data_disks["data"].size_gb), (8, 40, 50));
    let larger = of(
        "nodes: {all_in_one: {machine: {vcpu: 16, memory_gb: 32}, disks: {data: {size_gb: 200}}, hosts: \
                     {demo-all-in-one-1: {machine: {memory_gb: 60.5}, settings: {puma: {worker_processes: 6}}}}}}\n\
                     settings: {all: {puma: {worker_processes: 2, min_threads: 4}}}\n",
    );
    assert_eq!((larger.machine.vcpu, larger.machine.memory_gb), (16, 60.5));
    assert_eq!((larger.root_disk_gb, larger.data_disks["data"].size_gb), (40, 200));
    let puma = BTreeMap::from([("worker_processes", 6), ("min_threads", 4)]);
    let puma =
        puma.into_iter().map(|(key, number)| (key.to_owned(), SettingValue::Integer(number))).collect();
    assert_eq!(larger.settings, BTreeMap::from([("puma".to_owned(), SettingValue::Map(puma))]));
}

#[test]
fn nobody_is_added_to_the_allowlist_but_by_the_spec() {
    assert_eq!(demo().monitoring_allowlist(), ["127.0.0.0/8", "::1/128"]);
}

#[test]
fn the_table_of_needs_has_no_circle() {
    let waves: Waves<Component> = waves(&[Component::AllInOne], Component::configure_needs);
    for (index, wave) in waves.iter().enumerate() {
        for component in wave {
            let needs = component.configure_needs();
            assert!(waves[index..].iter().flatten().all(|later| !needs.contains(later)), "{component}");
        }
    }
}

#[test]
fn the_cookie_salts_came_with_18_4() {
    let has = |version| shared_secrets(version).iter().any(|secret| secret.key == "signed_cookie_salt");
    assert!(!has(GitlabVersion::new(18, 3, 9)));
    assert!(has(GitlabVersion::new(18, 11, 2)));
}
