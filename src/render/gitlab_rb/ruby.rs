//! Settings as Ruby source.

use std::fmt::Write as _;

use super::settings::display;
use super::{Address, SECRETS_PATH, Settings, Value};
use crate::deployment::Node;

/// The whole file.
pub(super) fn write(node: &Node, settings: &Settings, resolve: &dyn Fn(&Address) -> String) -> String {
    let mut text = format!(
        "# Written by refarch for {} ({}). Change the spec, not this file: the next run replaces it.\n",
        node.name, node.component
    );
    if !settings.secrets().is_empty() {
        let _ = write!(
            text,
            "# Secrets stand in {SECRETS_PATH}; here they have names only.\n\
             require 'json'\nsecrets = JSON.parse(File.read({}))\n",
            quote(SECRETS_PATH)
        );
    }
    let mut section = "";
    for (path, value) in settings.iter() {
        if path.first().is_some_and(|first| first != section) {
            section = &path[0];
            text.push('\n');
        }
        let operator = if path.len() == 1 { " " } else { " = " };
        let _ = writeln!(text, "{}{operator}{}", display(path), expression(value, resolve, 0));
    }
    text
}

/// A single-quoted string, in which Ruby knows only `\\` and `\'`.
pub(super) fn quote(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('\'');
    for character in text.chars() {
        if matches!(character, '\\' | '\'') {
            quoted.push('\\');
        }
        quoted.push(character);
    }
    quoted.push('\'');
    quoted
}

fn expression(value: &Value, resolve: &dyn Fn(&Address) -> String, depth: usize) -> String {
    match value {
        Value::Bool(value) => value.to_string(),
        Value::Integer(value) => value.to_string(),
        Value::Text(text) => quote(text),
        Value::Secret(name) => format!("secrets.fetch({})", quote(name.key())),
        Value::Address(address) => quote(&resolve(address)),
        Value::List(items) => {
            let items: Vec<_> = items.iter().map(|item| expression(item, resolve, depth)).collect();
            format!("[{}]", items.join(", "))
        }
        Value::Map(entries) if entries.is_empty() => "{}".to_owned(),
        Value::Map(entries) => {
            let indent = "  ".repeat(depth + 1);
            let mut text = "{\n".to_owned();
            for (key, value) in entries {
                let _ =
                    writeln!(text, "{indent}{} => {},", quote(key), expression(value, resolve, depth + 1));
            }
            text.push_str(&"  ".repeat(depth));
            text.push('}');
            text
        }
    }
}
