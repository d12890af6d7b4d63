//! Reading a tree block by block: whatever is wrong is noted, and reading goes on.

use std::collections::BTreeMap;
use std::str::FromStr;

use super::parse::{Node, Span, Value};
use super::problem::{Findings, Problem};
use super::refusal::Refusal;
use super::rule;
use super::source::word;
use super::suggest::nearest;

/// A value of the spec and where it stands.
#[derive(Clone, Debug)]
pub(super) struct Placed<T> {
    pub(super) value: T,
    pub(super) at: Span,
}

/// A key that was found, with its value.
#[derive(Clone, Debug)]
pub(super) struct Field<'t> {
    /// The way to it, as `gitlab.version`.
    pub(super) path: String,
    /// Where the key stands.
    pub(super) key_at: Span,
    /// Its value.
    pub(super) node: &'t Node,
}

/// A block of keys. Whoever reads it asks for the keys it knows; [`Block::close`] reports the others.
pub(super) struct Block<'t> {
    path: String,
    at: Span,
    entries: Vec<(&'t str, &'t Node, &'t Node)>,
    known: Vec<&'static str>,
    missing: Vec<(Vec<&'static str>, String)>,
}

impl<'t> Block<'t> {
    /// Opens the spec itself.
    pub(super) fn root(node: &'t Node, findings: &mut Findings) -> Option<Self> {
        let Value::Map(entries) = &node.value else {
            let message = format!("a spec is a block of keys, and this is {}", node.value.noun());
            let problem = Problem::new(&rule::WRONG_TYPE, message).at(node.at.clone(), node.value.noun());
            findings.add(
                problem.help("begin with `refarch: 1` and see `examples/lab-1k.yml` for the other keys"),
            );
            return None;
        };
        let first = entries.first().map_or_else(|| node.at.clone(), |(key, _)| key.at.clone());
        Some(Self::open(String::new(), first, entries, findings))
    }

    /// Opens the block that a key holds; `example` shows how it is written.
    pub(super) fn of(field: &Field<'t>, example: &str, findings: &mut Findings) -> Option<Self> {
        match &field.node.value {
            Value::Map(entries) => {
                Some(Self::open(field.path.clone(), field.key_at.clone(), entries, findings))
            }
            Value::Null => {
                field.is_empty(example, findings);
                None
            }
            _ => {
                field.has_wrong_type("a block of keys", example, findings);
                None
            }
        }
    }

    fn open(path: String, at: Span, all: &'t [(Node, Node)], findings: &mut Findings) -> Self {
        let mut entries: Vec<(&str, &Node, &Node)> = Vec::new();
        let mut seen: BTreeMap<&str, Vec<&Node>> = BTreeMap::new();
        for (key, value) in all {
            match &key.value {
                Value::Text(text) if text == "<<" => {
                    let problem = Problem::new(&rule::MERGE_KEY, "a spec has no merge keys");
                    findings.add(problem.at(key.at.clone(), "merges another block"));
                }
                Value::Text(text) => {
                    let keys = seen.entry(text).or_default();
                    if keys.is_empty() {
                        entries.push((text, key, value));
                    }
                    keys.push(key);
                }
                other => {
                    let message = format!("a key is a word, and this is {}", other.noun());
                    findings.add(Problem::new(&rule::KEY_NOT_TEXT, message).at(key.at.clone(), "not a word"));
                }
            }
        }
        for (name, keys) in seen {
            if let [first, again @ ..] = keys.as_slice()
                && !again.is_empty()
            {
                let message = format!("`{}` stands more than once", word(name));
                let mut problem = Problem::new(&rule::DUPLICATE_KEY, message);
                for key in again.iter().take(MOST_PLACES) {
                    problem = problem.at(key.at.clone(), "again here");
                }
                findings.add(problem.at(first.at.clone(), "first here"));
            }
        }
        Self { path, at, entries, known: Vec::new(), missing: Vec::new() }
    }

    /// A key that may be there.
    pub(super) fn optional(&mut self, key: &'static str) -> Option<Field<'t>> {
        self.known.push(key);
        let (_, key_node, node) = self.entries.iter().find(|(name, ..)| *name == key)?;
        Some(Field { path: self.path_of(key), key_at: key_node.at.clone(), node })
    }

    /// A key that must be there; `example` shows how it is written. [`Block::close`] reports it if it isn't.
    pub(super) fn required(&mut self, key: &'static str, example: &str) -> Option<Field<'t>> {
        let found = self.optional(key);
        if found.is_none() {
            self.lacks(&[key], example);
        }
        found
    }

    /// Notes that none of these keys is there; `example` shows how they are written.
    pub(super) fn lacks(&mut self, keys: &[&'static str], example: &str) {
        self.missing.push((keys.to_vec(), example.to_owned()));
    }

    /// All keys with their values, for a block whose keys are not known beforehand.
    pub(super) fn into_fields(self) -> Vec<(&'t str, Field<'t>)> {
        let field = |(name, key, node): &(&'t str, &'t Node, &'t Node)| {
            (*name, Field { path: self.path_of(name), key_at: key.at.clone(), node })
        };
        self.entries.iter().map(field).collect()
    }

    /// Reports the keys that are missing and those that nobody asked for. `elsewhere` are keys that exist in
    /// another block.
    pub(super) fn close(self, elsewhere: &[(&str, &str)], findings: &mut Findings) {
        let free: Vec<&str> = self
            .known
            .iter()
            .copied()
            .filter(|key| self.entries.iter().all(|(name, ..)| name != key))
            .collect();
        let mut misspelt: Vec<&str> = Vec::new();
        for (name, key, _) in self.entries.iter().filter(|(name, ..)| !self.known.contains(name)) {
            let message = if self.path.is_empty() {
                format!("a spec has no key `{}`", word(name))
            } else {
                format!("`{}` has no key `{}`", self.path, word(name))
            };
            let help = if let Some((_, path)) = elsewhere.iter().find(|(known, _)| known == name) {
                format!("indent it so that it lies in `{path}`")
            } else if let Some(meant) = nearest(name, &free) {
                misspelt.push(meant);
                format!("write `{meant}`, if that is what you meant")
            } else if self.known.is_empty() {
                format!("remove it; `{}` has no keys", self.path)
            } else {
                format!("remove it, or use one of {}", joined(&self.known, "and"))
            };
            findings
                .add(Problem::new(&rule::UNKNOWN_KEY, message).at(key.at.clone(), "unknown key").help(help));
        }
        // One mistake is one problem: a key that is only misspelt is not reported as missing as well.
        let meant = |keys: &[&str]| keys.iter().any(|key| misspelt.contains(key));
        for (keys, example) in self.missing.iter().filter(|(keys, _)| !meant(keys)) {
            let key = keys.join("`, `");
            let (owner, label) = if self.path.is_empty() {
                ("the spec".to_owned(), "the spec begins here".to_owned())
            } else {
                (format!("`{}`", self.path), format!("this block has no `{key}`"))
            };
            let problem = Problem::new(&rule::MISSING_KEY, format!("{owner} has no `{key}`"));
            findings.add(problem.at(self.at.clone(), label).help(format!("add the key, as in {example}")));
        }
    }

    fn path_of(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }
}

/// More labels than these in one report would hide what they mark.
const MOST_PLACES: usize = 5;

impl<'t> Field<'t> {
    /// The value's own place, or the key's where the value has no width.
    pub(super) fn at(&self) -> Span {
        if self.node.at.is_empty() { self.key_at.clone() } else { self.node.at.clone() }
    }

    /// The text that the key holds; `example` shows how it is written.
    pub(super) fn text(&self, example: &str, findings: &mut Findings) -> Option<Placed<&'t str>> {
        match &self.node.value {
            Value::Text(text) if text.trim().is_empty() => self.is_empty(example, findings),
            Value::Text(text) => return Some(Placed { value: text, at: self.at() }),
            Value::Null => self.is_empty(example, findings),
            Value::Bool(_) | Value::Integer(_) | Value::Float(_) => {
                let help = format!("{example}, or put the value in quotes if it is meant");
                self.has_wrong_type("text", &help, findings);
            }
            Value::List(_) | Value::Map(_) => self.has_wrong_type("text", example, findings),
        }
        None
    }

    /// The value that the key's text makes; `example` shows how it is written.
    pub(super) fn value<T: FromStr<Err = Refusal>>(
        &self,
        example: &str,
        findings: &mut Findings,
    ) -> Option<Placed<T>> {
        let text = self.text(example, findings)?;
        match text.value.parse() {
            Ok(value) => Some(Placed { value, at: text.at }),
            Err(refusal) => {
                findings.add(refused(refusal, self.node));
                None
            }
        }
    }

    /// The items that the key's list holds, as texts; `example` shows how the list is written.
    pub(super) fn texts(&self, example: &str, findings: &mut Findings) -> Option<Vec<Field<'t>>> {
        match &self.node.value {
            Value::List(items) => {
                let item = |(n, node): (usize, &'t Node)| Field {
                    path: format!("{}[{n}]", self.path),
                    key_at: node.at.clone(),
                    node,
                };
                Some(items.iter().enumerate().map(item).collect())
            }
            Value::Null => {
                self.is_empty(example, findings);
                None
            }
            _ => {
                self.has_wrong_type("a list", example, findings);
                None
            }
        }
    }

    /// The one choice that the key holds, out of `choices`; `example` shows how one is written.
    pub(super) fn choice(
        &self,
        choices: &[&'static str],
        example: &str,
        findings: &mut Findings,
    ) -> Option<(&'static str, Field<'t>)> {
        let help = format!("write {}, as in {example}", one_of(choices));
        let entries = match &self.node.value {
            Value::Map(entries) => entries,
            Value::Text(text) => {
                let meant = choices.iter().find(|choice| *choice == text).or_else(|| choices.first())?;
                let key = self.path.rsplit('.').next().unwrap_or_default();
                let message =
                    format!("`{}` holds a block with the choice in it, and this is text", self.path);
                let problem = Problem::new(&rule::CHOICE, message).at(self.at(), "text");
                let settings = if *meant == "standin" || choices.len() == 1 { "{}" } else { "{…}" };
                findings.add(problem.help(format!("write `{key}: {{{meant}: {settings}}}`")));
                return None;
            }
            Value::Null => {
                let problem = Problem::new(&rule::CHOICE, format!("nothing is chosen for `{}`", self.path));
                findings.add(problem.at(self.key_at.clone(), "has no value").help(help));
                return None;
            }
            _ => {
                self.has_wrong_type("a block of keys", example, findings);
                return None;
            }
        };
        let block = Block::open(self.path.clone(), self.key_at.clone(), entries, findings);
        let mut chosen: Vec<(&'static str, Field<'t>)> = Vec::new();
        for (name, key, node) in &block.entries {
            if let Some(choice) = choices.iter().find(|choice| *choice == name) {
                let path = format!("{}.{choice}", self.path);
                chosen.push((choice, Field { path, key_at: key.at.clone(), node }));
            } else {
                let message = format!("`{}` has no choice `{}`", self.path, word(name));
                let problem = Problem::new(&rule::CHOICE_UNKNOWN, message).at(key.at.clone(), "unknown");
                findings.add(match nearest(name, choices) {
                    Some(meant) => problem.help(format!("write `{meant}`, if that is what you meant")),
                    None => problem.help(help.clone()),
                });
            }
        }
        if chosen.len() > 1 {
            let mut problem =
                Problem::new(&rule::CHOICE_SEVERAL, format!("`{}` takes one choice, not several", self.path));
            for (_, field) in chosen.iter().skip(1).chain(chosen.first()) {
                problem = problem.at(field.key_at.clone(), "chosen");
            }
            findings.add(problem);
            return None;
        }
        if block.entries.is_empty() {
            let problem = Problem::new(&rule::CHOICE, format!("nothing is chosen for `{}`", self.path));
            findings.add(problem.at(self.key_at.clone(), "chooses nothing").help(help));
        }
        chosen.pop()
    }

    /// Notes that the key has no value.
    pub(super) fn is_empty(&self, example: &str, findings: &mut Findings) {
        let problem = Problem::new(&rule::EMPTY_VALUE, format!("`{}` has no value", self.path));
        findings.add(problem.at(self.at(), "empty").help(format!("write a value, as in {example}")));
    }

    /// Notes that the value is of another type than the one that is wanted.
    pub(super) fn has_wrong_type(&self, wanted: &str, example: &str, findings: &mut Findings) {
        let noun = self.node.value.noun();
        let problem =
            Problem::new(&rule::WRONG_TYPE, format!("`{}` is {wanted}, and this is {noun}", self.path));
        findings.add(problem.at(self.at(), noun).help(format!("write {example}")));
    }
}

/// The problem that a refused value is, in its place.
pub(super) fn refused(refusal: Refusal, node: &Node) -> Problem {
    let problem =
        Problem::new(refusal.rule, refusal.message).at(node.at.clone(), "this value").help(refusal.help);
    // Of an alias, the place that uses it and the place that says it are both worth seeing.
    if node.at == node.written { problem } else { problem.at(node.written.clone(), "written here") }
}

/// Words as a choice: `a`, `b` or `c`.
fn one_of(words: &[&str]) -> String {
    if words.len() > 1 { format!("one of {}", joined(words, "or")) } else { joined(words, "or") }
}

/// Words one after the other, the last one behind `last`.
fn joined(words: &[&str], last: &str) -> String {
    let quoted: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
    match quoted.as_slice() {
        [] => String::new(),
        [one] => one.clone(),
        [most @ .., end] => format!("{} {last} {end}", most.join(", ")),
    }
}
