//! From the tree of YAML to settings. What a key may be called is not asked here.

use std::collections::BTreeMap;

use super::super::block::{Block, Field, Placed};
use super::super::parse::{Node, Span, Value};
use super::super::problem::{Findings, Problem};
use super::super::rule;
use super::super::secret::{EnvName, Place, SecretReference, SecretSource};
use super::super::source::word;
use super::value::components;
use super::{SettingTree, SettingValue, Settings};
use crate::architecture::Component;

/// A key that was set, for the rules.
#[derive(Clone, Debug)]
pub(in super::super) struct Seen {
    /// The way to it in gitlab.rb; items of lists have the way of their list.
    pub(super) path: Vec<String>,
    /// Where the key stands.
    pub(super) at: Span,
    /// Where its value stands.
    pub(super) value_at: Span,
    pub(super) kind: Kind,
}

/// What a key holds, as far as rules ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    /// Text that begins with a slash.
    Path,
    Map,
    Secret,
    Other,
}

/// Settings as far as they could be read, and every key in them.
#[derive(Clone, Debug, Default)]
pub(in super::super) struct SettingsDraft {
    pub(in super::super) settings: Settings,
    /// The components for which something is set, and where.
    pub(in super::super) components: Vec<Placed<Component>>,
    pub(in super::super) seen: Vec<Seen>,
}

/// Reads the block behind `settings`.
pub(in super::super) fn read(
    field: &Field<'_>,
    text: &str,
    findings: &mut Findings,
) -> Option<SettingsDraft> {
    let example = "`settings: {all: {gitlab_rails: {time_zone: Europe/Berlin}}}`";
    let mut block = Block::of(field, example, findings)?;
    let mut seen = Vec::new();
    let mut of = |field: Option<Field<'_>>, findings: &mut Findings| {
        field.and_then(|field| tree(&field, text, &mut seen, findings)).unwrap_or_default()
    };
    let all = of(block.optional("all"), findings);
    let mut trees = BTreeMap::new();
    let mut placed = Vec::new();
    for component in components() {
        if let Some(field) = block.optional(component.name()) {
            placed.push(Placed { value: component, at: field.key_at.clone() });
            trees.insert(component, of(Some(field), findings));
        }
    }
    block.close(&[], findings);
    Some(SettingsDraft { settings: Settings { all, components: trees }, components: placed, seen })
}

/// Reads one block of settings.
pub(in super::super) fn tree(
    field: &Field<'_>,
    text: &str,
    seen: &mut Vec<Seen>,
    findings: &mut Findings,
) -> Option<SettingTree> {
    let example = "`all: {gitlab_rails: {time_zone: Europe/Berlin}}`";
    let block = Block::of(field, example, findings)?;
    let mut reader = Reader { text, seen, findings };
    Some(reader.entries(&block.into_fields(), &mut Vec::new()))
}

struct Reader<'r> {
    text: &'r str,
    seen: &'r mut Vec<Seen>,
    findings: &'r mut Findings,
}

impl Reader<'_> {
    fn entries(&mut self, fields: &[(&str, Field<'_>)], path: &mut Vec<String>) -> SettingTree {
        let mut tree = SettingTree::new();
        for (name, field) in fields {
            path.push((*name).to_owned());
            if let Some(value) = self.value(field.node, &field.path, path) {
                self.seen.push(Seen {
                    path: path.clone(),
                    at: field.key_at.clone(),
                    value_at: field.at(),
                    kind: kind(&value),
                });
                tree.insert((*name).to_owned(), value);
            }
            path.pop();
        }
        tree
    }

    fn value(&mut self, node: &Node, shown: &str, path: &mut Vec<String>) -> Option<SettingValue> {
        Some(match &node.value {
            Value::Null => SettingValue::Null,
            Value::Bool(value) => SettingValue::Bool(*value),
            Value::Integer(number) => match i64::try_from(*number) {
                Ok(number) => SettingValue::Integer(number),
                Err(_) => return self.refuse(node, shown, TOO_LARGE),
            },
            Value::Float(number) => {
                let written = self.text.get(node.written.clone()).unwrap_or_default();
                if written.chars().all(|c| c.is_ascii_digit() || matches!(c, '+' | '-')) {
                    return self.refuse(node, shown, TOO_LARGE);
                }
                SettingValue::Decimal(format!("{number:?}"))
            }
            Value::Text(text) => SettingValue::Text(text.clone()),
            Value::List(items) => {
                let items: Vec<_> = items.iter().map(|item| self.value(item, shown, path)).collect();
                SettingValue::List(items.into_iter().collect::<Option<_>>()?)
            }
            Value::Map(entries) => return self.map(node, entries, shown, path),
        })
    }

    fn map(
        &mut self,
        node: &Node,
        entries: &[(Node, Node)],
        shown: &str,
        path: &mut Vec<String>,
    ) -> Option<SettingValue> {
        let field = Field { path: shown.to_owned(), key_at: node.at.clone(), node };
        let block = Block::of(&field, "", self.findings)?;
        let fields = block.into_fields();
        if let [("secret", inner)] = fields.as_slice()
            && let Value::Map(sources) = &inner.node.value
            && !is_reference(sources)
        {
            return self.reference(inner, shown);
        }
        if let Some((_, beside)) =
            fields.iter().find(|(name, field)| *name == "secret" && names_source(field))
            && entries.len() > 1
        {
            return self.refuse(beside.node, shown, "is a secret by reference, and has other keys beside it");
        }
        Some(SettingValue::Map(self.entries(&fields, path)))
    }

    /// The source of `{secret: SOURCE}`.
    fn reference(&mut self, field: &Field<'_>, shown: &str) -> Option<SettingValue> {
        let Value::Map(sources) = &field.node.value else { return None };
        let source = match sources.as_slice() {
            [(key, value)] => match (&key.value, &value.value) {
                (Value::Text(key), Value::Text(name)) if key == "env" => {
                    let inner =
                        Field { path: format!("{shown}.secret.env"), key_at: value.at.clone(), node: value };
                    let name: Placed<EnvName> = match name.trim() {
                        "" => return self.refuse(field.node, shown, NO_SOURCE),
                        _ => inner.value("`env: SMTP_PASSWORD`", self.findings)?,
                    };
                    SecretSource::Env(name.value)
                }
                (Value::Text(key), Value::Text(path))
                    if key == "file" && !path.trim().is_empty() && !path.chars().any(char::is_control) =>
                {
                    SecretSource::File(path.into())
                }
                _ => return self.refuse(field.node, shown, NO_SOURCE),
            },
            _ => return self.refuse(field.node, shown, NO_SOURCE),
        };
        let start = field.at().start.min(self.text.len());
        let line = self.text.as_bytes()[..start].split(|byte| *byte == b'\n').count();
        Some(SettingValue::Secret(SecretReference { source, place: Place { key: shown.to_owned(), line } }))
    }

    fn refuse(&mut self, node: &Node, shown: &str, what: &str) -> Option<SettingValue> {
        let rule = if what == TOO_LARGE { &rule::SETTING_VALUE } else { &rule::SECRET_REFERENCE };
        self.findings
            .add(Problem::new(rule, format!("`{}` {what}", word(shown))).at(node.at.clone(), "this value"));
        None
    }
}

const TOO_LARGE: &str = "is too large for a whole number";
const NO_SOURCE: &str = "is a secret by reference, and names no variable or file";

/// Whether a block is `{secret: …}` itself: then the key `secret` above it is one of GitLab's, as in the options of a
/// client of OIDC.
fn is_reference(entries: &[(Node, Node)]) -> bool {
    matches!(entries, [(key, _)] if matches!(&key.value, Value::Text(text) if text == "secret"))
}

fn names_source(field: &Field<'_>) -> bool {
    let Value::Map(entries) = &field.node.value else { return false };
    let is_source = |key: &Node| matches!(&key.value, Value::Text(text) if SecretSource::SOURCES.contains(&text.as_str()));
    !entries.is_empty() && entries.iter().all(|(key, _)| is_source(key))
}

fn kind(value: &SettingValue) -> Kind {
    match value {
        SettingValue::Text(text) if text.starts_with('/') => Kind::Path,
        SettingValue::Text(text) if !text.is_empty() => Kind::Text,
        SettingValue::List(items) if items.iter().any(|item| kind(item) == Kind::Text) => Kind::Text,
        SettingValue::Map(_) => Kind::Map,
        SettingValue::Secret(_) => Kind::Secret,
        _ => Kind::Other,
    }
}
