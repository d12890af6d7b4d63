//! Is the same GitLab installed everywhere?

use std::collections::BTreeMap;

use super::member::Cluster;
use super::seen::Seen;
use crate::checks::question::Miss;

const REMEDY: &str = "see with `zgrep gitlab-ee /var/log/dpkg.log*` on the node that is named who changed it, and install the spec's version there";

pub fn applies(cluster: &Cluster) -> bool {
    cluster.members.iter().filter(|member| member.component.has_package()).nth(1).is_some()
}

pub fn judge(cluster: &Cluster) -> Result<String, Miss> {
    let mut seen = Seen::default();
    let mut found: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for member in cluster.members.iter().filter(|member| member.component.has_package()) {
        let state = member.state.as_ref().map_err(|why| format!("{}: {why}", member.name));
        if let Some(state) = seen.take(state) {
            let version = state.package.installed.as_deref().unwrap_or("none");
            found.entry(version).or_default().push(&member.name);
        }
    }
    let most =
        found.iter().max_by_key(|(_, nodes)| nodes.len()).map(|(version, _)| *version).unwrap_or_default();
    for (version, nodes) in found.iter().filter(|(version, _)| **version != most) {
        seen.wrong(format!("{} on {}, {most} on the others", version, nodes.join(", ")));
    }
    let count: usize = found.values().map(Vec::len).sum();
    seen.answer(format!("gitlab-ee {most} on all {count} nodes"), REMEDY)
}

#[cfg(test)]
mod tests {
    use super::super::tests::{healthy, member};
    use super::*;
    use crate::events::Status;

    #[test]
    fn passes_when_all_are_equal() {
        assert!(judge(&healthy()).unwrap().starts_with("gitlab-ee 18.11.2-ee.0 on all "));
    }

    #[test]
    fn fails_on_one_that_has_another() {
        let mut cluster = healthy();
        member(&mut cluster, "acme-rails-2").state.as_mut().unwrap().package.installed =
            Some("18.11.3-ee.0".into());
        let miss = judge(&cluster).unwrap_err();
        assert_eq!(
            (miss.status, miss.saw.as_str()),
            (Status::Fail, "18.11.3-ee.0 on acme-rails-2, 18.11.2-ee.0 on the others")
        );
    }

    #[test]
    fn skips_when_one_could_not_be_asked() {
        let mut cluster = healthy();
        member(&mut cluster, "acme-rails-2").state = Err("no route to host".into());
        assert_eq!(judge(&cluster).unwrap_err().status, Status::Skip);
    }
}
