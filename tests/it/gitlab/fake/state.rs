//! What the fake remembers: as little as the calls need.

use std::collections::BTreeMap;

use camino::{Utf8Path, Utf8PathBuf};
use jiff::Timestamp;
use serde_json::{Value, json};

#[derive(Clone, Debug)]
pub struct Token {
    pub scopes: Vec<String>,
    pub expires_at: String,
    pub revoked: bool,
    pub expired: bool,
    pub admin: bool,
}

#[derive(Clone, Debug)]
pub struct Group {
    pub id: u64,
    pub name: String,
    pub path: String,
    pub parent: Option<u64>,
    pub description: String,
    pub visibility: String,
    pub created_at: Timestamp,
    pub marked: bool,
    /// Set once it is being removed: how often it is still seen.
    pub leaving: Option<u32>,
}

#[derive(Clone, Debug)]
pub struct DeployKey {
    pub id: u64,
    pub project: u64,
    pub title: String,
    pub key: String,
    pub can_push: bool,
    pub expires_at: Option<String>,
}

#[derive(Clone, Debug)]
pub struct Issue {
    pub title: String,
    pub description: String,
    pub open: bool,
}

#[derive(Clone, Debug)]
pub struct MergeRequest {
    pub title: String,
    pub source: String,
    pub target: String,
    pub sha: String,
    /// How often it is asked before its mergeability is known.
    pub unchecked: u32,
    /// Set once it was told to merge: how often it is asked before it is merged.
    pub merging: Option<u32>,
    pub merged_as: Option<String>,
}

#[derive(Clone, Debug)]
pub struct Job {
    pub id: u64,
    pub name: String,
    /// How often it was asked for; with a runner it moves on each time.
    pub seen: u32,
    pub trace: String,
    pub artifacts: BTreeMap<String, Vec<u8>>,
}

#[derive(Clone, Debug)]
pub struct Pipeline {
    pub id: u64,
    pub branch: String,
    pub sha: String,
    pub jobs: Vec<Job>,
}

#[derive(Clone, Debug, Default)]
pub struct Project {
    pub id: u64,
    pub name: String,
    pub path: String,
    pub group: u64,
    pub description: String,
    pub visibility: String,
    pub marked: bool,
    pub lfs: BTreeMap<String, Vec<u8>>,
    pub uploads: BTreeMap<(String, String), Vec<u8>>,
    pub packages: BTreeMap<[String; 3], Vec<u8>>,
    pub issues: Vec<Issue>,
    pub merge_requests: Vec<MergeRequest>,
    pub pipelines: Vec<Pipeline>,
}

#[derive(Debug, Default)]
pub struct State {
    last: u64,
    pub tokens: BTreeMap<String, Token>,
    pub groups: BTreeMap<u64, Group>,
    pub projects: BTreeMap<u64, Project>,
    pub keys: BTreeMap<u64, DeployKey>,
}

impl State {
    pub fn next_id(&mut self) -> u64 {
        self.last += 1;
        self.last
    }

    pub fn full_path(&self, group: u64) -> String {
        let group = &self.groups[&group];
        match group.parent {
            Some(parent) => format!("{}/{}", self.full_path(parent), group.path),
            None => group.path.clone(),
        }
    }

    pub fn project_path(&self, project: &Project) -> String {
        format!("{}/{}", self.full_path(project.group), project.path)
    }

    /// A group by number or path.
    pub fn group(&self, name: &str) -> Option<u64> {
        let named = |id: &&u64| id.to_string() == name || self.full_path(**id).eq_ignore_ascii_case(name);
        self.groups.keys().find(named).copied()
    }

    /// A project by number or path.
    pub fn project(&self, name: &str) -> Option<u64> {
        let named = |project: &&Project| {
            project.id.to_string() == name || self.project_path(project).eq_ignore_ascii_case(name)
        };
        self.projects.values().find(named).map(|project| project.id)
    }

    pub fn add_group(&mut self, parent: Option<u64>, path: &str, created_at: Timestamp) -> u64 {
        let id = self.next_id();
        let group = Group {
            id,
            name: path.to_owned(),
            path: path.to_owned(),
            parent,
            description: String::new(),
            visibility: "private".to_owned(),
            created_at,
            marked: false,
            leaving: None,
        };
        self.groups.insert(id, group);
        id
    }

    /// Forgets a group and all below it.
    pub fn drop_group(&mut self, id: u64) {
        self.groups.remove(&id);
        let below: Vec<u64> =
            self.groups.values().filter(|group| group.parent == Some(id)).map(|it| it.id).collect();
        for group in below {
            self.drop_group(group);
        }
        let of_it: Vec<u64> = self.projects.values().filter(|it| it.group == id).map(|it| it.id).collect();
        for project in of_it {
            self.drop_project(project);
        }
    }

    pub fn drop_project(&mut self, id: u64) {
        self.projects.remove(&id);
        self.keys.retain(|_, key| key.project != id);
    }

    pub fn group_json(&self, id: u64, url: &str) -> Value {
        let group = &self.groups[&id];
        let full_path = self.full_path(id);
        json!({
            "id": id,
            "web_url": format!("{url}/groups/{full_path}"),
            "name": group.name,
            "path": group.path,
            "description": group.description,
            "visibility": group.visibility,
            "full_name": full_path.replace('/', " / "),
            "full_path": full_path,
            "created_at": group.created_at.strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string(),
            "parent_id": group.parent,
            "marked_for_deletion_on": group.marked.then_some("2026-01-01"),
        })
    }
}

/// Where a project's repository lies; the path in its URL may change, its number does not.
pub fn repository(folder: &Utf8Path, project: u64) -> Utf8PathBuf {
    folder.join("repositories").join(format!("{project}.git"))
}
