//! What a saved plan would do, read from Terraform's JSON. What isn't understood is an error, not a guess.

use serde::Deserialize;
use serde_json::Value;

use crate::events::Changes;

/// What Terraform would do to one resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Nothing.
    NoOp,
    /// Read it, as a data source.
    Read,
    /// Make it.
    Create,
    /// Change it in place.
    Update,
    /// Remove it.
    Delete,
    /// Remove it and make it anew, in either order.
    Replace,
    /// Leave it as it is, but forget that it exists.
    Forget,
    /// Something that this refarch doesn't know.
    Unknown,
}

impl Action {
    fn of(actions: &[String]) -> Self {
        let actions: Vec<&str> = actions.iter().map(String::as_str).collect();
        match actions.as_slice() {
            ["no-op"] => Self::NoOp,
            ["read"] => Self::Read,
            ["create"] => Self::Create,
            ["update"] => Self::Update,
            ["delete"] => Self::Delete,
            ["delete", "create"] | ["create", "delete"] => Self::Replace,
            ["forget"] => Self::Forget,
            _ => Self::Unknown,
        }
    }

    /// Whether the world would be another one afterwards.
    #[must_use]
    pub const fn is_change(self) -> bool {
        !matches!(self, Self::NoOp | Self::Read)
    }
}

/// What Terraform would do to one resource, and why.
#[derive(Clone, Debug, PartialEq)]
pub struct ResourceChange {
    /// Its address.
    pub address: String,
    /// Its type, such as `lab_disk`.
    pub kind: String,
    /// Its name in the module.
    pub name: String,
    /// Its key under `for_each`, or its number as text.
    pub index: Option<String>,
    /// What is done.
    pub action: Action,
    /// Why it is done, in Terraform's word, such as `replace_because_tainted`.
    pub reason: Option<String>,
    /// The attributes that force a replacement, as paths.
    pub replace_paths: Vec<String>,
}

/// What a saved plan would do.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Plan {
    /// Every resource, those that stay as they are included.
    pub resource_changes: Vec<ResourceChange>,
    /// What changed outside Terraform since it last looked.
    pub drift: Vec<ResourceChange>,
    /// Whether outputs would change.
    pub outputs_change: bool,
}

impl Plan {
    /// Reads the JSON of `terraform show -json PLAN`. The error says what isn't understood, never the content.
    pub fn from_json(json: &[u8]) -> Result<Self, String> {
        let document: Document = serde_json::from_slice(json).map_err(|error| {
            format!("it is no plan that refarch knows, near line {}, column {}", error.line(), error.column())
        })?;
        if document.format_version.split('.').next() != Some("1") {
            return Err(format!("the plan has format `{}`, and refarch knows 1.x", document.format_version));
        }
        if document.errored {
            return Err("the plan is one of a run that failed".into());
        }
        if !document.complete {
            return Err("the plan leaves a part of the changes for later".into());
        }
        let read = |changes: Vec<Resource>| changes.into_iter().map(ResourceChange::from).collect();
        Ok(Self {
            resource_changes: read(document.resource_changes),
            drift: read(document.resource_drift),
            outputs_change: document
                .output_changes
                .values()
                .any(|change| Action::of(&change.actions).is_change()),
        })
    }

    /// The resources that would change.
    pub fn changes(&self) -> impl Iterator<Item = &ResourceChange> {
        self.resource_changes.iter().filter(|change| change.action.is_change())
    }

    /// Whether nothing would change, outputs included.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.changes().next().is_none() && !self.outputs_change
    }

    /// How many resources are made, changed and removed; what is replaced counts as both.
    #[must_use]
    pub fn summary(&self) -> Changes {
        let mut summary = Changes::default();
        for change in self.changes() {
            match change.action {
                Action::Create => summary.add += 1,
                Action::Update | Action::Unknown => summary.change += 1,
                Action::Delete | Action::Forget => summary.remove += 1,
                Action::Replace => {
                    summary.add += 1;
                    summary.remove += 1;
                }
                Action::NoOp | Action::Read => {}
            }
        }
        summary
    }
}

#[derive(Deserialize)]
struct Document {
    format_version: String,
    #[serde(default)]
    errored: bool,
    // OpenTofu doesn't say; its plans have no parts for later.
    #[serde(default = "yes")]
    complete: bool,
    #[serde(default)]
    resource_changes: Vec<Resource>,
    #[serde(default)]
    resource_drift: Vec<Resource>,
    #[serde(default)]
    output_changes: std::collections::BTreeMap<String, Actions>,
}

const fn yes() -> bool {
    true
}

#[derive(Deserialize)]
struct Resource {
    address: String,
    #[serde(rename = "type")]
    kind: String,
    name: String,
    index: Option<Value>,
    change: Actions,
    action_reason: Option<String>,
}

#[derive(Deserialize)]
struct Actions {
    actions: Vec<String>,
    #[serde(default)]
    replace_paths: Vec<Vec<Value>>,
}

impl From<Resource> for ResourceChange {
    fn from(resource: Resource) -> Self {
        let paths = resource.change.replace_paths.iter();
        Self {
            address: resource.address,
            kind: resource.kind,
            name: resource.name,
            index: resource.index.as_ref().map(plain),
            action: Action::of(&resource.change.actions),
            reason: resource.action_reason,
            replace_paths: paths.map(|path| path.iter().map(plain).collect::<Vec<_>>().join(".")).collect(),
        }
    }
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn plan(value: &Value) -> Result<Plan, String> {
        Plan::from_json(value.to_string().as_bytes())
    }

    fn resource(actions: &Value) -> Value {
        json!({
            "address": "module.environment.lab_disk.data[\"demo-data\"]", "mode": "managed",
            "type": "lab_disk", "name": "data", "index": "demo-data",
            "change": {"actions": actions, "before": {"x": "PRIVATE"}, "replace_paths": [["size_gb"], ["a", 0]]},
            "action_reason": "replace_because_cannot_update",
        })
    }

    #[test]
    fn reads_what_it_needs_and_nothing_of_the_values() {
        let plan = plan(&json!({
            "format_version": "1.2", "complete": true, "errored": false, "applyable": true, "new_in_1_9": {},
            "resource_changes": [resource(&json!(["delete", "create"])), resource(&json!(["no-op"]))],
            "output_changes": {"o": {"actions": ["no-op"]}},
        }))
        .unwrap();
        let change = plan.changes().next().unwrap();
        assert_eq!((change.action, change.index.as_deref()), (Action::Replace, Some("demo-data")));
        assert_eq!(change.replace_paths, ["size_gb", "a.0"]);
        assert_eq!(plan.summary(), Changes { add: 1, change: 0, remove: 1 });
        assert!(!format!("{plan:?}").contains("PRIVATE"));
    }

    #[test]
    fn an_empty_plan_is_empty_and_a_changed_output_is_none() {
        let of = |action: &str| {
            plan(&json!({
                "format_version": "1.2",
                "resource_changes": [resource(&json!(["no-op"])), resource(&json!(["read"]))],
                "output_changes": {"o": {"actions": [action]}},
            }))
            .unwrap()
        };
        assert!(of("no-op").is_empty());
        assert!(!of("update").is_empty());
    }

    #[test]
    fn fails_closed() {
        for (value, reason) in [
            (json!({"format_version": "2.0", "resource_changes": []}), "format `2.0`"),
            (json!({"resource_changes": []}), "no plan that refarch knows"),
            (json!({"format_version": "1.2", "errored": true}), "failed"),
            (json!({"format_version": "1.2", "complete": false}), "for later"),
            (json!({"format_version": "1.2", "resource_changes": [{"address": "PRIVATE"}]}), "near line"),
        ] {
            let error = plan(&value).unwrap_err();
            assert!(error.contains(reason) && !error.contains("PRIVATE"), "{error}");
        }
        let unknown = json!({"format_version": "1.9", "resource_changes": [resource(&json!(["dance"]))]});
        assert_eq!(plan(&unknown).unwrap().resource_changes[0].action, Action::Unknown);
    }
}
