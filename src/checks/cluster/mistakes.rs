//! Each mistake that the lab's suite makes, as the facts would tell of it: the check that the table names must fail on it with
//! the evidence that the table names, and nothing else may that it doesn't account for.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::facts::{Asked, Bucket, ClosedFlow, Words};
use super::tests::{healthy, member, told};
use super::*;
use crate::checks::level::Level;
use crate::checks::verify::tests::options;
use crate::events::Status;

const TABLE: &str = include_str!("../../../tests/lab/mistakes.yml");

#[derive(Deserialize)]
struct Row {
    mistake: String,
    check: String,
    on: Option<String>,
    evidence: Vec<String>,
}

/// An answer of the healthy cluster, to be changed.
macro_rules! answer {
    ($cluster:expr, $node:expr, $section:ident) => {
        match &mut told($cluster, $node).$section {
            Some(Asked::Told(answer)) => answer,
            other => panic!("{} told {other:?}", $node),
        }
    };
}

fn dialled(cluster: &mut Cluster, gitaly: &str, why: &str) {
    let address = cluster.named(gitaly).unwrap().address.clone();
    for node in ["acme-praefect-1", "acme-praefect-2", "acme-praefect-3"] {
        let out = format!("[tcp://{address}:8075]: ERROR: {why}\n");
        answer!(cluster, node, praefect).dial_nodes = Words { rc: 1, out };
    }
}

fn server_down(cluster: &mut Cluster, balancer: &str, node: &str, check: &str, code: Option<u16>) {
    let address = cluster.named(node).unwrap().address.clone() + ":";
    for backend in &mut answer!(cluster, balancer, load_balancer).backends {
        for server in
            backend.servers.iter_mut().filter(|it| it.address.as_ref().unwrap().starts_with(&address))
        {
            (server.status, server.check, server.code) = (Some("DOWN".into()), Some(check.into()), code);
        }
    }
}

/// What the nodes would tell after a mistake; nothing for the one that level health finds.
fn after(mistake: &str) -> Option<Cluster> {
    let mut cluster = healthy();
    let it = &mut cluster;
    match mistake {
        "praefect_internal_token" => {
            dialled(it, "acme-gitaly-2", "rpc error: code = PermissionDenied desc = permission denied");
        }
        "gitaly_storage_renamed" => {
            dialled(it, "acme-gitaly-3", "remote node does not have the storage \"gitaly-3\"");
        }
        "sidekiq_external_token" => {
            let out = "Gitaly: ... default ... FAIL: 7:permission denied\n";
            told(it, "acme-sidekiq-1").storages = Some(Asked::Told(Words { rc: 0, out: out.into() }));
        }
        "db_host_at_a_replica" => {
            let replica = it.named("acme-postgres-2").unwrap().address.clone();
            let database = answer!(it, "acme-rails-2", database);
            (database.host, database.port, database.in_recovery) = (replica, 5432, Some(true));
        }
        "pgbouncer_down" => {
            server_down(it, "acme-internal-lb-1", "acme-pgbouncer-2", "L4CON", None);
            told(it, "acme-pgbouncer-2").pgbouncer = Some(Asked::Unasked("psql: connection refused".into()));
        }
        "sentinel_master_name" => {
            let clients = &mut answer!(it, "acme-rails-2", redis_clients).clients;
            clients.get_mut("resque").unwrap().host = Some("mymaster".into());
        }
        "redis_replica_cut_off" => {
            answer!(it, "acme-redis-3", redis).link = Some("down".into());
            answer!(it, "acme-redis-1", redis).replicas.pop();
        }
        "secrets_key_differs" => {
            answer!(it, "acme-rails-2", secrets)
                .keys
                .insert("gitlab_rails.db_key_base".into(), "h-other".into());
        }
        "ssh_host_key_differs" => {
            answer!(it, "acme-rails-2", host_keys).keys.insert("ssh-ed25519".into(), "SHA256:other".into());
        }
        "package_version_differs" => {
            member(it, "acme-rails-2").state.as_mut().unwrap().package.installed =
                Some("18.11.3-ee.0".into());
        }
        "sidekiq_object_storage_key" => {
            for bucket in answer!(it, "acme-sidekiq-1", object_storage).buckets.values_mut() {
                *bucket = Bucket { status: Some(403), error: Some("SignatureDoesNotMatch".into()) };
            }
        }
        "praefect_not_migrated" => {
            for node in ["acme-praefect-1", "acme-praefect-2", "acme-praefect-3"] {
                let out = "| MIGRATION | APPLIED |\n| 20200109161404_hello_world | no |\n";
                answer!(it, node, praefect).migrations = Some(Words { rc: 0, out: out.into() });
                answer!(it, node, praefect).dataloss =
                    Some(Words { rc: 1, out: "relation does not exist".into() });
            }
        }
        "consul_server_gone" => {
            told(it, "acme-consul-3").consul = Some(Asked::Unasked("connection refused".into()));
            for node in ["acme-consul-1", "acme-consul-2"] {
                let members = &mut answer!(it, node, consul).members;
                members.iter_mut().find(|one| one.name == "acme-consul-3").unwrap().status = "failed".into();
            }
        }
        "backend_missing" => drop(answer!(it, "acme-external-lb-1", load_balancer).backends[0].servers.pop()),
        "allowlist_without_load_balancer" => {
            server_down(it, "acme-external-lb-1", "acme-rails-2", "L7STS", Some(404));
        }
        "flow_closed" => {
            let closed = ClosedFlow {
                to: "acme-praefect-1".into(),
                port: 2305,
                protocol: "tcp".into(),
                error: "no answer".into(),
            };
            answer!(it, "acme-gitaly-1", flows).closed.push(closed);
        }
        "certificate_expired" => return None,
        other => panic!("the table names `{other}`, and no facts are known for it"),
    }
    Some(cluster)
}

#[test]
fn every_mistake_of_the_table_is_found_with_its_evidence() {
    let table: Vec<Row> = crate::spec::read_yaml(TABLE).unwrap();
    assert!(table.len() >= 17, "the issue lists 17 mistakes");
    for Row { mistake, check, on, evidence } in table {
        let known: Check = check.parse().unwrap_or_else(|error| panic!("{mistake}: {error}"));
        let Some(cluster) = after(&mistake) else {
            assert!(known.level() < Level::Cluster, "{mistake}");
            continue;
        };
        let reached = Reached { tried: 1, open: Vec::new() };
        let findings = judge(&cluster, &reached, &options(Level::Conformance));
        let on = on.map(|node| format!("acme-{node}"));
        let failed: BTreeMap<_, _> = findings
            .iter()
            .filter(|finding| finding.status == Status::Fail)
            .map(|finding| ((finding.check.as_str(), finding.node.clone()), finding))
            .collect();
        let Some(found) = failed.get(&(known.name(), on.clone())) else {
            panic!("{mistake}: {check} on {on:?} did not fail, but {:?}", failed.keys());
        };
        for words in evidence.iter().map(|words| words.replace("{name}", "acme")) {
            assert!(found.saw.contains(&words), "{mistake}: {words} is not in {}", found.saw);
        }
        assert!(
            failed.keys().all(|(check, _)| *check == known.name()),
            "{mistake}: also {:?}",
            failed.keys()
        );
    }
}
