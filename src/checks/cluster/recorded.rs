//! What the nodes of a real 3k on the lab told (`tests/record-cluster`), judged: the shapes that the checks read are those that
//! the programs give.

use std::collections::BTreeMap;

use super::facts::{Asked, ClusterState};
use super::tests::healthy;
use super::*;
use crate::checks::level::Level;
use crate::checks::verify::tests::options;
use crate::events::Status;

const FACTS: &str = include_str!("../../../tests/fixtures/cluster-3k.json");

/// The healthy cluster with the recorded nodes in the place of its own, at the addresses that Consul knows them by.
fn recorded() -> Cluster {
    let mut facts: BTreeMap<String, ClusterState> = serde_json::from_str(FACTS).unwrap();
    let Some(Asked::Told(consul)) = &facts["acme-consul-1"].consul else { panic!("Consul told nothing") };
    let addresses: BTreeMap<_, _> =
        consul.members.iter().map(|one| (one.name.clone(), one.address.clone())).collect();
    let mut cluster = healthy();
    cluster.members.retain(|member| facts.contains_key(&member.name));
    for member in &mut cluster.members {
        // The load balancers have no agent, and an address that was made up could be another node's in the record.
        member.address = addresses.get(&member.name).unwrap_or(&member.name).clone();
        member.told = Ok(facts.remove(&member.name).unwrap());
    }
    // The keys that refarch keeps are in no record: those that the first Rails node showed stand for them.
    let rails = cluster.members.iter().find(|member| member.name == "acme-rails-1").unwrap();
    let Some(Asked::Told(shown)) = &rails.told.as_ref().unwrap().host_keys else { panic!("no host keys") };
    cluster.host_keys = Some(shown.keys.clone());
    cluster
}

#[test]
fn what_a_healthy_cluster_told_passes() {
    // All but those that ask the node's own state, which is recorded elsewhere, and ports from here.
    let only = [
        Check::Consul,
        Check::Patroni,
        Check::Pgbouncer,
        Check::DatabaseEndpoint,
        Check::Redis,
        Check::Sentinel,
        Check::Praefect,
        Check::Gitaly,
        Check::ObjectStorage,
        Check::SharedSecrets,
        Check::SshHostKeys,
        Check::LoadBalancer,
        Check::Allowlist,
        Check::Prometheus,
        Check::OpenPorts,
        Check::Topology,
    ];
    let options = Options { only: Some(only.into()), ..options(Level::Conformance) };
    let findings = judge(&recorded(), &Reached::default(), &options);
    for check in only {
        assert!(findings.iter().any(|finding| finding.check == check.name()), "{check} was not asked");
    }
    for finding in findings {
        assert_eq!(finding.status, Status::Pass, "{finding:#?}");
    }
}
