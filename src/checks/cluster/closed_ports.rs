//! Are the ports closed that users must not reach?
//!
//! Seen from where refarch runs, which is somewhere that users may be too. What nodes say to each other is not encrypted by
//! default and partly without a password, so that a firewall is a part of every reference architecture. Source:
//! <https://docs.gitlab.com/administration/package_information/defaults/> (read 2026-11).

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream;
use tokio::net::TcpStream;

use super::member::{Cluster, Member};
use crate::architecture::Component;
use crate::checks::catalogue::Check;
use crate::checks::question::{Miss, Question};
use crate::events::Finding;

/// How long a port may take to answer; a closed one answers at once, a filtered one never.
const LIMIT: Duration = Duration::from_millis(1500);
const AT_ONCE: usize = 256;

/// The ports on which the nodes answered from here.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reached {
    /// How many were tried.
    pub tried: usize,
    /// The name of the node, and the port.
    pub open: Vec<(String, u16)>,
}

/// What a component listens on for other nodes only.
const fn internal(component: Component) -> &'static [u16] {
    match component {
        Component::AllInOne => {
            &[5432, 6379, 8075, 8080, 8082, 8092, 9090, 9093, 9121, 9168, 9187, 9229, 9236]
        }
        Component::ExternalLb => &[],
        Component::InternalLb => &[2305, 6432],
        Component::Consul => &[8300, 8301, 8600],
        Component::Postgres => &[5432, 6432, 8008, 9187],
        Component::Pgbouncer => &[6432, 9188],
        Component::Redis | Component::RedisCache | Component::RedisPersistent => &[6379, 9121, 26379],
        Component::PraefectPostgres => &[5432, 9187],
        Component::Praefect => &[2305, 9652],
        Component::Gitaly => &[8075, 9236],
        Component::Sidekiq => &[8082, 8092],
        Component::Rails => &[8060, 8080, 9229],
        Component::Monitor => &[9090, 9093],
        Component::ObjectStorage => &[9000],
    }
}

fn ports(member: &Member) -> impl Iterator<Item = u16> {
    // Consul's API and node-exporter, which every node with the package has.
    let everywhere: &[u16] = if member.component.has_package() { &[8500, 9100] } else { &[] };
    internal(member.component).iter().chain(everywhere).copied()
}

/// Tries every port that must be closed, all at once, and closes what opens without a word.
pub async fn scan(cluster: &Cluster) -> Reached {
    let targets: Vec<(&Member, IpAddr, u16)> = cluster
        .members
        .iter()
        .filter_map(|member| Some((member, member.address.parse::<IpAddr>().ok()?)))
        .flat_map(|(member, address)| ports(member).map(move |port| (member, address, port)))
        .collect();
    let tried = targets.len();
    let try_one = async |(member, address, port): (&Member, IpAddr, u16)| {
        let opened = tokio::time::timeout(LIMIT, TcpStream::connect(SocketAddr::new(address, port))).await;
        matches!(opened, Ok(Ok(_))).then(|| (member.name.clone(), port))
    };
    let open = stream::iter(targets).map(try_one).buffer_unordered(AT_ONCE).filter_map(std::future::ready);
    let mut open: Vec<_> = open.collect().await;
    open.sort();
    Reached { tried, open }
}

pub(super) fn judge(cluster: &Cluster, reached: &Reached) -> Finding {
    let asked = format!("{} ports of the nodes' private addresses, from here", reached.tried);
    Question::new(Check::ClosedPorts, asked, "none of them open").answer(answer(cluster, reached))
}

fn answer(cluster: &Cluster, reached: &Reached) -> Result<String, Miss> {
    if reached.tried == 0 {
        return Err(Miss::skip("no node has an address that could be tried", "see `refarch status`"));
    }
    if reached.open.is_empty() {
        return Ok(format!("none of {} is open", reached.tried));
    }
    let mut nodes: Vec<String> = Vec::new();
    for member in &cluster.members {
        let open = reached.open.iter().filter(|(node, _)| *node == member.name);
        let ports: Vec<_> = open.map(|(_, port)| port.to_string()).collect();
        if !ports.is_empty() {
            nodes.push(format!("{}: {}", member.name, ports.join(", ")));
        }
    }
    let remedy = "let only the nodes that `reference-architectures/ports.yml` names reach these ports; from inside their network this can't be judged";
    Err(Miss::fail(format!("open from here: {}", nodes.join("; ")), remedy))
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::super::tests::healthy;
    use super::*;
    use crate::events::Status;

    #[test]
    fn passes_when_none_is_open() {
        let reached = Reached { tried: 60, open: Vec::new() };
        assert_eq!(judge(&healthy(), &reached).status, Status::Pass);
    }

    #[test]
    fn fails_on_one_that_is_and_names_it() {
        let reached = Reached {
            tried: 60,
            open: vec![("acme-postgres-2".into(), 5432), ("acme-postgres-2".into(), 8008)],
        };
        let finding = judge(&healthy(), &reached);
        assert_eq!(
            (finding.status, finding.saw.as_str()),
            (Status::Fail, "open from here: acme-postgres-2: 5432, 8008")
        );
    }

    #[test]
    fn skips_when_nothing_could_be_tried() {
        assert_eq!(judge(&healthy(), &Reached::default()).status, Status::Skip);
    }

    #[tokio::test]
    async fn a_port_that_answers_is_found_and_others_are_not() {
        // Of the ports of an object storage there is one, so that nothing else on this machine can answer.
        let mut cluster = healthy();
        cluster.members.retain(|member| member.component == Component::ObjectStorage);
        cluster.members[0].address = "127.7.7.7".into();
        assert_eq!(scan(&cluster).await, Reached { tried: 1, open: Vec::new() });
        let _listens = TcpListener::bind("127.7.7.7:9000").await.unwrap();
        assert_eq!(scan(&cluster).await.open, [("acme-object-storage-1".to_owned(), 9000)]);
    }
}
