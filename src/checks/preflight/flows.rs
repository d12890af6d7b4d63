//! Can the hosts open every connection that their nodes will need?

use std::collections::BTreeSet;

use super::facts::{ClosedFlow, Flows};
use super::host::{Host, Plan, told};
use crate::checks::Miss;
use crate::checks::cluster::Asked as Told;

/// How many closed flows one finding names.
const NAMED: usize = 10;

/// Judges what one host could open. What leads to a host that told nothing says nothing.
pub(super) fn judge(plan: &Plan, host: &Host, found: &Told<Flows>) -> Result<String, Miss> {
    told(found, |flows| of_host(plan, host, flows))
}

fn of_host(plan: &Plan, host: &Host, flows: &Flows) -> Result<String, Miss> {
    let silent: BTreeSet<&str> =
        plan.hosts.iter().filter(|other| other.told.is_err()).map(|other| other.name.as_str()).collect();
    // A service that speaks another protocol doesn't answer a probe by UDP.
    let served = |flow: &ClosedFlow| flow.protocol == "udp" && is_taken(plan, flow);
    let unknown =
        flows.closed.iter().filter(|flow| silent.contains(flow.to.as_str()) || served(flow)).count();
    let closed: Vec<&ClosedFlow> =
        flows.closed.iter().filter(|flow| !silent.contains(flow.to.as_str()) && !served(flow)).collect();
    if closed.is_empty() {
        if flows.count == 0 {
            return Ok("it needs none".into());
        }
        let open = flows.count - flows.closed.len();
        if open == 0 && unknown > 0 {
            return Err(Miss::skip(
                "the hosts at the other end could not be asked",
                "ask again once they answer",
            ));
        }
        let rest =
            if unknown > 0 { format!(", {unknown} could not be tried to their end") } else { String::new() };
        return Ok(format!("{open} open{rest}"));
    }
    let mut lines: Vec<String> = closed
        .iter()
        .take(NAMED)
        .map(|flow| {
            format!("{} to {}:{}/{} {}", host.name, flow.to, flow.port, flow.protocol, words(&flow.why))
        })
        .collect();
    if closed.len() > NAMED {
        lines.push(format!("and {} more", closed.len() - NAMED));
    }
    Err(Miss::fail(
        lines.join("; "),
        "let them through on all firewalls in between: what was dropped met one that is silent; what was refused reached the host, and a firewall or a wrong address stands behind it",
    ))
}

fn is_taken(plan: &Plan, flow: &ClosedFlow) -> bool {
    let other = plan.hosts.iter().find(|host| host.name == flow.to).and_then(|host| host.told.as_ref().ok());
    let Some((state, _)) = other else { return false };
    let Some(Told::Told(flows)) = &state.flows else { return false };
    flows.taken.iter().any(|taken| taken.port == flow.port && taken.protocol == flow.protocol)
}

fn words(why: &str) -> &str {
    match why {
        "EHOSTUNREACH" => "has no way to the host",
        "ENETUNREACH" => "has no way to the network",
        other => other,
    }
}
