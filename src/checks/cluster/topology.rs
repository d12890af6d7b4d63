//! Are there as many nodes of each component as the architecture says?

use super::member::Cluster;
use super::seen::Seen;
use crate::architecture::Component;
use crate::checks::question::Miss;

const REMEDY: &str = "see which node is missing with `refarch plan`, and make it again with `refarch up`";

pub fn applies(_: &Cluster) -> bool {
    true
}

pub fn judge(cluster: &Cluster) -> Result<String, Miss> {
    let mut seen = Seen::default();
    // The lab's object storage stands for a managed service, which no architecture counts.
    for component in Component::ALL.into_iter().filter(|component| *component != Component::ObjectStorage) {
        let wanted = cluster.counts.get(&component).copied().unwrap_or_default();
        let found = cluster.of(component).count();
        if wanted != found {
            seen.wrong(format!("{found} {component} nodes, and {} has {wanted}", cluster.architecture));
        }
        for member in cluster.of(component) {
            if let Err(why) = &member.state {
                seen.unseen(format!("{}: {why}", member.name));
            }
        }
    }
    let told: Vec<_> = cluster
        .counts
        .iter()
        .filter(|(_, count)| **count > 0)
        .map(|(component, count)| format!("{count} {component}"))
        .collect();
    seen.answer(format!("as {} says: {}", cluster.architecture, told.join(", ")), REMEDY)
}

#[cfg(test)]
mod tests {
    use super::super::tests::{healthy, member};
    use super::*;
    use crate::events::Status;

    #[test]
    fn passes_when_the_counts_are_the_architecture_s() {
        assert!(judge(&healthy()).unwrap().starts_with("as 3k says: 1 external_lb, 1 internal_lb, 3 consul"));
    }

    #[test]
    fn fails_on_a_node_too_few() {
        let mut cluster = healthy();
        cluster.members.retain(|member| member.name != "acme-rails-3");
        let miss = judge(&cluster).unwrap_err();
        assert_eq!((miss.status, miss.saw.as_str()), (Status::Fail, "2 rails nodes, and 3k has 3"));
    }

    #[test]
    fn skips_when_a_node_did_not_say_that_it_is_there() {
        let mut cluster = healthy();
        member(&mut cluster, "acme-rails-3").state = Err("no route to host".into());
        assert_eq!(judge(&cluster).unwrap_err().status, Status::Skip);
    }
}
