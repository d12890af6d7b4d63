//! What each node is asked: only what a check of this verification needs, and what the node can know.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::member::{Cluster, Member};
use super::{
    consul, database_endpoint, gitaly, object_storage, open_ports, pgbouncer, praefect, sentinel,
    ssh_host_keys,
};
use crate::architecture::Component;
use crate::checks::catalogue::Check;
use crate::checks::target::Options;

/// A question of the module `cluster_state`: its name there, the checks that judge the answer, and who is asked.
struct Section {
    name: &'static str,
    checks: &'static [Check],
    of: fn(&Cluster, &Member) -> bool,
}

const SECTIONS: [Section; 15] = [
    Section {
        name: "secrets",
        checks: &[Check::SharedSecrets],
        of: |_, member| member.component.has_package(),
    },
    Section {
        name: "host_keys",
        checks: &[Check::SshHostKeys],
        of: |cluster, member| ssh_host_keys::applies(cluster) && member.component == Component::Rails,
    },
    Section { name: "consul", checks: &[Check::Consul], of: consul::has_agent },
    Section {
        name: "patroni",
        checks: &[Check::Patroni, Check::Pgbouncer],
        of: |cluster, member| cluster.patroni && member.component == Component::Postgres,
    },
    Section { name: "pgbouncer", checks: &[Check::Pgbouncer], of: pgbouncer::applies },
    Section {
        name: "redis",
        checks: &[Check::Redis, Check::Sentinel],
        of: |cluster, member| !cluster.redis.is_empty() && member.runs_redis(),
    },
    Section {
        name: "sentinel",
        checks: &[Check::Sentinel],
        of: |cluster, member| !cluster.redis.is_empty() && member.runs_redis(),
    },
    Section { name: "praefect", checks: &[Check::Praefect], of: praefect::applies },
    Section {
        name: "gitaly",
        checks: &[Check::Gitaly],
        of: |cluster, member| gitaly::applies(cluster, member) && !member.runs_rails(),
    },
    Section {
        name: "storages",
        checks: &[Check::Gitaly],
        of: |cluster, member| gitaly::applies(cluster, member) && member.runs_rails(),
    },
    Section { name: "database", checks: &[Check::DatabaseEndpoint], of: database_endpoint::applies },
    Section {
        name: "redis_clients",
        checks: &[Check::Sentinel],
        of: |cluster, member| sentinel::applies(cluster) && member.runs_rails(),
    },
    Section { name: "object_storage", checks: &[Check::ObjectStorage], of: object_storage::applies },
    Section {
        name: "prometheus",
        checks: &[Check::Prometheus],
        of: |_, member| member.component == Component::Monitor,
    },
    Section { name: "flows", checks: &[Check::OpenPorts], of: open_ports::applies },
];

/// What every node is asked, by its name; one that is asked nothing is left out. `stats_socket` is where `HAProxy` tells what
/// it sees.
#[must_use]
pub fn asks(cluster: &Cluster, options: &Options, stats_socket: &str) -> BTreeMap<String, Value> {
    let is_single = cluster.members.len() == 1;
    let of = |member: &Member| {
        let asked = SECTIONS.iter().filter(|section| {
            section.checks.iter().any(|check| options.asks(*check)) && (section.of)(cluster, member)
        });
        let what = |name: &str| if name == "flows" { json!(member.flows) } else { json!(true) };
        let mut ask: Map<String, Value> =
            asked.map(|section| (section.name.to_owned(), what(section.name))).collect();
        let sees = options.asks(Check::LoadBalancer) || options.asks(Check::Allowlist);
        if member.is_load_balancer() && sees {
            ask.insert("load_balancer".into(), json!(stats_socket));
        }
        (member.name.clone(), Value::Object(ask))
    };
    let members = cluster.members.iter().filter(|_| !is_single);
    members.map(of).filter(|(_, ask)| ask.as_object().is_some_and(|ask| !ask.is_empty())).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::super::tests::healthy;
    use super::*;
    use crate::checks::level::Level;
    use crate::checks::verify::tests::options;

    const MODULE: &str = include_str!("../../../plugins/modules/cluster_state.py");

    fn names(ask: &Value) -> Vec<&str> {
        ask.as_object().unwrap().keys().map(String::as_str).collect()
    }

    #[test]
    fn every_node_is_asked_what_it_can_know() {
        let asks = asks(&healthy(), &options(Level::Conformance), "/run/haproxy/admin.sock");
        assert_eq!(names(&asks["acme-redis-1"]), ["consul", "redis", "secrets", "sentinel"]);
        assert_eq!(names(&asks["acme-external-lb-1"]), ["load_balancer"]);
        assert_eq!(asks["acme-external-lb-1"]["load_balancer"], "/run/haproxy/admin.sock");
        let rails = names(&asks["acme-rails-1"]);
        assert_eq!(
            rails,
            ["consul", "database", "host_keys", "object_storage", "redis_clients", "secrets", "storages"]
        );
        assert_eq!(asks["acme-gitaly-1"]["flows"][0]["port"], 2305);
        assert!(!asks.contains_key("acme-object-storage-1"));
    }

    #[test]
    fn only_what_a_named_check_needs_is_asked() {
        let only = Some(BTreeSet::from([Check::Redis]));
        let options = Options { only, ..options(Level::Conformance) };
        let asks = asks(&healthy(), &options, "/run/haproxy/admin.sock");
        assert_eq!(asks.len(), 3);
        assert_eq!(names(&asks["acme-redis-1"]), ["redis"]);
    }

    #[test]
    fn a_single_node_is_asked_nothing() {
        let mut cluster = healthy();
        cluster.members.truncate(1);
        assert!(asks(&cluster, &options(Level::Conformance), "/run/haproxy/admin.sock").is_empty());
    }

    #[test]
    fn the_module_knows_every_question() {
        for name in SECTIONS.iter().map(|section| section.name).chain(["load_balancer"]) {
            assert!(MODULE.contains(&format!("\"{name}\": ")), "the module does not know {name}");
        }
    }
}
