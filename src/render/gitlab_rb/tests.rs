use std::collections::BTreeMap;

use proptest::prelude::*;

use super::{Address, Settings, Value, ruby, write};
use crate::architecture::{Component, of_size};
use crate::deployment::{Node, NodeName, SecretName, resolve};
use crate::spec::{self, Size};

fn node() -> Node {
    let spec = spec::parse(include_str!("../../../examples/lab-1k.yml"), "lab-1k.yml").expect("valid").spec;
    let deployment = resolve(&spec, of_size(Size::OneK).expect("a part of the program"));
    deployment.nodes[0].clone()
}

fn other() -> NodeName {
    NodeName::new(&"demo".parse().expect("a name"), Component::AllInOne, 2)
}

#[test]
fn every_kind_of_value_is_written_as_ruby() {
    let map = BTreeMap::from([
        ("listen_addr".to_owned(), Value::Address(Address::Node(other()))),
        (
            "storage".to_owned(),
            Value::from(vec![Value::Map(BTreeMap::from([("name".into(), "default".into())]))]),
        ),
        ("token".to_owned(), Value::Secret(SecretName::RootPassword)),
    ]);
    let settings = Settings::default()
        .with(&["external_url"], "https://x.example")
        .and_then(|it| it.with(&["gitaly", "configuration"], Value::Map(map)))
        .and_then(|it| it.with(&["nginx", "listen_port"], 443_i64))
        .and_then(|it| it.with(&["nginx", "custom"], "it's a \\ #{trap}"))
        .expect("no key twice");
    let resolve = |_: &Address| "198.18.0.11".to_owned();
    insta::assert_snapshot!(write(&node(), &settings, &resolve));
}

#[test]
fn a_key_is_set_once() {
    let settings = Settings::default().with(&["nginx", "status"], true).expect("the first");
    let again = settings.clone().with(&["nginx", "status"], false).expect_err("the same key");
    assert_eq!(again.second, "nginx['status']");
    assert!(settings.clone().with(&["nginx", "status", "options"], true).is_err(), "a key inside it");
    assert!(settings.clone().with(&["nginx"], true).is_err(), "the whole hash");
    assert!(settings.with(&["nginx", "status_port"], true).is_ok(), "a key that only begins alike");
}

proptest! {
    /// What Ruby reads from the quoted text is the text; the real Ruby judges in `make test`.
    #[test]
    fn a_quoted_string_ends_where_it_should(text in "\\PC*") {
        let quoted = ruby::quote(&text);
        let inner = &quoted[1..quoted.len() - 1];
        let mut read = String::new();
        let mut characters = inner.chars();
        while let Some(character) = characters.next() {
            prop_assert_ne!(character, '\'', "an unescaped quote ends the string");
            read.push(if character == '\\' { characters.next().expect("something is escaped") } else { character });
        }
        prop_assert_eq!(read, text);
    }
}
