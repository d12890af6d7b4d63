//! Rails and what it connects to. The values are written to the files in which Rails keeps them
//! (gitlab.yml, database.yml, secrets.yml, resque.yml, redis.ROLE.yml), as JSON, which is YAML too.

use std::collections::BTreeMap;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::redis_clients::{self, Connection};
use super::{Error, ExternalUrl, ObjectStore};
use crate::settings::Settings;

/// Everything that the Rails family (puma, sidekiq, rake) reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rails {
    /// gitlab.yml
    pub application: Application,
    /// database.yml
    pub database: Database,
    /// secrets.yml
    pub secrets: Secrets,
    /// resque.yml and redis.ROLE.yml, by role; `resque` is the one that others fall back to.
    pub redis: BTreeMap<String, Connection>,
    /// Whether reconfigure migrates the database.
    pub auto_migrate: bool,
    /// The password of the first administrator.
    pub initial_root_password: Option<String>,
    /// Where Workhorse tells of itself.
    pub workhorse_metrics: String,
    /// Whether a generated one is left in /etc/gitlab.
    pub store_initial_root_password: bool,
}

/// gitlab.yml
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Application {
    /// The version of the package.
    pub version: String,
    /// Host of the external URL.
    pub host: String,
    /// Origin of the external URL.
    pub origin: String,
    /// Host in the addresses for Git over SSH.
    pub ssh_host: String,
    /// Port in the addresses for Git over SSH.
    pub ssh_port: u64,
    /// Who may ask the health endpoints.
    pub monitoring_whitelist: Vec<IpNet>,
    /// Proxies whose word on the client's address counts.
    pub trusted_proxies: Vec<IpNet>,
    /// Storages by name.
    pub storages: BTreeMap<String, StorageAddress>,
    /// Where puma listens besides its socket.
    pub puma_listen: String,
    /// Where Sidekiq answers health checks; none when switched off.
    pub sidekiq_health: Option<String>,
    /// Hosts for reads, on the database's port.
    pub load_balancing_hosts: Vec<String>,
    /// Where puma tells of itself besides `/-/metrics`.
    pub puma_exporter: Option<String>,
    /// Where Sidekiq tells of itself.
    pub sidekiq_metrics: Option<String>,
    /// The queues that each of Sidekiq's processes works on.
    pub sidekiq_queue_groups: Vec<String>,
    /// How many jobs Sidekiq runs at a time.
    pub sidekiq_concurrency: u64,
    /// Where objects lie; none where all is on the local disk.
    pub object_store: Option<ObjectStore>,
}

/// Where a storage is reached.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StorageAddress {
    /// `unix:PATH` or `tcp://HOST:PORT`.
    pub gitaly_address: String,
    /// Its token.
    pub gitaly_token: String,
}

/// database.yml
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Database {
    /// Host name, or directory of the socket.
    pub host: String,
    /// Port.
    pub port: u16,
    /// Role.
    pub username: String,
    /// Password.
    pub password: Option<String>,
    /// Database.
    #[serde(rename = "database")]
    pub name: String,
}

/// secrets.yml
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Secrets {
    /// What encrypts columns of the database.
    pub db_key_base: String,
}

impl Rails {
    /// The Rails that the settings describe.
    pub fn from_settings(settings: &Settings, url: &ExternalUrl) -> Result<Self, Error> {
        let rails = |key: &'static str| settings.text(&["gitlab_rails", key]);
        let password = rails("initial_root_password");
        Ok(Self {
            application: application(settings, url)?,
            database: database(settings)?,
            secrets: Secrets { db_key_base: rails("db_key_base").unwrap_or_default() },
            redis: redis_clients::connections(settings)?,
            auto_migrate: settings.flag(&["gitlab_rails", "auto_migrate"]).unwrap_or(true),
            store_initial_root_password: settings
                .flag(&["gitlab_rails", "store_initial_root_password"])
                .unwrap_or(password.is_none()),
            initial_root_password: password,
            workhorse_metrics: settings
                .text_or(&["gitlab_workhorse", "prometheus_listen_addr"], "localhost:9229"),
        })
    }
}

fn application(settings: &Settings, url: &ExternalUrl) -> Result<Application, Error> {
    let whitelist = networks(settings, "monitoring_whitelist")?;
    let local = || ["127.0.0.0/8", "::1/128"].iter().filter_map(|net| net.parse().ok()).collect();
    let puma = settings.text_or(&["puma", "listen"], "127.0.0.1");
    let port = settings.text_or(&["puma", "port"], "8080");
    let health = settings.flag(&["sidekiq", "health_checks_enabled"]).unwrap_or(true);
    let health_host = settings
        .text(&["sidekiq", "health_checks_listen_address"])
        .or_else(|| settings.text(&["sidekiq", "listen_address"]))
        .unwrap_or_else(|| "127.0.0.1".to_owned());
    let health_port = settings.text_or(&["sidekiq", "health_checks_listen_port"], "8092");
    Ok(Application {
        version: settings.version().to_string(),
        host: url.host.clone(),
        origin: url.origin(),
        ssh_host: settings.text_or(&["gitlab_rails", "gitlab_ssh_host"], &url.host),
        ssh_port: settings.number(&["gitlab_rails", "gitlab_shell_ssh_port"]).unwrap_or(22),
        monitoring_whitelist: whitelist.unwrap_or_else(local),
        trusted_proxies: networks(settings, "trusted_proxies")?.unwrap_or_default(),
        storages: storages(settings)?,
        puma_listen: format!("{puma}:{port}"),
        sidekiq_health: health.then(|| format!("{health_host}:{health_port}")),
        load_balancing_hosts: settings
            .list(&["gitlab_rails", "db_load_balancing", "hosts"])
            .unwrap_or_default(),
        puma_exporter: settings.flag(&["puma", "exporter_enabled"]).unwrap_or(false).then(|| {
            let address = settings.text_or(&["puma", "exporter_address"], "127.0.0.1");
            format!("{address}:{}", settings.text_or(&["puma", "exporter_port"], "8083"))
        }),
        sidekiq_metrics: settings.flag(&["sidekiq", "metrics_enabled"]).unwrap_or(true).then(|| {
            let address = settings.text_or(&["sidekiq", "listen_address"], "127.0.0.1");
            format!("{address}:{}", settings.text_or(&["sidekiq", "listen_port"], "8082"))
        }),
        sidekiq_queue_groups: settings
            .list(&["sidekiq", "queue_groups"])
            .filter(|groups| !groups.is_empty())
            .unwrap_or_else(|| vec!["*".to_owned()]),
        sidekiq_concurrency: settings.number(&["sidekiq", "concurrency"]).unwrap_or(20),
        object_store: ObjectStore::from_settings(settings)?,
    })
}

fn networks(settings: &Settings, key: &str) -> Result<Option<Vec<IpNet>>, Error> {
    let Some(listed) = settings.list(&["gitlab_rails", key]) else { return Ok(None) };
    let parse = |text: &String| {
        let net = text.parse::<IpNet>().ok();
        net.or_else(|| text.parse().ok().map(|address: std::net::IpAddr| IpNet::from(address))).ok_or_else(
            || Error::Setting {
                setting: format!("gitlab_rails['{key}']"),
                reason: format!("`{text}` is neither an address nor a network"),
            },
        )
    };
    listed.iter().map(parse).collect::<Result<_, _>>().map(Some)
}

fn storages(settings: &Settings) -> Result<BTreeMap<String, StorageAddress>, Error> {
    let token = settings.text_or(&["gitlab_rails", "gitaly_token"], "");
    let Some(Value::Object(listed)) = settings.at(&["gitlab_rails", "repositories_storages"]) else {
        let socket = super::gitaly::SOCKET;
        let address = settings.text_or(&["gitaly", "configuration", "socket_path"], socket);
        let here = StorageAddress { gitaly_address: format!("unix:{address}"), gitaly_token: token };
        return Ok(BTreeMap::from([("default".to_owned(), here)]));
    };
    let wrong = |name: &str, reason: &str| Error::Setting {
        setting: format!("gitlab_rails['repositories_storages']['{name}']"),
        reason: reason.to_owned(),
    };
    let mut storages = BTreeMap::new();
    for (name, storage) in listed {
        let field = |key: &str| storage.get(key).and_then(Value::as_str);
        let address = field("gitaly_address").ok_or_else(|| wrong(name, "it has no gitaly_address"))?;
        if !address.starts_with("unix:") && !address.starts_with("tcp://") {
            return Err(wrong(name, "the stand-in knows unix: and tcp:// addresses"));
        }
        let gitaly_token = field("gitaly_token").map_or_else(|| token.clone(), str::to_owned);
        let storage = StorageAddress { gitaly_address: address.to_owned(), gitaly_token };
        storages.insert(name.clone(), storage);
    }
    if !storages.contains_key("default") {
        return Err(wrong("default", "a storage of that name is mandatory"));
    }
    Ok(storages)
}

fn database(settings: &Settings) -> Result<Database, Error> {
    let rails = |key: &'static str| settings.text(&["gitlab_rails", key]);
    let adapter = rails("db_adapter").unwrap_or_else(|| "postgresql".to_owned());
    if adapter != "postgresql" {
        return Err(Error::Setting {
            setting: "gitlab_rails['db_adapter']".to_owned(),
            reason: format!("`{adapter}` is not `postgresql`"),
        });
    }
    let own_port = settings.number(&["postgresql", "port"]).unwrap_or(5432);
    let port = settings.number(&["gitlab_rails", "db_port"]).unwrap_or(own_port);
    Ok(Database {
        host: rails("db_host").unwrap_or_else(|| "/var/opt/gitlab/postgresql".to_owned()),
        port: u16::try_from(port).map_err(|_| Error::Setting {
            setting: "gitlab_rails['db_port']".to_owned(),
            reason: format!("`{port}` is no port"),
        })?,
        username: rails("db_username").unwrap_or_else(|| "gitlab".to_owned()),
        password: rails("db_password"),
        name: rails("db_database").unwrap_or_else(|| "gitlabhq_production".to_owned()),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::manifest::Version;

    fn rails(value: Value) -> Result<Rails, Error> {
        let Value::Object(map) = value else { panic!("not a hash") };
        let url = ExternalUrl { host: "gitlab.example.com".into(), port: 443, https: true };
        Rails::from_settings(&Settings::new(map, Version::new(18, 11, 2)), &url)
    }

    #[test]
    fn everything_is_on_sockets_by_default() {
        let plain = rails(json!({})).expect("settings");
        assert_eq!(plain.database.host, "/var/opt/gitlab/postgresql");
        assert_eq!(plain.redis["resque"].url, "unix:/var/opt/gitlab/redis/redis.socket");
        assert_eq!(plain.application.monitoring_whitelist.len(), 2);
        assert!(plain.store_initial_root_password);
    }

    #[test]
    fn an_own_password_is_not_stored() {
        let own = rails(json!({"gitlab_rails": {"initial_root_password": "correct horse"}}));
        assert!(!own.expect("settings").store_initial_root_password);
    }

    #[test]
    fn a_list_of_networks_takes_addresses_and_refuses_words() {
        let one = rails(json!({"gitlab_rails": {"monitoring_whitelist": ["198.18.0.1"]}}));
        assert_eq!(one.expect("settings").application.monitoring_whitelist[0].to_string(), "198.18.0.1/32");
        let word = rails(json!({"gitlab_rails": {"monitoring_whitelist": ["everyone"]}}));
        assert!(matches!(word, Err(Error::Setting { .. })));
    }

    #[test]
    fn a_default_storage_is_mandatory() {
        let storages =
            json!({"gitlab_rails": {"repositories_storages": {"a": {"gitaly_address": "unix:/x"}}}});
        assert!(matches!(rails(storages), Err(Error::Setting { .. })));
    }
}
