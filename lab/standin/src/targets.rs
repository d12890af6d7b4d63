//! What Prometheus scrapes, as Consul knows it. Debian builds Prometheus without Consul's discovery, so Consul itself
//! watches the services and has their targets written where Prometheus looks for files.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::terminal::complain;

/// Where the files are, one a service.
pub const FOLDER: &str = "/var/opt/gitlab/consul/targets";

/// The file of a service.
#[must_use]
pub fn file(service: &str) -> PathBuf {
    Path::new(FOLDER).join(format!("{service}.json"))
}

/// Writes the targets of a service, whose nodes come on standard input from Consul's watch.
pub fn write(service: &str) -> u8 {
    let read = std::io::read_to_string(std::io::stdin()).map_err(|error| error.to_string());
    let entries = read.and_then(|text| serde_json::from_str(&text).map_err(|error| error.to_string()));
    let written = entries.and_then(|entries: Value| {
        let (path, text) = (file(service), format!("{:#}\n", of(&entries)));
        let beside = path.with_extension("new");
        std::fs::write(&beside, text)
            .and_then(|()| std::fs::rename(&beside, &path))
            .map_err(|error| format!("{}: {error}", path.display()))
    });
    match written {
        Ok(()) => 0,
        Err(reason) => {
            complain(format!("targets of {service}: {reason}"));
            1
        }
    }
}

/// Targets in the form of Prometheus' files, each with the node's name as Consul's discovery gives it.
fn of(entries: &Value) -> Value {
    let entry = |entry: &Value| {
        let own = entry["Service"]["Address"].as_str().filter(|address| !address.is_empty());
        let address = own.or_else(|| entry["Node"]["Address"].as_str())?;
        let (port, node) = (entry["Service"]["Port"].as_u64()?, entry["Node"]["Node"].as_str()?);
        Some(json!({"targets": [format!("{address}:{port}")], "labels": {"node": node}}))
    };
    Value::Array(entries.as_array().map(|all| all.iter().filter_map(entry).collect()).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_node_is_a_target() {
        let entries = json!([{"Node": {"Node": "a", "Address": "198.18.0.3"}, "Service": {"Address": "", "Port": 9100}}]);
        assert_eq!(of(&entries), json!([{"targets": ["198.18.0.3:9100"], "labels": {"node": "a"}}]));
        assert_eq!(of(&Value::Null), json!([]));
    }
}
