//! What `gitlab-ctl` asks of the cluster's real programs, and the clients of the package that know where the
//! node's own PostgreSQL and Redis are. The answers are the programs' own.

use std::io::Read as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;

use nix::unistd::User;
use serde_json::Value;

use crate::terminal::{self, complain, say};
use crate::{leader, local_http, paths, reconfigure};

const PATRONI_YAML: &str = "/var/opt/gitlab/patroni/patroni.yaml";
const CONSUL_CONFIG: &str = "/var/opt/gitlab/consul/config.json";
const PGBOUNCER: &str = "/var/opt/gitlab/pgbouncer/databases.json";
const REDIS_CONF: &str = "/var/opt/gitlab/redis/redis.conf";
const SENTINEL_CONF: &str = "/var/opt/gitlab/sentinel/sentinel.conf";
const PGPASS_NAME: &str = ".pgpass";

/// Why a command of the cluster can't be done.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Failed(String);

fn json(path: &str, what: &str) -> Result<Value, Failed> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| Failed(format!("{what} is not configured on this node ({path}: {error})")))?;
    serde_json::from_str(&text).map_err(|error| Failed(format!("`{path}`: {error}; reconfigure the node")))
}

fn done(result: Result<(), Failed>) -> u8 {
    match result {
        Ok(()) => 0,
        Err(error) => {
            complain(error.to_string());
            1
        }
    }
}

fn exec(command: &mut Command) -> u8 {
    let error = command.exec();
    complain(format!("{}: {error}", command.get_program().to_string_lossy()));
    1
}

/// The port of Consul's API on this host.
fn consul_port() -> Result<u16, Failed> {
    let configuration = json(CONSUL_CONFIG, "Consul")?;
    Ok(configuration["ports"]["http"].as_u64().and_then(|port| u16::try_from(port).ok()).unwrap_or(8500))
}

/// `gitlab-ctl patroni …`
pub fn patroni(arguments: &[&str]) -> u8 {
    let configuration = match json(PATRONI_YAML, "Patroni") {
        Ok(configuration) => configuration,
        Err(error) => {
            complain(error.to_string());
            return 3;
        }
    };
    let patronictl = |arguments: &[&str]| {
        let program = format!("{}/patronictl", paths::BIN);
        exec(Command::new(program).args(["-c", PATRONI_YAML]).args(arguments).env("LC_ALL", "C.UTF-8"))
    };
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let (scope, name) = (text(&configuration["scope"]), text(&configuration["name"]));
    match arguments {
        ["members"] => patronictl(&["list"]),
        ["check-leader"] => check(&configuration, "leader"),
        ["check-replica"] => check(&configuration, "replica"),
        ["check-standby-leader"] => check(&configuration, "standby-leader"),
        [verb @ ("failover" | "switchover"), rest @ ..] => {
            let all: Vec<&str> = [verb, "--force"].into_iter().chain(rest.iter().copied()).collect();
            patronictl(&all)
        }
        ["reinitialize-replica"] => patronictl(&["reinit", "--force", &scope, &name]),
        ["reinitialize-replica", member] => patronictl(&["reinit", "--force", &scope, member]),
        [verb @ ("pause" | "resume")] => patronictl(&[verb, "--wait"]),
        [verb @ ("restart" | "reload")] => patronictl(&[verb, "--force", &scope, &name]),
        _ => {
            say(
                "gitlab-ctl patroni: members, check-leader, check-replica, check-standby-leader, failover, switchover,",
            );
            say("  reinitialize-replica [MEMBER], pause, resume, restart, reload");
            2
        }
    }
}

/// Exit code 0 for yes, 1 for no and 3 where the member doesn't say.
fn check(configuration: &Value, role: &str) -> u8 {
    let listen = configuration["restapi"]["listen"].as_str().unwrap_or_default();
    let port = listen.rsplit_once(':').and_then(|(_, port)| port.parse().ok()).unwrap_or(8008);
    match local_http::get(port, &format!("/{role}")) {
        Ok(answer) if answer.status == 200 => {
            say(format!("I am the {role}."));
            0
        }
        Ok(_) => {
            say(format!("I am not the {role}."));
            1
        }
        Err(reason) => {
            complain(reason);
            3
        }
    }
}

/// `gitlab-ctl get-postgresql-primary`
pub fn postgresql_primary() -> u8 {
    let found = consul_port().and_then(|port| leader::of(port).map_err(Failed));
    done(found.map(|(host, port)| say(format!("{host}:{port}"))))
}

/// `gitlab-ctl pgb-console`: psql on PgBouncer's console, which asks for the password of `pgbouncer`.
pub fn pgbouncer_console(arguments: &[&str]) -> u8 {
    match json(PGBOUNCER, "PgBouncer") {
        Ok(known) => {
            let port = known["port"].as_u64().unwrap_or(6432).to_string();
            let fixed = ["-h", "127.0.0.1", "-p", &port, "-U", "pgbouncer", "-d", "pgbouncer"];
            exec(Command::new(format!("{}/psql", paths::BIN)).args(fixed).args(arguments))
        }
        Err(error) => done(Err(error)),
    }
}

/// `gitlab-ctl pgb-notify`: leads PgBouncer to a host, or to whom Consul knows as leader.
pub fn pgbouncer_notify(new_host: Option<&str>) -> u8 {
    let to = match new_host {
        Some(host) => Ok((host.to_owned(), 5432)),
        None => consul_port().and_then(|port| leader::of(port).map_err(Failed)),
    };
    done(to.and_then(|(host, port)| reconfigure::lead_to(&host, port).map(|_| ()).map_err(Failed)))
}

/// What Consul runs when the leader changes: the healthy nodes of `postgresql` come on standard input. With a
/// host and a port, these are the leader.
pub fn failover(arguments: &[String]) -> u8 {
    let to = if let [host, port] = arguments {
        port.parse().ok().map(|port| (host.clone(), port))
    } else {
        let mut text = String::new();
        let read = std::io::stdin().read_to_string(&mut text);
        read.ok().and_then(|_| leader::from(&serde_json::from_str(&text).unwrap_or_default()))
    };
    let Some((host, port)) = to else {
        say("there is no leader of PostgreSQL: PgBouncer stays as it is");
        return 0;
    };
    done(reconfigure::lead_to(&host, port).map_err(Failed).map(|changed| {
        let what = if changed { "is led to" } else { "stays with" };
        say(format!("PgBouncer {what} {host}:{port}"));
    }))
}

/// `gitlab-ctl pg-password-md5 USER`: what PostgreSQL calls a password.
pub fn password_hash(user: &str) -> u8 {
    let hash = terminal::password()
        .map_err(Failed)
        .and_then(|password| md5(&format!("{password}{user}")).map_err(Failed));
    done(hash.map(say))
}

fn md5(text: &str) -> Result<String, String> {
    let program = format!("{}/openssl", paths::BIN);
    let mut child = Command::new(&program)
        .args(["dgst", "-md5", "-r"])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .map_err(|error| format!("{program}: {error}"))?;
    if let Some(mut pipe) = child.stdin.take() {
        use std::io::Write as _;
        pipe.write_all(text.as_bytes()).map_err(|error| format!("{program}: {error}"))?;
    }
    let output = child.wait_with_output().map_err(|error| format!("{program}: {error}"))?;
    let printed = String::from_utf8_lossy(&output.stdout);
    printed.split_whitespace().next().map(str::to_owned).ok_or_else(|| format!("{program} printed no digest"))
}

/// `gitlab-ctl write-pgpass --host … --database … --user … --hostuser …`: the password comes from the terminal or
/// standard input, and goes into the home of the system user.
pub fn write_pgpass(arguments: &[&str]) -> u8 {
    done(PgPass::parse(arguments).and_then(|pgpass| pgpass.write()))
}

#[derive(Debug, PartialEq, Eq)]
struct PgPass<'a> {
    host: &'a str,
    port: &'a str,
    database: &'a str,
    user: &'a str,
    host_user: &'a str,
}

impl<'a> PgPass<'a> {
    fn parse(arguments: &[&'a str]) -> Result<Self, Failed> {
        let mut wanted =
            Self { host: "*", port: "*", database: "*", user: "pgbouncer", host_user: "gitlab-consul" };
        let (pairs, rest) = arguments.as_chunks::<2>();
        for [name, value] in pairs {
            match *name {
                "--host" => wanted.host = value,
                "--port" => wanted.port = value,
                "--database" => wanted.database = value,
                "--user" => wanted.user = value,
                "--hostuser" => wanted.host_user = value,
                other => return Err(Failed(format!("write-pgpass doesn't know `{other}`"))),
            }
        }
        if let Some(name) = rest.first() {
            return Err(Failed(format!("write-pgpass: `{name}` needs a value")));
        }
        Ok(wanted)
    }

    fn write(&self) -> Result<(), Failed> {
        let user = User::from_name(self.host_user)
            .ok()
            .flatten()
            .ok_or_else(|| Failed(format!("there is no system user `{}`", self.host_user)))?;
        let password = terminal::password().map_err(Failed)?;
        let path = user.dir.join(PGPASS_NAME);
        reconfigure::private_file(&path, &self.line(&password), user.uid.as_raw(), user.gid.as_raw())
            .map_err(|error| Failed(error.to_string()))
    }

    fn line(&self, password: &str) -> String {
        let escaped = password.replace('\\', "\\\\").replace(':', "\\:");
        let Self { host, port, database, user, .. } = self;
        format!("{host}:{port}:{database}:{user}:{escaped}\n")
    }
}

/// `gitlab-psql`: psql as PostgreSQL's own user, on the application's database unless another is named.
pub fn psql(arguments: &[String]) -> u8 {
    let data = "/var/opt/gitlab/postgresql";
    let owner = std::fs::metadata(data).ok().map(|found| {
        use std::os::unix::fs::MetadataExt as _;
        (found.uid(), found.gid())
    });
    let Some((uid, gid)) = owner else {
        complain(format!("PostgreSQL is not configured on this node ({data} is missing)"));
        return 1;
    };
    let conf = std::fs::read_to_string(format!("{data}/data/postgresql.conf")).unwrap_or_default();
    let port = postgresql_port(&conf).to_string();
    let mut command = Command::new(format!("{}/psql", paths::BIN));
    command.args(["-p", &port, "-h", data, "-d", "gitlabhq_production"]).args(arguments);
    exec(command.uid(uid).gid(gid).env("HOME", data).current_dir("/"))
}

fn postgresql_port(conf: &str) -> u16 {
    let digits = |line: &str| line.chars().filter(char::is_ascii_digit).collect::<String>();
    conf.lines()
        .filter(|line| line.starts_with("port ") || line.starts_with("port="))
        .filter_map(|line| digits(line).parse().ok())
        .next_back()
        .unwrap_or(5432)
}

/// `gitlab-redis-cli`: the client of this node's Redis, which knows its password.
pub fn redis_cli(arguments: &[String]) -> u8 {
    let conf = std::fs::read_to_string(REDIS_CONF).unwrap_or_default();
    let mut command = Command::new(format!("{}/redis-cli", paths::BIN));
    let elsewhere = arguments.iter().any(|word| matches!(word.as_str(), "-h" | "-p" | "-s" | "-u"));
    if !elsewhere {
        command.args(["-s", "/var/opt/gitlab/redis/redis.socket"]);
    }
    // Sentinel, which has no password by itself, would complain of one.
    let own = |word: &String| Some(word.as_str()) == directive(&conf, "port").as_deref();
    if let Some(password) =
        directive(&conf, "requirepass").filter(|_| !elsewhere || arguments.iter().any(own))
    {
        command.env("REDISCLI_AUTH", password);
    }
    exec(command.args(arguments))
}

/// The value of a directive of redis.conf, without its quotation marks.
fn directive(conf: &str, name: &str) -> Option<String> {
    let value = conf.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '))?.trim();
    let inner = value.strip_prefix('"').and_then(|value| value.strip_suffix('"'));
    Some(inner.map_or_else(|| value.to_owned(), |text| text.replace("\\\"", "\"").replace("\\\\", "\\")))
}

/// `gitlab-ctl get-redis-master`: asks the Sentinel of this node, or those that Rails knows.
pub fn redis_master() -> u8 {
    let mut reasons = Vec::new();
    let places = sentinels();
    for Place { host, port, master } in &places {
        let output = Command::new(format!("{}/redis-cli", paths::BIN))
            .args([
                "-h",
                host,
                "-p",
                &port.to_string(),
                "--raw",
                "SENTINEL",
                "get-master-addr-by-name",
                master,
            ])
            .output();
        match output {
            Ok(output) => {
                let printed = String::from_utf8_lossy(&output.stdout).into_owned();
                let lines: Vec<&str> = printed.lines().collect();
                if let [address, port] = lines.as_slice() {
                    say(format!("Redis master found at host {address} listening on port {port}"));
                    return 0;
                }
                reasons.push(format!("{host}:{port}: {}", printed.trim()));
            }
            Err(error) => reasons.push(error.to_string()),
        }
    }
    complain(if places.is_empty() {
        "this node knows no Sentinel".to_owned()
    } else {
        format!("no Sentinel says who the primary is: {}", reasons.join("; "))
    });
    1
}

struct Place {
    host: String,
    port: u16,
    master: String,
}

fn sentinels() -> Vec<Place> {
    if let Ok(conf) = std::fs::read_to_string(SENTINEL_CONF)
        && let Some(watch) = directive(&conf, "sentinel monitor")
    {
        let master = watch.split(' ').next().unwrap_or_default().to_owned();
        let port = directive(&conf, "port").and_then(|port| port.parse().ok()).unwrap_or(26379);
        return vec![Place { host: "127.0.0.1".to_owned(), port, master }];
    }
    let path = Path::new(paths::RAILS_ETC).join("resque.yml");
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let known: Value = serde_json::from_str(&text).unwrap_or_default();
    let url = known["production"]["url"].as_str().and_then(|url| url::Url::parse(url).ok());
    let master = url.and_then(|url| url.host_str().map(str::to_owned)).unwrap_or_default();
    let listed = known["production"]["sentinels"].as_array().cloned().unwrap_or_default();
    let place = |one: &Value| {
        let port = one["port"].as_u64().and_then(|port| u16::try_from(port).ok()).unwrap_or(26379);
        Some(Place { host: one["host"].as_str()?.to_owned(), port, master: master.clone() })
    };
    listed.iter().filter_map(place).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_file_has_one_line_with_its_colons_escaped() {
        let arguments = ["--host", "127.0.0.1", "--database", "pgbouncer", "--user", "pgbouncer"];
        let pgpass = PgPass::parse(&arguments).expect("arguments");
        assert_eq!(pgpass.line("a:b"), "127.0.0.1:*:pgbouncer:pgbouncer:a\\:b\n");
        assert_eq!(pgpass.host_user, "gitlab-consul");
        assert!(PgPass::parse(&["--host"]).is_err() && PgPass::parse(&["--x", "y"]).is_err());
    }

    #[test]
    fn directives_are_read_without_quotation_marks() {
        let conf = "port 6379\nrequirepass \"a\\\"b\"\nsentinel monitor gitlab-redis 198.18.0.1 6379 2\n";
        assert_eq!(directive(conf, "requirepass").as_deref(), Some("a\"b"));
        assert_eq!(directive(conf, "sentinel monitor").as_deref(), Some("gitlab-redis 198.18.0.1 6379 2"));
        assert_eq!(directive(conf, "masterauth"), None);
    }

    #[test]
    fn the_port_is_read_as_patroni_and_as_reconfigure_write_it() {
        assert_eq!(postgresql_port("port = '5433'\n"), 5433);
        assert_eq!(postgresql_port("listen_addresses = ''\nport = 5434\n"), 5434);
        assert_eq!(postgresql_port(""), 5432);
    }
}
