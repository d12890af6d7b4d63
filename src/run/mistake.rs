//! Mistakes that the lab's tests put into what refarch delivers, so that every hash agrees and only a check that looks
//! at the cluster can find them. Part of builds for these tests alone.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Value, json};

use super::Error;
use crate::deployment::NodeName;
use crate::render::Tree;
use crate::rollout::NodeState;

/// The variable that names the file with the mistake.
const VARIABLE: &str = "REFARCH_TEST_MISTAKE";

/// What is delivered otherwise than it should be. An empty one takes an earlier one back.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Mistake {
    /// Texts in a node's gitlab.rb that are replaced by others.
    gitlab_rb: Vec<Replacement>,
    /// Values in the inventory, by their JSON pointers.
    inventory: BTreeMap<String, Value>,
    /// Secrets of a node.
    secrets: Vec<OtherSecret>,
    /// Certificates of a node.
    certificates: Vec<OtherCertificate>,
    /// The flows that the firewalls don't let through.
    closed_flows: Vec<ClosedFlow>,
}

/// A text and what stands there instead.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Replacement {
    node: NodeName,
    text: String,
    by: String,
}

/// A secret and its other value.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct OtherSecret {
    node: NodeName,
    name: String,
    value: String,
}

/// A certificate that a node serves instead of the deployment's, for the same key.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct OtherCertificate {
    node: NodeName,
    certificate: String,
}

/// A flow of the port table; over every transport where none is named. What it is for may stand beside it.
#[derive(Debug, Deserialize)]
struct ClosedFlow {
    from: String,
    to: String,
    port: u16,
    protocol: Option<String>,
}

impl ClosedFlow {
    fn is(&self, flow: &Value) -> bool {
        flow["from"] == self.from
            && flow["to"] == self.to
            && flow["port"] == self.port
            && self.protocol.as_ref().is_none_or(|protocol| flow["protocol"] == *protocol)
    }
}

impl Mistake {
    /// The mistake that the environment names; nothing in a run that makes none.
    pub fn of_environment(variable: impl Fn(&str) -> Option<String>) -> Result<Option<Self>, Error> {
        let Some(path) = variable(VARIABLE) else { return Ok(None) };
        let failed = |why: String| Error::LocalFile { path: path.clone().into(), why };
        let text = fs_err::read_to_string(&path).map_err(|error| failed(error.to_string()))?;
        serde_json::from_str(&text).map(Some).map_err(|error| failed(error.to_string()))
    }

    /// Puts it into the rendered files. A text or a flow that isn't there is an error: a test would prove nothing. What
    /// goes to nodes is only known with addresses.
    pub fn put_into(&self, tree: &mut Tree, is_bound: bool) -> Result<(), Error> {
        if is_bound {
            self.put_on_nodes(tree)?;
        }
        self.change_json(tree, "terraform/terraform.tfvars.json", |values| {
            let Some(flows) = values["flows"].as_array_mut() else { return false };
            let is_there = |closed: &ClosedFlow| flows.iter().any(|flow| closed.is(flow));
            let all_are_there = self.closed_flows.iter().all(is_there);
            flows.retain(|flow| !self.closed_flows.iter().any(|closed| closed.is(flow)));
            all_are_there
        })
    }

    fn put_on_nodes(&self, tree: &mut Tree) -> Result<(), Error> {
        for Replacement { node, text, by } in &self.gitlab_rb {
            let path = format!("ansible/files/{node}/gitlab.rb");
            let now = String::from_utf8_lossy(tree.get(&path).unwrap_or_default()).into_owned();
            if !now.contains(text) {
                return Err(Error::Outputs { why: format!("`{path}` has no `{text}`") });
            }
            tree.insert(path, now.replace(text, by));
        }
        self.change_json(tree, "ansible/inventory.json", wait_for_no_health)?;
        if !self.inventory.is_empty() {
            self.change_json(tree, "ansible/inventory.json", |inventory| {
                self.inventory.iter().all(|(pointer, value)| {
                    inventory.pointer_mut(pointer).map(|place| *place = value.clone()).is_some()
                })
            })?;
        }
        Ok(())
    }

    /// Changes a JSON file of the tree; an error where there was nothing to change.
    fn change_json(
        &self,
        tree: &mut Tree,
        path: &str,
        change: impl FnOnce(&mut Value) -> bool,
    ) -> Result<(), Error> {
        let mut value = serde_json::from_slice(tree.get(path).unwrap_or_default()).unwrap_or_default();
        if !change(&mut value) {
            return Err(Error::Outputs { why: format!("`{path}` has not what {self:?} is about") });
        }
        tree.insert(path, format!("{value:#}\n"));
        Ok(())
    }

    /// The other value of a node's secret.
    pub fn secret(&self, node: &NodeName, name: &str) -> Option<&str> {
        let mut others = self.secrets.iter();
        others.find(|other| other.node == *node && other.name == name).map(|other| other.value.as_str())
    }

    /// The other certificate of a node.
    pub fn certificate(&self, node: &NodeName) -> Option<&str> {
        let other = self.certificates.iter().find(|other| other.node == *node)?;
        Some(&other.certificate)
    }

    /// The nodes as they are while a cluster is built: refarch restarts no node of a built one, and a test has to.
    pub fn as_if_building(states: &mut BTreeMap<NodeName, NodeState>) {
        let disks = states.values_mut().flat_map(|state| &mut state.data_disks);
        disks.filter_map(|disk| disk.marker.as_mut()).for_each(|marker| marker.built = false);
    }
}

/// A node with a mistake may not become healthy; its configuration ends all the same, and its files are stamped.
fn wait_for_no_health(inventory: &mut Value) -> bool {
    let groups = inventory["all"]["children"].as_object_mut();
    let groups = groups.into_iter().flat_map(|groups| groups.values_mut());
    let hosts =
        groups.filter_map(|group| group["hosts"].as_object_mut()).flat_map(|hosts| hosts.values_mut());
    for host in hosts {
        host["gitlab_node_health"] = json!({ "kind": "ports", "ports": [22] });
    }
    true
}
