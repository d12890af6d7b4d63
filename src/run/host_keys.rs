//! SSH host keys: pinned at first contact, and any other change stops the run.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::time::Instant;

use super::{Error, world::World};
use crate::deployment::NodeName;
use crate::events::{Kind, WaitingFor};
use crate::process::{Command, Quiet, Stdout};
use crate::render::{Access, Bound};

/// How long a node that was just made may take to answer.
const PATIENCE: Duration = Duration::from_mins(2);
/// How long one look may take; the program's own limit is for each address, not for all of its work.
const SCAN: Duration = Duration::from_secs(20);
const PAUSE: Duration = Duration::from_millis(500);

/// Pins the key of each node that has none, and compares all others. `made` are the nodes that this
/// run's plan created or replaced: their old pins are dropped.
pub async fn pin(world: &World, bound: &Bound, made: &BTreeSet<NodeName>) -> Result<(), Error> {
    let path = world.workdir.known_hosts();
    let known = fs_err::read_to_string(&path).unwrap_or_default();
    let mut pins: Vec<String> = Vec::new();
    for (node, access) in &bound.access {
        let pinned: BTreeSet<&str> = if made.contains(node) {
            BTreeSet::new()
        } else {
            known.lines().filter(|line| host(line) == node.as_str()).collect()
        };
        let found = scan(world, node, access).await?;
        // A node may stop offering one kind of key; what it offers must be what was pinned.
        let same = found.iter().all(|line| {
            let of_kind = |pin: &&&str| kind(pin) == kind(line);
            pinned.iter().find(of_kind).is_none_or(|pin| *pin == line)
        });
        if !pinned.is_empty() && (!same || found.iter().all(|line| !pinned.contains(line.as_str()))) {
            return Err(Error::HostKey { node: node.to_string(), pins: path });
        }
        pins.extend(if pinned.is_empty() { found } else { pinned.into_iter().map(str::to_owned).collect() });
    }
    pins.push(String::new());
    Ok(world.workdir.write_private(&path, pins.join("\n"))?)
}

fn host(line: &str) -> &str {
    line.split(' ').next().unwrap_or_default()
}

fn kind(line: &str) -> &str {
    line.split(' ').nth(1).unwrap_or_default()
}

/// The node's host keys, as lines for `known_hosts` under the node's name.
async fn scan(world: &World, node: &NodeName, access: &Access) -> Result<Vec<String>, Error> {
    let program = world.runner.ambient().find("ssh-keyscan", "install the OpenSSH client")?;
    let deadline = Instant::now() + PATIENCE;
    let mut told = false;
    loop {
        let command = Command::new("ssh-keyscan", program.clone())
            .args(["-T", "5", "-p", &access.port.to_string(), &access.host])
            .timeout(SCAN)
            .stdout(Stdout::Private);
        let outcome = world.runner.run(command, &mut Quiet).await?;
        let found = lines(&String::from_utf8_lossy(&outcome.private), node);
        if !found.is_empty() {
            return Ok(found);
        }
        if world.interrupts.count() > 0 {
            return Err(Error::Interrupted);
        }
        if Instant::now() > deadline {
            let address = format!("{}:{}", access.host, access.port);
            return Err(Error::NoSsh { node: node.to_string(), address, seconds: PATIENCE.as_secs() });
        }
        if !told {
            told = true;
            let what = format!("SSH on {node}");
            world.events.send(Kind::Waiting { waiting_for: WaitingFor::World { what } });
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// What `ssh-keyscan` printed, sorted, with the node's name in place of the address.
fn lines(output: &str, node: &NodeName) -> Vec<String> {
    let mut lines: Vec<_> = output
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.split_once(' '))
        .map(|(_, key)| format!("{node} {}", key.trim()))
        .collect();
    lines.sort();
    lines
}

#[cfg(test)]
mod tests {
    use super::lines;
    use crate::architecture::Component;
    use crate::deployment::NodeName;

    #[test]
    fn keys_stand_under_the_nodes_name() {
        let node = NodeName::new(&"demo".parse().expect("a name"), Component::AllInOne, 1);
        let output = "# 198.18.0.10:22 SSH-2.0-OpenSSH_10.0\n[198.18.0.10]:2222 ssh-ed25519 AAAA\n";
        assert_eq!(lines(output, &node), ["demo-all-in-one-1 ssh-ed25519 AAAA"]);
    }
}
