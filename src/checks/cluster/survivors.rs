//! Whether the data of a node that has lost its disk is with others, by what those others told: then a new disk in its
//! place loses nothing, because the tier fills it again. Whatever is not clear is no proof.
//!
//! Sources: <https://docs.gitlab.com/administration/gitaly/praefect/recovery/> "Replace an existing Gitaly node" and "Check
//! for data loss", <https://docs.gitlab.com/administration/redis/replication_and_failover/> (read 2026-11).

use std::collections::BTreeSet;

use super::facts::{Praefect, Redis};
use super::member::{Cluster, Member, RedisGroup};
use super::patroni::leaders_of;
use super::redis;
use crate::architecture::Component;

/// What a node was for its tier.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lost {
    /// One of Consul's servers.
    Consul,
    /// A member of Patroni.
    Patroni,
    /// A Redis under Sentinel.
    Redis,
    /// A Gitaly behind Praefect, with this storage. `for_long` says that it has been away for longer than Praefect takes
    /// to notice.
    Gitaly {
        /// The storage's name.
        storage: String,
        /// Whether Praefect has had the time to notice.
        for_long: bool,
    },
}

/// Who holds what the node held, in words.
///
/// # Errors
/// Why that is not proven.
pub fn held_by(cluster: &Cluster, node: &str, lost: &Lost) -> Result<String, String> {
    match lost {
        Lost::Consul => consul(cluster, node),
        Lost::Patroni => patroni(cluster, node),
        Lost::Redis => redis_primary(cluster, group_of(cluster, node)?, node)
            .map(|primary| format!("{} leads its group of Redis, and holds what is current", primary.name)),
        Lost::Gitaly { storage, for_long } => gitaly(cluster, node, storage, *for_long),
    }
}

/// Whom a node of Redis has to follow that was not configured to its end; nobody, where it leads its group itself.
///
/// # Errors
/// Why nobody is known to lead. With data of its own or without, such a node must not start as a primary then: a replica
/// that has the data would throw it away for the data of its primary.
pub fn redis_leader(cluster: &Cluster, node: &str) -> Result<Option<String>, String> {
    let group = group_of(cluster, node)?;
    match redis_primary(cluster, group, node) {
        Ok(primary) => Ok(Some(primary.name.clone())),
        Err(_) if leads_itself(cluster, group, node) => Ok(None),
        Err(why) => Err(why),
    }
}

fn group_of<'a>(cluster: &'a Cluster, node: &str) -> Result<&'a RedisGroup, String> {
    let mut groups = cluster.redis.iter();
    groups
        .find(|group| group.nodes.iter().any(|name| name == node))
        .ok_or_else(|| format!("{node} is in no group of Redis"))
}

fn others<'a>(cluster: &'a Cluster, component: Component, node: &'a str) -> impl Iterator<Item = &'a Member> {
    cluster.of(component).filter(move |member| member.name != node)
}

fn address_of<'a>(cluster: &'a Cluster, node: &str) -> &'a str {
    cluster.named(node).map_or("", |member| &member.address)
}

/// More than half of the servers keep what all keep, and have a leader among them.
fn consul(cluster: &Cluster, node: &str) -> Result<String, String> {
    let all = cluster.of(Component::Consul).count();
    let gone = address_of(cluster, node);
    let mut leaders = BTreeSet::new();
    let mut living = 0;
    for member in others(cluster, Component::Consul, node) {
        let Ok(view) = member.about(|state| state.consul.as_ref()) else { continue };
        let host = view.leader.rsplit_once(':').map_or(view.leader.as_str(), |(host, _)| host);
        if !host.is_empty() && host != gone {
            leaders.insert(host.to_owned());
            living += 1;
        }
    }
    match leaders.first() {
        Some(leader) if leaders.len() == 1 && living * 2 > all => {
            Ok(format!("{living} of {all} servers of Consul live, and {} leads them", cluster.at(leader)))
        }
        _ => Err(format!(
            "{living} of {all} servers of Consul know a leader among the living, and it takes a majority that agrees"
        )),
    }
}

/// The leader itself says that it leads, and nobody says otherwise.
fn patroni(cluster: &Cluster, node: &str) -> Result<String, String> {
    let gone = address_of(cluster, node);
    let mut found = BTreeSet::new();
    let mut by_itself = None;
    for member in others(cluster, Component::Postgres, node) {
        let Ok(view) = member.about(|state| state.patroni.as_ref()) else { continue };
        let leaders: Vec<_> = leaders_of(view).collect();
        for leader in &leaders {
            let address = leader.address.as_deref().unwrap_or_default();
            found.insert(address.to_owned());
            if address == member.address && leader.state.as_deref() == Some("running") {
                by_itself = Some(member.name.clone());
            }
        }
    }
    match by_itself {
        _ if found.contains(gone) => Err(format!("Patroni still takes {node} for its leader")),
        Some(leader) if found.len() == 1 => {
            Ok(format!("{leader} leads the database, and holds what is current"))
        }
        _ if found.len() > 1 => Err("Patroni's members name different leaders".into()),
        _ => Err("no member of Patroni says of itself that it leads the database".into()),
    }
}

/// The one primary among the others, which no Sentinel contradicts.
fn redis_primary<'a>(cluster: &'a Cluster, group: &'a RedisGroup, node: &str) -> Result<&'a Member, String> {
    let others: Vec<&Member> = redis::members(cluster, group).filter(|member| member.name != node).collect();
    let told = |member: &&&Member| {
        member.about(|state| state.redis.as_ref()).is_ok_and(|told| told.role.as_deref() == Some("master"))
    };
    let primaries: Vec<&&Member> = others.iter().filter(told).collect();
    let primary = match primaries.as_slice() {
        [primary] => **primary,
        [] => return Err(format!("none of the other nodes of {} is its primary", group.master_name)),
        _ => return Err(format!("{} has {} primaries beside {node}", group.master_name, primaries.len())),
    };
    for member in &others {
        for address in primaries_of_sentinel(member, group) {
            if address != primary.address {
                let takes = cluster.at(address);
                return Err(format!(
                    "the Sentinel on {} takes {takes} for the primary, and {} says to be it",
                    member.name, primary.name
                ));
            }
        }
    }
    Ok(primary)
}

/// The primaries that a Sentinel sees and does not take for gone.
fn primaries_of_sentinel<'a>(member: &'a Member, group: &'a RedisGroup) -> impl Iterator<Item = &'a str> {
    let told = member.about(|state| state.sentinel.as_ref()).ok();
    let masters = told.into_iter().flat_map(|told| &told.masters);
    masters
        .filter(|master| master.name.as_deref() == Some(&group.master_name))
        .filter(|master| !master.flags.iter().any(|flag| flag == "s_down" || flag == "o_down"))
        .filter_map(|master| master.address.as_deref())
}

/// Whether a node serves as the primary: by its own word, by a Sentinel's elsewhere, and by that of a replica that follows.
fn leads_itself(cluster: &Cluster, group: &RedisGroup, node: &str) -> bool {
    let Some(own) = cluster.named(node) else { return false };
    let is_followed =
        |told: &Redis| told.link.as_deref() == Some("up") && told.master.as_deref() == Some(&own.address);
    let mut others = redis::members(cluster, group).filter(|member| member.name != node);
    own.about(|state| state.redis.as_ref()).is_ok_and(|told| told.role.as_deref() == Some("master"))
        && others.any(|member| {
            primaries_of_sentinel(member, group).any(|address| address == own.address)
                && member.about(|state| state.redis.as_ref()).is_ok_and(is_followed)
        })
}

/// A router knows that the Gitaly is away, and that every repository can be read without it.
fn gitaly(cluster: &Cluster, node: &str, storage: &str, for_long: bool) -> Result<String, String> {
    let mut why = "no Praefect could be asked".to_owned();
    for member in cluster.of(Component::Praefect) {
        let told = member.about(|state| state.praefect.as_ref());
        match told.and_then(|told| without(cluster, node, storage, for_long, told)) {
            Ok(()) => {
                return Ok(format!(
                    "every repository is current on another Gitaly, as Praefect on {} says",
                    member.name
                ));
            }
            Err(reason) => why = reason,
        }
    }
    Err(why)
}

fn without(
    cluster: &Cluster,
    node: &str,
    storage: &str,
    for_long: bool,
    told: &Praefect,
) -> Result<(), String> {
    let address = address_of(cluster, node);
    let (Some(unavailable), Some(partly)) = (&told.unavailable, &told.dataloss) else {
        return Err("Praefect can't use its database".into());
    };
    let fails = |line: &str| line.contains(&format!("{address}:")) && line.to_lowercase().contains("error");
    if !told.dial_nodes.out.lines().any(fails) {
        return Err(format!(
            "Praefect reaches a Gitaly at the address of {node}, and takes its storage for whole"
        ));
    }
    let storages = unavailable.out.matches("Virtual storage:").count();
    let available = unavailable.out.matches("All repositories are available!").count();
    if unavailable.rc != 0 || storages == 0 || available < storages {
        return Err("Praefect lists repositories that can't be read without it".into());
    }
    let is_known = partly.out.lines().any(|line| {
        let mut words = line.trim().split([' ', ',']);
        words.next() == Some(storage) && line.trim_end().ends_with("unhealthy")
    });
    // Where there is no repository, none is listed.
    let is_empty = for_long && partly.rc == 0 && partly.out.contains("fully available");
    if is_known || is_empty {
        Ok(())
    } else {
        Err(format!("Praefect has not noticed yet that {storage} is away"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::cluster::facts::{Asked, ClusterState, Words};
    use crate::checks::cluster::tests::{healthy, member, told};

    const GITALY: &str = "acme-gitaly-1";

    fn gone(cluster: &mut Cluster, name: &str) {
        member(cluster, name).told = Err("no route to host".into());
    }

    fn answered<T>(asked: &mut Option<Asked<T>>) -> &mut T {
        match asked {
            Some(Asked::Told(told)) => told,
            _ => panic!("nothing was told"),
        }
    }

    fn redis_of<'a>(cluster: &'a mut Cluster, name: &str) -> &'a mut Redis {
        answered(&mut told(cluster, name).redis)
    }

    /// The second node of Redis leads, and the first is gone.
    fn after_failover() -> Cluster {
        let mut cluster = healthy();
        let address = cluster.named("acme-redis-2").unwrap().address.clone();
        redis_of(&mut cluster, "acme-redis-2").role = Some("master".into());
        redis_of(&mut cluster, "acme-redis-3").master = Some(address.clone());
        for name in ["acme-redis-2", "acme-redis-3"] {
            answered(&mut told(&mut cluster, name).sentinel).masters[0].address = Some(address.clone());
        }
        gone(&mut cluster, "acme-redis-1");
        cluster
    }

    #[test]
    fn a_majority_of_consul_with_a_leader_holds_what_it_keeps() {
        let mut cluster = healthy();
        gone(&mut cluster, "acme-consul-3");
        held_by(&cluster, "acme-consul-3", &Lost::Consul).expect("two live");
        // The leader is the first: those that are left still name it.
        held_by(&cluster, "acme-consul-1", &Lost::Consul).expect_err("nobody was elected yet");
        gone(&mut cluster, "acme-consul-2");
        held_by(&cluster, "acme-consul-3", &Lost::Consul).expect_err("one of three");
    }

    #[test]
    fn the_leader_of_the_database_holds_what_a_replica_held() {
        let mut cluster = healthy();
        gone(&mut cluster, "acme-postgres-2");
        let proof = held_by(&cluster, "acme-postgres-2", &Lost::Patroni).expect("the first leads");
        assert!(proof.contains("acme-postgres-1"), "{proof}");
        let why = held_by(&cluster, "acme-postgres-1", &Lost::Patroni).expect_err("it leads still");
        assert!(why.contains("still takes acme-postgres-1"), "{why}");
        gone(&mut cluster, "acme-postgres-1");
        held_by(&cluster, "acme-postgres-2", &Lost::Patroni).expect_err("the leader itself is silent");
    }

    #[test]
    fn two_leaders_of_the_database_prove_nothing() {
        let mut cluster = healthy();
        let view = answered(&mut told(&mut cluster, "acme-postgres-3").patroni);
        view.members[2].role = Some("leader".into());
        held_by(&cluster, "acme-postgres-2", &Lost::Patroni).expect_err("two lead");
    }

    #[test]
    fn a_new_redis_follows_the_living_primary() {
        let cluster = after_failover();
        let leader = redis_leader(&cluster, "acme-redis-1").expect("the second leads");
        assert_eq!(leader.as_deref(), Some("acme-redis-2"));
        held_by(&cluster, "acme-redis-1", &Lost::Redis).expect("the second holds it");
        held_by(&healthy(), "acme-redis-3", &Lost::Redis).expect("the first holds it");
    }

    #[test]
    fn a_redis_that_leads_and_is_followed_goes_on() {
        assert_eq!(redis_leader(&healthy(), "acme-redis-1"), Ok(None));
        let mut cluster = healthy();
        for name in ["acme-redis-2", "acme-redis-3"] {
            redis_of(&mut cluster, name).link = Some("down".into());
        }
        redis_leader(&cluster, "acme-redis-1").expect_err("nobody follows it: it may be the empty one");
    }

    #[test]
    fn without_a_living_primary_no_redis_begins() {
        let mut cluster = healthy();
        gone(&mut cluster, "acme-redis-1");
        redis_leader(&cluster, "acme-redis-1").expect_err("nobody was promoted");
        let mut cluster = after_failover();
        redis_of(&mut cluster, "acme-redis-3").role = Some("master".into());
        redis_leader(&cluster, "acme-redis-1").expect_err("two are promoted");
        let mut cluster = after_failover();
        let address = cluster.named("acme-redis-3").unwrap().address.clone();
        answered(&mut told(&mut cluster, "acme-redis-3").sentinel).masters[0].address = Some(address);
        let why = redis_leader(&cluster, "acme-redis-1").expect_err("a Sentinel says another");
        assert!(why.contains("acme-redis-3"), "{why}");
    }

    fn praefect_said(cluster: &mut Cluster, unavailable: &str, partly: &str) {
        let address = cluster.named(GITALY).unwrap().address.clone();
        for name in ["acme-praefect-1", "acme-praefect-2", "acme-praefect-3"] {
            let state: &mut ClusterState = told(cluster, name);
            let praefect = answered(&mut state.praefect);
            praefect.dial_nodes =
                Words { rc: 1, out: format!("[tcp://{address}:8075]: ERROR: no route to host\n") };
            praefect.unavailable =
                Some(Words { rc: 0, out: format!("Virtual storage: default\n{unavailable}\n") });
            praefect.dataloss = Some(Words { rc: 0, out: format!("Virtual storage: default\n{partly}\n") });
        }
    }

    const ALL: &str = "  All repositories are available!";
    const WHOLE: &str = "  All repositories are fully available on all assigned storages!";
    const KNOWN: &str = "  Outdated repositories:\n    @hashed/a.git:\n      Primary: gitaly-2\n      In-Sync Storages:\n        \
                         gitaly-1, assigned host, unhealthy\n        gitaly-2, assigned host\n";

    fn lost(for_long: bool) -> Lost {
        Lost::Gitaly { storage: "gitaly-1".into(), for_long }
    }

    #[test]
    fn a_gitaly_is_replaced_where_praefect_needs_it_for_no_repository() {
        let mut cluster = healthy();
        praefect_said(&mut cluster, ALL, KNOWN);
        held_by(&cluster, GITALY, &lost(false)).expect("all are elsewhere");
        // One router that answers is enough.
        gone(&mut cluster, "acme-praefect-1");
        held_by(&cluster, GITALY, &lost(false)).expect("another router says so");
    }

    #[test]
    fn what_praefect_has_not_noticed_proves_nothing() {
        let mut cluster = healthy();
        held_by(&cluster, GITALY, &lost(true)).expect_err("it is not away");
        praefect_said(&mut cluster, ALL, WHOLE);
        held_by(&cluster, GITALY, &lost(false)).expect_err("it may be taken for healthy");
        held_by(&cluster, GITALY, &lost(true)).expect("there is no repository");
        praefect_said(&mut cluster, ALL, &KNOWN.replace(", unhealthy", ""));
        held_by(&cluster, GITALY, &lost(true)).expect_err("it is taken for healthy");
        praefect_said(&mut cluster, ALL, &KNOWN.replace("gitaly-1", "gitaly-3"));
        held_by(&cluster, GITALY, &lost(true)).expect_err("another is away");
    }

    #[test]
    fn a_repository_that_nobody_else_has_is_a_loss() {
        let mut cluster = healthy();
        praefect_said(&mut cluster, &KNOWN.replace("a.git:", "a.git (unavailable):"), KNOWN);
        let why = held_by(&cluster, GITALY, &lost(true)).expect_err("nobody else has it");
        assert!(why.contains("can't be read"), "{why}");
    }
}
