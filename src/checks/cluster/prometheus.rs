//! Does Prometheus know every node, and does each of them answer it?
//!
//! Sources: <https://prometheus.io/docs/prometheus/latest/querying/api/#targets> and
//! <https://docs.gitlab.com/administration/monitoring/prometheus/> (read 2026-11).

use super::member::{Cluster, Member};
use super::seen::Seen;
use crate::architecture::Component;
use crate::checks::question::Miss;

const REMEDY: &str = "see the page `/targets` of Prometheus on the monitoring node, and whether the exporter of the node that is named runs and listens on its address";
/// The port of node-exporter, which every node with GitLab's package has.
const NODE_EXPORTER: u16 = 9100;

pub fn applies(cluster: &Cluster) -> bool {
    cluster.has(Component::Monitor)
}

/// The ports on which Prometheus asks a component, beside that of node-exporter. Source: "Bundled software metrics" and the
/// pages of the reference architectures (read 2026-11).
pub const fn exporters(component: Component) -> &'static [u16] {
    match component {
        Component::Postgres | Component::PraefectPostgres => &[9187],
        Component::Pgbouncer => &[9188],
        Component::Redis | Component::RedisCache | Component::RedisPersistent => &[9121],
        Component::Praefect => &[9652],
        Component::Gitaly => &[9236],
        Component::Sidekiq => &[8082],
        Component::Rails => &[9229],
        _ => &[],
    }
}

pub fn judge(cluster: &Cluster) -> Result<String, Miss> {
    let mut seen = Seen::default();
    let mut count = 0;
    for monitor in cluster.of(Component::Monitor) {
        let Some(told) = seen.take(monitor.about(|state| state.prometheus.as_ref())) else { continue };
        count = told.up.len();
        for target in &told.down {
            let (host, port) = target.asked.rsplit_once(':').unwrap_or((&target.asked, "?"));
            let job = target.job.as_deref().unwrap_or("no job");
            let why = target.error.as_deref().filter(|why| !why.is_empty()).unwrap_or("not asked yet");
            seen.wrong(format!(
                "port {port} of {} does not answer Prometheus ({job}: {why})",
                cluster.at(host)
            ));
        }
        let knows = |address: &str| {
            told.up.iter().any(|up| up == address) || told.down.iter().any(|down| down.asked == address)
        };
        for member in cluster.members.iter().filter(|member| member.component.has_package()) {
            let missing: Vec<_> = ports(member)
                .filter(|port| {
                    !knows(&format!("{}:{port}", member.address)) && !is_local(monitor, member, *port, &knows)
                })
                .collect();
            if !missing.is_empty() {
                let ports = missing.iter().map(u16::to_string).collect::<Vec<_>>().join(", ");
                seen.wrong(format!("Prometheus does not know {} (port {ports})", member.name));
            }
        }
    }
    seen.answer(format!("all {count} targets answer, and every node is among them"), REMEDY)
}

fn ports(member: &Member) -> impl Iterator<Item = u16> {
    [NODE_EXPORTER].into_iter().chain(exporters(member.component).iter().copied())
}

/// Prometheus asks the node that it runs on by loopback.
fn is_local(monitor: &Member, member: &Member, port: u16, knows: &impl Fn(&str) -> bool) -> bool {
    monitor.name == member.name
        && ["localhost", "127.0.0.1"].iter().any(|host| knows(&format!("{host}:{port}")))
}

#[cfg(test)]
mod tests {
    use super::super::facts::{Asked, Prometheus, PrometheusTarget};
    use super::super::tests::{healthy, told};
    use super::*;
    use crate::events::Status;

    fn changed(change: impl Fn(&Cluster, &mut Prometheus)) -> Miss {
        let (mut cluster, before) = (healthy(), healthy());
        let Some(Asked::Told(view)) = &mut told(&mut cluster, "acme-monitor-1").prometheus else { panic!() };
        change(&before, view);
        judge(&cluster).unwrap_err()
    }

    #[test]
    fn passes_when_all_are_known_and_up() {
        assert!(judge(&healthy()).unwrap().contains("every node is among them"));
    }

    #[test]
    fn fails_on_a_target_that_is_down_and_on_one_that_is_not_known() {
        let miss = changed(|cluster, view| {
            let asked = format!("{}:9121", cluster.named("acme-redis-2").unwrap().address);
            view.up.retain(|up| *up != asked);
            view.down.push(PrometheusTarget {
                job: Some("redis".into()),
                asked,
                error: Some("connection refused".into()),
            });
        });
        assert_eq!(
            (miss.status, miss.saw.as_str()),
            (
                Status::Fail,
                "port 9121 of acme-redis-2 does not answer Prometheus (redis: connection refused)"
            )
        );
        let miss = changed(|cluster, view| {
            let address = &cluster.named("acme-gitaly-2").unwrap().address;
            view.up.retain(|up| !up.starts_with(&format!("{address}:")));
        });
        assert_eq!(miss.saw, "Prometheus does not know acme-gitaly-2 (port 9100, 9236)");
    }

    #[test]
    fn skips_when_prometheus_does_not_answer() {
        let mut cluster = healthy();
        told(&mut cluster, "acme-monitor-1").prometheus = Some(Asked::Unasked("connection refused".into()));
        assert_eq!(judge(&cluster).unwrap_err().status, Status::Skip);
    }
}
