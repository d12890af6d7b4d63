use super::{Waves, resolve, shared_secrets, waves};
use crate::architecture::{Component, of_size};
use crate::spec::{self, GitlabVersion, Size};

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
