//! The real Redis (or Valkey, which has the same files and commands).

use super::converge::{self, Owner};
use super::{Error, runit};
use crate::paths;
use crate::site::{Connection, Redis, Service, Site};

const HOME: &str = "/var/opt/gitlab/redis";

/// Writes the configuration.
pub fn prepare(site: &Site) -> Result<(), Error> {
    let accounts = &site.accounts;
    let owner = Owner::named(&accounts.redis.user, &accounts.git.group)?;
    converge::directory(HOME, owner, 0o750)?;
    converge::directory(format!("{}/redis", paths::LOG), owner, 0o700)?;
    let text = configuration(&site.redis);
    runit::file(&[Service::Redis], format!("{HOME}/redis.conf"), &text, owner, 0o400)
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
    ];
    lines.extend(redis.save.iter().map(|rule| format!("save {rule}")));
    if redis.save.is_empty() {
        lines.push("save \"\"".to_owned());
    }
    if let Some(password) = &redis.password {
        let quoted = password.replace('\\', "\\\\").replace('"', "\\\"");
        lines.push(format!("requirepass \"{quoted}\""));
        lines.push(format!("masterauth \"{quoted}\""));
    }
    lines.push(String::new());
    lines.join("\n")
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

    #[test]
    fn a_password_is_quoted_and_no_port_is_open_by_default() {
        let redis = Redis {
            port: 0,
            bind: "127.0.0.1".into(),
            password: Some("a\"b c".into()),
            maxmemory: "0".into(),
            maxmemory_policy: "noeviction".into(),
            save: Vec::new(),
        };
        let text = configuration(&redis);
        assert!(text.contains("\nport 0\n"));
        assert!(text.contains("requirepass \"a\\\"b c\"\n"));
        assert!(text.contains("save \"\"\n"));
    }
}
