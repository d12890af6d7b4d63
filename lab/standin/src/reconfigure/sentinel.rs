//! The real Sentinel, which rewrites its own configuration as it learns of replicas and other Sentinels.

use super::converge::{self, Owner};
use super::{Error, runit};
use crate::paths;
use crate::site::{SentinelServer, Service, Site};

const HOME: &str = "/var/opt/gitlab/sentinel";

/// Writes the configuration, unless Sentinel already made its own of the same.
pub fn prepare(site: &Site) -> Result<(), Error> {
    let Some(sentinel) = &site.sentinel else { return Ok(()) };
    let accounts = &site.accounts;
    let owner = Owner::named(&accounts.redis.user, &accounts.git.group)?;
    converge::directory(HOME, owner, 0o750)?;
    converge::directory(format!("{}/sentinel", paths::LOG), owner, 0o700)?;
    runit::seed(Service::Sentinel, format!("{HOME}/sentinel.conf"), &configuration(sentinel), owner, 0o600)
}

/// sentinel.conf
#[must_use]
pub fn configuration(sentinel: &SentinelServer) -> String {
    let SentinelServer { bind, port, quorum, down_after, failover_timeout, master, .. } = sentinel;
    let name = &master.name;
    let mut lines = vec![
        "# Written by gitlab-ctl reconfigure, and from then on by Sentinel itself.".to_owned(),
        format!("bind {bind}"),
        format!("port {port}"),
        format!("dir {HOME}"),
    ];
    let switch = if sentinel.use_hostnames { "yes" } else { "no" };
    lines.push(format!("sentinel resolve-hostnames {switch}"));
    lines.push(format!("sentinel announce-hostnames {switch}"));
    if let Some(id) = &sentinel.my_id {
        lines.push(format!("sentinel myid {id}"));
    }
    if let Some(password) = &sentinel.password {
        lines.push(format!("requirepass {}", super::redis::quoted(password)));
    }
    if let Some(address) = &sentinel.announce.0 {
        lines.push(format!("sentinel announce-ip {address}"));
    }
    if let Some(port) = sentinel.announce.1 {
        lines.push(format!("sentinel announce-port {port}"));
    }
    lines.push(format!("sentinel monitor {name} {} {} {quorum}", master.address, master.port));
    lines.push(format!("sentinel down-after-milliseconds {name} {down_after}"));
    lines.push(format!("sentinel failover-timeout {name} {failover_timeout}"));
    if let Some(password) = &master.password {
        lines.push(format!("sentinel auth-pass {name} {}", super::redis::quoted(password)));
    }
    lines.push(String::new());
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::site::Master;

    #[test]
    fn the_primary_is_watched_by_its_name() {
        let sentinel = SentinelServer {
            bind: "0.0.0.0".into(),
            port: 26379,
            password: None,
            quorum: 2,
            down_after: 10_000,
            failover_timeout: 60_000,
            my_id: None,
            announce: (None, None),
            use_hostnames: false,
            master: Master {
                name: "gitlab-redis".into(),
                address: "198.18.0.5".into(),
                port: 6379,
                password: Some("a\"b".into()),
            },
        };
        let text = configuration(&sentinel);
        assert!(text.contains("\nsentinel monitor gitlab-redis 198.18.0.5 6379 2\n"));
        assert!(text.contains("\nsentinel auth-pass gitlab-redis \"a\\\"b\"\n"));
        assert!(!text.contains("myid") && !text.contains("requirepass"));
    }
}
