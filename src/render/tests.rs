use super::testing::text;
use super::{Tree, testing};
use crate::deployment;

const EXAMPLE: &str = include_str!("../../examples/lab-1k.yml");

fn bound() -> super::Bound {
    serde_json::from_value(serde_json::json!({
        "nodes": { "demo-all-in-one-1": {
            "provider_id": "demo-all-in-one-1", "zone": 0, "private_address": "198.18.7.10",
            "data_disks": { "data": { "provider_id": "x", "path": "/dev/refarch/demo-all-in-one-1-data" } },
        } },
        "access": { "demo-all-in-one-1": {
            "host": "198.18.7.10", "port": 22, "user": "root", "proxy_command": null,
        } },
        "endpoints": { "external": { "address": "198.18.7.10" } },
    }))
    .expect("outputs as the contract gives them")
}

fn tree(spec: &str, bound: Option<&super::Bound>) -> Tree {
    testing::tree(&deployment::testing::of(spec), bound)
}

#[test]
fn each_rendered_file_reads_as_reviewed() {
    let bound = bound();
    let tree = tree(EXAMPLE, Some(&bound));
    for (path, _) in tree.iter() {
        let shipped = ["terraform/modules", "ansible/roles", "ansible/plugins"];
        if path.extension() != Some("yml") && !shipped.iter().any(|folder| path.starts_with(folder)) {
            insta::assert_snapshot!(path.as_str().replace('/', "__"), text(&tree, path.as_str()));
        }
    }
}

#[test]
fn settings_and_references_to_secrets_read_as_reviewed() {
    let tree = tree(include_str!("../../examples/lab-1k-settings.yml"), None);
    insta::assert_snapshot!(text(&tree, "ansible/files/tuned-all-in-one-1/gitlab.rb"));
}

#[test]
fn rendering_twice_gives_the_same_bytes() {
    assert_eq!(tree(EXAMPLE, None), tree(EXAMPLE, None));
}

#[test]
fn what_is_reviewed_is_what_is_delivered() {
    let path = "ansible/files/demo-all-in-one-1/gitlab.rb";
    assert_eq!(tree(EXAMPLE, None).get(path), tree(EXAMPLE, Some(&bound())).get(path));
}

#[test]
fn the_nginx_keys_move_at_19_2() {
    let path = "ansible/files/demo-all-in-one-1/gitlab.rb";
    let of = |version: &str| text(&tree(&EXAMPLE.replace("18.11.2", version), None), path);
    for version in ["18.5.2", "18.11.2", "19.0.2", "19.1.0"] {
        let old = of(version);
        assert!(
            old.contains("\nnginx['ssl_certificate'] = ") && !old.contains("['nginx']"),
            "{version}: {old}"
        );
    }
    for version in ["19.2.1", "19.3.0", "19.11.0"] {
        let new = of(version);
        let moved = new.contains("gitlab_rails['nginx']['ssl_certificate'] = ") && !new.contains("\nnginx[");
        assert!(moved, "{version}: {new}");
    }
}
