//! Does a node run the services of its component, and no others?

use super::member::{Cluster, Member};
use super::seen::Seen;
use crate::architecture::Component;
use crate::checks::question::Miss;

const REMEDY: &str = "see the roles in the node's gitlab.rb, and configure it again with `refarch up`";
/// The services that do a component's work. Exporters, agents and housekeeping may be anywhere.
///
/// Source: <https://docs.gitlab.com/omnibus/roles/> and <https://docs.gitlab.com/omnibus/maintenance/> (read 2026-11).
const WORKING: [&str; 13] = [
    "alertmanager",
    "gitaly",
    "gitlab-workhorse",
    "nginx",
    "patroni",
    "pgbouncer",
    "postgresql",
    "praefect",
    "prometheus",
    "puma",
    "redis",
    "sentinel",
    "sidekiq",
];

pub fn applies(_: &Cluster, member: &Member) -> bool {
    member.component.has_package()
}

/// What a node must run, and what it may run besides.
fn services(cluster: &Cluster, component: Component) -> (Vec<&'static str>, &'static [&'static str]) {
    let mut needs = component.services().to_vec();
    let mut may: &[&str] = &[];
    match component {
        Component::AllInOne => may = &["alertmanager", "prometheus"],
        // The connection pool on a database node is for the reads that are spread over the replicas.
        Component::Postgres if cluster.patroni => {
            needs.push("patroni");
            may = &["pgbouncer"];
        }
        // Debian's and the package's Patroni starts PostgreSQL by itself; without it the package does.
        Component::Postgres | Component::PraefectPostgres => needs.push("postgresql"),
        Component::Redis | Component::RedisCache | Component::RedisPersistent
            if !cluster.redis.is_empty() =>
        {
            needs.push("sentinel");
        }
        Component::Rails => may = &["sidekiq"],
        Component::Monitor => may = &["alertmanager", "nginx"],
        _ => {}
    }
    (needs, may)
}

pub fn judge(cluster: &Cluster, member: &Member) -> Result<String, Miss> {
    let mut seen = Seen::default();
    let (needs, may) = services(cluster, member.component);
    if let Some(state) = seen.take(member.state.as_ref().map_err(|why| format!("{}: {why}", member.name))) {
        let has = |name: &str| state.services.iter().any(|service| service.name == name);
        for missing in needs.iter().filter(|name| !has(name)) {
            seen.wrong(format!(
                "{} does not run {missing}, which a {} node does",
                member.name, member.component
            ));
        }
        let others =
            WORKING.iter().filter(|name| has(name) && !needs.contains(*name) && !may.contains(*name));
        for other in others {
            seen.wrong(format!("{} runs {other}, which a {} node does not", member.name, member.component));
        }
    }
    let what = if needs.is_empty() { "nothing of another component".into() } else { needs.join(", ") };
    seen.answer(format!("it runs {what}"), REMEDY)
}

#[cfg(test)]
mod tests {
    use super::super::tests::{healthy, member};
    use super::*;
    use crate::events::Status;
    use crate::rollout::{Service, ServiceState};

    #[test]
    fn passes_when_each_runs_its_own() {
        let cluster = healthy();
        for node in cluster.members.iter().filter(|node| applies(&cluster, node)) {
            let answer = judge(&cluster, node);
            assert!(answer.is_ok(), "{answer:?}");
        }
    }

    #[test]
    fn fails_on_a_service_that_is_missing_or_belongs_elsewhere() {
        let mut cluster = healthy();
        let services = &mut member(&mut cluster, "acme-rails-1").state.as_mut().unwrap().services;
        services.retain(|service| service.name != "nginx");
        services.push(Service { name: "postgresql".into(), state: ServiceState::Run, since_s: Some(60) });
        let miss = judge(&cluster, cluster.named("acme-rails-1").unwrap()).unwrap_err();
        assert_eq!(miss.status, Status::Fail);
        assert_eq!(
            miss.saw,
            "acme-rails-1 does not run nginx, which a rails node does; acme-rails-1 runs postgresql, which a rails node does not"
        );
    }

    #[test]
    fn skips_when_nothing_is_known_of_the_node() {
        let mut cluster = healthy();
        member(&mut cluster, "acme-rails-1").state = Err("no route to host".into());
        assert_eq!(judge(&cluster, cluster.named("acme-rails-1").unwrap()).unwrap_err().status, Status::Skip);
    }
}
