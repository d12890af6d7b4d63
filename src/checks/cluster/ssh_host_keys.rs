//! Have all Rails nodes the same SSH host keys, and those that refarch keeps?
//!
//! Source: <https://docs.gitlab.com/administration/reference_architectures/10k_users/> "Configure GitLab Rails", on copying the
//! host keys (read 2026-11).

use super::member::Cluster;
use super::seen::Seen;
use crate::architecture::Component;
use crate::checks::question::Miss;

const REMEDY: &str = "deliver the store's host keys again with `refarch up`; else whoever lands on that node is told of an attack";

pub fn applies(cluster: &Cluster) -> bool {
    cluster.of(Component::Rails).nth(1).is_some()
}

pub fn judge(cluster: &Cluster) -> Result<String, Miss> {
    let mut seen = Seen::default();
    let told: Vec<_> = cluster
        .of(Component::Rails)
        .filter_map(|member| Some((member, seen.take(member.about(|state| state.host_keys.as_ref()))?)))
        .collect();
    // What the store decided is right; without a store the first node's word is as good as another's.
    let (wanted, whose) = match (&cluster.host_keys, told.first()) {
        (Some(keys), _) => (keys, "the store"),
        (None, Some((member, keys))) => (&keys.keys, member.name.as_str()),
        (None, None) => return seen.answer("", REMEDY),
    };
    for (member, keys) in &told {
        for (kind, fingerprint) in wanted {
            match keys.keys.get(kind) {
                None => seen.wrong(format!("{} has no {kind} host key", member.name)),
                Some(has) if has != fingerprint => {
                    seen.wrong(format!(
                        "{} has the {kind} host key {has}, {whose} {fingerprint}",
                        member.name
                    ));
                }
                Some(_) => {}
            }
        }
        for kind in keys.keys.keys().filter(|kind| !wanted.contains_key(*kind)) {
            seen.wrong(format!("{} has a {kind} host key, and {whose} has none", member.name));
        }
    }
    let good = format!("{} nodes have the same {} keys, those of {whose}", told.len(), wanted.len());
    seen.answer(good, REMEDY)
}

#[cfg(test)]
mod tests {
    use super::super::facts::Asked;
    use super::super::tests::{healthy, told};
    use super::*;
    use crate::events::Status;

    #[test]
    fn passes_when_all_have_the_keys_of_the_store() {
        assert_eq!(judge(&healthy()).unwrap(), "3 nodes have the same 2 keys, those of the store");
        let cluster = Cluster { host_keys: None, ..healthy() };
        assert_eq!(judge(&cluster).unwrap(), "3 nodes have the same 2 keys, those of acme-rails-1");
    }

    #[test]
    fn fails_on_one_that_has_another_or_one_too_many() {
        let mut cluster = healthy();
        let Some(Asked::Told(keys)) = &mut told(&mut cluster, "acme-rails-3").host_keys else { panic!() };
        keys.keys.insert("ssh-ed25519".into(), "SHA256:other".into());
        let miss = judge(&cluster).unwrap_err();
        assert_eq!(
            (miss.status, miss.saw.as_str()),
            (Status::Fail, "acme-rails-3 has the ssh-ed25519 host key SHA256:other, the store SHA256:ed")
        );
        let Some(Asked::Told(keys)) = &mut told(&mut cluster, "acme-rails-3").host_keys else { panic!() };
        keys.keys.remove("ssh-ed25519");
        keys.keys.insert("ssh-dss".into(), "SHA256:old".into());
        assert_eq!(
            judge(&cluster).unwrap_err().saw,
            "acme-rails-3 has no ssh-ed25519 host key; acme-rails-3 has a ssh-dss host key, and the store has none"
        );
    }

    #[test]
    fn skips_when_one_could_not_be_asked() {
        let mut cluster = healthy();
        told(&mut cluster, "acme-rails-3").host_keys = None;
        assert_eq!(judge(&cluster).unwrap_err().status, Status::Skip);
    }
}
