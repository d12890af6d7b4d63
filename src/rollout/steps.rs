//! In which steps nodes are converged: what needs nothing from others at once, the rest in the order of their needs.

use std::collections::BTreeSet;
use std::fmt;

use crate::architecture::Component;
use crate::deployment::{Deployment, Node, NodeName};

/// What is done in a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StepKind {
    /// Data disks, packages: what needs nothing from other nodes.
    Prepare,
    /// The one node that is configured before any other, because the package adds keys that all must share.
    First,
    /// Files, reconfigure, health, stamp.
    Configure,
}

/// Nodes that are worked on at the same time. The next step begins when all of them are done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// What is done.
    pub kind: StepKind,
    /// To which nodes, in the deployment's order.
    pub nodes: Vec<NodeName>,
    /// Why now and not with others.
    pub why: &'static str,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verb = match self.kind {
            StepKind::Prepare => "prepare",
            StepKind::First | StepKind::Configure => "configure",
        };
        match self.nodes.as_slice() {
            [only] => write!(f, "{verb} {only} alone"),
            nodes if self.kind == StepKind::Prepare => write!(f, "{verb} {} nodes at once", nodes.len()),
            nodes => {
                let names: Vec<&str> = nodes.iter().map(NodeName::as_str).collect();
                write!(f, "{verb} {}", names.join(", "))
            }
        }
    }
}

/// What is known of the deployment as a whole when its steps are laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Whether the keys that the package adds are known: some node was configured, and they were taken from it.
    pub keys_known: bool,
    /// Whether the deployment was built once, so that its other nodes serve while these are worked on.
    pub built: bool,
}

/// The steps in which these nodes are converged, in order.
#[must_use]
pub fn steps(deployment: &Deployment, converged: &[NodeName], standing: Standing) -> Vec<Step> {
    let mut rest: Vec<&Node> =
        deployment.nodes.values().filter(|node| converged.contains(&node.name)).collect();
    if rest.is_empty() {
        return Vec::new();
    }
    let prepare =
        Step { kind: StepKind::Prepare, nodes: names(&rest), why: "that needs nothing from other nodes" };
    let mut steps = vec![prepare];
    // A node that is the only one shares its keys with nobody.
    if !standing.keys_known
        && deployment.nodes.len() > 1
        && let Some(first) = first(deployment, &rest)
    {
        rest.retain(|node| node.name != first.name);
        let why = "the package adds keys of its own, which every other node gets from the store";
        steps.push(Step { kind: StepKind::First, nodes: vec![first.name.clone()], why });
    }
    while !rest.is_empty() {
        let mut wave = wave(deployment, &rest);
        if standing.built {
            wave = one_of_each(&wave);
        }
        rest.retain(|node| wave.iter().all(|taken| taken.name != node.name));
        steps.push(Step { kind: StepKind::Configure, nodes: names(&wave), why: why(deployment, &wave) });
    }
    steps
}

fn names(nodes: &[&Node]) -> Vec<NodeName> {
    nodes.iter().map(|node| node.name.clone()).collect()
}

/// The first node with the package that waits for nobody.
fn first<'a>(deployment: &Deployment, nodes: &[&'a Node]) -> Option<&'a Node> {
    wave(deployment, nodes).into_iter().find(|node| node.component.has_package())
}

/// The nodes that wait for none of the others. What is not among them stands already.
fn wave<'a>(deployment: &Deployment, rest: &[&'a Node]) -> Vec<&'a Node> {
    let ready = |node: &&Node| rest.iter().all(|other| !waits_for(deployment, node, other));
    let wave: Vec<&Node> = rest.iter().copied().filter(|node| ready(node)).collect();
    // The table of needs has no circle, and a test says so; were there one, nothing would be lost here.
    if wave.is_empty() { rest.to_vec() } else { wave }
}

/// Whether a node can be configured only after another.
fn waits_for(deployment: &Deployment, node: &Node, other: &Node) -> bool {
    if node.name == other.name {
        return false;
    }
    if node.component == other.component {
        // Its database is migrated by one of them before the others start.
        return deployment.is_deploy_node(other);
    }
    let needs = node.component.configure_needs();
    // What needs Rails needs the migrated database, and that is the deploy node's work alone.
    needs.contains(&other.component)
        && (other.component != Component::Rails || deployment.is_deploy_node(other))
}

/// One node of each tier: the others of a tier serve meanwhile, and a quorum loses no second member.
fn one_of_each<'a>(wave: &[&'a Node]) -> Vec<&'a Node> {
    let mut seen = BTreeSet::new();
    wave.iter().copied().filter(|node| seen.insert(node.component)).collect()
}

fn why(deployment: &Deployment, wave: &[&Node]) -> &'static str {
    match wave {
        [node] if node.component == Component::Rails && deployment.is_deploy_node(node) => {
            "it migrates the database, and all that it needs stands"
        }
        [_] => "all that it needs stands",
        _ => "all that they need stands",
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;
    use crate::deployment::testing::{cluster, demo};

    const BUILDING: Standing = Standing { keys_known: false, built: false };

    fn texts(deployment: &Deployment, standing: Standing) -> Vec<String> {
        let all: Vec<NodeName> = deployment.nodes.keys().cloned().collect();
        steps(deployment, &all, standing).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn one_node_is_prepared_and_configured() {
        let wanted = ["prepare demo-all-in-one-1 alone", "configure demo-all-in-one-1 alone"];
        assert_eq!(texts(&demo(), BUILDING), wanted);
        assert_eq!(texts(&demo(), Standing { keys_known: true, built: true }), wanted);
        assert!(steps(&demo(), &[], BUILDING).is_empty());
    }

    #[test]
    fn a_cluster_is_built_in_the_order_of_its_needs() {
        let found = texts(&cluster("demo"), BUILDING);
        let wanted = [
            "prepare 28 nodes at once",
            "configure demo-consul-1 alone",
            "configure demo-external-lb-1, demo-internal-lb-1, demo-consul-2, demo-consul-3, demo-redis-1, \
             demo-redis-2, demo-redis-3, demo-praefect-postgres-1, demo-gitaly-1, demo-gitaly-2, demo-gitaly-3, \
             demo-object-storage-1",
            "configure demo-postgres-1, demo-postgres-2, demo-postgres-3, demo-praefect-1",
            "configure demo-pgbouncer-1, demo-pgbouncer-2, demo-pgbouncer-3, demo-praefect-2, demo-praefect-3",
            "configure demo-rails-1 alone",
            "configure demo-sidekiq-1, demo-sidekiq-2, demo-rails-2, demo-rails-3, demo-monitor-1",
        ];
        assert_eq!(found, wanted);
    }

    proptest! {
        /// Whichever nodes are to be converged, in whichever state the deployment is.
        #[test]
        fn the_rules_hold_for_any_part_of_a_cluster(
            chosen in proptest::collection::vec(any::<bool>(), 28),
            keys_known in any::<bool>(),
            built in any::<bool>(),
        ) {
            let deployment = cluster("demo");
            let converged: Vec<NodeName> =
                deployment.nodes.keys().zip(&chosen).filter(|(_, chosen)| **chosen).map(|(name, _)| name.clone()).collect();
            let steps = steps(&deployment, &converged, Standing { keys_known, built });
            let Some((prepare, rest)) = steps.split_first() else {
                prop_assert!(converged.is_empty());
                return Ok(());
            };
            prop_assert_eq!(&prepare.nodes, &converged);
            let mut place = BTreeMap::new();
            for (index, step) in rest.iter().enumerate() {
                prop_assert!(!step.nodes.is_empty());
                for name in &step.nodes {
                    prop_assert!(place.insert(name, index).is_none(), "{} is configured twice", name);
                }
            }
            prop_assert!(converged.iter().all(|name| place.contains_key(name)) && place.len() == converged.len());
            let node = |name: &NodeName| &deployment.nodes[name];
            for (name, index) in &place {
                for (other, before) in &place {
                    if waits_for(&deployment, node(name), node(other)) {
                        prop_assert!(before < index, "{} before {}", name, other);
                    }
                }
            }
            for step in rest {
                let tiers: BTreeSet<_> = step.nodes.iter().map(|name| node(name).component).collect();
                prop_assert!(!built || tiers.len() == step.nodes.len(), "two of a tier in {}", step);
            }
            let firsts = rest.iter().filter(|step| step.kind == StepKind::First).count();
            let has_package = converged.iter().any(|name| node(name).component.has_package());
            prop_assert!(firsts <= 1 && (firsts == 0 || !keys_known));
            // Unless a node of the first wave has the package, the keys come from the first that has.
            if firsts == 0 && !keys_known && has_package {
                let wave = &rest[0];
                prop_assert!(wave.nodes.iter().all(|name| !node(name).component.has_package()));
            }
        }
    }
}
