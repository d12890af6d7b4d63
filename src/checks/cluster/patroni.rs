//! Has the database one leader, and do the replicas follow it?
//!
//! Source of the shapes: <https://patroni.readthedocs.io/en/latest/rest_api.html> (read 2026-11).

use std::collections::BTreeSet;

use super::facts::{Patroni, PatroniMember};
use super::member::{Cluster, Member};
use super::seen::Seen;
use crate::architecture::Component;
use crate::checks::question::Miss;

const REMEDY: &str =
    "see `gitlab-ctl patroni members` and `gitlab-ctl tail patroni` on the node that is named";
/// A replica that is one WAL segment behind is busy; one that is a gigabyte behind won't lead for a long time.
const BEHIND: u64 = 16 << 20;
const FAR_BEHIND: u64 = 1 << 30;

pub fn applies(cluster: &Cluster) -> bool {
    cluster.patroni
}

/// The address of the leader on which all nodes that could be asked agree.
pub fn leader(cluster: &Cluster) -> Option<&str> {
    let views = cluster
        .of(Component::Postgres)
        .filter_map(|member| member.about(|state| state.patroni.as_ref()).ok());
    let leaders: BTreeSet<&str> =
        views.flat_map(leaders_of).filter_map(|leader| leader.address.as_deref()).collect();
    if leaders.len() == 1 { leaders.first().copied() } else { None }
}

/// Who leads in the eyes of a member.
pub fn leaders_of(view: &Patroni) -> impl Iterator<Item = &PatroniMember> {
    view.members
        .iter()
        .filter(|member| matches!(member.role.as_deref(), Some("leader" | "master" | "primary")))
}

pub fn judge(cluster: &Cluster) -> Result<String, Miss> {
    let mut seen = Seen::default();
    for member in cluster.of(Component::Postgres) {
        if let Some(view) = seen.take(member.about(|state| state.patroni.as_ref())) {
            judge_view(cluster, member, view, &mut seen);
        }
    }
    let replicas = cluster.of(Component::Postgres).count().saturating_sub(1);
    let leads = leader(cluster).map(|address| cluster.at(address));
    let good = format!("{} leads, and {replicas} replicas stream from it", leads.unwrap_or_default());
    seen.answer(good, REMEDY)
}

fn judge_view(cluster: &Cluster, by: &Member, view: &Patroni, seen: &mut Seen) {
    if view.paused {
        seen.odd(format!(
            "Patroni is paused in the eyes of {}: nobody takes over when the leader dies",
            by.name
        ));
    }
    let name = |member: &PatroniMember| {
        member.address.as_deref().map_or_else(|| member.name.clone(), |address| cluster.at(address))
    };
    let leaders: Vec<_> = leaders_of(view).collect();
    let [leader] = leaders.as_slice() else {
        let words = if leaders.is_empty() {
            "no leader".into()
        } else {
            leaders.iter().map(|it| name(it)).collect::<Vec<_>>().join(" and ") + " as leaders"
        };
        seen.wrong(format!("{} sees {words}", by.name));
        return;
    };
    for missing in cluster.of(Component::Postgres) {
        if view.members.iter().all(|member| member.address.as_deref() != Some(&missing.address)) {
            seen.wrong(format!("{} does not see {} in the cluster", by.name, missing.name));
        }
    }
    for member in &view.members {
        let is_leader = member.name == leader.name;
        let state = member.state.as_deref().unwrap_or("in no known state");
        // Patroni before 3.0.4 called a replica that streams `running`.
        if !(state == "running" || (state == "streaming" && !is_leader)) {
            seen.wrong(format!("PostgreSQL on {} is {state}", name(member)));
        } else if member.timeline != leader.timeline {
            let told = |timeline: Option<u64>| timeline.map_or_else(|| "none".into(), |it| it.to_string());
            seen.wrong(format!(
                "{} follows timeline {}, the leader {}",
                name(member),
                told(member.timeline),
                told(leader.timeline)
            ));
        } else if !is_leader {
            judge_lag(&name(member), member.lag, seen);
        }
        if member.pending_restart {
            seen.odd(format!(
                "PostgreSQL on {} waits for a restart before it takes its settings",
                name(member)
            ));
        }
    }
}

fn judge_lag(name: &str, lag: Option<u64>, seen: &mut Seen) {
    match lag {
        None => seen.wrong(format!("nobody knows how far {name} is behind")),
        Some(lag) if lag >= FAR_BEHIND => seen.wrong(format!("{name} is {} MiB behind", lag >> 20)),
        Some(lag) if lag >= BEHIND => seen.odd(format!("{name} is {} MiB behind", lag >> 20)),
        Some(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::super::facts::Asked;
    use super::super::tests::{healthy, told};
    use super::*;
    use crate::events::Status;

    fn changed(change: impl Fn(&mut Patroni)) -> Miss {
        let mut cluster = healthy();
        let Some(Asked::Told(view)) = &mut told(&mut cluster, "acme-postgres-2").patroni else { panic!() };
        change(view);
        judge(&cluster).unwrap_err()
    }

    #[test]
    fn passes_with_one_leader_and_streaming_replicas() {
        assert_eq!(judge(&healthy()).unwrap(), "acme-postgres-1 leads, and 2 replicas stream from it");
    }

    #[test]
    fn fails_without_a_leader_with_two_and_on_a_replica_that_does_not_stream() {
        assert_eq!(
            changed(|view| view.members[0].role = Some("replica".into())).saw,
            "acme-postgres-2 sees no leader"
        );
        let miss = changed(|view| view.members[2].role = Some("leader".into()));
        assert_eq!(miss.saw, "acme-postgres-2 sees acme-postgres-1 and acme-postgres-3 as leaders");
        let miss = changed(|view| view.members[2].state = Some("start failed".into()));
        assert_eq!(
            (miss.status, miss.saw.as_str()),
            (Status::Fail, "PostgreSQL on acme-postgres-3 is start failed")
        );
        assert_eq!(
            changed(|view| view.members[2].timeline = Some(1)).saw,
            "acme-postgres-3 follows timeline 1, the leader 2"
        );
        assert_eq!(
            changed(|view| view.members[2].lag = None).saw,
            "nobody knows how far acme-postgres-3 is behind"
        );
        assert!(changed(|view| drop(view.members.pop())).saw.contains("does not see acme-postgres-3"));
        assert_eq!(changed(|view| view.members[2].lag = Some(2 << 30)).status, Status::Fail);
    }

    #[test]
    fn warns_of_a_pending_restart_a_pause_and_a_replica_that_is_behind() {
        assert_eq!(
            changed(|view| view.members[2].lag = Some(64 << 20)).saw,
            "acme-postgres-3 is 64 MiB behind"
        );
        assert_eq!(changed(|view| view.members[0].pending_restart = true).status, Status::Warn);
        assert_eq!(changed(|view| view.paused = true).status, Status::Warn);
    }

    #[test]
    fn skips_when_a_node_could_not_be_asked() {
        let mut cluster = healthy();
        told(&mut cluster, "acme-postgres-2").patroni = Some(Asked::Unasked("connection refused".into()));
        let miss = judge(&cluster).unwrap_err();
        assert_eq!(miss.status, Status::Skip);
        assert!(miss.saw.contains("acme-postgres-2: connection refused"));
    }
}
