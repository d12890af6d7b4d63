//! What a load balancer does, as the values of its role's template.
//!
//! Source: <https://docs.gitlab.com/administration/reference_architectures/3k_users/>, "Configure the external load
//! balancer" and "Configure the internal load balancer" (read 2026-11).

use serde_json::{Value, json};

use super::ports;
use crate::architecture::Component;
use crate::deployment::{Deployment, Node, NodeName};

/// Where `HAProxy` answers questions about its backends, on the node alone.
pub const STATS_SOCKET: &str = "/run/haproxy/admin.sock";
/// What Rails answers 200 to while it can serve.
const READINESS: &str = "/-/readiness";

/// How often a backend is asked, and how many answers decide.
#[derive(Clone, Copy)]
struct Asked {
    inter_s: u32,
    fall: u32,
    rise: u32,
}

/// A node that users wait for is out at its first failure.
const AT_ONCE: Asked = Asked { inter_s: 3, fall: 1, rise: 2 };
/// As documented for what GitLab's own nodes ask.
const CALMLY: Asked = Asked { inter_s: 10, fall: 3, rise: 2 };

/// The configuration of this node, if it is a load balancer. `address` gives the text of a node's address.
pub(super) fn configuration(
    deployment: &Deployment,
    node: &Node,
    address: &dyn Fn(&NodeName) -> String,
) -> Option<Value> {
    let balancer = Balancer { deployment, address };
    match node.component {
        Component::ExternalLb => Some(balancer.external()),
        Component::InternalLb => Some(balancer.internal()),
        _ => None,
    }
}

/// The ports that a load balancer listens on.
pub(super) fn listens_on(deployment: &Deployment, node: &Node) -> Vec<u16> {
    let configuration = configuration(deployment, node, &|_| String::new());
    let frontends = configuration.as_ref().and_then(|it| it["frontends"].as_array()).into_iter().flatten();
    frontends.filter_map(|it| u16::try_from(it["port"].as_u64()?).ok()).collect()
}

struct Balancer<'a> {
    deployment: &'a Deployment,
    address: &'a dyn Fn(&NodeName) -> String,
}

impl Balancer<'_> {
    /// Users' way in. It ends TLS and speaks TLS again to the nodes; Git over SSH goes where the same node's web
    /// interface is healthy.
    fn external(&self) -> Value {
        let https = self.deployment.gitlab.url.port_or_default();
        let web = json!({
            "name": "rails", "mode": "http", "balance": "leastconn", "options": [], "track": null, "tls": true,
            "inter_s": AT_ONCE.inter_s, "fall": AT_ONCE.fall, "rise": AT_ONCE.rise,
            "check": self.readiness(), "servers": self.servers(Component::Rails, https),
        });
        let ssh = json!({
            "name": "rails-ssh", "mode": "tcp", "balance": "leastconn", "options": [], "track": "rails",
            "tls": false, "inter_s": AT_ONCE.inter_s, "fall": AT_ONCE.fall, "rise": AT_ONCE.rise,
            "check": { "kind": "tcp" }, "servers": self.servers(Component::Rails, ports::SSH),
        });
        json!({
            "frontends": [
                {
                    "name": "http", "mode": "http", "port": ports::HTTP, "tls": false, "options": [],
                    "redirect_to_https": true, "backend": null,
                },
                {
                    "name": "https", "mode": "http", "port": https, "tls": true, "options": [],
                    "redirect_to_https": false, "backend": "rails",
                },
                frontend("ssh", ports::SSH, "rails-ssh", &[]),
            ],
            "backends": [web, ssh],
            "stats_socket": STATS_SOCKET,
        })
    }

    /// The way of GitLab's own nodes to what stands several times.
    fn internal(&self) -> Value {
        let https = self.deployment.gitlab.url.port_or_default();
        let mut frontends = Vec::new();
        let mut backends = Vec::new();
        if self.deployment.has(Component::Pgbouncer) {
            frontends.push(frontend("pgbouncer", ports::PGBOUNCER, "pgbouncer", &[]));
            backends.push(self.tcp("pgbouncer", Component::Pgbouncer, ports::PGBOUNCER, &["tcp-check"]));
        }
        if self.deployment.has(Component::Praefect) {
            frontends.push(frontend("praefect", ports::PRAEFECT, "praefect", &["clitcpka"]));
            let options = ["tcp-check", "srvtcpka"];
            backends.push(self.tcp("praefect", Component::Praefect, ports::PRAEFECT, &options));
        }
        // TLS passes through, so that the name in the certificate stays the users'.
        frontends.push(frontend("internal-api", https, "internal-api", &[]));
        let mut api = self.tcp("internal-api", Component::Rails, https, &[]);
        api["check"] = self.readiness();
        backends.push(api);
        json!({ "frontends": frontends, "backends": backends, "stats_socket": STATS_SOCKET })
    }

    fn tcp(&self, name: &str, component: Component, port: u16, options: &[&str]) -> Value {
        json!({
            "name": name, "mode": "tcp", "balance": "leastconn", "options": options, "track": null, "tls": false,
            "inter_s": CALMLY.inter_s, "fall": CALMLY.fall, "rise": CALMLY.rise,
            "check": { "kind": "tcp" }, "servers": self.servers(component, port),
        })
    }

    fn readiness(&self) -> Value {
        json!({ "kind": "http", "path": READINESS, "host": self.deployment.gitlab.url.host(), "tls": true })
    }

    fn servers(&self, component: Component, port: u16) -> Vec<Value> {
        let server =
            |node: &Node| json!({ "name": node.name, "address": (self.address)(&node.name), "port": port });
        self.deployment.nodes_of(component).map(server).collect()
    }
}

/// A port of plain TCP.
fn frontend(name: &str, port: u16, backend: &str, options: &[&str]) -> Value {
    json!({
        "name": name, "mode": "tcp", "port": port, "tls": false, "options": options,
        "redirect_to_https": false, "backend": backend,
    })
}
