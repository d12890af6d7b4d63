//! Which nodes have nobody to take over from them?

use super::member::Cluster;
use crate::architecture::Component;
use crate::checks::question::Miss;

const REMEDY: &str = "know them: watch these nodes first, and where the architecture allows it put a service in their place that the cloud keeps running";

pub fn applies(_: &Cluster) -> bool {
    true
}

pub fn judge(cluster: &Cluster) -> Result<String, Miss> {
    // Without the monitoring users notice nothing, and the lab's object storage stands for a managed one.
    let counts = |component: &Component| !matches!(component, Component::Monitor | Component::ObjectStorage);
    let alone: Vec<&str> = Component::ALL
        .into_iter()
        .filter(counts)
        .filter_map(|component| {
            let mut nodes = cluster.of(component);
            nodes.next().filter(|_| nodes.next().is_none()).map(|node| node.name.as_str())
        })
        .collect();
    if alone.is_empty() {
        return Ok("every tier has more than one node".into());
    }
    let named = format!("single points of failure: {}", alone.join(", "));
    if cluster.highly_available {
        return Err(Miss::warn(named, REMEDY));
    }
    Ok(format!("{named}; {} is not meant to be highly available", cluster.architecture))
}

#[cfg(test)]
mod tests {
    use super::super::tests::healthy;
    use super::*;
    use crate::events::Status;

    #[test]
    fn passes_where_no_tier_has_one_node() {
        let mut cluster = healthy();
        cluster.members.retain(|member| matches!(member.component, Component::Rails | Component::Monitor));
        assert_eq!(judge(&cluster).unwrap(), "every tier has more than one node");
    }

    #[test]
    fn names_them_as_a_warning_and_never_fails() {
        let miss = judge(&healthy()).unwrap_err();
        assert_eq!(miss.status, Status::Warn);
        assert_eq!(
            miss.saw,
            "single points of failure: acme-external-lb-1, acme-internal-lb-1, acme-praefect-postgres-1"
        );
    }

    #[test]
    fn names_them_without_a_warning_where_the_architecture_says_so() {
        let cluster = Cluster { highly_available: false, architecture: "2k".into(), ..healthy() };
        assert!(judge(&cluster).unwrap().ends_with("2k is not meant to be highly available"));
    }
}
