//! Every row of the port table that a deployment has, closed in turn: the check that the row names must notice.

use std::time::Instant;

use refarch::architecture::{Ports, Row};
use serde_json::{Value, json};

use super::deployment::{self, Deployment};
use super::mistakes::{Record, Workshop, seconds, until_told};

/// The port of the examples' URLs.
const HTTPS: u16 = 443;

/// Closes one row after the other and opens the one before. Says which rows the deployment does not have.
pub fn all_noticed(cluster: &Deployment) {
    let workshop = Workshop::new(cluster);
    let flows = flows(cluster);
    let mut record = Record::new("flows", "| closed | check | seconds | evidence |\n|---|---|---|---|\n");
    let mut missed = Vec::new();
    for row in Ports::read().expect("the table").rows {
        for closed in cases(&row, &flows) {
            let began = Instant::now();
            let delivered = workshop.deliver(&json!({ "closed_flows": closed }), "provision");
            let noticed = delivered.and_then(|()| until_told(|| noticed(&workshop, &row.check, &closed)));
            let words = noticed.clone().unwrap_or_else(|why| format!("MISSED {why}"));
            record.row(cluster, &[&title(&closed), &row.check, &seconds(began), &words]);
            missed.extend(noticed.err().map(|why| format!("{}: {why}", title(&closed))));
        }
        if cases(&row, &flows).is_empty() {
            record
                .row(cluster, &[&format!("{} {:?}", row.why, row.when), &row.check, "", "no such flow here"]);
        }
    }
    workshop.deliver(&json!({}), "provision").expect("what is right");
    assert!(missed.is_empty(), "{}", missed.join("\n\n"));
}

/// The flows that a row stands for here, closed together; over each transport by itself where it has two, since one may hide
/// that the other is closed.
fn cases(row: &Row, flows: &[Value]) -> Vec<Vec<Value>> {
    let names = |parties: &[refarch::architecture::Party], name: &Value| {
        parties.iter().any(|party| *name == party.to_string())
    };
    let of = |protocol: &str| -> Vec<Value> {
        let mine = |flow: &&Value| {
            names(&row.from, &flow["from"])
                && names(&row.to, &flow["to"])
                && flow["port"] == row.port.number(HTTPS)
                && flow["protocol"] == protocol
                && flow["why"] == row.why.as_str()
        };
        flows.iter().filter(mine).cloned().collect()
    };
    row.protocol.names().iter().map(|protocol| of(protocol)).filter(|flows| !flows.is_empty()).collect()
}

/// What the deployment's firewall lets through.
fn flows(cluster: &Deployment) -> Vec<Value> {
    let values = deployment::json(&cluster.work().join("terraform/terraform.tfvars.json"));
    let flows = values["flows"].as_array().expect("flows").iter();
    flows.cloned().collect()
}

/// The check must fail and name each side of every flow that is closed.
fn noticed(workshop: &Workshop<'_>, check: &str, closed: &[Value]) -> Result<String, String> {
    let failures = workshop.failures(&["--only", check]);
    let failures: Vec<&Value> = failures.iter().filter(|finding| finding["check"] == check).collect();
    let name = &workshop.cluster().name;
    let node = |party: &Value| match party.as_str().expect("a party") {
        "all" => format!("{name}-"),
        "users" => String::new(),
        component => format!("{name}-{}-", component.replace('_', "-")),
    };
    let mut words = Vec::new();
    for flow in closed {
        let (from, to) = (node(&flow["from"]), node(&flow["to"]));
        let tells = |finding: &&&Value| {
            let (of, saw) =
                (finding["node"].as_str().unwrap_or_default(), finding["saw"].as_str().unwrap_or_default());
            let said = format!("{of}: {saw}");
            // What is asked from here names no node, and Prometheus is one node that names the ones it asks.
            let asks = ["tcp", "redirect", "push_ssh", "prometheus"].contains(&check) || said.contains(&from);
            let names = ["open_ports", "load_balancer", "prometheus"].contains(&check);
            let names_port = !["open_ports", "prometheus"].contains(&check)
                || said.contains(&format!("port {}", flow["port"]));
            // Where many don't answer, Prometheus' check names the first of them and counts the others.
            let counts = check == "prometheus" && said.contains(" more");
            asks && (!names || counts || said.contains(&to)) && names_port
        };
        let finding = failures
            .iter()
            .find(tells)
            .ok_or_else(|| format!("{check} does not tell of {flow}: {failures:#?}"))?;
        words.push(format!(
            "{}: {}",
            finding["node"].as_str().unwrap_or("from here"),
            finding["saw"].as_str().unwrap_or_default()
        ));
    }
    words.dedup();
    let shown: String = words[0].chars().take(240).collect();
    Ok(shown)
}

fn title(closed: &[Value]) -> String {
    let side = |key: &str| {
        let mut names: Vec<_> = closed.iter().map(|flow| flow[key].as_str().unwrap_or_default()).collect();
        names.sort_unstable();
        names.dedup();
        names.join(", ")
    };
    let protocol = if closed[0]["protocol"] == "udp" { "UDP " } else { "" };
    format!("{} → {protocol}{} of {}", side("from"), closed[0]["port"], side("to"))
}
