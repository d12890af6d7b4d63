//! Do all Sentinels watch the same primary, can they choose another, and does Rails ask them for it by its name?
//!
//! Source of the shape: <https://redis.io/docs/latest/operate/oss_and_stack/management/sentinel/> (read 2026-11).

use super::facts::SentinelMaster;
use super::member::{Cluster, Member, RedisGroup};
use super::redis;
use super::seen::Seen;
use crate::checks::question::Miss;

const REMEDY: &str = "compare `redis['master_name']` and `gitlab_rails['redis_sentinels']` of the node that is named with the others, and see `gitlab-ctl tail sentinel`";
const SENTINEL_PORT: u16 = 26379;

pub fn applies(cluster: &Cluster) -> bool {
    redis::applies(cluster)
}

pub fn judge(cluster: &Cluster) -> Result<String, Miss> {
    let mut seen = Seen::default();
    for group in &cluster.redis {
        for member in redis::members(cluster, group) {
            if let Some(told) = seen.take(member.about(|state| state.sentinel.as_ref())) {
                judge_masters(cluster, group, member, &told.masters, &mut seen);
            }
        }
    }
    for member in cluster.members.iter().filter(|member| member.runs_rails()) {
        judge_clients(cluster, member, &mut seen);
    }
    let names: Vec<_> = cluster.redis.iter().map(|group| group.master_name.as_str()).collect();
    seen.answer(
        format!("all Sentinels watch the primary of {} and have a quorum", names.join(" and ")),
        REMEDY,
    )
}

fn judge_masters(
    cluster: &Cluster,
    group: &RedisGroup,
    by: &Member,
    masters: &[SentinelMaster],
    seen: &mut Seen,
) {
    for master in masters.iter().filter(|master| master.name.as_deref() != Some(&group.master_name)) {
        let name = master.name.as_deref().unwrap_or_default();
        seen.wrong(format!("the Sentinel on {} watches `{name}` and not `{}`", by.name, group.master_name));
    }
    let Some(master) = masters.iter().find(|master| master.name.as_deref() == Some(&group.master_name))
    else {
        if masters.is_empty() {
            seen.wrong(format!("the Sentinel on {} watches nothing", by.name));
        }
        return;
    };
    let says = |what: String| format!("the Sentinel on {} {what}", by.name);
    let address = master.address.as_deref().unwrap_or_default();
    match redis::primary(cluster, group) {
        None => seen.unseen(format!("which node is the primary of {} is not known", group.master_name)),
        Some(primary) if primary.address != address && primary.name != address => {
            seen.wrong(says(format!(
                "takes {} for the primary, which is {}",
                cluster.at(address),
                primary.name
            )));
        }
        Some(_) => {}
    }
    if master.flags.iter().any(|flag| flag.ends_with("_down")) {
        seen.wrong(says(format!("takes the primary for gone: {}", master.flags.join(", "))));
    }
    if !master.quorum {
        seen.wrong(says(format!("sees no quorum: {}", master.quorum_words)));
    }
    let others = group.nodes.len().saturating_sub(1);
    if master.other_sentinels != others {
        seen.wrong(says(format!("knows {} others and not {others}", master.other_sentinels)));
    }
}

/// What Rails was configured with, since a wrong name there is a Redis that can't be found.
fn judge_clients(cluster: &Cluster, member: &Member, seen: &mut Seen) {
    let Some(told) = seen.take(member.about(|state| state.redis_clients.as_ref())) else { return };
    for (file, client) in &told.clients {
        let host = client.host.as_deref().unwrap_or_default();
        let Some(group) = cluster.redis.iter().find(|group| group.master_name == host) else {
            let names: Vec<_> =
                cluster.redis.iter().map(|group| format!("`{}`", group.master_name)).collect();
            seen.wrong(format!(
                "{} asks Sentinel for `{host}` ({file}.yml), and the primaries are called {}",
                member.name,
                names.join(" and ")
            ));
            continue;
        };
        let mut wanted: Vec<_> =
            redis::members(cluster, group).map(|node| format!("{}:{SENTINEL_PORT}", node.address)).collect();
        wanted.sort_unstable();
        let mut named = client.sentinels.clone();
        named.sort_unstable();
        if named != wanted {
            seen.wrong(format!(
                "{} asks the Sentinels {} ({file}.yml), which are not those of `{host}`",
                member.name,
                named.join(", ")
            ));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::facts::Asked;
    use super::super::tests::{healthy, told};
    use super::*;
    use crate::events::Status;

    fn changed(change: impl Fn(&mut SentinelMaster)) -> Miss {
        let mut cluster = healthy();
        let Some(Asked::Told(view)) = &mut told(&mut cluster, "acme-redis-2").sentinel else { panic!() };
        change(&mut view.masters[0]);
        judge(&cluster).unwrap_err()
    }

    #[test]
    fn passes_when_all_agree() {
        assert_eq!(
            judge(&healthy()).unwrap(),
            "all Sentinels watch the primary of gitlab-redis and have a quorum"
        );
    }

    #[test]
    fn fails_on_another_name_another_primary_and_no_quorum() {
        assert_eq!(
            changed(|master| master.name = Some("mymaster".into())).saw,
            "the Sentinel on acme-redis-2 watches `mymaster` and not `gitlab-redis`"
        );
        let other = healthy().named("acme-redis-3").unwrap().address.clone();
        let miss = changed(|master| master.address = Some(other.clone()));
        assert_eq!(
            miss.saw,
            "the Sentinel on acme-redis-2 takes acme-redis-3 for the primary, which is acme-redis-1"
        );
        let miss =
            changed(|master| (master.quorum, master.quorum_words) = (false, "NOQUORUM 1 usable".into()));
        assert_eq!(miss.saw, "the Sentinel on acme-redis-2 sees no quorum: NOQUORUM 1 usable");
        assert!(
            changed(|master| master.flags.push("o_down".into())).saw.contains("takes the primary for gone")
        );
        assert!(changed(|master| master.other_sentinels = 1).saw.contains("knows 1 others and not 2"));
    }

    #[test]
    fn fails_when_rails_asks_for_a_name_that_nobody_has() {
        let mut cluster = healthy();
        let Some(Asked::Told(rails)) = &mut told(&mut cluster, "acme-rails-2").redis_clients else {
            panic!()
        };
        rails.clients.get_mut("resque").unwrap().host = Some("mymaster".into());
        let miss = judge(&cluster).unwrap_err();
        assert_eq!(
            miss.saw,
            "acme-rails-2 asks Sentinel for `mymaster` (resque.yml), and the primaries are called `gitlab-redis`"
        );
        let mut cluster = healthy();
        let Some(Asked::Told(rails)) = &mut told(&mut cluster, "acme-rails-2").redis_clients else {
            panic!()
        };
        rails.clients.get_mut("resque").unwrap().sentinels.pop();
        assert_eq!(judge(&cluster).unwrap_err().status, Status::Fail);
    }

    #[test]
    fn skips_when_one_could_not_be_asked() {
        let mut cluster = healthy();
        told(&mut cluster, "acme-redis-3").sentinel = Some(Asked::Unasked("connection refused".into()));
        assert_eq!(judge(&cluster).unwrap_err().status, Status::Skip);
    }
}
