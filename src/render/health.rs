//! How a node says that it is healthy, as its role asks it.

use serde_json::{Value, json};

use super::{load_balancer, ports};
use crate::architecture::Component;
use crate::deployment::{Database, Deployment, Node, Redis};

/// The question: an address that must answer 200 on the node itself, or ports that something must listen on.
pub(super) fn question(deployment: &Deployment, node: &Node) -> Value {
    match node.component {
        Component::AllInOne | Component::Rails => web(deployment),
        Component::Sidekiq => json!({
            "kind": "url", "url": format!("http://127.0.0.1:{}/readiness", ports::SIDEKIQ_HEALTH),
            "resolve": null, "ca": null,
        }),
        _ => json!({ "kind": "ports", "ports": ports_of(deployment, node) }),
    }
}

/// The node's own NGINX under the name of the certificate.
fn web(deployment: &Deployment) -> Value {
    let url = &deployment.gitlab.url;
    let (host, port) = (url.host(), url.port_or_default());
    json!({
        "kind": "url",
        "url": format!("{}/-/readiness?all=1", url.as_str().trim_end_matches('/')),
        "resolve": format!("{host}:{port}:127.0.0.1"),
        "ca": deployment.tls.has_own_authority().then(|| format!("/etc/gitlab/ssl/{host}.ca.crt")),
    })
}

fn ports_of(deployment: &Deployment, node: &Node) -> Vec<u16> {
    match node.component {
        Component::AllInOne | Component::Rails | Component::Sidekiq => Vec::new(),
        Component::ExternalLb | Component::InternalLb => load_balancer::listens_on(deployment, node),
        Component::Consul => vec![ports::CONSUL_RPC],
        Component::Postgres => match deployment.topology.database {
            Database::Cluster { .. } => vec![ports::POSTGRES, ports::PGBOUNCER, ports::PATRONI],
            Database::OnNode | Database::Single(_) | Database::External(_) => vec![ports::POSTGRES],
        },
        Component::Pgbouncer => vec![ports::PGBOUNCER],
        Component::Redis | Component::RedisCache | Component::RedisPersistent => {
            match deployment.topology.redis {
                Redis::Sentinel(_) | Redis::Split { .. } => vec![ports::REDIS, ports::SENTINEL],
                Redis::OnNode | Redis::Single(_) | Redis::External(_) => vec![ports::REDIS],
            }
        }
        Component::PraefectPostgres => vec![ports::POSTGRES],
        Component::Praefect => vec![ports::PRAEFECT],
        Component::Gitaly => vec![ports::GITALY],
        Component::Monitor => vec![ports::PROMETHEUS],
        Component::ObjectStorage => vec![ports::OBJECT_STORAGE],
    }
}
