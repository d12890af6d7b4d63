//! The hosts, where they are made: one Ansible run asks all of them, and lets them ask each other.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use camino::{Utf8Path, Utf8PathBuf};
use serde_json::{Value, json};

use crate::ansible::{self, Playbook, Told};
use crate::architecture::{Component, Many, Party, Ports};
use crate::checks::Offset;
use crate::checks::preflight::{Check, HOST_VERSION, Host, HostState, Plan, host_findings};
use crate::deployment::{Deployment, Node, NodeName};
use crate::events::Finding;
use crate::exit::ExitCode;
use crate::render::Bound;
use crate::run::{Error, World};
use crate::spec::Package;

/// Whether a check is to be asked: what is left out costs nothing.
pub(super) type Wanted<'a> = &'a dyn Fn(Check) -> bool;

/// Every node, in the port table.
const ALL_NODES: &str = "all";
const SIMULATED: &str = "size is simulated: lab hosts share one machine";
/// How long a host waits for the others at least, and how much longer for each of them: Ansible starts them one after
/// the other, at half a second of a processor each.
const WINDOW_S: f64 = 8.0;
const WINDOW_OF_HOST_S: f64 = 0.4;
/// A host that says nothing for so long, its window included, will not answer any more.
const SILENCE: Duration = Duration::from_mins(3);

/// Asks all hosts what is wanted.
pub(super) async fn findings(
    world: &World,
    bound: &Bound,
    wanted: Wanted<'_>,
) -> Result<Vec<Finding>, Error> {
    let told = ask(world, bound, wanted).await?;
    let host = |node: &Node| Host {
        name: node.name.to_string(),
        component: node.component,
        vcpu: node.machine.vcpu,
        memory_gb: node.machine.memory_gb,
        root_disk_gb: node.root_disk_gb,
        told: told(&node.name),
    };
    Ok(host_findings(&Plan {
        gitlab: world.deployment.gitlab.version,
        deployment: world.deployment.name.to_string(),
        suffix: world.secrets.suffix.clone(),
        simulated: world.deployment.size_is_simulated().then_some(SIMULATED),
        hosts: world.deployment.nodes.values().map(host).collect(),
    }))
}

/// What each host told, or why it did not.
async fn ask(
    world: &World,
    bound: &Bound,
    wanted: Wanted<'_>,
) -> Result<impl Fn(&NodeName) -> Result<(HostState, Offset), String>, Error> {
    let dir = write_tree(world, bound)?;
    let asks = asks(&world.deployment, bound, wanted)?;
    let vars = world.run.folder.join("preflight.json");
    world.workdir.write_private(&vars, json!({ "preflight_asks": asks }).to_string())?;
    let options = ansible::Options { dir, cache: world.runner.ambient().cache()? };
    let run = async {
        let client: Result<_, ansible::Error> = ansible::Client::find(&world.runner, options).await;
        let client = client?.patient_for(SILENCE);
        // They wait for each other, so that none may wait for its turn.
        let playbook = Playbook::new("preflight.yml").with_variables(vars).together(asks.len());
        client.playbook(playbook).await
    };
    let outcome = match run.await {
        Ok(outcome) => Ok(outcome),
        Err(error) if error.exit_code() == ExitCode::Interrupted => return Err(error.into()),
        Err(error) => Err(error.to_string()),
    };
    Ok(move |node: &NodeName| {
        let outcome = outcome.as_ref().map_err(Clone::clone)?;
        let told = outcome.states.get(node.as_str()).ok_or_else(|| outcome.why_silent(node.as_str()))?;
        read(told)
    })
}

fn read(told: &Told) -> Result<(HostState, Offset), String> {
    let state: HostState = serde_json::from_value(told.state.clone())
        .map_err(|error| format!("what the host told is not understood: {error}"))?;
    if state.version != HOST_VERSION {
        return Err(format!(
            "the host told in format {}, and only {HOST_VERSION} is understood",
            state.version
        ));
    }
    let epoch = told.state["clock"]["told"]["epoch_s"].as_f64().unwrap_or_default();
    Ok((state, Offset::read(epoch, told.from, told.until)))
}

/// A tree of this run's own: what lies in the work directory stays as the last run left it.
fn write_tree(world: &World, bound: &Bound) -> Result<Utf8PathBuf, Error> {
    let folder = world.run.folder.join("preflight");
    let failed = |path: &Utf8Path| {
        let path = path.to_owned();
        move |error: std::io::Error| Error::Events { path, why: error.to_string() }
    };
    for (path, content) in world.render(Some(bound))?.iter().filter(|(path, _)| path.starts_with("ansible")) {
        let path = folder.join(path);
        if let Some(parent) = path.parent() {
            fs_err::create_dir_all(parent).map_err(failed(&path))?;
        }
        fs_err::write(&path, content).map_err(failed(&path))?;
    }
    Ok(folder.join("ansible"))
}

/// A connection from one node to another.
struct Leg<'a> {
    from: &'a NodeName,
    to: &'a NodeName,
    port: u16,
    protocol: &'static str,
}

/// What each host is asked, by its node's name.
fn asks(
    deployment: &Deployment,
    bound: &Bound,
    wanted: Wanted<'_>,
) -> Result<BTreeMap<String, Value>, Error> {
    let tries_flows = wanted(Check::Flows);
    let legs = if tries_flows { legs(deployment, bound) } else { Vec::new() };
    let window =
        WINDOW_S + WINDOW_OF_HOST_S * f64::from(u32::try_from(bound.nodes.len()).unwrap_or(u32::MAX));
    let table = Ports::read()?;
    let of = |node: &Node| {
        let made = bound.nodes.get(&node.name)?;
        let disk = |(name, disk): (&String, &crate::deployment::DataDisk)| {
            let path = made.data_disks.get(name)?.path.clone();
            Some(json!({ "name": name, "path": path, "mount": disk.mount }))
        };
        let flow = |leg: &Leg<'_>| {
            let address = &bound.nodes.get(leg.to)?.private_address;
            Some(json!({ "to": leg.to, "address": address, "port": leg.port, "protocol": leg.protocol }))
        };
        let ask = json!({
            "component": node.component,
            "data_disks": node.data_disks.iter().filter_map(disk).collect::<Vec<_>>(),
            "ports": ports(deployment, &table, node.component),
            "sources": if wanted(Check::PackageSource) { sources(&deployment.gitlab.package, node.component) } else { Vec::new() },
            "measure": wanted(Check::DiskSpeed) && !deployment.size_is_simulated(),
            "listen": listen(&legs, &node.name),
            "flows": tries_flows.then(|| legs.iter().filter(|leg| *leg.from == node.name).filter_map(flow).collect::<Vec<_>>()),
            "token": format!("refarch {}", deployment.name),
            "window": window,
        });
        Some((node.name.to_string(), ask))
    };
    Ok(deployment.nodes.values().filter_map(of).collect())
}

/// Every connection of the port table between the nodes that are made, each once.
fn legs<'a>(deployment: &'a Deployment, bound: &Bound) -> Vec<Leg<'a>> {
    // `all` in the port table is about agents that come with GitLab's package.
    let is = |name: &str, node: &Node| {
        bound.nodes.contains_key(&node.name)
            && (node.component.name() == name || (name == ALL_NODES && node.component.has_package()))
    };
    let mut seen = BTreeSet::new();
    let mut legs = Vec::new();
    for flow in &deployment.flows {
        for from in deployment.nodes.values().filter(|node| is(&flow.from, node)) {
            for to in deployment.nodes.values().filter(|node| node.name != from.name && is(&flow.to, node)) {
                if seen.insert((&from.name, &to.name, flow.port, flow.protocol)) {
                    legs.push(Leg {
                        from: &from.name,
                        to: &to.name,
                        port: flow.port,
                        protocol: flow.protocol,
                    });
                }
            }
        }
    }
    legs
}

/// Where a node is asked, and by how many others.
fn listen(legs: &[Leg<'_>], node: &NodeName) -> Vec<Value> {
    let mut asked_by: BTreeMap<(u16, &str), usize> = BTreeMap::new();
    for leg in legs.iter().filter(|leg| leg.to == node) {
        *asked_by.entry((leg.port, leg.protocol)).or_default() += 1;
    }
    asked_by
        .into_iter()
        .map(|((port, protocol), count)| json!({ "port": port, "protocol": protocol, "expects": count }))
        .collect()
}

/// The ports that the services of a component will listen on: those that others reach, and those that are closed.
fn ports(deployment: &Deployment, table: &Ports, component: Component) -> BTreeSet<u16> {
    let is = |name: &str| name == component.name() || (name == ALL_NODES && component.has_package());
    let open = deployment.flows.iter().filter(|flow| is(&flow.to)).map(|flow| flow.port);
    let on = |party: &Party| match party {
        Party::Nodes(on) => *on == component,
        Party::Many(many) => *many == Many::All && component.has_package() && deployment.nodes.len() > 1,
    };
    let closed =
        table.closed.iter().filter(|closed| closed.on.iter().any(on)).flat_map(|it| it.ports.clone());
    open.chain(closed).collect()
}

/// What a node fetches packages from.
fn sources(package: &Package, component: Component) -> Vec<String> {
    match package {
        _ if !component.has_package() => Vec::new(),
        Package::Standin {} | Package::File { .. } => Vec::new(),
        Package::Url { url, .. } => vec![url.to_string()],
        Package::Repository { url, distribution, .. } => {
            vec![format!("{}/dists/{distribution}/Release", url.to_string().trim_end_matches('/'))]
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deployment::testing;

    fn three_k() -> (Deployment, Bound) {
        let deployment = testing::of(include_str!("../../../examples/lab-3k.yml"));
        let disk = json!({ "provider_id": "d", "path": "/dev/refarch/data" });
        let node = |(index, node): (usize, &Node)| {
            let disks: BTreeMap<&String, &Value> = node.data_disks.keys().map(|name| (name, &disk)).collect();
            let address = format!("198.18.0.{}", index + 2);
            (
                node.name.to_string(),
                json!({ "provider_id": "p", "private_address": address, "data_disks": disks }),
            )
        };
        let nodes: BTreeMap<String, Value> = deployment.nodes.values().enumerate().map(node).collect();
        let external = json!({ "external": { "address": "198.18.0.2" } });
        let bound = json!({ "nodes": nodes, "access": {}, "endpoints": external });
        let bound = serde_json::from_value(bound).unwrap();
        (deployment, bound)
    }

    #[test]
    fn every_connection_is_awaited_where_it_leads() {
        let (deployment, bound) = three_k();
        let asks = asks(&deployment, &bound, &|_| true).unwrap();
        assert_eq!(asks.len(), deployment.nodes.len());
        let count = |key: &str| asks.values().map(|ask| ask[key].as_array().unwrap().len()).sum::<usize>();
        let expected: u64 = asks
            .values()
            .flat_map(|ask| ask["listen"].as_array().unwrap())
            .map(|one| one["expects"].as_u64().unwrap())
            .sum();
        assert_eq!(u64::try_from(count("flows")).unwrap(), expected);
        assert!(count("flows") > 500, "{}", count("flows"));
    }

    #[test]
    fn what_is_left_out_is_not_asked() {
        let (deployment, bound) = three_k();
        let asks = asks(&deployment, &bound, &|check| check != Check::Flows).unwrap();
        assert!(asks.values().all(|ask| ask["flows"].is_null() && ask["listen"] == json!([])));
    }

    #[test]
    fn a_host_is_asked_for_its_own_ports_and_disks() {
        let (deployment, bound) = three_k();
        let asks = asks(&deployment, &bound, &|_| true).unwrap();
        let gitaly = asks.iter().find(|(name, _)| name.contains("gitaly-1")).unwrap().1;
        let ports: Vec<u64> = gitaly["ports"].as_array().unwrap().iter().filter_map(Value::as_u64).collect();
        assert!(ports.contains(&8075) && ports.contains(&8500) && !ports.contains(&5432), "{ports:?}");
        assert_eq!(gitaly["data_disks"][0]["mount"], "/var/opt/gitlab");
        assert_eq!(gitaly["measure"], false);
    }
}
