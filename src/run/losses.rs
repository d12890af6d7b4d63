//! Data that the user gave up beforehand, node by node: which of it a run met, and what is forgotten with it.

use std::collections::BTreeSet;
use std::time::Duration;

use super::{Error, world::World};
use crate::deployment::Deployment;
use crate::events::{Finding, Kind, Status};
use crate::rollout::LostDisk;
use crate::terraform::Refusal;
use crate::workdir::DataDisks;

/// The name of the finding that keeps a loss in the report.
const CHECK: &str = "data_given_up";

/// A data disk whose content is lost with the user's consent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GivenUp {
    /// The node.
    pub node: String,
    /// The disk's name on it.
    pub disk: String,
    /// The file system that held the data, as far as it was known.
    pub uuid: Option<String>,
    /// How it is lost, in words.
    pub how: String,
    /// Who holds the same data, as the living nodes of the tier proved in this run: then nothing is lost.
    pub held: Option<String>,
}

impl GivenUp {
    /// In one line.
    #[must_use]
    pub fn sentence(&self) -> String {
        let Self { node, disk, how, held, .. } = self;
        let file_system = self.uuid.as_ref().map(|uuid| format!(" (file system {uuid})")).unwrap_or_default();
        if let Some(held) = held {
            return format!(
                "disk `{disk}` of {node}{file_system} is replaced without a loss, because {held}: {how}"
            );
        }
        format!("the data of disk `{disk}` of {node}{file_system} is given up, as was asked for: {how}")
    }

    fn finding(&self) -> Finding {
        Finding {
            check: CHECK.into(),
            status: Status::Warn,
            asked: "the plan and the nodes, before anything was changed".into(),
            saw: self.sentence(),
            wanted: "every data disk with the data that it held".into(),
            why: "what the node held is gone, and other nodes may still refer to it".into(),
            remedy: Some("restore a backup, if the data was of use".into()),
            node: Some(self.node.clone()),
            duration: Duration::ZERO,
        }
    }
}

impl From<&Refusal> for GivenUp {
    fn from(refusal: &Refusal) -> Self {
        Self {
            node: refusal.node.clone(),
            disk: refusal.disk.clone(),
            uuid: refusal.known.as_ref().and_then(|disk| disk.uuid.clone()),
            how: refusal.loss.to_string(),
            held: None,
        }
    }
}

impl From<&LostDisk> for GivenUp {
    fn from(lost: &LostDisk) -> Self {
        Self {
            node: lost.node.to_string(),
            disk: lost.disk.clone(),
            uuid: Some(lost.uuid.clone()),
            how: format!("now {}", lost.found),
            held: lost.held.clone(),
        }
    }
}

/// The nodes that `--accept-data-loss` names. Each must be one of this deployment: a slip of the pen must neither
/// open another node's gate nor be taken for an answer.
pub fn accepted(
    names: &[String],
    deployment: &Deployment,
    known: &DataDisks,
) -> Result<BTreeSet<String>, Error> {
    let nodes = deployment.nodes.keys().map(ToString::to_string);
    // A node that the spec no longer has may still hold data.
    let past = known.keys().filter_map(|key| Some(key.split_once('/')?.0.to_owned()));
    let nodes: BTreeSet<String> = nodes.chain(past).collect();
    match names.iter().find(|name| !nodes.contains(*name)) {
        Some(name) => Err(Error::NoSuchNode { name: name.clone(), nodes: nodes.into_iter().collect() }),
        None => Ok(names.iter().cloned().collect()),
    }
}

/// Tells of each loss before anything is changed.
pub fn tell(world: &World, losses: &[GivenUp]) {
    for loss in losses {
        if loss.held.is_some() {
            world.events.note(loss.sentence());
        } else {
            let GivenUp { node, disk, uuid, how, .. } = loss.clone();
            world.events.send(Kind::DataGivenUp { node, disk, uuid, how });
        }
    }
}

/// Forgets what was known of these disks, and of no other: new ones take their place, and hold nothing yet.
pub fn forget(world: &mut World, losses: Vec<GivenUp>) -> Result<(), Error> {
    if losses.is_empty() {
        return Ok(());
    }
    for loss in &losses {
        world.secrets.data_disks.remove(&format!("{}/{}", loss.node, loss.disk));
    }
    world.given_up.extend(losses.into_iter().filter(|loss| loss.held.is_none()));
    Ok(world.secrets.save(&world.workdir)?)
}

/// What the report has to say of them.
pub fn findings(world: &World) -> impl Iterator<Item = Finding> {
    world.given_up.iter().map(GivenUp::finding)
}

/// ` and give up the data of NODE`, for the run's question.
#[must_use]
pub fn asked(losses: &[GivenUp]) -> String {
    let lost = losses.iter().filter(|loss| loss.held.is_none());
    let nodes: BTreeSet<&str> = lost.map(|loss| loss.node.as_str()).collect();
    if nodes.is_empty() {
        return String::new();
    }
    format!(" and give up the data of {}", nodes.into_iter().collect::<Vec<_>>().join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deployment::testing::demo as deployment;
    use crate::workdir::DataDisk;

    #[test]
    fn only_nodes_of_the_deployment_can_be_named() {
        let known = DataDisks::from([("demo-gitaly-1/data".to_owned(), DataDisk::default())]);
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let wanted = names(&["demo-all-in-one-1", "demo-gitaly-1"]);
        let found = accepted(&wanted, &deployment(), &known).expect("both are known");
        assert_eq!(found.into_iter().collect::<Vec<_>>(), wanted);
        let error = accepted(&names(&["demo-all-in-one"]), &deployment(), &known).unwrap_err();
        assert_eq!(error.exit_code(), crate::exit::ExitCode::Usage);
        assert!(error.to_string().contains("demo-all-in-one` names no node"), "{error}");
    }

    #[test]
    fn a_loss_is_told_with_node_disk_and_file_system() {
        let lost = GivenUp {
            node: "demo-all-in-one-1".into(),
            disk: "data".into(),
            uuid: Some("6c0f".into()),
            how: "now the device is missing".into(),
            held: None,
        };
        let finding = lost.finding();
        assert_eq!((finding.status, finding.node.as_deref()), (Status::Warn, Some("demo-all-in-one-1")));
        assert!(
            finding.saw.contains("disk `data` of demo-all-in-one-1 (file system 6c0f)"),
            "{}",
            finding.saw
        );
        assert_eq!(asked(&[lost.clone(), lost.clone()]), " and give up the data of demo-all-in-one-1");
        assert_eq!(asked(&[]), "");
        let held = GivenUp { held: Some("another leads".into()), ..lost };
        assert_eq!(asked(std::slice::from_ref(&held)), "", "nothing is given up");
        assert!(held.sentence().contains("without a loss, because another leads"), "{}", held.sentence());
    }
}
