//! The rules that compare `nodes` with the architecture.

use super::draft::Draft;
use super::nodes::{Measure, NodesDraft, Size};
use super::problem::{Findings, Problem};
use super::rule;
use super::source::word;
use super::suggest::nearest;
use crate::architecture::{Architecture, of_size};

/// What the database of an instance takes at most at its beginning, in GB: a disk below leaves nothing for repositories.
/// Source: <https://docs.gitlab.com/install/requirements/> (read 2026-08), which gives 5 to 12 GB.
const LEAST_DATA_GB: u32 = 12;

const REQUIREMENTS: &str = "https://docs.gitlab.com/install/requirements/";

/// Checks sizes and names of nodes.
pub(super) fn check(draft: &Draft, findings: &mut Findings) {
    let (Some(nodes), Some(size)) = (&draft.nodes, &draft.architecture) else { return };
    if nodes.sizes.is_empty() && nodes.hosts.is_empty() {
        return;
    }
    // A test reads every one of them.
    let Ok(architecture) = of_size(size.value) else { return };
    for size in &nodes.sizes {
        if let Some(problem) = too_small(size, &architecture) {
            findings.add(problem);
        }
    }
    names(draft, nodes, &architecture, findings);
}

fn too_small(size: &Size, architecture: &Architecture) -> Option<Problem> {
    let wanted = architecture.components.get(&size.component)?;
    let (least, unit, rule, source) = match size.of {
        Measure::Vcpu => {
            (wanted.vcpu.into(), "vCPU", &rule::NODE_TOO_SMALL, architecture.source.page.as_str())
        }
        Measure::Memory => {
            (wanted.memory_gb, "GB of memory", &rule::NODE_TOO_SMALL, architecture.source.page.as_str())
        }
        Measure::RootDisk => {
            (wanted.disks.root_gb.into(), "GB for the system", &rule::DISK_TOO_SMALL, REQUIREMENTS)
        }
        Measure::DataDisk => (LEAST_DATA_GB.into(), "GB for data", &rule::DISK_TOO_SMALL, REQUIREMENTS),
    };
    if size.value.value >= least {
        return None;
    }
    let message =
        format!("`{}` is smaller than the {least} {unit} that a {} needs", size.path, architecture.name);
    let help = format!("write {least} or more, or remove it; see {source}");
    Some(Problem::new(rule, message).at(size.value.at.clone(), "too small").help(help))
}

fn names(draft: &Draft, nodes: &NodesDraft, architecture: &Architecture, findings: &mut Findings) {
    let Some(deployment) = &draft.name else { return };
    for (component, host) in &nodes.hosts {
        let count = architecture.components.get(component).map_or(0, |size| size.nodes);
        let name = |index| crate::deployment::NodeName::new(&deployment.value, *component, index).to_string();
        let known: Vec<String> = (1..=count).map(name).collect();
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
            (None, []) => format!("remove it: a {} has no such component", architecture.name),
        };
        findings
            .add(Problem::new(&rule::NODE_UNKNOWN, message).at(host.at.clone(), "no such node").help(help));
    }
}
