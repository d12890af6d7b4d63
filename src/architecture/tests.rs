use super::{Component, of_size};
use crate::spec::Size;

/// Figures of the documented page, typed in again so that the data file can't drift unseen.
/// Source: <https://docs.gitlab.com/administration/reference_architectures/1k_users/> (read 2026-08).
#[test]
fn the_1k_is_the_documented_one() {
    let architecture = of_size(Size::OneK).expect("the file is part of the program");
    let node = &architecture.components[&Component::AllInOne];
    assert_eq!((node.nodes, node.vcpu, node.memory_gb), (1, 8, 16.0));
    assert_eq!(node.machine_types.aws, "c5.2xlarge");
    assert_eq!(node.machine_types.gcp, "n1-standard-8");
    assert_eq!(node.machine_types.azure, "F8s v2");
    assert_eq!((architecture.rps.api, architecture.rps.push, architecture.users), (20, 1, 1000));
    assert_eq!(architecture.totals(), (1, 8, 16.0));
}

#[test]
fn a_key_that_is_unknown_is_refused() {
    let text = include_str!("../../reference-architectures/1k.yml").replace("users:", "usres:");
    let error = super::Architecture::from_yaml(&text).expect_err("a misspelt key must not pass");
    assert!(error.0.contains("usres"), "{error}");
}
