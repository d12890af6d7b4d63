//! Has each group of Redis one primary, and do the others follow it?
//!
//! Source of the shape: <https://redis.io/docs/latest/commands/info/> (read 2026-11).

use super::facts::Redis;
use super::member::{Cluster, Member, RedisGroup};
use super::seen::Seen;
use crate::checks::question::Miss;

const REMEDY: &str =
    "see `gitlab-redis-cli info replication` and `gitlab-ctl tail redis` on the node that is named";

pub fn applies(cluster: &Cluster) -> bool {
    !cluster.redis.is_empty()
}

/// The nodes of a group.
pub fn members<'a>(cluster: &'a Cluster, group: &'a RedisGroup) -> impl Iterator<Item = &'a Member> {
    group.nodes.iter().filter_map(|name| cluster.named(name))
}

/// The primary of a group, where exactly one node says to be it.
pub fn primary<'a>(cluster: &'a Cluster, group: &'a RedisGroup) -> Option<&'a Member> {
    let mut says = members(cluster, group).filter(|member| {
        member.about(|state| state.redis.as_ref()).is_ok_and(|told| told.role.as_deref() == Some("master"))
    });
    says.next().filter(|_| says.next().is_none())
}

pub fn judge(cluster: &Cluster) -> Result<String, Miss> {
    let mut seen = Seen::default();
    let mut good = Vec::new();
    for group in &cluster.redis {
        judge_group(cluster, group, &mut seen);
        let name = primary(cluster, group).map_or("nobody", |member| &member.name);
        good.push(format!("{}: {name} is the primary of {}", group.master_name, group.nodes.len()));
    }
    seen.answer(good.join("; "), REMEDY)
}

fn judge_group(cluster: &Cluster, group: &RedisGroup, seen: &mut Seen) {
    let told: Vec<(&Member, &Redis)> = members(cluster, group)
        .filter_map(|member| Some((member, seen.take(member.about(|state| state.redis.as_ref()))?)))
        .collect();
    let primaries: Vec<_> =
        told.iter().filter(|(_, redis)| redis.role.as_deref() == Some("master")).collect();
    let [(primary, view)] = primaries.as_slice() else {
        let names: Vec<_> = primaries.iter().map(|(member, _)| member.name.as_str()).collect();
        if names.is_empty() && told.len() < group.nodes.len() {
            seen.unseen(format!("{}: none of those that answer is the primary", group.master_name));
        } else if names.is_empty() {
            seen.wrong(format!("{} has no primary", group.master_name));
        } else {
            seen.wrong(format!("{} has {} primaries: {}", group.master_name, names.len(), names.join(", ")));
        }
        return;
    };
    for (member, redis) in told.iter().filter(|(member, _)| member.name != primary.name) {
        match redis.master.as_deref() {
            Some(master) if master == primary.address || master == primary.name => {}
            master => {
                let follows = master.map_or_else(|| "nobody".into(), |address| cluster.at(address));
                seen.wrong(format!("{} follows {follows} and not the primary {}", member.name, primary.name));
            }
        }
        if redis.link.as_deref() != Some("up") {
            seen.wrong(format!(
                "the link of {} to the primary {} is {}",
                member.name,
                primary.name,
                redis.link.as_deref().unwrap_or("unknown")
            ));
        }
    }
    for member in members(cluster, group).filter(|member| member.name != primary.name) {
        let known = view.replicas.iter().find(|replica| replica.address.as_deref() == Some(&member.address));
        match known.map(|replica| replica.state.as_deref().unwrap_or("in no known state")) {
            Some("online") => {}
            Some(state) => {
                seen.wrong(format!("the primary {} has its replica {} {state}", primary.name, member.name));
            }
            None => seen.wrong(format!("the primary {} has no replica {}", primary.name, member.name)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::facts::Asked;
    use super::super::tests::{healthy, told};
    use super::*;
    use crate::events::Status;

    fn changed(node: &str, change: impl Fn(&mut Redis)) -> Miss {
        let mut cluster = healthy();
        let Some(Asked::Told(view)) = &mut told(&mut cluster, node).redis else { panic!() };
        change(view);
        judge(&cluster).unwrap_err()
    }

    #[test]
    fn passes_with_one_primary_and_linked_replicas() {
        assert_eq!(judge(&healthy()).unwrap(), "gitlab-redis: acme-redis-1 is the primary of 3");
    }

    #[test]
    fn fails_on_a_replica_that_is_cut_off() {
        let mut cluster = healthy();
        let Some(Asked::Told(view)) = &mut told(&mut cluster, "acme-redis-3").redis else { panic!() };
        view.link = Some("down".into());
        let Some(Asked::Told(view)) = &mut told(&mut cluster, "acme-redis-1").redis else { panic!() };
        view.replicas.pop();
        let miss = judge(&cluster).unwrap_err();
        assert_eq!(miss.status, Status::Fail);
        assert_eq!(
            miss.saw,
            "the link of acme-redis-3 to the primary acme-redis-1 is down; the primary acme-redis-1 has no replica acme-redis-3"
        );
    }

    #[test]
    fn fails_on_two_primaries_none_and_on_one_that_follows_another() {
        let miss = changed("acme-redis-2", |redis| redis.role = Some("master".into()));
        assert_eq!(miss.saw, "gitlab-redis has 2 primaries: acme-redis-1, acme-redis-2");
        assert_eq!(
            changed("acme-redis-1", |redis| redis.role = Some("slave".into())).saw,
            "gitlab-redis has no primary"
        );
        let other = healthy().named("acme-redis-3").unwrap().address.clone();
        let miss = changed("acme-redis-2", |redis| redis.master = Some(other.clone()));
        assert_eq!(miss.saw, "acme-redis-2 follows acme-redis-3 and not the primary acme-redis-1");
        let miss = changed("acme-redis-1", |redis| redis.replicas[0].state = Some("wait_bgsave".into()));
        assert_eq!(miss.saw, "the primary acme-redis-1 has its replica acme-redis-2 wait_bgsave");
    }

    #[test]
    fn skips_when_one_could_not_be_asked() {
        let mut cluster = healthy();
        told(&mut cluster, "acme-redis-1").redis = Some(Asked::Unasked("connection refused".into()));
        assert_eq!(judge(&cluster).unwrap_err().status, Status::Skip);
    }
}
