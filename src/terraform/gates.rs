//! What a plan may not do to data. Pure: a plan and what is known go in, refusals come out.

use std::collections::BTreeSet;
use std::fmt;

use miette::Diagnostic;
use thiserror::Error;

use super::{Action, Plan, ResourceChange};
use crate::exit::ExitCode;
use crate::workdir::{DataDisk, DataDisks};

/// The types of data disks in the modules.
const DATA_DISKS: [&str; 1] = ["lab_disk"];
/// Terraform's word for what was never made to the end.
pub const TAINTED: &str = "replace_because_tainted";

/// How data would be lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loss {
    /// The plan removes the disk.
    Removed,
    /// The plan replaces the disk by an empty one.
    Replaced,
    /// The disk is gone already, and the plan makes an empty one in its place.
    Gone,
    /// The plan leaves the disk without anyone who knows of it.
    Forgotten,
    /// The plan does something to the disk that refarch doesn't know.
    Unknown,
}

/// A plan that is not carried out, because of one disk.
#[derive(Clone, Debug, PartialEq, Eq, Error, Diagnostic)]
#[error("apply the plan: {loss}: disk `{disk}` of node `{node}` ({address})")]
#[diagnostic(code(refarch::terraform::data_loss), help("{}", self.ways_on()))]
pub struct Refusal {
    /// The node.
    pub node: String,
    /// The disk's name on it.
    pub disk: String,
    /// The disk's address in the plan.
    pub address: String,
    /// How data would be lost.
    pub loss: Loss,
    /// What the work directory knows of the disk.
    pub known: Option<DataDisk>,
    /// The attributes that force a replacement.
    pub because: Vec<String>,
}

impl Refusal {
    /// How the run ends because of it.
    #[must_use]
    pub const fn exit_code(&self) -> ExitCode {
        ExitCode::Refused
    }

    fn ways_on(&self) -> String {
        let held = match &self.known {
            Some(DataDisk { uuid: Some(uuid), built: true }) => {
                format!("It holds the data of a deployment that was in service (file system {uuid}).")
            }
            Some(DataDisk { uuid: Some(uuid), built: false }) => {
                format!("It holds a file system ({uuid}) of a deployment that was being built.")
            }
            Some(DataDisk { uuid: None, .. }) => "It was given to the node before.".to_owned(),
            None => "What it holds is not known.".to_owned(),
        };
        let node = &self.node;
        let on = match self.loss {
            Loss::Gone => format!(
                "Bring the disk back (from where it was moved, or from a backup) and run the same command again. If the data is lost for good, `--accept-data-loss {node}` makes an empty disk in its place."
            ),
            Loss::Replaced | Loss::Removed => format!(
                "Take back the change of the spec that asks for this, or move the data away first. To give up the data of this node, run the same command with `--accept-data-loss {node}`."
            ),
            Loss::Forgotten | Loss::Unknown => {
                "Nothing was changed. Use the version of Terraform and of refarch that made the deployment."
                    .to_owned()
            }
        };
        let because = match self.because.as_slice() {
            [] => String::new(),
            paths => format!(" The replacement is forced by: {}.", paths.join(", ")),
        };
        format!("{held}{because} {on}")
    }
}

impl Loss {
    /// Whether a user can accept it. What is not understood can't be agreed to.
    #[must_use]
    pub const fn can_be_accepted(self) -> bool {
        matches!(self, Self::Removed | Self::Replaced | Self::Gone)
    }
}

impl fmt::Display for Loss {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Removed => "it would remove a data disk",
            Self::Replaced => "it would replace a data disk by an empty one",
            Self::Gone => "a data disk is gone, and an empty one would take its place",
            Self::Forgotten => "it would forget a data disk",
            Self::Unknown => "it would do something unknown to a data disk",
        })
    }
}

/// Every reason not to carry out a plan. For destroying a deployment nobody asks: the user named it.
#[must_use]
pub fn gates(plan: &Plan, known: &DataDisks) -> Vec<Refusal> {
    let disks = plan.resource_changes.iter().filter(|change| DATA_DISKS.contains(&change.kind.as_str()));
    disks.filter_map(|change| judge(change, known)).collect()
}

/// Sorts the reasons into those that stand and those that the user accepted beforehand, by node.
#[must_use]
pub fn without_accepted(reasons: Vec<Refusal>, accepted: &BTreeSet<String>) -> (Vec<Refusal>, Vec<Refusal>) {
    reasons
        .into_iter()
        .partition(|reason| !(reason.loss.can_be_accepted() && accepted.contains(&reason.node)))
}

fn judge(change: &ResourceChange, known: &DataDisks) -> Option<Refusal> {
    let index = change.index.as_deref().unwrap_or_default();
    // Modules key disks by `NODE-DISK`; the work directory knows them by `NODE/DISK`.
    let found = known.iter().find(|(key, _)| key.replace('/', "-") == index);
    let loss = match change.action {
        Action::NoOp | Action::Read | Action::Update => return None,
        Action::Create if found.is_none() => return None,
        Action::Create => Loss::Gone,
        // It was never made to the end, and nobody has seen it with data.
        Action::Replace if found.is_none() && change.reason.as_deref() == Some(TAINTED) => return None,
        Action::Replace => Loss::Replaced,
        Action::Delete => Loss::Removed,
        Action::Forget => Loss::Forgotten,
        Action::Unknown => Loss::Unknown,
    };
    let (node, disk) = found
        .and_then(|(key, _)| key.split_once('/'))
        .or_else(|| index.rsplit_once('-'))
        .unwrap_or((index, "unknown"));
    Some(Refusal {
        node: node.to_owned(),
        disk: disk.to_owned(),
        address: change.address.clone(),
        loss,
        known: found.map(|(_, disk)| disk.clone()),
        because: change.replace_paths.clone(),
    })
}

#[cfg(test)]
mod tests {
    use miette::Diagnostic as _;

    use super::*;

    fn change(kind: &str, index: &str, action: Action) -> ResourceChange {
        ResourceChange {
            address: format!("module.environment.{kind}.data[\"{index}\"]"),
            kind: kind.into(),
            name: "data".into(),
            index: Some(index.into()),
            action,
            reason: None,
            replace_paths: vec![],
        }
    }

    fn judged(change: ResourceChange, known: &DataDisks) -> Vec<Loss> {
        let plan = Plan { resource_changes: vec![change], ..Plan::default() };
        gates(&plan, known).into_iter().map(|refusal| refusal.loss).collect()
    }

    fn known() -> DataDisks {
        let disk = DataDisk { uuid: Some("6c0f".into()), built: true };
        DataDisks::from([("demo-all-in-one-1/data".to_owned(), disk)])
    }

    #[test]
    fn judges_every_action_on_a_disk() {
        let (known, none) = (known(), DataDisks::new());
        for (action, with_data, without) in [
            (Action::NoOp, None, None),
            (Action::Read, None, None),
            (Action::Update, None, None),
            (Action::Create, Some(Loss::Gone), None),
            (Action::Delete, Some(Loss::Removed), Some(Loss::Removed)),
            (Action::Replace, Some(Loss::Replaced), Some(Loss::Replaced)),
            (Action::Forget, Some(Loss::Forgotten), Some(Loss::Forgotten)),
            (Action::Unknown, Some(Loss::Unknown), Some(Loss::Unknown)),
        ] {
            let disk = change("lab_disk", "demo-all-in-one-1-data", action);
            assert_eq!(judged(disk.clone(), &known), Vec::from_iter(with_data), "{action:?}");
            assert_eq!(judged(disk, &none), Vec::from_iter(without), "{action:?}");
        }
    }

    #[test]
    fn a_disk_that_was_never_finished_may_be_made_again() {
        let mut disk = change("lab_disk", "demo-all-in-one-1-data", Action::Replace);
        disk.reason = Some(TAINTED.into());
        assert_eq!(judged(disk.clone(), &DataDisks::new()), []);
        assert_eq!(judged(disk, &known()), [Loss::Replaced]);
    }

    #[test]
    fn hosts_may_come_and_go() {
        for action in [Action::Create, Action::Delete, Action::Replace] {
            assert_eq!(judged(change("lab_host", "demo-all-in-one-1", action), &known()), []);
        }
    }

    #[test]
    fn says_which_disk_what_is_lost_and_what_to_do() {
        let disk = change("lab_disk", "demo-all-in-one-1-data", Action::Create);
        let plan = Plan { resource_changes: vec![disk], ..Plan::default() };
        let refusal = gates(&plan, &known()).remove(0);
        assert_eq!(
            refusal.to_string(),
            "apply the plan: a data disk is gone, and an empty one would take its place: disk `data` of node \
             `demo-all-in-one-1` (module.environment.lab_disk.data[\"demo-all-in-one-1-data\"])"
        );
        let help = refusal.help().unwrap().to_string();
        assert!(help.contains("file system 6c0f"), "{help}");
        assert!(help.contains("`--accept-data-loss demo-all-in-one-1`"), "{help}");
        assert_eq!(refusal.exit_code(), ExitCode::Refused);
    }

    #[test]
    fn acceptance_opens_the_gate_of_one_node_and_only_for_what_is_understood() {
        let accepted = BTreeSet::from(["demo-all-in-one-1".to_owned()]);
        let none = BTreeSet::new();
        for (action, opens) in [
            (Action::Create, true),
            (Action::Delete, true),
            (Action::Replace, true),
            (Action::Forget, false),
            (Action::Unknown, false),
        ] {
            for (index, named) in [("demo-all-in-one-1-data", true), ("demo-gitaly-1-data", false)] {
                let disk = change("lab_disk", index, action);
                let mut known = known();
                known.insert("demo-gitaly-1/data".into(), DataDisk::default());
                let plan = Plan { resource_changes: vec![disk], ..Plan::default() };
                let (stands, given_up) = without_accepted(gates(&plan, &known), &accepted);
                let expected = if named && opens { (0, 1) } else { (1, 0) };
                assert_eq!((stands.len(), given_up.len()), expected, "{action:?} of {index}");
                assert_eq!(without_accepted(gates(&plan, &known), &none).0.len(), 1);
            }
        }
    }

    #[test]
    fn a_disk_without_a_key_is_refused_by_its_address() {
        let mut disk = change("lab_disk", "", Action::Delete);
        disk.index = None;
        assert_eq!(judged(disk, &known()), [Loss::Removed]);
    }
}
