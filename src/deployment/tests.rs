use std::collections::BTreeMap;

use super::{
    Database, Deployment, Git, NodeName, Objects, Redis, Sidekiq, Topology, needed_secrets, shared_secrets,
    testing,
};
use crate::architecture::Component;
use crate::spec::{GitlabVersion, SettingValue, Size};

fn demo() -> Deployment {
    of(Size::OneK, "")
}

/// The deployment of a size, with what a spec says beyond.
fn of(size: Size, beyond: &str) -> Deployment {
    let text = include_str!("../../examples/lab-1k.yml")
        .replace("architecture: 1k", &format!("architecture: {size}"));
    testing::of(&(text + beyond))
}

fn texts(names: &[NodeName]) -> Vec<&str> {
    names.iter().map(NodeName::as_str).collect()
}

#[test]
fn a_1k_is_one_node_with_a_data_disk() {
    let deployment = demo();
    let names: Vec<_> = deployment.nodes.keys().map(ToString::to_string).collect();
    assert_eq!(names, ["demo-all-in-one-1"]);
    let node = &deployment.nodes[0];
    assert_eq!(node.data_disks["data"].mount, "/var/opt/gitlab");
    assert_eq!(deployment.front, node.name);
}

#[test]
fn a_node_is_as_the_architecture_says_unless_its_component_or_itself_says_else() {
    let of = |nodes: &str| of(Size::OneK, nodes).nodes[0].clone();
    let plain = of("");
    assert_eq!((plain.machine.vcpu, plain.root_disk_gb, plain.data_disks["data"].size_gb), (8, 40, 50));
    let larger = of(
        "nodes: {all_in_one: {machine: {vcpu: 16, memory_gb: 32}, disks: {data: {size_gb: 200}}, hosts: \
                     {demo-all-in-one-1: {machine: {memory_gb: 60.5}, settings: {puma: {worker_processes: 6}}}}}}\n\
                     settings: {all: {puma: {worker_processes: 2, min_threads: 4}}}\n",
    );
    assert_eq!((larger.machine.vcpu, larger.machine.memory_gb), (16, 60.5));
    assert_eq!((larger.root_disk_gb, larger.data_disks["data"].size_gb), (40, 200));
    let puma = BTreeMap::from([("worker_processes", 6), ("min_threads", 4)]);
    let puma =
        puma.into_iter().map(|(key, number)| (key.to_owned(), SettingValue::Integer(number))).collect();
    assert_eq!(larger.settings, BTreeMap::from([("puma".to_owned(), SettingValue::Map(puma))]));
}

#[test]
fn nobody_is_added_to_the_allowlist_but_by_the_spec() {
    assert_eq!(demo().monitoring_allowlist(), ["127.0.0.0/8", "::1/128"]);
}

#[test]
fn the_table_of_needs_has_no_circle() {
    let mut rest = Component::ALL.to_vec();
    while !rest.is_empty() {
        let waiting: Vec<Component> = rest
            .iter()
            .copied()
            .filter(|component| component.configure_needs().iter().any(|need| rest.contains(need)))
            .collect();
        assert!(waiting.len() < rest.len(), "each of these waits for another: {waiting:?}");
        rest = waiting;
    }
}

#[test]
fn the_cookie_salts_came_with_18_4() {
    let has = |version| shared_secrets(version).iter().any(|secret| secret.key == "signed_cookie_salt");
    assert!(!has(GitlabVersion::new(18, 3, 9)));
    assert!(has(GitlabVersion::new(18, 11, 2)));
}

#[test]
fn every_size_has_the_nodes_of_its_architecture_and_the_labs_object_storage() {
    for size in Size::ALL {
        let deployment = of(*size, "");
        for (component, documented) in &deployment.architecture.components {
            let nodes: Vec<_> = deployment.nodes_of(*component).collect();
            assert_eq!(nodes.len(), documented.nodes as usize, "{size} {component}");
            for (index, node) in nodes.iter().enumerate() {
                let name = format!("demo-{}-{}", component.name().replace('_', "-"), index + 1);
                assert_eq!(node.name.as_str(), name);
                assert_eq!(node.zone as usize, index % 3, "{name}");
                assert_eq!(node.data_disks.is_empty(), component.data_mount().is_none(), "{name}");
                assert_eq!(
                    (node.machine.vcpu, node.machine.memory_gb),
                    (documented.vcpu, documented.memory_gb)
                );
            }
        }
        let objects = usize::from(*size != Size::OneK);
        assert_eq!(deployment.nodes_of(Component::ObjectStorage).count(), objects, "{size}");
        let (documented, ..) = deployment.architecture.totals();
        assert_eq!(deployment.nodes.len(), documented as usize + objects, "{size}");
        let components: Vec<_> = deployment.nodes.values().map(|node| node.component).collect();
        assert!(components.is_sorted(), "{size}: nodes stand in the order of the build");
        assert!(deployment.nodes.contains_key(&deployment.front), "{size}");
        assert!(deployment.nodes.contains_key(deployment.deploy_node()), "{size}");
    }
}

#[test]
fn a_1k_needs_nobody_else() {
    assert_eq!(demo().topology, Topology::on_one_node());
}

#[test]
fn a_2k_has_one_node_of_each_store_and_two_that_serve() {
    let deployment = of(Size::TwoK, "");
    let Topology { database, redis, git, objects, sidekiq } = &deployment.topology;
    let (Database::Single(database), Redis::Single(redis)) = (database, redis) else {
        panic!("{database:?}, {redis:?}")
    };
    let (Git::Sharded(gitalys), Objects::Lab(objects)) = (git, objects) else {
        panic!("{git:?}, {objects:?}")
    };
    assert_eq!((database.as_str(), redis.as_str()), ("demo-postgres-1", "demo-redis-1"));
    assert_eq!((texts(gitalys), objects.as_str()), (vec!["demo-gitaly-1"], "demo-object-storage-1"));
    let Sidekiq::Own(sidekiqs) = sidekiq else { panic!("{sidekiq:?}") };
    assert_eq!(texts(sidekiqs), ["demo-sidekiq-1"]);
    assert_eq!(deployment.front.as_str(), "demo-external-lb-1");
    assert_eq!(deployment.deploy_node().as_str(), "demo-rails-1");
    let keys: Vec<&str> = needed_secrets(&deployment).iter().map(|name| name.key()).collect();
    assert!(keys.contains(&"gitaly_token") && !keys.contains(&"patroni_password"), "{keys:?}");
}

#[test]
fn a_3k_is_clusters() {
    let Topology { database, redis, git, .. } = of(Size::ThreeK, "").topology;
    let Database::Cluster { members, pgbouncers } = database else { panic!("{database:?}") };
    assert_eq!(texts(&members), ["demo-postgres-1", "demo-postgres-2", "demo-postgres-3"]);
    assert_eq!(pgbouncers.len(), 3);
    let Redis::Sentinel(group) = redis else { panic!("{redis:?}") };
    assert_eq!((group.master_name, group.nodes.len(), group.quorum()), ("gitlab-redis", 3, 2));
    let Git::Cluster { praefects, gitalys, database } = git else { panic!("{git:?}") };
    assert_eq!((praefects.len(), gitalys.len(), database.as_str()), (3, 3, "demo-praefect-postgres-1"));
}

#[test]
fn from_10k_on_redis_is_two() {
    for size in [Size::TenK, Size::TwentyFiveK, Size::FiftyK] {
        let Redis::Split { cache, persistent } = of(size, "").topology.redis else { panic!("{size}") };
        assert_eq!((cache.nodes.len(), persistent.nodes.len()), (3, 3));
        assert_ne!((cache.master_name, cache.password), (persistent.master_name, persistent.password));
    }
}

#[test]
fn numbers_of_nodes_are_the_specs_where_it_says_some() {
    let smaller = of(
        Size::ThreeK,
        "nodes: {postgres: {count: 2}, pgbouncer: {count: 2}, rails: {count: 2, hosts: {demo-rails-2: \
         {machine: {vcpu: 4}}}}, sidekiq: {count: 5}}\n",
    );
    let count = |component| smaller.nodes_of(component).count();
    assert_eq!((count(Component::Postgres), count(Component::Pgbouncer)), (2, 2));
    assert_eq!((count(Component::Rails), count(Component::Sidekiq), count(Component::Redis)), (2, 5, 3));
    let vcpu: Vec<u32> = smaller.nodes_of(Component::Rails).map(|node| node.machine.vcpu).collect();
    assert_eq!(vcpu, [8, 4]);
    let Git::Sharded(gitalys) = of(Size::TwoK, "nodes: {gitaly: {count: 3}}\n").topology.git else {
        panic!("a 2k shares out its repositories")
    };
    assert_eq!(texts(&gitalys), ["demo-gitaly-1", "demo-gitaly-2", "demo-gitaly-3"]);
}

#[test]
fn a_modification_leaves_out_what_it_replaces() {
    let sharded = of(Size::ThreeK, "modifications: {sharded_gitaly: {}}\nnodes: {gitaly: {count: 4}}\n");
    assert!(!sharded.has(Component::Praefect) && !sharded.has(Component::PraefectPostgres));
    let Git::Sharded(gitalys) = &sharded.topology.git else { panic!("{:?}", sharded.topology.git) };
    assert_eq!(gitalys.len(), 4);
    let on_rails = of(Size::ThreeK, "modifications: {sidekiq_on_rails: {}}\n");
    assert!(!on_rails.has(Component::Sidekiq));
    assert_eq!(on_rails.topology.sidekiq, Sidekiq::OnRails);
}

const EXTERNAL: &str = "managed:
  postgres: {external: {host: db.acme.example, password: {secret: {env: DB_PASSWORD}}}}
  redis: {external: {host: redis.acme.example, tls: false, password: {secret: {file: redis.txt}}}}
  object_storage: {external: {endpoint: \"https://s3.acme.example\", bucket_prefix: acme, access_key: {secret: {env: KEY}}, secret_key: {secret: {env: SECRET}}}}
";

#[test]
fn an_external_service_takes_the_place_of_its_nodes_and_of_what_only_served_them() {
    for size in [Size::ThreeK, Size::TwoK] {
        let deployment = of(size, EXTERNAL);
        for gone in [
            Component::Postgres,
            Component::Pgbouncer,
            Component::Consul,
            Component::Redis,
            Component::ObjectStorage,
        ] {
            assert!(!deployment.has(gone), "{size} {gone}");
        }
        let Topology { database, redis, objects, .. } = &deployment.topology;
        let Database::External(database) = database else { panic!("{database:?}") };
        assert_eq!((database.port, database.user.as_str()), (5432, "gitlab"));
        let Redis::External(redis) = redis else { panic!("{redis:?}") };
        assert_eq!((redis.port, redis.tls), (6379, false));
        assert!(matches!(objects, Objects::External(_)), "{objects:?}");
        let given: Vec<String> =
            deployment.given_secrets().iter().map(|given| given.source.to_string()).collect();
        assert_eq!(given, ["env:DB_PASSWORD", "file:redis.txt", "env:KEY", "env:SECRET"]);
        let made: Vec<&str> = needed_secrets(&deployment).iter().map(|name| name.key()).collect();
        assert!(!made.contains(&"sql_password") && !made.contains(&"redis_password"), "{made:?}");
    }
    assert!(
        of(Size::ThreeK, EXTERNAL).has(Component::PraefectPostgres),
        "it keeps Praefect's database alone"
    );
}

#[test]
fn a_pool_is_further_nodes_that_are_alike() {
    let deployment = of(
        Size::TwoK,
        "nodes:
  sidekiq:
    machine: {vcpu: 8}
    pools:
      - {name: urgent, count: 2, machine: {memory_gb: 30}, settings: {sidekiq: {queue_groups: [urgent]}}}
      - {name: mail}
    hosts: {demo-sidekiq-urgent-2: {settings: {sidekiq: {concurrency: 10}}}}
",
    );
    let Sidekiq::Own(names) = &deployment.topology.sidekiq else { panic!("nodes of their own") };
    assert_eq!(
        texts(names),
        ["demo-sidekiq-1", "demo-sidekiq-urgent-1", "demo-sidekiq-urgent-2", "demo-sidekiq-mail-1"]
    );
    let size = |name: usize| {
        let machine = &deployment.nodes[&names[name]].machine;
        (machine.vcpu, machine.memory_gb)
    };
    assert_eq!((size(0), size(1), size(3)), ((8, 15.0), (8, 30.0), (8, 15.0)));
    let settings = |name: usize| {
        let SettingValue::Map(keys) = &deployment.nodes[&names[name]].settings["sidekiq"] else { panic!() };
        keys.keys().cloned().collect::<Vec<_>>()
    };
    assert!(deployment.nodes[&names[0]].settings.is_empty());
    assert_eq!(
        (settings(1), settings(2)),
        (vec!["queue_groups".into()], vec!["concurrency".to_owned(), "queue_groups".to_owned()])
    );
}
