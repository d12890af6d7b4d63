//! Praefect's decisions, from what its database says of a repository and which Gitalys are healthy: who serves a
//! read, who takes a write, who has to be brought up to date, and from whom.
//! <https://docs.gitlab.com/administration/gitaly/praefect/recovery/#primary-node-failure>

use std::collections::{BTreeMap, BTreeSet};

/// What the database says of a repository.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Record {
    /// How many writes it has seen.
    pub generation: i64,
    /// The storage that takes writes first.
    pub primary: Option<String>,
    /// How many of the writes each storage has, by storage; one that is missing has no copy.
    pub replicas: BTreeMap<String, i64>,
}

/// Where a write goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// Takes it first.
    pub primary: String,
    /// Get it from the primary.
    pub secondaries: Vec<String>,
}

/// Why a request isn't served.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// No healthy Gitaly has the latest write.
    #[error("repository is unavailable: no healthy replica is up to date")]
    Unavailable,
    /// Fewer than half of the Gitalys are healthy.
    #[error("unable to achieve quorum: too few Gitaly nodes are healthy")]
    NoQuorum,
}

impl Record {
    /// Whether a storage has every write.
    #[must_use]
    pub fn is_current(&self, storage: &str) -> bool {
        self.replicas.get(storage) == Some(&self.generation)
    }

    /// The storages that have every write and are healthy, the primary first.
    #[must_use]
    pub fn readable(&self, healthy: &BTreeSet<String>) -> Vec<String> {
        let current = |storage: &&String| healthy.contains(*storage) && self.is_current(storage);
        let mut found: Vec<String> = self.replicas.keys().filter(current).cloned().collect();
        found.sort_by_key(|storage| self.primary.as_ref() != Some(storage));
        found
    }

    /// Where a write goes: to the primary while it is healthy and current, else to another that is; the other
    /// healthy ones follow. More than half of all nodes have to be healthy.
    pub fn writable(&self, nodes: &[String], healthy: &BTreeSet<String>) -> Result<Route, Refusal> {
        let alive: Vec<&String> = nodes.iter().filter(|node| healthy.contains(*node)).collect();
        let primary = self.readable(healthy).into_iter().next().ok_or(Refusal::Unavailable)?;
        if alive.len() * 2 <= nodes.len() {
            return Err(Refusal::NoQuorum);
        }
        let secondaries = alive.into_iter().filter(|node| **node != primary).cloned().collect();
        Ok(Route { primary, secondaries })
    }

    /// Which healthy storages lack writes, and a current one to get them from. A storage without a record lacks
    /// everything, whatever lies on its disk.
    #[must_use]
    pub fn outdated(&self, nodes: &[String], healthy: &BTreeSet<String>) -> Option<(String, Vec<String>)> {
        let source = self.readable(healthy).into_iter().next()?;
        let behind = |node: &&String| healthy.contains(*node) && !self.is_current(node);
        let targets: Vec<String> = nodes.iter().filter(behind).cloned().collect();
        (!targets.is_empty()).then_some((source, targets))
    }
}

/// Where a new repository is made first, and where then.
pub fn creation(nodes: &[String], healthy: &BTreeSet<String>, chance: usize) -> Result<Route, Refusal> {
    let mut alive: Vec<String> = nodes.iter().filter(|node| healthy.contains(*node)).cloned().collect();
    if alive.is_empty() {
        return Err(Refusal::Unavailable);
    }
    if alive.len() * 2 <= nodes.len() {
        return Err(Refusal::NoQuorum);
    }
    let primary = alive.remove(chance % alive.len());
    Ok(Route { primary, secondaries: alive })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(all: &[&str]) -> Vec<String> {
        all.iter().map(|name| (*name).to_owned()).collect()
    }

    fn set(all: &[&str]) -> BTreeSet<String> {
        names(all).into_iter().collect()
    }

    fn nodes() -> Vec<String> {
        names(&["g1", "g2", "g3"])
    }

    fn record(generation: i64, primary: &str, replicas: &[(&str, i64)]) -> Record {
        Record {
            generation,
            primary: Some(primary.to_owned()),
            replicas: replicas.iter().map(|(name, generation)| ((*name).to_owned(), *generation)).collect(),
        }
    }

    #[test]
    fn a_read_is_served_by_who_has_every_write() {
        let one_behind = record(7, "g2", &[("g1", 7), ("g2", 7), ("g3", 6)]);
        assert_eq!(one_behind.readable(&set(&["g1", "g2", "g3"])), names(&["g2", "g1"]));
        assert_eq!(one_behind.readable(&set(&["g1", "g3"])), names(&["g1"]), "the primary is down");
        assert!(one_behind.readable(&set(&["g3"])).is_empty(), "an old copy is never served");
    }

    #[test]
    fn a_write_moves_to_another_primary_when_its_own_is_down() {
        let whole = record(3, "g1", &[("g1", 3), ("g2", 3), ("g3", 3)]);
        let route = whole.writable(&nodes(), &set(&["g1", "g2", "g3"])).expect("all are healthy");
        assert_eq!(route, Route { primary: "g1".into(), secondaries: names(&["g2", "g3"]) });
        let route = whole.writable(&nodes(), &set(&["g2", "g3"])).expect("two are healthy");
        assert_eq!(route, Route { primary: "g2".into(), secondaries: names(&["g3"]) });
        assert_eq!(whole.writable(&nodes(), &set(&["g3"])), Err(Refusal::NoQuorum));
        assert_eq!(whole.writable(&nodes(), &set(&[])), Err(Refusal::Unavailable));
    }

    #[test]
    fn a_primary_that_came_back_old_is_not_written_to() {
        let behind = record(5, "g1", &[("g1", 4), ("g2", 5), ("g3", 5)]);
        let route = behind.writable(&nodes(), &set(&["g1", "g2", "g3"])).expect("two are current");
        assert_eq!(route.primary, "g2");
        assert_eq!(route.secondaries, names(&["g1", "g3"]));
    }

    #[test]
    fn a_storage_that_came_back_empty_is_filled_and_not_read() {
        let emptied = record(5, "g1", &[("g2", 5), ("g3", 5)]);
        let all = set(&["g1", "g2", "g3"]);
        assert_eq!(emptied.readable(&all), names(&["g2", "g3"]));
        assert_eq!(emptied.outdated(&nodes(), &all), Some(("g2".to_owned(), names(&["g1"]))));
        let alone = record(5, "g1", &[("g1", 5)]);
        assert_eq!(alone.outdated(&nodes(), &set(&["g2", "g3"])), None, "there is nobody to get it from");
    }

    #[test]
    fn a_new_repository_needs_a_majority() {
        let route = creation(&nodes(), &set(&["g1", "g3"]), 1).expect("two of three");
        assert_eq!(route, Route { primary: "g3".into(), secondaries: names(&["g1"]) });
        assert_eq!(creation(&nodes(), &set(&["g1"]), 0), Err(Refusal::NoQuorum));
        assert_eq!(creation(&nodes(), &set(&[]), 0), Err(Refusal::Unavailable));
    }
}
