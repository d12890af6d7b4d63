//! `modifications`: how an architecture may be departed from, where the documentation supports it.

use schemars::JsonSchema;
use serde::Serialize;

use super::block::{Block, Field, Placed};
use super::problem::{Findings, Problem};
use super::rule;
use super::types::Size;
use crate::architecture::{Architecture, Component};

/// Departures from an architecture that the documentation supports.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Modifications {
    /// Gitaly nodes that each keep their own share of the repositories, in the place of a Gitaly Cluster: no Praefect, and
    /// no second copy of a repository. From 3k on. Default: a Gitaly Cluster.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "ShardedGitaly", default)]
    pub sharded_gitaly: Option<ShardedGitaly>,
    /// Background jobs on the Rails nodes, in the place of nodes of their own. On a 3k. Default: nodes of their own.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "SidekiqOnRails", default)]
    pub sidekiq_on_rails: Option<SidekiqOnRails>,
}

/// Sharded Gitaly has no settings.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct ShardedGitaly {}

/// Sidekiq on Rails nodes has no settings.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct SidekiqOnRails {}

impl Modifications {
    /// Whether the architecture is taken as it is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The key that takes the nodes of a component away.
    pub(super) const fn without(self, component: Component) -> Option<&'static str> {
        match component {
            Component::Praefect | Component::PraefectPostgres if self.sharded_gitaly.is_some() => {
                Some("modifications.sharded_gitaly")
            }
            Component::Sidekiq if self.sidekiq_on_rails.is_some() => Some("modifications.sidekiq_on_rails"),
            _ => None,
        }
    }
}

/// `modifications` as far as it could be read, and where each stands.
#[derive(Clone, Debug, Default)]
pub(super) struct ModificationsDraft {
    pub(super) modifications: Modifications,
    named: Vec<Placed<&'static str>>,
}

/// Reads the block behind `modifications`.
pub(super) fn read(field: &Field<'_>, findings: &mut Findings) -> Option<ModificationsDraft> {
    let mut block = Block::of(field, "`modifications: {sharded_gitaly: {}}`", findings)?;
    let mut draft = ModificationsDraft::default();
    if named(&mut block, SHARDED, &mut draft.named, findings) {
        draft.modifications.sharded_gitaly = Some(ShardedGitaly {});
    }
    if named(&mut block, ON_RAILS, &mut draft.named, findings) {
        draft.modifications.sidekiq_on_rails = Some(SidekiqOnRails {});
    }
    block.close(&[], findings);
    Some(draft)
}

const SHARDED: &str = "sharded_gitaly";
const ON_RAILS: &str = "sidekiq_on_rails";

/// Whether the block has the key of a modification, which has no keys of its own.
fn named(
    block: &mut Block<'_>,
    key: &'static str,
    named: &mut Vec<Placed<&'static str>>,
    findings: &mut Findings,
) -> bool {
    let Some(field) = block.optional(key) else { return false };
    let Some(inner) = Block::of(&field, &format!("`{key}: {{}}`"), findings) else { return false };
    inner.close(&[], findings);
    named.push(Placed { value: key, at: field.key_at.clone() });
    true
}

/// Refuses what the documentation doesn't support for an architecture.
///
/// Source: <https://docs.gitlab.com/administration/reference_architectures/3k_users/>, "Supported modifications for lower
/// user counts", and the footnotes of each page on Gitaly (read 2026-08).
pub(super) fn check(
    draft: &ModificationsDraft,
    architecture: &Architecture,
    size: Size,
    findings: &mut Findings,
) {
    let name = &architecture.name;
    for modification in &draft.named {
        let (message, help) = match modification.value {
            SHARDED if size == Size::TwoK => (
                "the Gitaly nodes of a 2k keep their own share anyway".to_owned(),
                "remove it; `nodes: {gitaly: {count: 2}}` makes a second one".to_owned(),
            ),
            SHARDED if architecture.components.contains_key(&Component::Praefect) => continue,
            ON_RAILS if size == Size::ThreeK => continue,
            ON_RAILS => (
                format!("a {name} has no Sidekiq on its Rails nodes"),
                format!(
                    "remove it: the documentation supports this on a 3k alone; see {}",
                    architecture.source.page
                ),
            ),
            _ => (
                format!("a {name} has no nodes of Gitaly"),
                "remove it: the one node runs everything".to_owned(),
            ),
        };
        findings.add(
            Problem::new(&rule::MODIFICATION, message).at(modification.at.clone(), "not here").help(help),
        );
    }
}
