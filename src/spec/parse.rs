//! From YAML to a tree in which every key and value knows its place. The only file that knows serde-saphyr.
//!
//! The tree keeps what a typed deserializer would stop at (unknown keys, doubled keys, wrong types), so that
//! all of it can be reported together.

use std::fmt;
use std::ops::Range;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::budget::BudgetBreach;
use serde_saphyr::options::{DuplicateKeyPolicy, MergeKeyPolicy, NonFiniteFloatPolicy};
use serde_saphyr::{Error, Location, MessageFormatter, Spanned, UserMessageFormatter};

use super::problem::Problem;
use super::rule;
use super::source::printable;

/// How deep lists and blocks may lie in one another.
const MAX_DEPTH: usize = 32;

/// A place in the file, in bytes.
pub(super) type Span = Range<usize>;

/// A value and where it stands.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) value: Value,
    pub(super) at: Span,
    /// Where the value is written: another place than `at` for an alias.
    pub(super) written: Span,
}

#[derive(Clone, Debug)]
pub(super) enum Value {
    Null,
    Bool(bool),
    Integer(i128),
    Float(f64),
    Text(String),
    List(Vec<Node>),
    Map(Vec<(Node, Node)>),
}

impl Value {
    /// What it is, as a message calls it.
    pub(super) const fn noun(&self) -> &'static str {
        match self {
            Self::Null => "nothing",
            Self::Bool(_) => "true or false",
            Self::Integer(_) | Self::Float(_) => "a number",
            Self::Text(_) => "text",
            Self::List(_) => "a list",
            Self::Map(_) => "a block of keys",
        }
    }
}

/// Reads a data file that the program carries, such as a reference architecture; an error is one sentence.
pub fn read_yaml<T: serde::de::DeserializeOwned>(text: &str) -> Result<T, String> {
    serde_saphyr::from_str(text).map_err(|error| error.to_string())
}

/// The tree of a YAML text, or what is wrong with the YAML.
pub(super) fn tree(text: &str) -> Result<Node, Problem> {
    let options = serde_saphyr::options! {
        with_snippet: false,
        duplicate_keys: DuplicateKeyPolicy::PassThrough,
        merge_keys: MergeKeyPolicy::AsOrdinary,
        // YAML 1.2: `no` and `on` are words, so that nobody's name turns into false.
        strict_booleans: true,
        non_finite_float_policy: NonFiniteFloatPolicy::AsString,
        leading_zero_numbers_as_strings: true,
        underscored_numbers_as_strings: true,
        reject_unsupported_tags: true,
        budget: serde_saphyr::budget! { max_depth: MAX_DEPTH, max_nodes: 20_000, max_events: 100_000 },
        alias_limits: serde_saphyr::alias_limits! { max_total_replayed_events: 1_000, max_replay_stack_depth: 8 },
    };
    serde_saphyr::from_str_with_options::<Node>(text, options).map_err(|error| problem(text, &error))
}

fn problem(text: &str, error: &Error) -> Problem {
    let at = error.location().map_or(0..0, |location| place(text, location));
    match root(error) {
        Error::MultipleDocuments { .. } => {
            let marker = text[..at.start].rfind("---").map_or(at, |start| start..start + 3);
            Problem::new(&rule::SEVERAL_DOCUMENTS, "the file holds more than one document")
                .at(marker, "the second one begins here")
        }
        Error::UnsupportedTag { .. } => {
            Problem::new(&rule::TAG, "this value has a tag that a spec doesn't know").at(at, "tagged")
        }
        Error::AliasReplayLimitExceeded { .. }
        | Error::AliasExpansionLimitExceeded { .. }
        | Error::AliasReplayStackDepthExceeded { .. }
        | Error::AliasReplayCounterOverflow { .. } => {
            Problem::new(&rule::ALIASES, "the aliases repeat more than a spec may hold")
                .at(at, "repeated here")
        }
        Error::RecursiveReferencesRequireWeakTypes { .. } => {
            Problem::new(&rule::ALIASES, "an alias stands inside of what it repeats").at(at, "this alias")
        }
        Error::Budget { breach: BudgetBreach::Depth { .. }, .. } => {
            Problem::new(&rule::NESTING, format!("the file nests more than {MAX_DEPTH} levels deep"))
                .at(at, "one level too many")
        }
        Error::Budget { .. } => {
            Problem::new(&rule::TOO_LARGE, "the file holds more values than a spec may have")
                .at(at, "one too many")
        }
        other => {
            let tabs = tabs(text);
            if tabs.first().is_some_and(|tab| tab.start <= at.end) {
                return tabbed(&tabs);
            }
            let said = UserMessageFormatter.format_message(other);
            Problem::new(&rule::SYNTAX, format!("this is not valid YAML: {}", printable(&said)))
                .at(at, "noticed here")
        }
    }
}

/// The error itself, without what serde-saphyr wraps around it.
fn root(error: &Error) -> &Error {
    match error {
        Error::AliasError { error, .. } | Error::WithSnippet { error, .. } => root(error),
        other => other,
    }
}

/// The tabs that lines are indented with.
fn tabs(text: &str) -> Vec<Span> {
    let mut start = 0;
    let mut found = Vec::new();
    for line in text.split_inclusive('\n') {
        let indent = line.len() - line.trim_start_matches([' ', '\t']).len();
        if let Some(tab) = line[..indent].find('\t') {
            found.push(start + tab..start + indent);
        }
        start += line.len();
    }
    found
}

fn tabbed(tabs: &[Span]) -> Problem {
    /// More labels than these would hide what they mark.
    const MOST_PLACES: usize = 5;
    let message = match tabs.len() {
        1 => "a line is indented with a tab".to_owned(),
        lines => format!("{lines} lines are indented with tabs"),
    };
    let problem = Problem::new(&rule::TAB, message);
    tabs.iter().take(MOST_PLACES).fold(problem, |problem, tab| problem.at(tab.clone(), "tab"))
}

/// The place of an error. Errors of the scanner know line and column only, both counted from 1.
fn place(text: &str, location: Location) -> Span {
    if location.span().byte_offset().is_some() {
        let span = span(location);
        return span.start.min(text.len())..span.end.min(text.len());
    }
    let index = |n: u64| usize::try_from(n.saturating_sub(1)).unwrap_or(usize::MAX);
    let start = match index(location.line()) {
        0 => 0,
        line => text.match_indices('\n').nth(line - 1).map_or(text.len(), |(at, _)| at + 1),
    };
    let line = text[start..].lines().next().unwrap_or_default();
    let (from, c) = line.char_indices().nth(index(location.column())).unwrap_or((line.len(), ' '));
    let end = (start + from + c.len_utf8()).min(text.len());
    (start + from).min(end)..end
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Spanned { value, referenced, defined, .. } = Spanned::<Value>::deserialize(deserializer)?;
        Ok(Self { value, at: span(referenced), written: span(defined) })
    }
}

fn span(location: Location) -> Span {
    let bytes = location.span();
    let of = |n: Option<u64>| n.and_then(|n| usize::try_from(n).ok()).unwrap_or(0);
    let start = of(bytes.byte_offset());
    start..start.saturating_add(of(bytes.byte_len()))
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Any)
    }
}

struct Any;

impl<'de> Visitor<'de> for Any {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any YAML value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Value, E> {
        Ok(Value::Integer(number.into()))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Value, E> {
        Ok(Value::Integer(number.into()))
    }

    fn visit_i128<E>(self, number: i128) -> Result<Value, E> {
        Ok(Value::Integer(number))
    }

    fn visit_u128<E>(self, number: u128) -> Result<Value, E> {
        Ok(Value::Integer(i128::try_from(number).unwrap_or(i128::MAX)))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Value, E> {
        Ok(Value::Float(number))
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(Value::Text(text.to_owned()))
    }

    fn visit_string<E>(self, text: String) -> Result<Value, E> {
        Ok(Value::Text(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Value::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut map = Vec::new();
        while let Some(entry) = entries.next_entry()? {
            map.push(entry);
        }
        Ok(Value::Map(map))
    }
}
