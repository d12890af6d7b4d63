//! The real Redis (or Valkey, which has the same files and commands).

use super::converge::{self, Owner};
use super::{Error, runit};
use crate::paths;
use crate::site::{Connection, Redis, Service, Site, Standing};

const HOME: &str = "/var/opt/gitlab/redis";

/// Writes the configuration.
pub fn prepare(site: &Site) -> Result<(), Error> {
    let accounts = &site.accounts;
    let owner = Owner::named(&accounts.redis.user, &accounts.git.group)?;
    converge::directory(HOME, owner, 0o750)?;
    converge::directory(format!("{}/redis", paths::LOG), owner, 0o700)?;
    let text = configuration(&site.redis);
    let path = format!("{HOME}/redis.conf");
    if site.redis.replicated {
        // Sentinel decides who is whose replica, and has Redis write that into this file.
        return runit::seed(Service::Redis, path, &text, owner, 0o600);
    }
    runit::file(&[Service::Redis], path, &text, owner, 0o400)
}

/// redis.conf
#[must_use]
pub fn configuration(redis: &Redis) -> String {
    let Redis { port, bind, maxmemory, maxmemory_policy, .. } = redis;
    let mut lines = vec![
        "# Written by gitlab-ctl reconfigure: changes are lost.".to_owned(),
        "daemonize no".to_owned(),
        format!("dir {HOME}"),
        format!("unixsocket {HOME}/redis.socket"),
        "unixsocketperm 777".to_owned(),
        format!("port {port}"),
        format!("bind {bind}"),
        format!("maxmemory {maxmemory}"),
        format!("maxmemory-policy {maxmemory_policy}"),
        format!("maxmemory-samples {}", redis.maxmemory_samples),
    ];
    lines.extend(redis.save.iter().map(|rule| format!("save {rule}")));
    if redis.save.is_empty() {
        lines.push("save \"\"".to_owned());
    }
    if let Some(password) = &redis.password {
        lines.push(format!("requirepass {}", quoted(password)));
    }
    if let Some(password) = &redis.master_password {
        lines.push(format!("masterauth {}", quoted(password)));
    }
    if let Standing::Replica(address, port) = &redis.standing {
        lines.push(format!("replicaof {address} {port}"));
    }
    if let Some(address) = &redis.announce.0 {
        lines.push(format!("replica-announce-ip {address}"));
    }
    if let Some(port) = redis.announce.1 {
        lines.push(format!("replica-announce-port {port}"));
    }
    lines.push(String::new());
    lines.join("\n")
}

/// A value in quotation marks.
#[must_use]
pub fn quoted(value: &str) -> String {
    format!("\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\""))
}

/// Starts the server and waits for its answer.
pub fn start(site: &Site) -> Result<(), Error> {
    runit::settle(Service::Redis)?;
    let own = Connection {
        url: format!("unix:{HOME}/redis.socket"),
        password: site.redis.password.clone(),
        ..Connection::default()
    };
    runit::wait(Service::Redis, || crate::health::blocking(crate::health::redis(&own)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn redis() -> Redis {
        Redis {
            port: 0,
            bind: "127.0.0.1".into(),
            password: Some("a\"b c".into()),
            master_password: None,
            standing: Standing::Primary,
            replicated: false,
            maxmemory: "0".into(),
            maxmemory_policy: "noeviction".into(),
            maxmemory_samples: 5,
            save: Vec::new(),
            announce: (None, None),
        }
    }

    #[test]
    fn a_password_is_quoted_and_no_port_is_open_by_default() {
        let text = configuration(&redis());
        assert!(text.contains("\nport 0\n"));
        assert!(text.contains("requirepass \"a\\\"b c\"\n"));
        assert!(text.contains("save \"\"\n"));
        assert!(!text.contains("replicaof"));
    }

    #[test]
    fn a_replica_follows_its_primary_with_its_password() {
        let standing = Standing::Replica("198.18.0.5".into(), 6379);
        let text = configuration(&Redis { standing, master_password: Some("p".into()), ..redis() });
        assert!(text.contains("\nreplicaof 198.18.0.5 6379\n"));
        assert!(text.contains("\nmasterauth \"p\"\n"));
    }
}
