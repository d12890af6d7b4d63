//! Does a load balancer know exactly the nodes that it should, find all of them well, and give each the next request in turn
//! of their load?
//!
//! Sources: <https://docs.haproxy.org/3.0/management.html#9.1> and
//! <https://docs.gitlab.com/administration/reference_architectures/3k_users/> "Configure the internal load balancer" (read
//! 2026-11).

use std::collections::BTreeSet;

use super::facts::{Backend, LoadBalancer, Server};
use super::member::{Cluster, Member};
use super::seen::Seen;
use crate::architecture::Component;
use crate::checks::question::Miss;

const REMEDY: &str = "see `show stat` on HAProxy's socket, and why the node that is named does not answer its check; a backend that lacks a node comes back with `refarch up`";
const ALGORITHM: &str = "leastconn";

pub fn applies(_: &Cluster, member: &Member) -> bool {
    member.is_load_balancer()
}

/// Whether a server is down because its node does not let the load balancer look: the allowlist's fault, and its finding.
pub fn is_not_listed(server: &Server) -> bool {
    server.code == Some(404) && !is_up(server)
}

fn is_up(server: &Server) -> bool {
    // `UP 1/2` is on its way down and still takes requests.
    server.status.as_deref().is_some_and(|status| status == "UP" || status.starts_with("UP "))
}

/// The components that a load balancer must lead to, each with the port that tells its backend from others; without one,
/// every backend of it counts.
fn wanted(cluster: &Cluster, member: &Member) -> Vec<(Component, Option<&'static str>)> {
    let all: &[(Component, Option<&'static str>)] = match member.component {
        Component::ExternalLb => &[(Component::Rails, None)],
        _ => &[
            (Component::Pgbouncer, Some("6432")),
            (Component::Praefect, Some("2305")),
            (Component::Rails, None),
        ],
    };
    all.iter().copied().filter(|(component, _)| cluster.has(*component)).collect()
}

pub fn judge(cluster: &Cluster, member: &Member) -> Result<String, Miss> {
    let mut seen = Seen::default();
    let mut servers = 0;
    if let Some(told) = seen.take(member.about(|state| state.load_balancer.as_ref())) {
        servers = told.backends.iter().map(|backend| backend.servers.len()).sum();
        for backend in &told.backends {
            judge_backend(cluster, member, backend, &mut seen);
        }
        for (component, port) in wanted(cluster, member) {
            judge_nodes(cluster, member, told, (component, port), &mut seen);
        }
    }
    seen.answer(format!("knows all nodes, and its {servers} servers are up"), REMEDY)
}

fn judge_backend(cluster: &Cluster, member: &Member, backend: &Backend, seen: &mut Seen) {
    let algorithm = backend.algorithm.as_deref().unwrap_or_default();
    if algorithm != ALGORITHM {
        seen.wrong(format!(
            "{} spreads `{}` by `{algorithm}` and not by `{ALGORITHM}`",
            member.name, backend.name
        ));
    }
    for server in &backend.servers {
        let status = server.status.as_deref().unwrap_or("in no known state");
        let name = host(server).map_or_else(|| server.name.clone(), |host| cluster.at(host));
        if is_not_listed(server) {
            seen.unseen(format!(
                "{name} is down in `{}` of {} for what `allowlist` says",
                backend.name, member.name
            ));
        } else if status == "no check" {
            seen.wrong(format!("{} does not check {name} in `{}`", member.name, backend.name));
        } else if !is_up(server) {
            let code = server.code.map(|code| format!(" {code}")).unwrap_or_default();
            let check = server.check.as_deref().unwrap_or("no check");
            let reason = server.reason.as_ref().map(|reason| format!(", {reason}")).unwrap_or_default();
            seen.wrong(format!(
                "{name} is {status} in `{}` of {} ({check}{code}{reason})",
                backend.name, member.name
            ));
        }
    }
}

/// Whether the backends of a component have exactly its nodes.
fn judge_nodes(
    cluster: &Cluster,
    member: &Member,
    told: &LoadBalancer,
    (component, port): (Component, Option<&str>),
    seen: &mut Seen,
) {
    let nodes: BTreeSet<&str> = cluster.of(component).map(|node| node.address.as_str()).collect();
    let is_meant = |backend: &&Backend| match port {
        Some(port) => backend
            .servers
            .iter()
            .any(|server| server.address.as_deref().is_some_and(|it| it.ends_with(&format!(":{port}")))),
        None => backend.servers.iter().filter_map(host).any(|host| nodes.contains(host)),
    };
    let mut backends = told.backends.iter().filter(is_meant).peekable();
    if backends.peek().is_none() {
        seen.wrong(format!("{} has no backend with the {component} nodes", member.name));
    }
    for backend in backends {
        let known: BTreeSet<&str> = backend.servers.iter().filter_map(host).collect();
        for missing in nodes.difference(&known) {
            seen.wrong(format!("`{}` of {} lacks {}", backend.name, member.name, cluster.at(missing)));
        }
        for stranger in known.difference(&nodes) {
            seen.wrong(format!(
                "`{}` of {} has {} besides the {component} nodes",
                backend.name,
                member.name,
                cluster.at(stranger)
            ));
        }
    }
}

fn host(server: &Server) -> Option<&str> {
    server.address.as_deref()?.rsplit_once(':').map(|(host, _)| host)
}

#[cfg(test)]
mod tests {
    use super::super::facts::Asked;
    use super::super::tests::{healthy, told};
    use super::*;
    use crate::events::Status;

    fn changed(node: &str, change: impl Fn(&mut LoadBalancer)) -> Miss {
        let mut cluster = healthy();
        let Some(Asked::Told(view)) = &mut told(&mut cluster, node).load_balancer else { panic!() };
        change(view);
        judge(&cluster, cluster.named(node).unwrap()).unwrap_err()
    }

    #[test]
    fn passes_when_all_nodes_are_up() {
        let cluster = healthy();
        for node in ["acme-external-lb-1", "acme-internal-lb-1"] {
            let answer = judge(&cluster, cluster.named(node).unwrap());
            assert!(answer.as_ref().is_ok_and(|saw| saw.contains("servers are up")), "{answer:?}");
        }
    }

    #[test]
    fn fails_on_a_backend_that_lacks_a_node() {
        let miss = changed("acme-external-lb-1", |view| drop(view.backends[0].servers.pop()));
        assert_eq!(
            (miss.status, miss.saw.as_str()),
            (Status::Fail, "`rails` of acme-external-lb-1 lacks acme-rails-3")
        );
        let miss = changed("acme-internal-lb-1", |view| drop(view.backends.remove(0)));
        assert_eq!(miss.saw, "acme-internal-lb-1 has no backend with the pgbouncer nodes");
        let miss = changed("acme-internal-lb-1", |view| {
            view.backends[1].servers[0].address = Some("198.18.9.9:2305".into());
        });
        assert!(
            miss.saw.contains("lacks acme-praefect-1")
                && miss.saw.contains("no node's address, besides the praefect nodes"),
            "{}",
            miss.saw
        );
    }

    #[test]
    fn fails_on_a_server_that_is_down_and_on_another_algorithm() {
        let miss = changed("acme-internal-lb-1", |view| {
            let server = &mut view.backends[0].servers[1];
            (server.status, server.check, server.code) = (Some("DOWN".into()), Some("L4CON".into()), None);
            server.reason = Some("Connection refused".into());
        });
        assert_eq!(
            miss.saw,
            "acme-pgbouncer-2 is DOWN in `pgbouncer` of acme-internal-lb-1 (L4CON, Connection refused)"
        );
        let miss =
            changed("acme-external-lb-1", |view| view.backends[0].algorithm = Some("roundrobin".into()));
        assert_eq!(miss.saw, "acme-external-lb-1 spreads `rails` by `roundrobin` and not by `leastconn`");
        let miss = changed("acme-external-lb-1", |view| {
            view.backends[0].servers[0].status = Some("no check".into());
        });
        assert_eq!(miss.status, Status::Fail);
    }

    #[test]
    fn skips_when_haproxy_does_not_answer_and_for_what_the_allowlist_says() {
        let mut cluster = healthy();
        told(&mut cluster, "acme-external-lb-1").load_balancer =
            Some(Asked::Unasked("HAProxy's socket: no such file".into()));
        assert_eq!(
            judge(&cluster, cluster.named("acme-external-lb-1").unwrap()).unwrap_err().status,
            Status::Skip
        );
        let miss = changed("acme-external-lb-1", |view| {
            let server = &mut view.backends[0].servers[1];
            (server.status, server.check, server.code) =
                (Some("DOWN".into()), Some("L7STS".into()), Some(404));
        });
        assert_eq!(miss.status, Status::Skip);
    }
}
