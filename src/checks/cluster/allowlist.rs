//! Do the nodes let a load balancer ask them whether they are ready?
//!
//! A node answers 404 to whoever is not in its `monitoring_whitelist`. Source:
//! <https://docs.gitlab.com/administration/monitoring/health_check/> (read 2026-11).

use super::load_balancer::is_not_listed;
use super::member::{Cluster, Member};
use super::seen::Seen;
use crate::checks::question::Miss;

const REMEDY: &str =
    "add the load balancer's address to `gitlab_rails['monitoring_whitelist']` of the node that is named";

pub fn applies(_: &Cluster, member: &Member) -> bool {
    member.is_load_balancer()
}

pub fn judge(cluster: &Cluster, member: &Member) -> Result<String, Miss> {
    let mut seen = Seen::default();
    if let Some(told) = seen.take(member.about(|state| state.load_balancer.as_ref())) {
        let servers = told.backends.iter().flat_map(|backend| &backend.servers);
        for server in servers.filter(|server| is_not_listed(server)) {
            let host = server.address.as_deref().and_then(|address| address.rsplit_once(':'));
            let node = host.map_or_else(|| server.name.clone(), |(host, _)| cluster.at(host));
            seen.wrong(format!(
                "{node} answers the health check of {} with 404: it is not in its allowlist",
                member.name
            ));
        }
    }
    seen.answer("no node answers its health check with 404", REMEDY)
}

#[cfg(test)]
mod tests {
    use super::super::facts::Asked;
    use super::super::tests::{healthy, told};
    use super::*;
    use crate::events::Status;

    const NODE: &str = "acme-external-lb-1";

    #[test]
    fn passes_when_every_node_answers_it() {
        let cluster = healthy();
        assert!(judge(&cluster, cluster.named(NODE).unwrap()).is_ok());
    }

    #[test]
    fn fails_on_a_node_that_does_not_list_it() {
        let mut cluster = healthy();
        let Some(Asked::Told(view)) = &mut told(&mut cluster, NODE).load_balancer else { panic!() };
        let server = &mut view.backends[0].servers[1];
        (server.status, server.check, server.code) = (Some("DOWN".into()), Some("L7STS".into()), Some(404));
        let miss = judge(&cluster, cluster.named(NODE).unwrap()).unwrap_err();
        assert_eq!(miss.status, Status::Fail);
        assert_eq!(
            miss.saw,
            "acme-rails-2 answers the health check of acme-external-lb-1 with 404: it is not in its allowlist"
        );
    }

    #[test]
    fn skips_when_haproxy_does_not_answer() {
        let mut cluster = healthy();
        told(&mut cluster, NODE).load_balancer = Some(Asked::Unasked("no such file".into()));
        assert_eq!(judge(&cluster, cluster.named(NODE).unwrap()).unwrap_err().status, Status::Skip);
    }
}
