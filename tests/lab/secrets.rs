//! Looks for the secrets of a deployment wherever they must not be.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use aho_corasick::AhoCorasick;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use serde_json::Value;

use super::machine::pids;

/// The secrets of a store in every form that a program may give them.
pub struct Secrets {
    forms: Vec<String>,
    search: AhoCorasick,
}

impl Secrets {
    /// The secrets of a `secrets.json`, and what a node has besides in its `gitlab-secrets.json`.
    pub fn of(store: &Value, node: &Value) -> Self {
        let mut values = BTreeMap::new();
        leaves("named", &store["named"], &mut values);
        leaves("gitlab_secrets", node, &mut values);
        leaves("gitlab_secrets", &store["gitlab_secrets"], &mut values);
        leaves("ssh", &store["ssh"]["private"], &mut values);
        leaves("token", &store["token"]["value"], &mut values);
        for (name, pair) in store["certificates"].as_object().expect("certificates") {
            leaves(&format!("certificates.{name}"), &pair["private"], &mut values);
        }
        // A certificate is for everyone, whatever file it stands in.
        values.retain(|name, _| !name.ends_with("internal_certificate"));
        assert!(values.len() > 20, "only {:?}", values.keys());
        let forms: Vec<(String, String)> =
            values.iter().flat_map(|(name, value)| forms(name, value)).collect();
        let search = AhoCorasick::new(forms.iter().map(|(_, form)| form)).expect("patterns");
        Self { forms: forms.into_iter().map(|(name, _)| name).collect(), search }
    }

    /// Which secrets stand in these bytes, by name and form.
    pub fn within(&self, bytes: &[u8]) -> BTreeSet<&str> {
        self.search.find_overlapping_iter(bytes).map(|found| &*self.forms[found.pattern()]).collect()
    }

    /// Every file of a folder that holds a secret, with its mode.
    pub fn files(&self, folder: &Path) -> BTreeMap<PathBuf, Holder> {
        let mut found = BTreeMap::new();
        let mut folders = vec![folder.to_owned()];
        while let Some(folder) = folders.pop() {
            // A service may take its files away while we look.
            for entry in std::fs::read_dir(&folder).into_iter().flatten().flatten() {
                let (path, Ok(meta)) = (entry.path(), entry.metadata()) else { continue };
                if meta.is_dir() {
                    folders.push(path);
                } else if meta.is_file() {
                    let secrets = self.of_file(&path);
                    if !secrets.is_empty() {
                        let mode = meta.permissions().mode() & 0o777;
                        found.insert(path, Holder { mode, secrets });
                    }
                }
            }
        }
        found
    }

    fn of_file(&self, path: &Path) -> BTreeSet<String> {
        let bytes = std::fs::read(path).unwrap_or_default();
        self.within(&bytes).into_iter().map(str::to_owned).collect()
    }
}

/// A file that holds secrets.
pub struct Holder {
    pub mode: u32,
    pub secrets: BTreeSet<String>,
}

fn leaves(name: &str, value: &Value, into: &mut BTreeMap<String, String>) {
    match value {
        Value::String(text) => {
            into.insert(name.to_owned(), text.clone());
        }
        Value::Array(items) => items.iter().for_each(|item| leaves(name, item, into)),
        Value::Object(fields) => {
            for (key, item) in fields {
                leaves(&format!("{name}.{key}"), item, into);
            }
        }
        _ => {}
    }
}

/// A value as it is, and as programs write it. Of a text of many lines each one tells.
fn forms(name: &str, value: &str) -> Vec<(String, String)> {
    let mut found = vec![
        (format!("{name} as base64"), STANDARD.encode(value)),
        (format!("{name} as base64 for URLs"), URL_SAFE.encode(value)),
        (format!("{name} in JSON"), serde_json::to_string(value).expect("JSON").trim_matches('"').to_owned()),
        (format!("{name} in a URL"), url::form_urlencoded::byte_serialize(value.as_bytes()).collect()),
    ];
    // Every key that OpenSSH writes begins with the same line.
    let common = |line: &str| line.starts_with("-----") || line.starts_with("b3BlbnNzaC1rZXktdjEA");
    let lines = value.lines().filter(|line| line.len() >= 16 && !common(line));
    found.extend(lines.map(|line| (name.to_owned(), line.to_owned())));
    found
}

/// Notes the arguments of every process of this machine, until it is asked for them.
pub struct Arguments {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<BTreeSet<Vec<u8>>>,
}

impl Arguments {
    pub fn watch() -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let until = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            let mut seen = BTreeSet::new();
            while !until.load(Ordering::Relaxed) {
                seen.extend(
                    pids().iter().filter_map(|pid| std::fs::read(format!("/proc/{pid}/cmdline")).ok()),
                );
                std::thread::sleep(Duration::from_millis(3));
            }
            seen
        });
        Self { stop, thread }
    }

    pub fn seen(self) -> BTreeSet<Vec<u8>> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().expect("the watch ends")
    }
}
