//! Does the database that Rails was configured with take writes?

use super::member::{Cluster, Member};
use super::seen::Seen;
use crate::checks::question::Miss;

const REMEDY: &str = "set `gitlab_rails['db_host']` and `db_port` of the node to the PgBouncers, which lead to whoever is the leader";

pub fn applies(cluster: &Cluster, member: &Member) -> bool {
    cluster.members.len() > 1 && member.runs_rails()
}

pub fn judge(cluster: &Cluster, member: &Member) -> Result<String, Miss> {
    let mut seen = Seen::default();
    let mut good = String::new();
    if let Some(told) = seen.take(member.about(|state| state.database.as_ref())) {
        let at = format!("{}:{}", told.host, told.port);
        let node = cluster.members.iter().find(|node| node.address == told.host);
        let whose = node.map(|node| format!(" ({})", node.name)).unwrap_or_default();
        match told.in_recovery {
            Some(false) => good = format!("{at}{whose} answers as a primary"),
            Some(true) => seen.wrong(format!(
                "the database of {} at {at}{whose} is a replica, which takes no writes",
                member.name
            )),
            None => {
                let error = told.error.as_deref().unwrap_or("it says nothing");
                seen.wrong(format!("{} can't use its database at {at}{whose}: {error}", member.name));
            }
        }
    }
    seen.answer(good, REMEDY)
}

#[cfg(test)]
mod tests {
    use super::super::facts::{Asked, Database};
    use super::super::tests::{healthy, told};
    use super::*;
    use crate::events::Status;

    const NODE: &str = "acme-rails-1";

    fn changed(change: impl Fn(&Cluster, &mut Database)) -> Result<String, Miss> {
        let (mut cluster, before) = (healthy(), healthy());
        let Some(Asked::Told(view)) = &mut told(&mut cluster, NODE).database else { panic!() };
        change(&before, view);
        judge(&cluster, cluster.named(NODE).unwrap())
    }

    #[test]
    fn passes_when_a_primary_answers() {
        let saw = changed(|_, _| {}).unwrap();
        assert!(saw.contains(":6432 (acme-internal-lb-1) answers as a primary"), "{saw}");
    }

    #[test]
    fn fails_on_a_replica_and_on_what_does_not_answer() {
        let miss = changed(|cluster, database| {
            (database.host, database.port) =
                (cluster.named("acme-postgres-2").unwrap().address.clone(), 5432);
            database.in_recovery = Some(true);
        });
        let miss = miss.unwrap_err();
        assert_eq!(miss.status, Status::Fail);
        assert!(miss.saw.contains("(acme-postgres-2) is a replica"), "{}", miss.saw);
        let miss = changed(|_, database| {
            (database.in_recovery, database.error) = (None, Some("connection refused".into()));
        });
        assert!(miss.unwrap_err().saw.contains("acme-rails-1 can't use its database"));
    }

    #[test]
    fn skips_when_it_could_not_be_asked() {
        let mut cluster = healthy();
        told(&mut cluster, NODE).database = Some(Asked::Unasked("there is no database.yml".into()));
        assert_eq!(judge(&cluster, cluster.named(NODE).unwrap()).unwrap_err().status, Status::Skip);
    }
}
