//! Does Consul know every node, and has it one leader?
//!
//! Patroni elects the database's leader by what Consul keeps, and Prometheus and the `PgBouncer`s learn from it where the
//! nodes are. Source of the shapes: <https://developer.hashicorp.com/consul/api-docs/agent> (read 2026-11).

use std::collections::{BTreeMap, BTreeSet};

use super::facts::Consul;
use super::member::{Cluster, Member};
use super::seen::Seen;
use crate::architecture::Component;
use crate::checks::question::Miss;

const REMEDY: &str = "see `gitlab-ctl tail consul` on the node that is named, and start it there with `gitlab-ctl start consul`";

pub fn applies(cluster: &Cluster) -> bool {
    cluster.has(Component::Consul)
}

/// Whether a node has a Consul agent: all that carry GitLab, where there is a Consul at all.
pub fn has_agent(cluster: &Cluster, member: &Member) -> bool {
    applies(cluster) && member.component.has_package()
}

pub fn judge(cluster: &Cluster) -> Result<String, Miss> {
    let mut seen = Seen::default();
    let mut leaders: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for member in cluster.members.iter().filter(|member| has_agent(cluster, member)) {
        let Some(view) = seen.take(member.about(|state| state.consul.as_ref())) else { continue };
        leaders.entry(&view.leader).or_default().push(&member.name);
        if member.component == Component::Consul {
            judge_members(cluster, member, view, &mut seen);
        }
    }
    for (leader, by) in &leaders {
        let host = leader.rsplit_once(':').map_or(*leader, |(host, _)| host);
        if host.is_empty() {
            seen.wrong(format!("{} knows no leader", by.join(", ")));
        } else if leaders.len() > 1 {
            seen.wrong(format!("{} takes {} for the leader", by.join(", "), cluster.at(host)));
        }
    }
    let agents = cluster.members.iter().filter(|member| has_agent(cluster, member)).count();
    let servers = cluster.of(Component::Consul).count();
    let leader =
        leaders.keys().next().and_then(|leader| leader.rsplit_once(':')).map(|(host, _)| cluster.at(host));
    let good = format!(
        "{agents} members, {servers} of them servers, all alive; the leader is {}",
        leader.unwrap_or_default()
    );
    seen.answer(good, REMEDY)
}

/// What one server thinks of the others.
fn judge_members(cluster: &Cluster, server: &Member, view: &Consul, seen: &mut Seen) {
    let mut known = BTreeSet::new();
    for one in &view.members {
        let Some(member) = cluster.members.iter().find(|member| member.address == one.address) else {
            // One that left in good order is nobody's fault and goes by itself.
            if one.status != "left" {
                seen.wrong(format!(
                    "{} knows a member `{}` at {}, which is no node",
                    server.name, one.name, one.address
                ));
            }
            continue;
        };
        known.insert(member.name.as_str());
        if one.status != "alive" {
            seen.wrong(format!("Consul on {} is {} in the eyes of {}", member.name, one.status, server.name));
        }
        if one.server != (member.component == Component::Consul) {
            let is = if one.server { "a server, and should be none" } else { "no server, and should be one" };
            seen.wrong(format!("Consul on {} is {is}", member.name));
        }
    }
    let missing = cluster.members.iter().filter(|member| has_agent(cluster, member));
    for member in missing.filter(|member| !known.contains(member.name.as_str())) {
        seen.wrong(format!("{} does not know {}", server.name, member.name));
    }
}

#[cfg(test)]
mod tests {
    use super::super::facts::Asked;
    use super::super::tests::{healthy, told};
    use super::*;
    use crate::events::Status;

    #[test]
    fn passes_when_all_are_alive_under_one_leader() {
        let saw = judge(&healthy()).unwrap();
        assert!(saw.contains("3 of them servers, all alive; the leader is acme-consul-1"), "{saw}");
    }

    #[test]
    fn fails_on_a_server_that_is_gone() {
        let mut cluster = healthy();
        told(&mut cluster, "acme-consul-3").consul = Some(Asked::Unasked("connection refused".into()));
        for server in ["acme-consul-1", "acme-consul-2"] {
            let Some(Asked::Told(view)) = &mut told(&mut cluster, server).consul else { panic!() };
            view.members.iter_mut().find(|one| one.name == "acme-consul-3").unwrap().status = "failed".into();
        }
        let miss = judge(&cluster).unwrap_err();
        assert_eq!(miss.status, Status::Fail);
        assert!(
            miss.saw.contains("Consul on acme-consul-3 is failed in the eyes of acme-consul-1"),
            "{}",
            miss.saw
        );
    }

    #[test]
    fn fails_on_two_leaders_none_and_on_strangers() {
        let change = |change: &dyn Fn(&mut Consul)| {
            let mut cluster = healthy();
            let Some(Asked::Told(view)) = &mut told(&mut cluster, "acme-consul-2").consul else { panic!() };
            change(view);
            judge(&cluster).unwrap_err().saw
        };
        assert!(change(&|view| view.leader = String::new()).contains("acme-consul-2 knows no leader"));
        let saw = change(&|view| view.leader = view.members[1].address.clone() + ":8300");
        assert!(saw.contains("acme-consul-2 takes acme-consul-2 for the leader"), "{saw}");
        let saw = change(&|view| view.members[0].address = "198.18.9.9".into());
        assert!(saw.contains("which is no node") && saw.contains("does not know acme-consul-1"), "{saw}");
        assert!(change(&|view| view.members[0].server = false).contains("no server, and should be one"));
    }

    #[test]
    fn skips_when_a_server_could_not_be_asked() {
        let mut cluster = healthy();
        told(&mut cluster, "acme-consul-3").consul = Some(Asked::Unasked("no answer".into()));
        assert_eq!(judge(&cluster).unwrap_err().status, Status::Skip);
    }
}
