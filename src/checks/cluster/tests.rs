//! A healthy 3k, as its nodes would tell of it. The tests of each check break one thing in it.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::facts::ClusterState;
use super::*;
use crate::architecture::Component;
use crate::checks::level::Level;
use crate::checks::verify::tests::options;
use crate::events::Status;

/// The cluster.
pub fn healthy() -> Cluster {
    let deployment = crate::deployment::testing::cluster("acme");
    let nodes = deployment.nodes.values().enumerate();
    let mut members: Vec<Member> =
        nodes.map(|(at, node)| bare(at, node.name.to_string(), node.component)).collect();
    let before = members.clone();
    for member in &mut members {
        member.told = Ok(serde_json::from_value(sees(&before, member)).unwrap());
    }
    let mut counts = BTreeMap::new();
    for member in members.iter().filter(|member| member.component != Component::ObjectStorage) {
        *counts.entry(member.component).or_default() += 1;
    }
    Cluster {
        architecture: "3k".into(),
        highly_available: true,
        counts,
        members,
        patroni: true,
        redis: vec![RedisGroup {
            master_name: "gitlab-redis".into(),
            nodes: (1..=3).map(|index| format!("acme-redis-{index}")).collect(),
        }],
        object_storage: true,
        host_keys: Some(host_keys()),
    }
}

/// A node of it, to be changed.
pub fn member<'a>(cluster: &'a mut Cluster, name: &str) -> &'a mut Member {
    cluster.members.iter_mut().find(|member| member.name == name).unwrap()
}

/// What a node of it tells, to be changed.
pub fn told<'a>(cluster: &'a mut Cluster, name: &str) -> &'a mut ClusterState {
    member(cluster, name).told.as_mut().unwrap()
}

fn bare(at: usize, name: String, component: Component) -> Member {
    let flows = if component == Component::Gitaly {
        vec![Flow {
            to: "acme-praefect-1".into(),
            address: "198.18.4.1".into(),
            port: 2305,
            protocol: "tcp".into(),
        }]
    } else {
        Vec::new()
    };
    let mut state = crate::checks::node_state::tests::facts().state;
    let services =
        runs(component).iter().map(|name| json!({ "name": name, "state": "run", "since_s": 3600 }));
    state.services = serde_json::from_value(services.collect()).unwrap();
    Member {
        name,
        component,
        address: format!("198.18.4.{}", at + 10),
        flows,
        told: Err("not asked".into()),
        state: Ok(state),
    }
}

fn runs(component: Component) -> &'static [&'static str] {
    match component {
        Component::Consul => &["consul", "logrotate", "node-exporter"],
        Component::Postgres => &["consul", "patroni", "pgbouncer", "postgres-exporter"],
        Component::Pgbouncer => &["consul", "pgbouncer", "pgbouncer-exporter"],
        Component::Redis => &["consul", "redis", "redis-exporter", "sentinel"],
        Component::PraefectPostgres => &["consul", "postgresql"],
        Component::Praefect => &["consul", "praefect"],
        Component::Gitaly => &["consul", "gitaly"],
        Component::Sidekiq => &["consul", "sidekiq"],
        Component::Rails => &["consul", "gitlab-workhorse", "nginx", "puma"],
        Component::Monitor => &["consul", "prometheus"],
        _ => &[],
    }
}

fn host_keys() -> BTreeMap<String, String> {
    [("ssh-ed25519", "SHA256:ed"), ("ssh-rsa", "SHA256:rsa")]
        .map(|(kind, print)| (kind.into(), print.into()))
        .into()
}

fn of(members: &[Member], component: Component) -> Vec<&Member> {
    members.iter().filter(|member| member.component == component).collect()
}

/// What a node of the healthy cluster tells.
fn sees(members: &[Member], member: &Member) -> Value {
    let mut told = json!({ "version": 1 });
    let mut tell = |name: &str, what: Value| told[name] = json!({ "told": what });
    if member.component.has_package() {
        tell("consul", consul_view(members));
        tell("secrets", json!({ "keys": secrets(member) }));
    }
    match member.component {
        Component::Postgres => tell("patroni", patroni_view(members)),
        Component::Pgbouncer => {
            let host = &of(members, Component::Postgres)[0].address;
            let database = |name, host: &str, port| json!({ "name": name, "host": host, "port": port, "paused": "0", "disabled": "0" });
            tell(
                "pgbouncer",
                json!({ "databases": [database("pgbouncer", "", "6432"), database("gitlabhq_production", host, "5432")] }),
            );
        }
        Component::Redis => {
            tell("redis", redis_view(members, member));
            tell("sentinel", sentinel_view(members));
        }
        Component::Praefect => tell("praefect", praefect_view()),
        Component::Gitaly => {
            tell(
                "gitaly",
                json!({ "rc": 0, "out": "Checking GitLab API access: OK\nGitLab version: 18.11.2-ee\nOK\n" }),
            );
            tell("flows", json!({ "count": 4, "closed": [] }));
        }
        Component::Rails | Component::Sidekiq => rails_view(members, &mut tell),
        Component::Monitor => tell("prometheus", json!({ "up": targets(members), "down": [] })),
        Component::ExternalLb => {
            tell("load_balancer", json!({ "backends": [backend(members, "rails", Component::Rails, 443)] }));
        }
        Component::InternalLb => {
            let backends = [
                ("pgbouncer", Component::Pgbouncer, 6432),
                ("praefect", Component::Praefect, 2305),
                ("rails", Component::Rails, 443),
            ];
            let backends = backends.map(|(name, component, port)| backend(members, name, component, port));
            tell("load_balancer", json!({ "backends": backends }));
        }
        _ => {}
    }
    if member.component == Component::Rails {
        tell("host_keys", json!({ "keys": host_keys() }));
    }
    told
}

fn consul_view(members: &[Member]) -> Value {
    let servers = of(members, Component::Consul);
    // The leader comes last in the list, so that tests can change those before it.
    let agents = members.iter().filter(|member| member.component.has_package());
    let one = |member: &Member| json!({ "name": member.name, "address": member.address, "status": "alive", "server": member.component == Component::Consul });
    json!({ "leader": format!("{}:8300", servers[0].address), "members": agents.map(one).collect::<Vec<_>>() })
}

fn patroni_view(members: &[Member]) -> Value {
    let one = |(at, member): (usize, &&Member)| {
        let (role, state) = if at == 0 { ("leader", "running") } else { ("replica", "streaming") };
        json!({ "name": member.name, "address": member.address, "port": 5432, "role": role, "state": state, "timeline": 2, "lag": 0, "pending_restart": false })
    };
    json!({ "members": of(members, Component::Postgres).iter().enumerate().map(one).collect::<Vec<_>>(), "paused": false })
}

fn redis_view(members: &[Member], member: &Member) -> Value {
    let nodes = of(members, Component::Redis);
    if member.name == nodes[0].name {
        let replicas: Vec<_> =
            nodes[1..].iter().map(|node| json!({ "address": node.address, "state": "online" })).collect();
        return json!({ "role": "master", "master": null, "link": null, "replicas": replicas });
    }
    json!({ "role": "slave", "master": nodes[0].address, "link": "up", "replicas": [] })
}

fn sentinel_view(members: &[Member]) -> Value {
    let address = &of(members, Component::Redis)[0].address;
    let words = "OK 3 usable Sentinels. Quorum and failover authorization can be reached";
    json!({ "masters": [{ "name": "gitlab-redis", "address": address, "flags": ["master"], "other_sentinels": 2, "replicas": 2, "quorum": true, "quorum_words": words }] })
}

fn praefect_view() -> Value {
    let said = |out: &str| json!({ "rc": 0, "out": out });
    json!({
        "sql_ping": said("praefect sql-ping: OK\n"),
        "dial_nodes": said("[tcp://198.18.4.24:8075]: dialing...\n[tcp://198.18.4.24:8075]: SUCCESS: node is healthy!\n"),
        "migrations": said("| MIGRATION | APPLIED |\n| 20200109161404_hello_world | 2026-11-23 18:00:00 |\n"),
        "dataloss": said("Virtual storage: default\n  All repositories are fully available on all assigned storages!\n"),
    })
}

fn rails_view(members: &[Member], tell: &mut impl FnMut(&str, Value)) {
    let sentinels: Vec<_> =
        of(members, Component::Redis).iter().map(|node| format!("{}:26379", node.address)).collect();
    let balancer = &of(members, Component::InternalLb)[0].address;
    tell(
        "storages",
        json!({ "rc": 0, "out": "Checking Gitaly ...\n\nGitaly: ... default ... OK\n\nChecking Gitaly ... Finished\n" }),
    );
    tell("database", json!({ "host": balancer, "port": 6432, "in_recovery": false, "error": null }));
    tell(
        "redis_clients",
        json!({ "clients": { "resque": { "host": "gitlab-redis", "sentinels": sentinels } } }),
    );
    let bucket = json!({ "status": 200, "error": null });
    tell("object_storage", json!({ "buckets": { "acme-artifacts": bucket, "acme-uploads": bucket } }));
}

fn secrets(member: &Member) -> Value {
    let token = match member.component {
        Component::Rails | Component::Sidekiq => "h-external",
        _ => "h-own",
    };
    let mut keys = json!({
        "gitlab_rails.db_key_base": "h-db", "gitlab_rails.secret_key_base": "h-secret", "gitlab_rails.otp_key_base": "h-otp",
        "gitlab_shell.secret_token": "h-shell", "gitlab_rails.gitaly_token": token,
        "postgresql.internal_key": format!("h-{}", member.name),
    });
    if member.component == Component::Gitaly {
        keys["gitaly.configuration.auth.token"] = json!("h-internal");
    }
    keys
}

fn targets(members: &[Member]) -> Vec<String> {
    let nodes = members.iter().filter(|member| member.component.has_package());
    let of = |member: &Member| {
        let ports = prometheus::exporters(member.component).iter().chain(&[9100]);
        ports.map(|port| format!("{}:{port}", member.address)).collect::<Vec<_>>()
    };
    nodes.flat_map(of).collect()
}

fn backend(members: &[Member], name: &str, component: Component, port: u16) -> Value {
    let server = |member: &&Member| json!({ "name": member.name, "address": format!("{}:{port}", member.address), "status": "UP", "check": "L7OK", "code": 200, "reason": "OK" });
    json!({ "name": name, "algorithm": "leastconn", "servers": of(members, component).iter().map(server).collect::<Vec<_>>() })
}

#[test]
fn a_healthy_cluster_passes_every_check() {
    let findings = judge(&healthy(), &Reached { tried: 1, open: Vec::new() }, &options(Level::Conformance));
    for finding in &findings {
        let fine = if finding.check == "single_points" { Status::Warn } else { Status::Pass };
        assert_eq!(finding.status, fine, "{finding:#?}");
        assert!(!finding.saw.is_empty(), "{finding:#?}");
    }
    let of_the_levels = Check::ALL.into_iter().filter(|check| check.level() >= Level::Cluster);
    for check in of_the_levels {
        assert!(findings.iter().any(|finding| finding.check == check.name()), "{check} was not asked");
    }
}

#[test]
fn nodes_that_could_not_be_asked_skip_and_never_pass() {
    let mut cluster = healthy();
    for member in &mut cluster.members {
        (member.told, member.state) = (Err("no route to host".into()), Err("no route to host".into()));
    }
    for finding in judge(&cluster, &Reached::default(), &options(Level::Conformance)) {
        let expected = if finding.check == "single_points" { Status::Warn } else { Status::Skip };
        assert_eq!(finding.status, expected, "{finding:#?}");
    }
}

#[test]
fn a_single_node_leaves_out_what_has_no_meaning_for_it() {
    let mut cluster = healthy();
    let all_in_one = bare(0, "acme-all-in-one-1".into(), Component::AllInOne);
    cluster.members = vec![all_in_one];
    cluster.counts = [(Component::AllInOne, 1)].into();
    (cluster.patroni, cluster.redis, cluster.object_storage, cluster.highly_available) =
        (false, Vec::new(), false, false);
    let findings = judge(&cluster, &Reached { tried: 1, open: Vec::new() }, &options(Level::Conformance));
    let names: Vec<_> = findings.iter().map(|finding| finding.check.as_str()).collect();
    assert_eq!(names, ["single_points", "topology", "components", "closed_ports"]);
}
