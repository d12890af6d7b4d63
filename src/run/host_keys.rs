//! SSH host keys: pinned at first contact, and any other change stops the run.
//!
//! Nodes that answer Git over SSH for one name get one set of keys from the store. Until a node has it, its first key
//! holds; from then on only ours.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tokio::time::Instant;

use super::{Error, bind::shares_host_keys, world::World};
use crate::deployment::NodeName;
use crate::events::{Kind, WaitingFor};
use crate::process::{Command, Quiet, Stdout};
use crate::render::{Access, Bound};

/// How long a node that was just made may take to answer.
const PATIENCE: Duration = Duration::from_mins(2);
/// How long one look may take; the program's own limit is for each address, not for all of its work.
const SCAN: Duration = Duration::from_secs(20);
const PAUSE: Duration = Duration::from_millis(500);

/// What each node answered with: lines for `known_hosts` under the node's name, in order.
type Found = BTreeMap<NodeName, Vec<String>>;

/// Pins the key of each node that has none, and compares all others. `made` are the nodes that this
/// run's plan created or replaced: their old pins are dropped.
pub async fn pin(world: &World, bound: &Bound, made: &BTreeSet<NodeName>) -> Result<(), Error> {
    let path = world.workdir.known_hosts();
    let known = fs_err::read_to_string(&path).unwrap_or_default();
    let found = scan_all(world, bound).await?;
    let mut pins: Vec<String> = Vec::new();
    for (node, found) in &found {
        let pinned: BTreeSet<&str> = if made.contains(node) {
            BTreeSet::new()
        } else {
            known.lines().filter(|line| host(line) == node.as_str()).collect()
        };
        let ours = if shares_host_keys(world, node) { ours(world, node) } else { Vec::new() };
        match pins_of(found, &pinned, &ours) {
            Some(lines) => pins.extend(lines),
            None => return Err(Error::HostKey { node: node.to_string(), pins: path }),
        }
    }
    pins.push(String::new());
    Ok(world.workdir.write_private(&path, pins.join("\n"))?)
}

/// Drops the pins of nodes that are about to be made or replaced, before they are: a run that ends between making and
/// pinning them must not leave pins of what is no more.
pub fn forget(world: &World, made: &BTreeSet<NodeName>) -> Result<(), Error> {
    let path = world.workdir.known_hosts();
    let known = fs_err::read_to_string(&path).unwrap_or_default();
    let kept = without(&known, made);
    if kept == known { Ok(()) } else { Ok(world.workdir.write_private(&path, kept)?) }
}

fn without(known: &str, made: &BTreeSet<NodeName>) -> String {
    let is_made = |line: &str| made.iter().any(|node| node.as_str() == host(line));
    known.split_inclusive('\n').filter(|line| !is_made(line)).collect()
}

/// The lines to keep for a node; nothing if it answers with another key than is known of it.
fn pins_of(found: &[String], pinned: &BTreeSet<&str>, ours: &[String]) -> Option<Vec<String>> {
    if found.iter().all(|line| ours.contains(line)) {
        return Some(ours.to_vec());
    }
    let first: BTreeSet<&str> =
        pinned.iter().copied().filter(|pin| ours.iter().all(|own| own != pin)).collect();
    // Once a node has answered with our keys, it has no others: its first key is forgotten then.
    if !pinned.is_empty() && first.is_empty() {
        return None;
    }
    // A node may stop offering one kind of key; what it offers must be what was pinned.
    let same = found.iter().all(|line| {
        let of_kind = |pin: &&&str| kind(pin) == kind(line);
        first.iter().find(of_kind).is_none_or(|pin| *pin == line)
    });
    if !first.is_empty() && (!same || found.iter().all(|line| !first.contains(line.as_str()))) {
        return None;
    }
    let first: Vec<String> =
        if first.is_empty() { found.to_vec() } else { first.into_iter().map(str::to_owned).collect() };
    Some([&first, ours].concat())
}

/// The lines for the keys of the store, as `ssh-keyscan` would print them.
fn ours(world: &World, node: &NodeName) -> Vec<String> {
    let mut lines: Vec<String> = world
        .secrets
        .host_keys
        .values()
        .filter_map(|key| {
            let mut words = key.public.split_whitespace();
            Some(format!("{node} {} {}", words.next()?, words.next()?))
        })
        .collect();
    lines.sort();
    lines
}

fn host(line: &str) -> &str {
    line.split(' ').next().unwrap_or_default()
}

fn kind(line: &str) -> &str {
    line.split(' ').nth(1).unwrap_or_default()
}

/// Which kinds of keys are asked for. Each costs every node a key exchange, so the first look is for the one that hosts
/// have had for long; those that have none are asked for all.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kinds {
    Usual,
    All,
}

/// The host keys of all nodes. One look asks all of those on the same port that have not answered yet.
async fn scan_all(world: &World, bound: &Bound) -> Result<Found, Error> {
    let deadline = Instant::now() + PATIENCE;
    let mut found = Found::new();
    let mut told = false;
    let mut kinds = Kinds::Usual;
    loop {
        let missing: Vec<(&NodeName, &Access)> =
            bound.access.iter().filter(|(node, _)| !found.contains_key(*node)).collect();
        let Some((first, access)) = missing.first() else { return Ok(found) };
        let ports: BTreeSet<u16> = missing.iter().map(|(_, access)| access.port).collect();
        for port in ports {
            let there: Vec<_> = missing.iter().copied().filter(|(_, access)| access.port == port).collect();
            found.extend(scan(world, port, &there, kinds).await?);
        }
        if bound.access.keys().all(|node| found.contains_key(node)) {
            continue;
        }
        if kinds == Kinds::Usual {
            kinds = Kinds::All;
            continue;
        }
        if world.interrupts.count() > 0 {
            return Err(Error::Interrupted);
        }
        if Instant::now() > deadline {
            let address = format!("{}:{}", access.host, access.port);
            return Err(Error::NoSsh { node: first.to_string(), address, seconds: PATIENCE.as_secs() });
        }
        if !told {
            told = true;
            let silent: Vec<&str> =
                bound.access.keys().filter(|node| !found.contains_key(*node)).map(NodeName::as_str).collect();
            let what = format!("SSH on {}", silent.join(", "));
            world.events.send(Kind::Waiting { waiting_for: WaitingFor::World { what } });
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// What these nodes answer on one port, as far as they do.
async fn scan(
    world: &World,
    port: u16,
    nodes: &[(&NodeName, &Access)],
    kinds: Kinds,
) -> Result<Found, Error> {
    let program = world.runner.ambient().find("ssh-keyscan", "install the OpenSSH client")?;
    let kinds: &[&str] = if kinds == Kinds::Usual { &["-t", "ed25519"] } else { &[] };
    let command = Command::new("ssh-keyscan", program)
        .args(["-T", "5", "-p", &port.to_string()])
        .args(kinds.iter().copied())
        .args(nodes.iter().map(|(_, access)| access.host.as_str()))
        .timeout(SCAN)
        .stdout(Stdout::Private);
    let outcome = world.runner.run(command, &mut Quiet).await?;
    let output = String::from_utf8_lossy(&outcome.private);
    let answered = nodes.iter().map(|(node, access)| ((*node).clone(), lines(&output, node, &access.host)));
    Ok(answered.filter(|(_, lines)| !lines.is_empty()).collect())
}

/// What `ssh-keyscan` printed of one address, sorted, with the node's name in place of the address.
fn lines(output: &str, node: &NodeName, address: &str) -> Vec<String> {
    let is_it = |host: &str| {
        let host = host.strip_prefix('[').map_or(host, |rest| rest.split(']').next().unwrap_or(rest));
        host == address
    };
    let mut lines: Vec<_> = output
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.split_once(' '))
        .filter(|(host, _)| is_it(host))
        .map(|(_, key)| format!("{node} {}", key.trim()))
        .collect();
    lines.sort();
    lines
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::{lines, pins_of, without};
    use crate::architecture::Component;
    use crate::deployment::NodeName;

    #[test]
    fn keys_stand_under_the_nodes_name() {
        let node = NodeName::new(&"demo".parse().expect("a name"), Component::Gitaly, 1);
        let output = "# 198.18.0.10:22 SSH-2.0-OpenSSH_10.0\n[198.18.0.10]:2222 ssh-ed25519 AAAA\n\
                      198.18.0.1 ssh-ed25519 BBBB\n";
        assert_eq!(lines(output, &node, "198.18.0.10"), ["demo-gitaly-1 ssh-ed25519 AAAA"]);
        assert_eq!(lines(output, &node, "198.18.0.1"), ["demo-gitaly-1 ssh-ed25519 BBBB"]);
    }

    #[test]
    fn the_pins_of_what_is_made_anew_are_dropped_and_no_others() {
        let node = |index| NodeName::new(&"demo".parse().expect("a name"), Component::Gitaly, index);
        let known = "demo-gitaly-1 ssh-ed25519 A\ndemo-gitaly-1 ssh-rsa B\ndemo-gitaly-10 ssh-ed25519 C\n";
        assert_eq!(without(known, &[node(1)].into()), "demo-gitaly-10 ssh-ed25519 C\n");
        assert_eq!(without(known, &BTreeSet::new()), known);
    }

    #[test]
    fn a_first_key_holds_until_ours_is_there_and_no_other_is_taken() {
        let texts = |keys: &[&str]| keys.iter().map(|key| format!("n ssh-{key}")).collect::<Vec<_>>();
        let ours = texts(&["ed25519 OURS", "rsa OURS"]);
        let pins = |found: &[&str], pinned: &[String]| {
            let pinned: BTreeSet<&str> = pinned.iter().map(String::as_str).collect();
            pins_of(&texts(found), &pinned, &ours)
        };
        let both = texts(&["ed25519 FIRST", "ed25519 OURS", "rsa OURS"]);
        assert_eq!(pins(&["ed25519 FIRST"], &[]), Some(both.clone()));
        assert_eq!(pins(&["ed25519 FIRST"], &both), Some(both.clone()));
        assert_eq!(pins(&["ed25519 OTHER"], &both), None);
        assert_eq!(pins(&["ed25519 OURS"], &both), Some(ours.clone()));
        assert_eq!(pins(&["ed25519 FIRST"], &ours), None);
        assert_eq!(pins(&["ed25519 OURS", "rsa OTHER"], &ours), None);
    }

    #[test]
    fn without_keys_of_ours_the_first_contact_is_what_holds() {
        let line = |key: &str| vec![format!("n ssh-ed25519 {key}")];
        assert_eq!(pins_of(&line("A"), &BTreeSet::new(), &[]), Some(line("A")));
        assert_eq!(pins_of(&line("A"), &BTreeSet::from(["n ssh-ed25519 A"]), &[]), Some(line("A")));
        assert_eq!(pins_of(&line("B"), &BTreeSet::from(["n ssh-ed25519 A"]), &[]), None);
    }
}
