//! Settings as Ruby source.

use std::fmt::Write as _;

use super::settings::display;
use super::{Address, Piece, SECRETS_PATH, Settings, Value};
use crate::deployment::Node;

/// The whole file.
pub(super) fn write(node: &Node, settings: &Settings, resolve: &dyn Fn(&Address) -> String) -> String {
    let mut text = format!(
        "# Written by refarch for {} ({}). Change the spec, not this file: the next run replaces it.\n",
        node.name, node.component
    );
    if !settings.secrets().is_empty() || !settings.given().is_empty() {
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
    if let Some(path) = settings.read_last() {
        let path = quote(path);
        let _ = write!(
            text,
            "\n# There while this node migrates the database, and at no other time.\nfrom_file {path} if \
             File.exist?({path})\n"
        );
    }
    text
}

/// A string that is the text and nothing else. Printable ASCII stands in single quotes, in which Ruby knows only `\\`
/// and `\'`. Anything else stands in double quotes and is escaped: Ruby reads a line end of two characters as one, reads
/// the file in the encoding of whoever runs it, and a character that can't be seen would mislead a reviewer.
pub(super) fn quote(text: &str) -> String {
    let plain = text.chars().all(|character| matches!(character, ' '..='~'));
    let mut quoted = String::with_capacity(text.len() + 2);
    let mark = if plain { '\'' } else { '"' };
    quoted.push(mark);
    for character in text.chars() {
        match character {
            '\n' => quoted.push_str("\\n"),
            '\t' => quoted.push_str("\\t"),
            // In double quotes, `#` begins an expression.
            '\\' => quoted.push_str("\\\\"),
            '#' if !plain => quoted.push_str("\\#"),
            _ if character == mark => quoted.extend(['\\', character]),
            ' '..='~' => quoted.push(character),
            _ => {
                let _ = write!(quoted, "\\u{{{:x}}}", u32::from(character));
            }
        }
    }
    quoted.push(mark);
    quoted
}

fn expression(value: &Value, resolve: &dyn Fn(&Address) -> String, depth: usize) -> String {
    match value {
        Value::Nil => "nil".to_owned(),
        Value::Bool(value) => value.to_string(),
        Value::Decimal(text) => text.clone(),
        Value::Integer(value) => value.to_string(),
        Value::Text(text) => quote(text),
        Value::Secret(name) => format!("secrets.fetch({})", quote(name.key())),
        Value::Given(source) => format!("secrets.fetch({})", quote(&source.to_string())),
        Value::Address(address) => quote(&resolve(address)),
        Value::Joined(pieces) => {
            let text = |piece: &Piece| match piece {
                Piece::Text(text) => text.clone(),
                Piece::Address(address) => resolve(address),
            };
            quote(&pieces.iter().map(text).collect::<String>())
        }
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
