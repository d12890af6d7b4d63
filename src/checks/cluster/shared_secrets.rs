//! Do all nodes hold the same keys, where they must?
//!
//! Only salted hashes are compared, so that a finding names nodes and keys and never a value. From 18.4 on the files differ
//! by role: the token of a Gitaly is not the one that Rails uses towards Praefect. Source: the package's recipes of 18.0 to
//! 19.3 and <https://docs.gitlab.com/omnibus/settings/> (read 2026-11).

use std::collections::BTreeMap;

use super::member::{Cluster, Member};
use super::seen::Seen;
use crate::architecture::Component;
use crate::checks::question::Miss;

const REMEDY: &str = "see what was changed on the node that is named, and deliver the store's keys again with `refarch up`; data that was written with another key can only be read with that key";
/// Keys that every node makes for itself.
const NODE_LOCAL: [&str; 2] = ["letsencrypt.", "postgresql.internal_"];
/// Keys without which a node of the web interface or of background jobs reads nobody's data.
const RAILS_NEEDS: [&str; 3] =
    ["gitlab_rails.db_key_base", "gitlab_rails.secret_key_base", "gitlab_rails.otp_key_base"];

pub fn applies(cluster: &Cluster) -> bool {
    holders(cluster).nth(1).is_some()
}

fn holders(cluster: &Cluster) -> impl Iterator<Item = &Member> {
    cluster.members.iter().filter(|member| member.component.has_package())
}

/// The nodes among which a key must be equal, by a word for them; nothing where it is the node's own.
fn circle(key: &str, member: &Member) -> Option<&'static str> {
    if NODE_LOCAL.iter().any(|local| key.starts_with(local)) {
        return None;
    }
    // Towards Praefect another token is used than by Praefect towards Gitaly.
    if key == "gitlab_rails.gitaly_token" {
        return member.runs_rails().then_some("those that run Rails");
    }
    if key.starts_with("gitaly.") && key.contains("token") {
        return (member.component == Component::Gitaly).then_some("the Gitaly nodes");
    }
    Some("all nodes")
}

pub fn judge(cluster: &Cluster) -> Result<String, Miss> {
    let mut seen = Seen::default();
    let mut found: BTreeMap<(&str, &str), BTreeMap<&str, Vec<&str>>> = BTreeMap::new();
    let mut count = 0;
    for member in holders(cluster) {
        let Some(told) = seen.take(member.about(|state| state.secrets.as_ref())) else { continue };
        count += 1;
        for (key, hash) in &told.keys {
            if let Some(circle) = circle(key, member) {
                found.entry((key, circle)).or_default().entry(hash).or_default().push(&member.name);
            }
        }
        for key in RAILS_NEEDS.iter().filter(|key| member.runs_rails() && !told.keys.contains_key(**key)) {
            seen.wrong(format!("{} has no {key}", member.name));
        }
    }
    for ((key, _), values) in found.iter().filter(|(_, values)| values.len() > 1) {
        seen.wrong(difference(key, values));
    }
    seen.answer(format!("{} keys are equal on {count} nodes, by their roles", found.len()), REMEDY)
}

/// Names the few against the many; where no value has most nodes, all of them.
fn difference(key: &str, values: &BTreeMap<&str, Vec<&str>>) -> String {
    let most = values.values().map(Vec::len).max().unwrap_or_default();
    let is_alone = values.values().filter(|nodes| nodes.len() == most).count() == 1;
    if is_alone {
        let few: Vec<_> = values.values().filter(|nodes| nodes.len() < most).flatten().copied().collect();
        return format!("{key} on {} is not that of the {most} others", few.join(", "));
    }
    let groups: Vec<_> = values.values().map(|nodes| nodes.join(", ")).collect();
    format!("{key} differs between {}", groups.join(" and "))
}

#[cfg(test)]
mod tests {
    use super::super::facts::{Asked, Keys};
    use super::super::tests::{healthy, told};
    use super::*;
    use crate::events::Status;

    fn changed(node: &str, change: impl Fn(&mut Keys)) -> Result<String, Miss> {
        let mut cluster = healthy();
        let Some(Asked::Told(keys)) = &mut told(&mut cluster, node).secrets else { panic!() };
        change(keys);
        judge(&cluster)
    }

    #[test]
    fn passes_when_keys_are_equal_by_role() {
        let saw = judge(&healthy()).unwrap();
        assert!(saw.contains("are equal on") && saw.contains("by their roles"), "{saw}");
        assert!(
            changed("acme-rails-1", |keys| drop(
                keys.keys.insert("letsencrypt.auto_enabled".into(), "x".into())
            ))
            .is_ok()
        );
    }

    #[test]
    fn fails_on_one_node_with_another_key_and_names_both() {
        let miss = changed("acme-rails-2", |keys| {
            drop(keys.keys.insert("gitlab_rails.db_key_base".into(), "other".into()));
        })
        .unwrap_err();
        assert_eq!(miss.status, Status::Fail);
        assert!(
            miss.saw.starts_with("gitlab_rails.db_key_base on acme-rails-2 is not that of the"),
            "{}",
            miss.saw
        );
        assert!(!miss.saw.contains("other\"") && !miss.saw.contains("h-db"), "a hash was told: {}", miss.saw);
    }

    #[test]
    fn fails_on_tokens_that_differ_inside_a_role() {
        let miss = changed("acme-gitaly-2", |keys| {
            drop(keys.keys.insert("gitaly.configuration.auth.token".into(), "x".into()));
        })
        .unwrap_err();
        assert_eq!(miss.saw, "gitaly.configuration.auth.token on acme-gitaly-2 is not that of the 2 others");
        let miss =
            changed("acme-rails-1", |keys| drop(keys.keys.remove("gitlab_rails.otp_key_base"))).unwrap_err();
        assert_eq!(miss.saw, "acme-rails-1 has no gitlab_rails.otp_key_base");
    }

    #[test]
    fn skips_when_a_node_could_not_be_asked() {
        let mut cluster = healthy();
        told(&mut cluster, "acme-gitaly-1").secrets =
            Some(Asked::Unasked("there is no /etc/gitlab/gitlab-secrets.json".into()));
        assert_eq!(judge(&cluster).unwrap_err().status, Status::Skip);
    }
}
