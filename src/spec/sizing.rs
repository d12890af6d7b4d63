//! The rules that compare what is said of nodes with the architecture.

use super::counts;
use super::draft::Draft;
use super::managed;
use super::modifications;
use super::nodes::{Measure, NodesDraft, Size};
use super::problem::{Findings, Problem};
use super::rule;
use super::source::word;
use super::suggest::nearest;
use super::types;
use crate::architecture::{Architecture, Component, of_size};
use crate::deployment::NodeName;

/// What a database takes at most at its beginning, in GB: a disk below leaves nothing to grow.
/// Source: <https://docs.gitlab.com/install/requirements/> (read 2026-08), which gives 5 to 12 GB.
const LEAST_DATABASE_GB: u32 = 12;

const REQUIREMENTS: &str = "https://docs.gitlab.com/install/requirements/";

/// Checks sizes and names of nodes.
pub(super) fn check(draft: &Draft, findings: &mut Findings) {
    let Some(size) = &draft.architecture else { return };
    if !says_something(draft) {
        return;
    }
    // A test reads every one of them.
    let Ok(architecture) = of_size(size.value) else { return };
    if let Some(draft) = &draft.modifications {
        modifications::check(draft, &architecture, size.value, findings);
    }
    if let Some(draft) = &draft.managed {
        managed::check(draft, size.value, findings);
    }
    counts::check(draft, &architecture, size.value, findings);
    let Some(nodes) = &draft.nodes else { return };
    for given in &nodes.sizes {
        if let Some(problem) = too_small(given, &architecture, size.value) {
            findings.add(problem);
        }
    }
    names(draft, nodes, &architecture, findings);
}

/// Whether there is anything to compare: to read an architecture takes as long as to read a spec.
fn says_something(draft: &Draft) -> bool {
    draft.nodes.as_ref().is_some_and(|nodes| !nodes.components.is_empty())
        || draft.settings.as_ref().is_some_and(|settings| !settings.components.is_empty())
        || draft.modifications.as_ref().is_some_and(|draft| !draft.modifications.is_empty())
        || draft.managed.as_ref().is_some_and(|draft| !draft.managed.is_empty())
}

/// The least vCPU and memory in GB of a node of a 3k that is made smaller. The documentation lets all of them shrink as
/// far as the general requirements, which speak of whole instances. So this is ours: the smallest node of any reference
/// architecture, and for Rails the memory of two Puma workers and what stands beside them.
///
/// Source: <https://docs.gitlab.com/administration/reference_architectures/3k_users/>, "Supported modifications for lower
/// user counts" (read 2026-08).
const fn least_of_any(component: Component) -> (u32, f64) {
    match component {
        Component::Rails => (2, 4.0),
        _ => (1, 1.8),
    }
}

fn too_small(given: &Size, architecture: &Architecture, size: types::Size) -> Option<Problem> {
    let wanted = architecture.components.get(&given.component)?;
    let (vcpu, memory_gb) = match size {
        types::Size::ThreeK => least_of_any(given.component),
        _ => (wanted.vcpu, wanted.memory_gb),
    };
    let page = architecture.source.page.as_str();
    let (least, unit, rule, source) = match given.of {
        Measure::Vcpu => (vcpu.into(), "vCPU", &rule::NODE_TOO_SMALL, page),
        Measure::Memory => (memory_gb, "GB of memory", &rule::NODE_TOO_SMALL, page),
        Measure::RootDisk => {
            (wanted.disks.root_gb.into(), "GB for the system", &rule::DISK_TOO_SMALL, REQUIREMENTS)
        }
        Measure::DataDisk if given.component.data_mount().is_none() => {
            let message =
                format!("`{}` sizes a disk, and `{}` has none for data", given.path, given.component);
            return Some(Problem::new(&rule::DISK_NONE, message).at(given.value.at.clone(), "no such disk"));
        }
        Measure::DataDisk => {
            (least_data_gb(given.component).into(), "GB for data", &rule::DISK_TOO_SMALL, REQUIREMENTS)
        }
        Measure::Count => return None,
    };
    if given.value.value >= least {
        return None;
    }
    let message =
        format!("`{}` is smaller than the {least} {unit} that a {} needs", given.path, architecture.name);
    let help = format!("write {least} or more, or remove it; see {source}");
    Some(Problem::new(rule, message).at(given.value.at.clone(), "too small").help(help))
}

/// The least size of the disk that holds what a component keeps, in GB.
const fn least_data_gb(component: Component) -> u32 {
    match component {
        Component::AllInOne | Component::Postgres => LEAST_DATABASE_GB,
        _ => 1,
    }
}

fn names(draft: &Draft, nodes: &NodesDraft, architecture: &Architecture, findings: &mut Findings) {
    let Some(deployment) = &draft.name else { return };
    let Some(counts) = counts::Said::of(draft).map(|said| said.counts(architecture)) else { return };
    for (component, host) in &nodes.hosts {
        // A component that isn't there has been reported as a whole.
        let Some(count) = counts.get(component).copied() else { continue };
        let name = |index| NodeName::new(&deployment.value, *component, index).to_string();
        let pools = nodes.nodes.of(*component).pools.iter().flat_map(|pool| {
            let name =
                |index| NodeName::of_pool(&deployment.value, *component, &pool.name, index).to_string();
            (1..=pool.count).map(name)
        });
        let known: Vec<String> = (1..=count).map(name).chain(pools).collect();
        if known.contains(&host.value) {
            continue;
        }
        let message =
            format!("`nodes.{component}.hosts` names `{}`, and there is no such node", word(&host.value));
        let known: Vec<&str> = known.iter().map(String::as_str).collect();
        let help = match (nearest(&host.value, &known), known.as_slice()) {
            (Some(meant), _) => format!("write `{meant}`, if that is what you meant"),
            (None, [only]) => format!("write `{only}`, the only node of this component"),
            (None, [first, .., last]) => format!("write one from `{first}` to `{last}`"),
            (None, []) => "remove it".to_owned(),
        };
        findings
            .add(Problem::new(&rule::NODE_UNKNOWN, message).at(host.at.clone(), "no such node").help(help));
    }
}
