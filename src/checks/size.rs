//! Does a node have the size that the architecture gives it?

use std::time::Duration;

use super::catalogue::Check;
use super::node::{self, Reply, Unasked};
use super::question::{Miss, Patience, Question};
use super::target::{Machine, NodeTarget};
use crate::events::Finding;

/// What the kernel keeps for itself is missing from what it tells; a machine of the next smaller size has half.
const TOLD_SHARE: f64 = 0.85;

/// What a node says of itself.
#[derive(Debug, PartialEq)]
struct Told {
    vcpu: u32,
    memory_gb: f64,
}

pub(super) async fn check(
    node: &NodeTarget,
    patience: Patience,
    run: &impl AsyncFn(&NodeTarget, &[String], Duration) -> Result<Reply, Unasked>,
) -> Finding {
    let machine = &node.machine;
    let asked = format!("`nproc` and `/proc/meminfo` on {}", node.name);
    let wanted = format!("{} vCPU and {} GB of memory", machine.vcpu, machine.memory_gb);
    let question = Question::new(Check::Size, asked, wanted).on(&node.name);
    if let Some(reason) = &machine.simulated {
        let remedy = "read nothing about speed or capacity into this deployment";
        return question.answer(Err(Miss::skip(reason.clone(), remedy)));
    }
    let attempt = async |limit: Duration| {
        let command = ["sh", "-c", "nproc && cat /proc/meminfo"].map(ToOwned::to_owned);
        let reply = node::ran(node, run(node, &command, limit).await)?;
        judge(machine, &reply).map(|saw| (saw, ()))
    };
    question.settle(patience, attempt).await.0
}

fn judge(machine: &Machine, reply: &Reply) -> Result<String, Miss> {
    let Some(told) = read(reply) else {
        let saw = format!("the node did not tell its size ({})", node::ended(reply.code));
        return Err(Miss::skip(saw, "run the same commands on the node by hand"));
    };
    let saw = format!("{} vCPU and {:.1} GB of memory", told.vcpu, told.memory_gb);
    if told.vcpu < machine.vcpu || told.memory_gb < machine.memory_gb * TOLD_SHARE {
        let remedy = "give the node the machine type of its architecture";
        return Err(Miss::fail(saw, remedy));
    }
    Ok(saw)
}

fn read(reply: &Reply) -> Option<Told> {
    if reply.code != Some(0) {
        return None;
    }
    let vcpu = reply.stdout.lines().next()?.trim().parse().ok()?;
    let total = reply.stdout.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kib: f64 = total.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(Told { vcpu, memory_gb: kib / (1024.0 * 1024.0) })
}

#[cfg(test)]
mod tests {
    use super::super::question::tests::IMPATIENT;
    use super::super::verify::tests::node;
    use super::*;
    use crate::events::Status;

    async fn told(machine: Machine, stdout: &str) -> Finding {
        let run = async |_: &NodeTarget, _: &[String], _| {
            Ok(Reply { code: Some(0), stdout: stdout.into(), stderr: String::new() })
        };
        check(&NodeTarget { machine, ..node("acme-all-in-one-1") }, IMPATIENT, &run).await
    }

    fn machine() -> Machine {
        Machine { vcpu: 8, memory_gb: 16.0, simulated: None }
    }

    #[tokio::test]
    async fn passes_when_the_node_is_large_enough() {
        let finding = told(machine(), "8\nMemTotal:       16393456 kB\nMemFree: 1 kB\n").await;
        assert_eq!((finding.status, finding.saw.as_str()), (Status::Pass, "8 vCPU and 15.6 GB of memory"));
    }

    #[tokio::test]
    async fn fails_when_it_is_too_small() {
        assert_eq!(told(machine(), "4\nMemTotal:       16393456 kB\n").await.status, Status::Fail);
        assert_eq!(told(machine(), "8\nMemTotal:        8123456 kB\n").await.status, Status::Fail);
    }

    #[tokio::test]
    async fn skips_when_the_size_is_simulated_or_untold() {
        let simulated =
            Machine { simulated: Some("size is simulated: lab hosts share one machine".into()), ..machine() };
        let finding = told(simulated, "8\nMemTotal:       16393456 kB\n").await;
        assert_eq!(finding.status, Status::Skip);
        assert_eq!(finding.saw, "size is simulated: lab hosts share one machine");
        assert_eq!(told(machine(), "words").await.status, Status::Skip);

        let run = async |_: &NodeTarget, _: &[String], _| Err(Unasked("connection refused".into()));
        let node = NodeTarget { machine: machine(), ..node("acme-all-in-one-1") };
        assert_eq!(check(&node, IMPATIENT, &run).await.status, Status::Skip);
    }
}
