//! What gitlab.rb says on every node of every size: keys, secrets, addresses.

use std::collections::{BTreeMap, BTreeSet};

use super::{Address, Piece, Settings, Value, settings};
use crate::architecture::Component;
use crate::deployment::testing::of as deployment;
use crate::deployment::{Deployment, Node, NodeName, SecretName};
use crate::spec::{self, SettingTree, SettingValue, Standing};

const EXAMPLES: [&str; 9] = [
    include_str!("../../../examples/lab-1k.yml"),
    include_str!("../../../examples/lab-2k.yml"),
    include_str!("../../../examples/lab-3k.yml"),
    include_str!("../../../examples/lab-3k-reduced.yml"),
    include_str!("../../../examples/lab-3k-external.yml"),
    include_str!("../../../examples/lab-5k.yml"),
    include_str!("../../../examples/lab-10k.yml"),
    include_str!("../../../examples/lab-25k.yml"),
    include_str!("../../../examples/lab-50k.yml"),
];
/// More that departs from an architecture, or takes the place of its nodes.
const VARIANTS: [(&str, &str); 3] = [
    (EXAMPLES[0], EXTERNAL),
    (EXAMPLES[6], EXTERNAL),
    (EXAMPLES[6], "modifications: {sharded_gitaly: {}}\nnodes: {gitaly: {count: 5}}\n"),
];
const EXTERNAL: &str = "managed:
  postgres: {external: {host: db.acme.example, password: {secret: {env: DB_PASSWORD}}}}
  redis: {external: {host: redis.acme.example, password: {secret: {env: REDIS_PASSWORD}}}}
  object_storage: {external: {endpoint: \"https://s3.acme.example\", bucket_prefix: acme, access_key: {secret: {env: KEY}}, \
                        secret_key: {secret: {env: SECRET}}}}
";
const VERSIONS: [&str; 9] =
    ["18.5.2", "18.6.0", "18.9.1", "18.11.2", "19.0.2", "19.1.0", "19.2.1", "19.3.0", "19.5.0"];

/// Every size and every departure from one.
fn deployments() -> Vec<Deployment> {
    of_version("18.11.2")
}

fn of_version(version: &str) -> Vec<Deployment> {
    let plain = EXAMPLES.into_iter().map(str::to_owned);
    let specs = plain.chain(VARIANTS.into_iter().map(|(example, more)| example.to_owned() + more));
    specs.map(|spec| deployment(&spec.replace("18.11.2", version))).collect()
}

fn of_node(deployment: &Deployment, node: &Node) -> Settings {
    settings(deployment, node).expect("no key twice")
}

/// The ways to all values, hashes opened.
fn leaves(settings: &Settings) -> Vec<(Vec<String>, &Value)> {
    fn open<'a>(path: Vec<String>, value: &'a Value, into: &mut Vec<(Vec<String>, &'a Value)>) {
        match value {
            Value::Map(entries) if !entries.is_empty() => {
                for (key, below) in entries {
                    open([path.as_slice(), std::slice::from_ref(key)].concat(), below, into);
                }
            }
            Value::List(items) if items.iter().any(|item| matches!(item, Value::Map(_))) => {
                for item in items {
                    open(path.clone(), item, into);
                }
            }
            leaf => into.push((path, leaf)),
        }
    }
    let mut found = Vec::new();
    for (path, value) in settings.iter() {
        open(path.to_vec(), value, &mut found);
    }
    found
}

/// A tree with one value at the end of a way.
fn tree(path: &[String]) -> SettingTree {
    let (name, rest) = path.split_first().expect("a way has a name");
    let value =
        if rest.is_empty() { SettingValue::Text("mine".into()) } else { SettingValue::Map(tree(rest)) };
    BTreeMap::from([(name.clone(), value)])
}

#[test]
fn every_key_is_known_to_its_version() {
    for deployment in VERSIONS.into_iter().flat_map(of_version) {
        for node in deployment.nodes.values() {
            // `roles` is a word of gitlab.rb's own language, which the data of keys doesn't list.
            for (path, _) in of_node(&deployment, node).iter().filter(|(path, _)| path[0] != "roles") {
                let path = &path[..path.len().min(2)];
                let standing = spec::standing(path, deployment.gitlab.version);
                assert_eq!(
                    standing,
                    Standing::Known,
                    "{path:?} on {} in {}",
                    node.name,
                    deployment.gitlab.version
                );
            }
        }
    }
}

#[test]
fn what_the_user_can_set_gives_way_and_the_rest_is_refused() {
    for deployment in ["18.11.2", "19.3.0"].into_iter().flat_map(of_version) {
        for component in Component::ALL {
            let Some(node) = deployment.nodes_of(component).next() else { continue };
            for (path, _) in leaves(&of_node(&deployment, node)) {
                if (1..=path.len()).any(|length| spec::owner(&path[..length]).is_some()) {
                    continue;
                }
                let own = Node { settings: tree(&path), ..node.clone() };
                let settings = settings(&deployment, &own);
                let settings = settings.unwrap_or_else(|error| panic!("{path:?} on {}: {error}", node.name));
                let mine = Value::Text("mine".into());
                let set = leaves(&settings).iter().any(|(at, value)| *at == path && **value == mine);
                assert!(set, "{path:?} on {} is not the user's", node.name);
            }
        }
    }
}

/// Who needs which secret: section 4 of the documentation's steps, "Shared secrets", by component.
fn needed(deployment: &Deployment, node: &Node) -> BTreeSet<SecretName> {
    use SecretName as S;
    let has = |component| deployment.has(component);
    let mut needed = BTreeSet::new();
    let mut add =
        |when: bool, secrets: &[SecretName]| needed.extend(secrets.iter().filter(|_| when).copied());
    match node.component {
        Component::AllInOne => add(true, &[S::RootPassword]),
        Component::Postgres => {
            add(true, &[S::SqlPasswordMd5]);
            add(
                has(Component::Pgbouncer),
                &[
                    S::PgbouncerPasswordMd5,
                    S::ReplicationPassword,
                    S::ReplicationPasswordMd5,
                    S::PatroniPassword,
                ],
            );
        }
        Component::Pgbouncer => {
            add(true, &[S::PgbouncerPassword, S::PgbouncerPasswordMd5, S::ConsulDatabasePasswordMd5]);
        }
        Component::Redis => add(true, &[S::RedisPassword]),
        Component::RedisCache => add(true, &[S::RedisCachePassword]),
        Component::RedisPersistent => add(true, &[S::RedisPersistentPassword]),
        Component::PraefectPostgres => add(true, &[S::PraefectSqlPasswordMd5]),
        Component::Praefect => {
            add(true, &[S::PraefectExternalToken, S::PraefectInternalToken, S::PraefectSqlPassword]);
        }
        Component::Gitaly => {
            add(has(Component::Praefect), &[S::PraefectInternalToken]);
            add(!has(Component::Praefect), &[S::GitalyToken]);
        }
        Component::Rails | Component::Sidekiq => {
            add(has(Component::Postgres), &[S::SqlPassword]);
            add(has(Component::ObjectStorage), &[S::ObjectStorageAccessKey, S::ObjectStorageSecretKey]);
            add(has(Component::Redis), &[S::RedisPassword]);
            add(has(Component::RedisCache), &[S::RedisCacheUrl, S::RedisPersistentPassword]);
            add(has(Component::Praefect), &[S::PraefectExternalToken]);
            add(!has(Component::Praefect), &[S::GitalyToken]);
            add(deployment.deploy_node() == &node.name, &[S::RootPassword]);
        }
        Component::ObjectStorage => add(true, &[S::ObjectStorageAccessKey, S::ObjectStorageSecretKey]),
        Component::Consul | Component::Monitor | Component::ExternalLb | Component::InternalLb => {}
    }
    needed
}

#[test]
fn each_node_is_given_the_secrets_that_it_needs_and_no_others() {
    for deployment in deployments() {
        let mut used = BTreeSet::new();
        for node in deployment.nodes.values() {
            let given: BTreeSet<SecretName> = of_node(&deployment, node).secrets().into_iter().collect();
            assert_eq!(given, needed(&deployment, node), "{}", node.name);
            used.extend(given);
        }
        for secret in crate::deployment::needed_secrets(&deployment) {
            let is_base = crate::deployment::needed_secrets(&deployment).iter().any(|other| {
                matches!(
                    other.recipe(),
                    crate::deployment::Recipe::PostgresMd5 { password, .. }
                    | crate::deployment::Recipe::RedisUrl { password, .. } if password == secret
                )
            });
            assert!(is_base || used.contains(&secret), "{secret} is made for nobody");
        }
    }
}

#[test]
fn no_secret_stands_in_a_file() {
    for deployment in deployments() {
        for node in deployment.nodes.values() {
            for (path, value) in leaves(&of_node(&deployment, node)) {
                let name = path.last().map(|name| name.to_lowercase()).unwrap_or_default();
                let secret = ["password", "token", "access_key", "_instance"];
                if secret.iter().any(|end| name.ends_with(end)) {
                    let by_name = matches!(value, Value::Secret(_) | Value::Given(_));
                    assert!(by_name, "{path:?} on {}: {value:?}", node.name);
                }
            }
        }
    }
}

#[test]
fn nobody_is_sent_to_a_node_that_is_not_there() {
    for deployment in deployments() {
        for node in deployment.nodes.values() {
            let mut named: Vec<&NodeName> = Vec::new();
            let settings = of_node(&deployment, node);
            for (_, value) in settings.iter() {
                value.walk(&mut |value| match value {
                    Value::Address(address) => named.push(address.node()),
                    Value::Joined(pieces) => named.extend(pieces.iter().filter_map(|piece| match piece {
                        Piece::Address(Address::Node(name) | Address::Cidr(name)) => Some(name),
                        Piece::Text(_) => None,
                    })),
                    _ => {}
                });
            }
            for name in named {
                assert!(deployment.nodes.contains_key(name), "{} names {name}", node.name);
            }
        }
    }
}

/// Where a node is sent: each address that stands with a port, and each host with a `port` beside it.
fn destinations(settings: &Settings) -> Vec<(NodeName, u16)> {
    fn of_port(value: Option<&Value>) -> Option<u16> {
        match value {
            Some(Value::Integer(port)) => u16::try_from(*port).ok(),
            _ => None,
        }
    }
    let mut found = Vec::new();
    let mut pair = |host: Option<&Value>, port: Option<&Value>| {
        if let (Some(Value::Address(host)), Some(port)) = (host, of_port(port)) {
            found.push((host.node().clone(), port));
        }
    };
    let known: BTreeMap<&[String], &Value> = settings.iter().collect();
    let at = |key: &str| known.get(["gitlab_rails".to_owned(), key.to_owned()].as_slice()).copied();
    pair(at("db_host"), at("db_port"));
    pair(at("redis_host"), at("redis_port"));
    for value in known.values() {
        value.walk(&mut |value| {
            if let Value::Map(entries) = value {
                pair(entries.get("host"), entries.get("port"));
            }
        });
    }
    for value in known.values() {
        value.walk(&mut |value| {
            if let Value::Joined(pieces) = value
                && let [_, Piece::Address(address), Piece::Text(port)] = pieces.as_slice()
            {
                found.push((address.node().clone(), port.trim_start_matches(':').parse().expect("a port")));
            }
        });
    }
    found
}

#[test]
fn wherever_a_node_is_sent_the_firewall_lets_it() {
    let mut closed = BTreeSet::new();
    for deployment in deployments() {
        for node in deployment.nodes.values() {
            for (to, port) in destinations(&of_node(&deployment, node)) {
                let to = &deployment.nodes[&to];
                let is = |side: &str, of: &Node| side == "all" || side == of.component.name();
                let mut flows = deployment.flows.iter();
                let open = flows.any(|flow| is(&flow.from, node) && is(&flow.to, to) && flow.port == port);
                if to.name != node.name && !open {
                    closed.insert((node.component, to.component, port));
                }
            }
        }
    }
    assert_eq!(closed, BTreeSet::new(), "from, to, port");
}

#[test]
fn a_database_is_migrated_by_one_node() {
    for deployment in deployments().into_iter().filter(|it| it.has(Component::Rails)) {
        let path = |of: &[&str]| of.iter().map(|part| (*part).to_owned()).collect::<Vec<_>>();
        for node in deployment.nodes.values().filter(|node| node.component.has_package()) {
            let settings = of_node(&deployment, node);
            let value =
                |at: &[&str]| settings.iter().find(|(known, _)| *known == path(at)).map(|(_, value)| value);
            assert_eq!(value(&["gitlab_rails", "auto_migrate"]), Some(&Value::Bool(false)), "{}", node.name);
            let praefect =
                (node.component == Component::Praefect).then(|| Value::Bool(deployment.is_deploy_node(node)));
            assert_eq!(value(&["praefect", "auto_migrate"]), praefect.as_ref(), "{}", node.name);
            let migrates = node.name == *deployment.deploy_node() && deployment.has(Component::Pgbouncer);
            assert_eq!(settings.read_last().is_some(), migrates, "{}", node.name);
        }
    }
}
