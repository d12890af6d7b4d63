//! The shape of `reference-architectures/ports.yml`: who connects to whom.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Component, Error};

/// Every flow that some deployment has, and every port that is nobody's to reach.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ports {
    /// The flows.
    pub rows: Vec<Row>,
    /// What listens and is not to be reached from another node.
    pub closed: Vec<Closed>,
}

/// One flow: what listens on a port, and who needs it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Row {
    /// Who connects.
    pub from: Vec<Party>,
    /// Who listens.
    pub to: Vec<Party>,
    /// Where.
    pub port: Port,
    /// By which transport.
    pub protocol: Protocol,
    /// What it hangs on beside nodes of both sides.
    #[serde(default)]
    pub when: Option<Condition>,
    /// What it is for.
    pub why: String,
    /// Where that is documented.
    pub source: String,
    /// The check that fails when the flow is closed, by its name.
    pub check: String,
}

/// Ports that something listens on and that another node never needs.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Closed {
    /// Who listens.
    pub on: Vec<Party>,
    /// Where.
    pub ports: Vec<u16>,
    /// Why nobody needs it.
    pub why: String,
}

/// One side of a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(untagged)]
pub enum Party {
    /// The nodes of a component.
    Nodes(Component),
    /// More than one component's nodes.
    Many(Many),
}

/// Sides of a flow that are no component.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Many {
    /// Every node.
    All,
    /// Whoever may use the instance, from outside.
    Users,
}

/// A port of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum Port {
    /// Always this one.
    Number(u16),
    /// One that the spec decides.
    Named(NamedPort),
}

/// A port that the spec decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NamedPort {
    /// That of the instance's URL.
    Https,
}

/// The transports of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Protocol {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
    /// TCP and UDP, for one purpose.
    Both,
}

/// What a row can hang on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Condition {
    /// GitLab's database is several nodes under Patroni.
    Patroni,
    /// GitLab's database is one node.
    SingleDatabase,
    /// Redis is several nodes under Sentinel.
    Sentinel,
    /// Git is behind Praefect.
    Praefect,
    /// Git is on Gitaly nodes that each have their own share.
    Sharded,
    /// There is Consul.
    Consul,
    /// No load balancer stands between GitLab's own nodes.
    NoInternalLb,
    /// Background jobs run on the Rails nodes.
    SidekiqOnRails,
}

impl Ports {
    /// The table that is part of the program.
    ///
    /// # Errors
    /// When it is not of this shape, which is a bug of refarch; a test reads it.
    pub fn read() -> Result<Self, Error> {
        crate::spec::read_yaml(include_str!("../../reference-architectures/ports.yml")).map_err(Error)
    }
}

impl Protocol {
    /// The transports by the names that firewalls have for them.
    #[must_use]
    pub const fn names(self) -> &'static [&'static str] {
        match self {
            Self::Tcp => &["tcp"],
            Self::Udp => &["udp"],
            Self::Both => &["tcp", "udp"],
        }
    }
}

impl Port {
    /// The number, where the instance's URL has the port `https`.
    #[must_use]
    pub const fn number(self, https: u16) -> u16 {
        match self {
            Self::Number(number) => number,
            Self::Named(NamedPort::Https) => https,
        }
    }
}

impl fmt::Display for Party {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Nodes(component) => component.name(),
            Self::Many(Many::All) => "all",
            Self::Many(Many::Users) => "users",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ports() -> Ports {
        Ports::read().expect("the file is part of the program")
    }

    /// What listens on other addresses than loopback, by the package's defaults and what the documented
    /// configurations change; typed in again, so that a port which is forgotten in the table is seen here.
    /// Source: <https://docs.gitlab.com/administration/package_information/defaults/> (read 2026-11).
    const LISTENING: [(Component, &[u16]); 16] = [
        (Component::AllInOne, &[22, 80, 443, 8060, 8080]),
        (Component::ExternalLb, &[22, 80, 443]),
        (Component::InternalLb, &[443, 2305, 6432]),
        (Component::Consul, &[8300, 8301, 8302, 8500, 8600, 9100]),
        (Component::Postgres, &[5432, 6432, 8008, 8301, 9100, 9187, 9188]),
        (Component::Pgbouncer, &[6432, 8301, 9100, 9188]),
        (Component::Redis, &[6379, 8301, 9100, 9121, 26379]),
        (Component::RedisCache, &[6379, 8301, 9100, 9121, 26379]),
        (Component::RedisPersistent, &[6379, 8301, 9100, 9121, 26379]),
        (Component::PraefectPostgres, &[5432, 8301, 9100, 9187]),
        (Component::Praefect, &[2305, 8301, 9100, 9652]),
        (Component::Gitaly, &[8075, 8301, 9100, 9236]),
        (Component::Sidekiq, &[8082, 8092, 8301, 9100]),
        (Component::Rails, &[22, 443, 8060, 8080, 8082, 8092, 8301, 9100, 9229]),
        (Component::Monitor, &[8301, 9090, 9093, 9100]),
        (Component::ObjectStorage, &[9000]),
    ];

    #[test]
    fn what_listens_has_a_row_or_is_closed() {
        let table = ports();
        for (component, listening) in LISTENING {
            let is = |party: &Party| *party == Party::Nodes(component) || *party == Party::Many(Many::All);
            for port in listening {
                let open =
                    table.rows.iter().any(|row| row.to.iter().any(is) && row.port.number(443) == *port);
                let closed =
                    table.closed.iter().any(|closed| closed.on.iter().any(is) && closed.ports.contains(port));
                assert!(open || closed, "port {port} of {component} is not in ports.yml");
                assert!(!(open && closed), "port {port} of {component} is open and closed in ports.yml");
            }
        }
    }

    #[test]
    fn every_row_says_why_where_that_is_documented_and_who_notices() {
        for row in &ports().rows {
            let documented = row.source.starts_with('/') || row.source.starts_with("https://");
            assert!(!row.why.is_empty() && documented && !row.check.is_empty(), "{row:?}");
            assert!(!row.from.is_empty() && !row.to.is_empty(), "{row:?}");
        }
    }

    #[test]
    fn nobody_is_listed_twice() {
        let rows = ports().rows;
        for (index, row) in rows.iter().enumerate() {
            for other in &rows[index + 1..] {
                let same = row.port == other.port && row.when == other.when;
                let from = row.from.iter().any(|party| other.from.contains(party));
                let to = row.to.iter().any(|party| other.to.contains(party));
                assert!(!(same && from && to), "{row:?} and {other:?}");
            }
        }
    }

    #[test]
    fn what_the_table_does_not_know_is_refused() {
        let text = include_str!("../../reference-architectures/ports.yml");
        for (known, unknown) in
            [("when: patroni", "when: patronis"), ("to: [rails]", "to: [railz]"), ("why:", "y:")]
        {
            let changed = text.replacen(known, unknown, 1);
            assert_ne!(changed, text);
            assert!(crate::spec::read_yaml::<Ports>(&changed).is_err(), "`{unknown}` passes");
        }
    }
}
