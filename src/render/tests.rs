use std::collections::BTreeMap;

use super::{Identity, Inputs, LocalFile, Tree, render};
use crate::architecture::of_size;
use crate::deployment::{Deployment, resolve};
use crate::spec::{self, Size};

const EXAMPLE: &str = include_str!("../../examples/lab-1k.yml");

fn deployment(spec: &str) -> Deployment {
    let spec = spec::parse(spec, "lab-1k.yml").expect("a valid spec").spec;
    resolve(&spec, of_size(Size::OneK).expect("a part of the program"))
}

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
    let identity = Identity {
        suffix: "abc123".into(),
        ssh_public_key: "ssh-ed25519 AAAA refarch".into(),
        work_directory: "/customers/acme/.refarch/demo".into(),
        lab_image: "/cache/lab/images/0123456789ab".into(),
    };
    let local_file = LocalFile { path: "/cache/gitlab-ee.deb".into(), sha256: "00".repeat(32) };
    render(Inputs {
        deployment: &deployment(spec),
        identity: &identity,
        bound,
        local_file: Some(&local_file),
        known_disks: &BTreeMap::new(),
    })
    .expect("rendering has no errors but bugs")
}

fn text(tree: &Tree, path: &str) -> String {
    String::from_utf8(tree.get(path).unwrap_or_else(|| panic!("{path} is rendered")).to_vec()).expect("UTF-8")
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
