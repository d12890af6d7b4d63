//! The JSON Schema and the reader of specs must agree on the shape of a spec.

use std::collections::BTreeSet;

use refarch::spec;
use serde_json::{Value, json};

/// Specs that together use every key and every choice there is.
fn full_specs() -> Vec<Value> {
    let digits = "0123456789abcdef".repeat(4);
    let url = "https://packages.example.com/debian";
    let packages = [
        json!({"standin": {}}),
        json!({"file": {"path": "packages/gitlab-ee_18.11.2-ee.0_amd64.deb"}}),
        json!({"url": {"url": "https://packages.example.com/gitlab-ee.deb", "sha256": digits}}),
        json!({"repository": {"url": url, "distribution": "trixie", "components": ["main"], "key_file": "k.asc"}}),
    ];
    let secret = |source: Value| json!({"secret": source});
    let files = |key: Value| json!({"files": {"certificate": "acme.pem", "key": key, "ca": "root.pem"}});
    let certificates = [
        json!({"private_ca": {}}),
        files(json!("acme.key")),
        files(secret(json!({"env": "ACME_KEY"}))),
        files(secret(json!({"file": "secrets/acme.key"}))),
    ];
    let spec = |(package, tls): (&Value, &Value)| {
        json!({
            "refarch": 1,
            "name": "acme",
            "architecture": "1k",
            "gitlab": {
                "version": "18.11.2",
                "url": "https://gitlab.acme.example",
                "package": package,
                "monitoring_allowlist": ["10.20.0.0/24"],
            },
            "provider": {"lab": {}},
            "tls": tls,
            "nodes": {"all_in_one": {
                "machine": {"vcpu": 16, "memory_gb": 32, "root_disk_gb": 80},
                "disks": {"data": {"size_gb": 200}},
                "hosts": {"acme-all-in-one-1": {
                    "machine": {"memory_gb": 48.5},
                    "disks": {"data": {"size_gb": 300}},
                    "settings": {"puma": {"worker_processes": 6}},
                }},
            }},
            "settings": {
                "all": {"gitlab_rails": {"smtp_enable": true, "smtp_password": {"secret": {"env": "SMTP_PASSWORD"}}}},
                "all_in_one": {"puma": {"worker_processes": 4}, "nginx": {"custom_error_pages": null}},
            },
        })
    };
    packages.iter().zip(&certificates).map(spec).chain(clusters()).collect()
}

/// Specs of several nodes that together name every component.
fn clusters() -> Vec<Value> {
    let cluster = |architecture: &str, beyond: Value| {
        let mut spec = json!({
            "refarch": 1,
            "name": "acme",
            "architecture": architecture,
            "gitlab": {"version": "18.11.2", "url": "https://gitlab.acme.example", "package": {"standin": {}}},
            "provider": {"lab": {}},
        });
        let (Value::Object(spec_keys), Value::Object(beyond)) = (&mut spec, beyond) else { panic!("blocks") };
        spec_keys.extend(beyond);
        spec
    };
    let disk = json!({"disks": {"data": {"size_gb": 500}}});
    let three = json!({
        "nodes": {
            "external_lb": {}, "internal_lb": {}, "consul": {}, "postgres": {"count": 2}, "pgbouncer": {},
            "redis": {}, "praefect_postgres": {}, "praefect": {}, "gitaly": disk,
            "sidekiq": {"pools": [{"name": "mail", "count": 2, "machine": {"vcpu": 8}, "settings": {}}]},
            "rails": {"hosts": {"acme-rails-1": {"machine": {"vcpu": 16}}}}, "monitor": {},
        },
        "settings": {
            "consul": {}, "postgres": {}, "pgbouncer": {}, "redis": {}, "praefect_postgres": {}, "praefect": {},
            "gitaly": {}, "sidekiq": {}, "rails": {"puma": {"worker_processes": 4}}, "monitor": {},
        },
    });
    let ten = json!({
        "nodes": {"redis_cache": {}, "redis_persistent": {}},
        "settings": {"redis_cache": {}, "redis_persistent": {}},
    });
    let secret = |name: &str| json!({"secret": {"env": name}});
    let changed = json!({
        "modifications": {"sharded_gitaly": {}, "sidekiq_on_rails": {}},
        "managed": {
            "postgres": {"external": {
                "host": "db.acme.example", "port": 5433, "user": "git", "database": "git", "password": secret("DB"),
            }},
            "redis": {"external": {
                "host": "redis.acme.example", "port": 6380, "tls": false, "password": secret("REDIS"),
            }},
            "object_storage": {"external": {
                "endpoint": "https://s3.acme.example", "region": "eu-central-1", "bucket_prefix": "acme",
                "access_key": secret("KEY"), "secret_key": secret("SECRET"),
            }},
        },
    });
    let sized = |key: &str, value: Value| {
        let mut spec = cluster("3k", json!({}));
        let Value::Object(keys) = &mut spec else { panic!("a block") };
        keys.remove("architecture");
        keys.insert(key.to_owned(), value);
        spec
    };
    vec![
        cluster("3k", three),
        cluster("10k", ten),
        cluster("3k", changed),
        sized("users", json!(4200)),
        sized("rps", json!({"api": 70, "web": 7.5, "pull": 7, "push": 2})),
    ]
}

/// Whether a value has the shape that a schema asks for; patterns are for editors and left out.
fn fits(root: &Value, schema: &Value, value: &Value) -> bool {
    if let Some(name) = schema["$ref"].as_str() {
        let target = root.pointer(name.trim_start_matches('#')).expect("a reference leads somewhere");
        return fits(root, target, value);
    }
    if let Some(choices) = schema["oneOf"].as_array() {
        let one = choices.iter().filter(|choice| fits(root, choice, value)).count() == 1;
        // A spec itself has its keys beside the choice.
        if !one || schema["type"].is_null() {
            return one;
        }
    }
    if let (Some(keys), None) = (schema["required"].as_array(), schema["type"].as_str()) {
        return keys.iter().all(|key| value.get(key.as_str().expect("a key")).is_some());
    }
    if let Some(choices) = schema["anyOf"].as_array() {
        return choices.iter().any(|choice| fits(root, choice, value));
    }
    if !schema["const"].is_null() && schema["const"] != *value {
        return false;
    }
    match schema["type"].as_str() {
        Some("object") => value.as_object().is_some_and(|object| {
            let no_properties = serde_json::Map::new();
            let properties = schema["properties"].as_object().unwrap_or(&no_properties);
            if let Value::Object(_) = schema["additionalProperties"] {
                assert!(properties.is_empty(), "{schema} mixes known keys with free ones");
                return object.values().all(|value| fits(root, &schema["additionalProperties"], value));
            }
            assert_eq!(schema["additionalProperties"], json!(false), "{schema} takes unknown keys");
            let required = schema["required"].as_array().into_iter().flatten();
            required.into_iter().all(|key| object.contains_key(key.as_str().expect("a key")))
                && object
                    .iter()
                    .all(|(key, value)| properties.get(key).is_some_and(|of| fits(root, of, value)))
        }),
        Some("array") => value.as_array().is_some_and(|items| {
            let least = schema["minItems"].as_u64().unwrap_or(0);
            items.len() as u64 >= least && items.iter().all(|item| fits(root, &schema["items"], item))
        }),
        Some("string") => value.is_string(),
        Some("boolean") => value.is_boolean(),
        Some("integer") => value.is_i64(),
        Some("number") => value.is_number(),
        // A value of `settings`: which ones a key takes is for its rules to say.
        None if schema["type"].is_null() => true,
        other => panic!("the schema has a type that this test doesn't know: {other:?}"),
    }
}

/// Whether the reader takes a value's shape; what a text must look like is not a matter of shape.
fn is_read(value: &Value) -> bool {
    const SHAPE: &[&str] = &[
        "empty",
        "version-unquoted",
        "format",
        "missing-key",
        "unknown-key",
        "wrong-type",
        "empty-value",
        "choice",
        "choice-several",
        "choice-unknown",
        "architecture",
        "package-repository",
    ];
    match spec::parse(&value.to_string(), "spec.json") {
        Ok(_) => true,
        Err(invalid) => !invalid.problems().iter().any(|problem| SHAPE.contains(&problem.rule().id)),
    }
}

/// The places in a value, as JSON pointers.
fn places(value: &Value, at: &str, found: &mut Vec<String>) {
    found.push(at.to_owned());
    match value {
        Value::Object(object) => {
            object.iter().for_each(|(key, value)| places(value, &format!("{at}/{key}"), found));
        }
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(n, value)| places(value, &format!("{at}/{n}"), found));
        }
        _ => {}
    }
}

#[test]
fn schema_and_reader_take_and_refuse_the_same_shapes() {
    let root = spec::schema();
    let others =
        [json!(null), json!(true), json!(7), json!(1.5), json!("text"), json!([]), json!({}), json!(["x"])];
    for full in full_specs() {
        assert!(spec::parse(&full.to_string(), "full").is_ok() && fits(&root, &root, &full), "{full}");
        let mut all = Vec::new();
        places(&full, "", &mut all);
        for place in all {
            let mut changed: Vec<Value> = Vec::new();
            for other in &others {
                let mut copy = full.clone();
                *copy.pointer_mut(&place).expect("a place") = other.clone();
                changed.push(copy);
            }
            let mut with_key = full.clone();
            if let Some(Value::Object(object)) = with_key.pointer_mut(&place) {
                object.insert("zzz".to_owned(), json!(1));
                changed.push(with_key);
            }
            // The size, said once more in another way.
            for (key, said) in [("users", json!(2000)), ("architecture", json!("3k"))] {
                let mut twice = full.clone();
                if let (true, Some(object)) = (place.is_empty(), twice.as_object_mut()) {
                    object.entry(key).or_insert(said);
                    changed.push(twice);
                }
            }
            if let Some((owner, key)) = place.rsplit_once('/') {
                let mut without = full.clone();
                if let Some(Value::Object(object)) = without.pointer_mut(owner) {
                    object.remove(key);
                    changed.push(without);
                }
            }
            for value in changed {
                assert_eq!(fits(&root, &root, &value), is_read(&value), "at `{place}`: {value}");
            }
        }
    }
}

#[test]
fn the_full_specs_use_every_key_of_the_schema() {
    fn keys(schema: &Value, found: &mut BTreeSet<String>) {
        match schema {
            Value::Object(object) => {
                if let Some(Value::Object(properties)) = object.get("properties") {
                    found.extend(properties.keys().cloned());
                }
                object.values().for_each(|value| keys(value, found));
            }
            Value::Array(items) => items.iter().for_each(|item| keys(item, found)),
            _ => {}
        }
    }
    let (mut known, mut used) = (BTreeSet::new(), BTreeSet::new());
    keys(&spec::schema(), &mut known);
    for full in full_specs() {
        let mut all = Vec::new();
        places(&full, "", &mut all);
        used.extend(all.iter().filter_map(|place| place.rsplit('/').next()).map(str::to_owned));
    }
    assert!(known.is_subset(&used), "unused: {:?}", known.difference(&used));
}

#[test]
fn every_key_of_the_schema_is_described() {
    fn check(schema: &Value, at: &str) {
        match schema {
            Value::Object(object) => {
                if let Some(Value::Object(properties)) = object.get("properties") {
                    for (key, property) in properties {
                        // A choice is described as a whole, beside its one key.
                        let described =
                            property.get("description").is_some() || object.get("description").is_some();
                        assert!(described, "`{key}` at {at} has no description");
                    }
                }
                object.iter().for_each(|(key, value)| check(value, &format!("{at}/{key}")));
            }
            Value::Array(items) => items.iter().for_each(|item| check(item, at)),
            _ => {}
        }
    }
    check(&spec::schema(), "");
}

/// The ways to all keys of the schema, with `NODE` for a free name and `COMPONENT` for any component. A block that is described elsewhere is not entered.
fn ways(root: &Value, schema: &Value, at: &str, found: &mut BTreeSet<String>) {
    if let Some(name) = schema["$ref"].as_str() {
        return ways(root, root.pointer(name.trim_start_matches('#')).expect("a target"), at, found);
    }
    for choice in ["oneOf", "anyOf"].iter().flat_map(|key| schema[key].as_array().into_iter().flatten()) {
        ways(root, choice, at, found);
    }
    if schema["additionalProperties"]["$ref"].as_str().is_some_and(|name| name.ends_with("/Host")) {
        let host = &root["$defs"]["Host"]["properties"];
        found.extend(host.as_object().expect("keys").keys().map(|key| format!("{at}.NODE.{key}")));
    }
    for (key, inner) in schema["properties"].as_object().into_iter().flatten() {
        let is_component = matches!(at, "nodes" | "settings") && key != "all";
        let key = if is_component { "COMPONENT" } else { key };
        let way = if at.is_empty() { key.to_owned() } else { format!("{at}.{key}") };
        found.insert(way.clone());
        ways(root, inner, &way, found);
    }
}

#[test]
fn the_reference_page_names_every_key_with_its_default() {
    let page =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/spec.md")).expect("the page");
    let named: BTreeSet<&str> = page
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split_once("` |").map(|(way, _)| way))
        .collect();
    let mut known = BTreeSet::new();
    ways(&spec::schema(), &spec::schema(), "", &mut known);
    for way in &known {
        let is_named = named.contains(way.as_str());
        let begins = named.iter().any(|name| name.starts_with(&format!("{way}.")));
        let is_reference = way.split('.').any(|part| part == "secret");
        assert!(is_named || begins || is_reference, "docs/spec.md has no `{way}`");
    }
    for name in named.iter().filter(|name| !name.starts_with('{')) {
        assert!(known.contains(*name), "docs/spec.md has `{name}`, and a spec has not");
    }
}
