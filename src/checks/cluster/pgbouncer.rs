//! Does a connection pool lead to the database's leader?
//!
//! Source of the shape: <https://docs.gitlab.com/administration/postgresql/pgbouncer/> (read 2026-11).

use super::member::{Cluster, Member};
use super::patroni;
use super::seen::Seen;
use crate::architecture::Component;
use crate::checks::question::Miss;

const REMEDY: &str = "see with `gitlab-ctl tail consul` on the node whether its watcher was told of the leader, and reconfigure it with `refarch up`";
const DATABASE: &str = "gitlabhq_production";

pub fn applies(_: &Cluster, member: &Member) -> bool {
    member.component == Component::Pgbouncer
}

pub fn judge(cluster: &Cluster, member: &Member) -> Result<String, Miss> {
    let mut seen = Seen::default();
    let mut good = String::new();
    if let Some(told) = seen.take(member.about(|state| state.pgbouncer.as_ref())) {
        match told.databases.iter().find(|database| database.name == DATABASE) {
            None => seen.wrong(format!("PgBouncer on {} knows no database {DATABASE}", member.name)),
            Some(database) => {
                let leads_to = cluster.at(&database.host);
                match patroni::leader(cluster) {
                    None => seen.unseen("which node leads the database is not known"),
                    Some(leader) if leader != database.host => seen.wrong(format!(
                        "PgBouncer on {} leads to {leads_to} and not to the leader {}",
                        member.name,
                        cluster.at(leader)
                    )),
                    Some(_) => {}
                }
                if database.port != "5432" {
                    seen.wrong(format!(
                        "PgBouncer on {} leads to port {} and not to 5432",
                        member.name, database.port
                    ));
                }
                for (word, is) in [("paused", &database.paused), ("disabled", &database.disabled)] {
                    if is == "1" {
                        seen.wrong(format!("PgBouncer on {} has {DATABASE} {word}", member.name));
                    }
                }
                good = format!("{DATABASE} leads to {leads_to}:{}, the leader", database.port);
            }
        }
    }
    seen.answer(good, REMEDY)
}

#[cfg(test)]
mod tests {
    use super::super::facts::{Asked, PgbouncerDatabase};
    use super::super::tests::{healthy, told};
    use super::*;
    use crate::events::Status;

    fn changed(change: impl Fn(&mut PgbouncerDatabase)) -> Result<String, Miss> {
        let mut cluster = healthy();
        let Some(Asked::Told(view)) = &mut told(&mut cluster, "acme-pgbouncer-2").pgbouncer else { panic!() };
        change(view.databases.last_mut().unwrap());
        judge(&cluster, cluster.named("acme-pgbouncer-2").unwrap())
    }

    #[test]
    fn passes_when_it_leads_to_the_leader() {
        assert_eq!(changed(|_| {}).unwrap(), "gitlabhq_production leads to acme-postgres-1:5432, the leader");
    }

    #[test]
    fn fails_when_it_leads_elsewhere_or_nowhere() {
        let replica = healthy().named("acme-postgres-2").unwrap().address.clone();
        let miss = changed(|database| database.host.clone_from(&replica)).unwrap_err();
        assert_eq!(
            miss.saw,
            "PgBouncer on acme-pgbouncer-2 leads to acme-postgres-2 and not to the leader acme-postgres-1"
        );
        for miss in [
            changed(|database| database.port = "6432".into()),
            changed(|database| database.paused = "1".into()),
            changed(|database| database.name = "other".into()),
        ] {
            assert_eq!(miss.unwrap_err().status, Status::Fail);
        }
    }

    #[test]
    fn skips_when_it_does_not_answer_or_nobody_knows_the_leader() {
        let mut cluster = healthy();
        told(&mut cluster, "acme-pgbouncer-2").pgbouncer =
            Some(Asked::Unasked("psql: connection refused".into()));
        let miss = judge(&cluster, cluster.named("acme-pgbouncer-2").unwrap()).unwrap_err();
        assert_eq!(miss.status, Status::Skip);
        let mut cluster = healthy();
        for node in ["acme-postgres-1", "acme-postgres-2", "acme-postgres-3"] {
            told(&mut cluster, node).patroni = None;
        }
        let miss = judge(&cluster, cluster.named("acme-pgbouncer-1").unwrap()).unwrap_err();
        assert_eq!(miss.status, Status::Skip);
    }
}
