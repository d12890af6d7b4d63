//! Can a node open every connection that the port table gives it?

use super::facts::ClosedFlow;
use super::member::{Cluster, Member};
use super::seen::Seen;
use crate::checks::question::Miss;

const REMEDY: &str = "open the flow in the firewall, as `reference-architectures/ports.yml` lists it, or start what should listen there";

pub fn applies(_: &Cluster, member: &Member) -> bool {
    !member.flows.is_empty()
}

pub fn judge(_: &Cluster, member: &Member) -> Result<String, Miss> {
    let mut seen = Seen::default();
    let mut count = 0;
    if let Some(told) = seen.take(member.about(|state| state.flows.as_ref())) {
        count = told.count;
        for flow in &told.closed {
            let ClosedFlow { to, port, protocol, error } = flow;
            let port = if protocol == "udp" { format!("UDP port {port}") } else { format!("port {port}") };
            seen.wrong(format!("{} can't reach {port} of {to}: {error}", member.name));
        }
    }
    seen.answer(format!("all {count} connections can be opened"), REMEDY)
}

#[cfg(test)]
mod tests {
    use super::super::facts::Asked;
    use super::super::tests::{healthy, told};
    use super::*;
    use crate::checks::catalogue::Check;
    use crate::events::Status;

    const NODE: &str = "acme-gitaly-1";

    #[test]
    fn passes_when_all_can_be_opened() {
        let cluster = healthy();
        assert_eq!(judge(&cluster, cluster.named(NODE).unwrap()).unwrap(), "all 4 connections can be opened");
    }

    #[test]
    fn fails_on_a_flow_that_is_closed() {
        let mut cluster = healthy();
        let Some(Asked::Told(view)) = &mut told(&mut cluster, NODE).flows else { panic!() };
        for (to, port, protocol) in [("acme-praefect-1", 2305, "tcp"), ("acme-gitaly-2", 8301, "udp")] {
            let error = "no answer, as from a firewall".into();
            view.closed.push(ClosedFlow { to: to.into(), port, protocol: protocol.into(), error });
        }
        let miss = judge(&cluster, cluster.named(NODE).unwrap()).unwrap_err();
        assert_eq!(miss.status, Status::Fail);
        for words in [
            "acme-gitaly-1 can't reach port 2305 of acme-praefect-1: no answer, as from a firewall",
            "acme-gitaly-1 can't reach UDP port 8301 of acme-gitaly-2: no answer, as from a firewall",
        ] {
            assert!(miss.saw.contains(words), "{}", miss.saw);
        }
    }

    #[test]
    fn every_row_of_the_port_table_names_a_check_that_there_is() {
        for row in crate::architecture::Ports::read().unwrap().rows {
            assert!(Check::ALL.iter().any(|check| check.name() == row.check), "{row:?}");
        }
    }

    #[test]
    fn skips_when_the_node_could_not_be_asked() {
        let mut cluster = healthy();
        told(&mut cluster, NODE).flows = None;
        assert_eq!(judge(&cluster, cluster.named(NODE).unwrap()).unwrap_err().status, Status::Skip);
    }
}
