//! What the nodes see of each other, judged together: the checks that need nothing but what one Ansible run gathered from
//! all nodes, and a look from here at ports that must be closed.
//!
//! A check that has no meaning for a deployment, such as Patroni's on a single node, is left out and not skipped: a skip
//! says that something could not be looked at, and there is nothing to look at.

mod allowlist;
mod ask;
mod closed_ports;
mod components;
mod consul;
mod database_endpoint;
mod facts;
mod gitaly;
mod load_balancer;
mod member;
#[cfg(test)]
mod mistakes;
mod object_storage;
mod open_ports;
mod patroni;
mod pgbouncer;
mod praefect;
mod prometheus;
#[cfg(test)]
mod recorded;
mod redis;
mod seen;
mod sentinel;
mod shared_secrets;
mod single_points;
mod ssh_host_keys;
mod survivors;
#[cfg(test)]
pub(super) mod tests;
mod topology;
mod versions;

use super::catalogue::Check;
use super::question::{Miss, Question};
use super::target::Options;
use crate::events::Finding;

pub use ask::asks;
pub use closed_ports::{Reached, scan};
pub use facts::{Asked, ClusterState, VERSION};
pub use member::{Cluster, Flow, Member, RedisGroup};
pub use survivors::{Lost, held_by, redis_leader};

/// Of whom a check asks.
enum Of {
    /// Of all nodes together: whether it has a meaning, and the answer.
    All(fn(&Cluster) -> bool, fn(&Cluster) -> Result<String, Miss>),
    /// Of each node that it has a meaning for.
    Each(fn(&Cluster, &Member) -> bool, fn(&Cluster, &Member) -> Result<String, Miss>),
}

/// One check.
struct Ask {
    check: Check,
    asked: &'static str,
    wanted: &'static str,
    of: Of,
}

const ASKS: [Ask; 19] = [
    Ask {
        check: Check::Consul,
        asked: "every node's Consul agent for its members and their leader",
        wanted: "exactly the deployment's nodes, all alive, and one leader that all of them know",
        of: Of::All(consul::applies, consul::judge),
    },
    Ask {
        check: Check::Patroni,
        asked: "Patroni on every database node for the cluster",
        wanted: "one leader, replicas that stream from it without lag, and no restart that is pending",
        of: Of::All(patroni::applies, patroni::judge),
    },
    Ask {
        check: Check::Pgbouncer,
        asked: "`show databases` in PgBouncer's console",
        wanted: "gitlabhq_production leads to the database's leader on port 5432, neither paused nor disabled",
        of: Of::Each(pgbouncer::applies, pgbouncer::judge),
    },
    Ask {
        check: Check::DatabaseEndpoint,
        asked: "the database that Rails is configured with, whether it is a replica",
        wanted: "a primary",
        of: Of::Each(database_endpoint::applies, database_endpoint::judge),
    },
    Ask {
        check: Check::Redis,
        asked: "`info replication` of every Redis",
        wanted: "one primary a group, and every other node linked to it",
        of: Of::All(redis::applies, redis::judge),
    },
    Ask {
        check: Check::Sentinel,
        asked: "every Sentinel for its primary and its quorum, and Rails' configuration for the name that it asks for",
        wanted: "the same primary everywhere, a quorum, and the name that Rails asks for",
        of: Of::All(sentinel::applies, sentinel::judge),
    },
    Ask {
        check: Check::Praefect,
        asked: "Praefect's `sql-ping`, `sql-migrate-status`, `dial-nodes` and `dataloss`",
        wanted: "a migrated database, every Gitaly with its own token and storage, and no replica that is missing",
        of: Of::Each(praefect::applies, praefect::judge),
    },
    Ask {
        check: Check::Gitaly,
        asked: "`gitlab-rake gitlab:gitaly:check` on nodes with Rails, `gitaly check` on those with Gitaly",
        wanted: "every storage answers Rails, and the internal API answers Gitaly",
        of: Of::Each(gitaly::applies, gitaly::judge),
    },
    Ask {
        check: Check::ObjectStorage,
        asked: "every bucket of the node's configuration with its credentials",
        wanted: "200 from each",
        of: Of::Each(object_storage::applies, object_storage::judge),
    },
    Ask {
        check: Check::SharedSecrets,
        asked: "gitlab-secrets.json of every node, key by key, as salted hashes",
        wanted: "equal keys on all nodes that share them",
        of: Of::All(shared_secrets::applies, shared_secrets::judge),
    },
    Ask {
        check: Check::SshHostKeys,
        asked: "the SSH host keys of every Rails node",
        wanted: "the same on all of them, and those that refarch keeps",
        of: Of::All(ssh_host_keys::applies, ssh_host_keys::judge),
    },
    Ask {
        check: Check::Versions,
        asked: "dpkg on every node",
        wanted: "the same package everywhere",
        of: Of::All(versions::applies, versions::judge),
    },
    Ask {
        check: Check::LoadBalancer,
        asked: "HAProxy's own view of its backends",
        wanted: "exactly the nodes that it is for, all of them up, the least loaded first",
        of: Of::Each(load_balancer::applies, load_balancer::judge),
    },
    Ask {
        check: Check::Allowlist,
        asked: "HAProxy how its health checks ended",
        wanted: "no node that answers them with 404",
        of: Of::Each(allowlist::applies, allowlist::judge),
    },
    Ask {
        check: Check::Prometheus,
        asked: "Prometheus for its targets",
        wanted: "every node's exporters, all of them up",
        of: Of::All(prometheus::applies, prometheus::judge),
    },
    Ask {
        check: Check::OpenPorts,
        asked: "for a connection to every port that the node needs on others",
        wanted: "all of them open, as the port table says",
        of: Of::Each(open_ports::applies, open_ports::judge),
    },
    Ask {
        check: Check::SinglePoints,
        asked: "the deployment for tiers with one node",
        wanted: "none, where the architecture is meant to be highly available",
        of: Of::All(single_points::applies, single_points::judge),
    },
    Ask {
        check: Check::Topology,
        asked: "the nodes that answer, by component",
        wanted: "as many as the architecture says",
        of: Of::All(topology::applies, topology::judge),
    },
    Ask {
        check: Check::Components,
        asked: "runit for the node's services",
        wanted: "those of the node's component, and none of another's",
        of: Of::Each(components::applies, components::judge),
    },
];

/// Judges all that is asked for. `reached` is what a look from here at the nodes' ports found.
#[must_use]
pub fn judge(cluster: &Cluster, reached: &Reached, options: &Options) -> Vec<Finding> {
    let one = |ask: &Ask| match ask.of {
        Of::All(applies, judge) if applies(cluster) => {
            vec![Question::new(ask.check, ask.asked, ask.wanted).answer(judge(cluster))]
        }
        Of::All(..) => Vec::new(),
        Of::Each(applies, judge) => {
            let members = cluster.members.iter().filter(|member| applies(cluster, member));
            let finding = |member: &Member| {
                let asked = format!("{} on {}", ask.asked, member.name);
                Question::new(ask.check, asked, ask.wanted).on(&member.name).answer(judge(cluster, member))
            };
            members.map(finding).collect()
        }
    };
    let asked = ASKS.iter().filter(|ask| options.asks(ask.check)).flat_map(one);
    let closed = options.asks(Check::ClosedPorts).then(|| closed_ports::judge(cluster, reached));
    asked.chain(closed).collect()
}
