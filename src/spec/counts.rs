//! How many nodes of each component a spec asks for, and how many its architecture lets it ask for.

use indexmap::IndexMap;

use super::draft::Draft;
use super::managed::Managed;
use super::modifications::Modifications;
use super::nodes::Nodes;
use super::problem::{Findings, Problem};
use super::rule;
use super::types::{Size, Spec};
use crate::architecture::{Architecture, Component};

impl Spec {
    /// How many nodes each component has: as the architecture says, and over it what the spec says. A component without
    /// nodes is left out.
    #[must_use]
    pub fn counts(&self, architecture: &Architecture) -> IndexMap<Component, u32> {
        Said { nodes: &self.nodes, modifications: self.modifications, managed: &self.managed }
            .counts(architecture)
    }
}

/// What a spec says of its nodes.
pub(super) struct Said<'s> {
    nodes: &'s Nodes,
    modifications: Modifications,
    managed: &'s Managed,
}

impl<'s> Said<'s> {
    /// What a draft says, if it could be read.
    pub(super) fn of(draft: &'s Draft) -> Option<Self> {
        Some(Self {
            nodes: &draft.nodes.as_ref()?.nodes,
            modifications: draft.modifications.as_ref()?.modifications,
            managed: &draft.managed.as_ref()?.managed,
        })
    }

    pub(super) fn counts(&self, architecture: &Architecture) -> IndexMap<Component, u32> {
        architecture
            .components
            .iter()
            .filter(|(component, _)| self.without(**component).is_none())
            .map(|(component, size)| (*component, self.nodes.of(*component).count.unwrap_or(size.nodes)))
            .collect()
    }

    /// The key that takes the nodes of a component away.
    fn without(&self, component: Component) -> Option<&'static str> {
        self.modifications.without(component).or_else(|| self.managed.without(component))
    }
}

/// How many nodes a component may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Range {
    least: u32,
    most: u32,
}

/// How many nodes of a component an architecture allows: the documented number; more of what is spread over any number
/// of nodes; and on a 3k, fewer of what needs no majority.
///
/// Source: <https://docs.gitlab.com/administration/reference_architectures/3k_users/>, "Supported modifications for lower
/// user counts", and <https://docs.gitlab.com/administration/reference_architectures/>, "Scaling an environment" (read
/// 2026-08).
fn range(size: Size, component: Component, documented: u32, git_is_sharded: bool) -> Range {
    const MOST: u32 = 99;
    let spreads = match component {
        Component::Rails | Component::Sidekiq => size != Size::OneK,
        Component::Gitaly => git_is_sharded,
        _ => false,
    };
    let shrinks = size == Size::ThreeK
        && matches!(
            component,
            Component::Rails | Component::Sidekiq | Component::Postgres | Component::Pgbouncer
        );
    Range {
        least: if shrinks { documented.min(2) } else { documented },
        most: if spreads { MOST } else { documented },
    }
}

/// Checks what `nodes` and `settings` say against the architecture.
pub(super) fn check(draft: &Draft, architecture: &Architecture, size: Size, findings: &mut Findings) {
    let Some(said) = Said::of(draft) else { return };
    absent(draft, &said, architecture, findings);
    let Some(nodes) = &draft.nodes else { return };
    let git_is_sharded = !said.counts(architecture).contains_key(&Component::Praefect);
    for (component, count) in &nodes.counts {
        let Some(documented) = architecture.components.get(component) else { continue };
        let allowed = range(size, *component, documented.nodes, git_is_sharded);
        if (allowed.least..=allowed.most).contains(&count.value) {
            continue;
        }
        let problem = refused(*component, count.value, allowed, architecture);
        findings.add(problem.at(count.at.clone(), "not this many"));
    }
}

fn refused(component: Component, count: u32, allowed: Range, architecture: &Architecture) -> Problem {
    let name = &architecture.name;
    let votes = architecture.highly_available
        && matches!(
            component,
            Component::Consul
                | Component::Redis
                | Component::RedisCache
                | Component::RedisPersistent
                | Component::Praefect
        );
    let (rule, message) = if votes && (count < 3 || count.is_multiple_of(2)) {
        let message = format!(
            "`{component}` decides by majority, which takes an odd number of nodes and at least 3, and this is {count}"
        );
        (&rule::NODE_QUORUM, message)
    } else if count < allowed.least {
        let message =
            format!("a {name} has at least {} of `{component}`, and this is {count}", allowed.least);
        (&rule::NODES_TOO_FEW, message)
    } else {
        let message = format!("a {name} has {} of `{component}`, and this is {count}", allowed.most);
        (&rule::NODES_TOO_MANY, message)
    };
    let Range { least, most } = allowed;
    let page = &architecture.source.page;
    let help = if least == most {
        format!("remove it: on a {name}, it is always {most}; see {page}")
    } else {
        format!("write a number from {least} to {most}; see {page}")
    };
    Problem::new(rule, message).help(help)
}

/// Components of which there are no nodes.
fn absent(draft: &Draft, said: &Said<'_>, architecture: &Architecture, findings: &mut Findings) {
    let name = &architecture.name;
    let counts = said.counts(architecture);
    let nodes = draft.nodes.iter().flat_map(|draft| &draft.components).map(|named| ("nodes", named));
    let settings = draft.settings.iter().flat_map(|draft| &draft.components).map(|named| ("settings", named));
    for (block, named) in nodes.chain(settings) {
        let component = named.value;
        if counts.contains_key(&component) {
            continue;
        }
        let has = || {
            let has = counts.keys().filter(|component| block == "nodes" || component.has_package());
            has.map(|component| format!("`{component}`")).collect::<Vec<_>>().join(", ")
        };
        let (message, help) = match said.without(component) {
            Some(key) if architecture.components.contains_key(&component) => {
                (format!("`{key}` leaves no nodes of `{component}`"), format!("remove it, or `{key}`"))
            }
            _ => (
                format!("a {name} has no component `{component}`"),
                format!("remove it; a {name} has {}", has()),
            ),
        };
        findings.add(
            Problem::new(&rule::COMPONENT_ABSENT, message).at(named.at.clone(), "no such nodes").help(help),
        );
    }
}
