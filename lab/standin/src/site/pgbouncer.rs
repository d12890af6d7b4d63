//! The PgBouncer of this node.
//! <https://docs.gitlab.com/administration/postgresql/pgbouncer/>

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::Error;
use crate::settings::Settings;

/// The PgBouncer of this node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pgbouncer {
    /// Settings of pgbouncer.ini in their order.
    pub settings: Vec<(String, String)>,
    /// Where it listens.
    pub port: u16,
    /// Users and the hashes of their passwords.
    pub users: BTreeMap<String, String>,
    /// Databases: each with the keys of its line but for the password.
    pub databases: Map<String, Value>,
    /// The user who asks the database for the passwords of others.
    pub auth_user: String,
    /// Whether Consul says where the database is.
    pub follows_consul: bool,
}

/// The package's own settings.
const OWN: [(&str, &str); 17] = [
    ("listen_addr", "0.0.0.0"),
    ("listen_port", "6432"),
    ("pool_mode", "transaction"),
    ("server_reset_query", "DISCARD ALL"),
    ("max_client_conn", "2048"),
    ("default_pool_size", "100"),
    ("min_pool_size", "0"),
    ("reserve_pool_size", "5"),
    ("reserve_pool_timeout", "5.0"),
    ("server_round_robin", "0"),
    ("server_idle_timeout", "30"),
    ("dns_max_ttl", "15.0"),
    ("ignore_startup_parameters", "extra_float_digits"),
    ("auth_type", "md5"),
    ("auth_query", "SELECT username, password FROM public.pg_shadow_lookup($1)"),
    ("admin_users", "gitlab-psql, postgres, pgbouncer"),
    ("stats_users", "gitlab-psql, postgres, pgbouncer"),
];

/// Keys that aren't settings of pgbouncer.ini, or that the package decides.
const NOT_OF_THE_FILE: [&str; 14] = [
    "enable",
    "users",
    "databases",
    "databases_ini",
    "databases_json",
    "databases_ini_user",
    "data_directory",
    "log_directory",
    "log_group",
    "env",
    "env_directory",
    "unix_socket_dir",
    "pool_component_databases",
    "logfile",
];

impl Pgbouncer {
    /// The PgBouncer that the settings describe.
    pub fn from_settings(settings: &Settings) -> Result<Self, Error> {
        let watchers = settings.list(&["consul", "watchers"]).unwrap_or_default();
        let auth_user = settings.text_or(&["postgresql", "pgbouncer_user"], "pgbouncer");
        let mut users = BTreeMap::new();
        if let Some(Value::Object(given)) = settings.at(&["pgbouncer", "users"]) {
            for (name, user) in given {
                let password =
                    user.get("password").and_then(Value::as_str).ok_or_else(|| Error::Setting {
                        setting: format!("pgbouncer['users']['{name}']"),
                        reason: "it has no password".to_owned(),
                    })?;
                users.insert(name.clone(), hash(password));
            }
        }
        let databases = databases(settings, &auth_user, &mut users)?;
        let port = settings.number(&["pgbouncer", "listen_port"]).and_then(|port| u16::try_from(port).ok());
        Ok(Self {
            settings: file(settings),
            port: port.unwrap_or(6432),
            users,
            databases,
            auth_user,
            follows_consul: watchers.iter().any(|name| name == "postgresql"),
        })
    }

    /// databases.ini, with another host for every database where one is given.
    #[must_use]
    pub fn databases_ini(databases: &Map<String, Value>, host: Option<(&str, u16)>) -> String {
        let line = |(name, database): (&String, &Value)| {
            let Value::Object(keys) = database else { return String::new() };
            let mut keys = keys.clone();
            if let Some((host, port)) = host {
                keys.insert("host".to_owned(), json!(host));
                keys.insert("port".to_owned(), json!(port));
            }
            let shown = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            let keys: Vec<String> =
                keys.iter().map(|(key, value)| format!("{key}={}", shown(value))).collect();
            format!("{name} = {}\n", keys.join(" "))
        };
        let lines: String = databases.iter().map(line).collect();
        format!("[databases]\n\n{lines}")
    }
}

/// A hash as PostgreSQL and PgBouncer keep it.
#[must_use]
pub fn hash(password: &str) -> String {
    if password.starts_with("md5") { password.to_owned() } else { format!("md5{password}") }
}

/// A database's `user` and `password` are whom PgBouncer logs in as to look others up.
fn databases(
    settings: &Settings,
    auth_user: &str,
    users: &mut BTreeMap<String, String>,
) -> Result<Map<String, Value>, Error> {
    let wrong = |name: &str, reason: &str| Error::Setting {
        setting: format!("pgbouncer['databases']['{name}']"),
        reason: reason.to_owned(),
    };
    let own = json!({"gitlabhq_production": {}});
    let given = settings.at(&["pgbouncer", "databases"]).unwrap_or(&own);
    let Value::Object(given) = given else { return Err(wrong("", "it is not a hash")) };
    let mut databases = Map::new();
    for (name, database) in given {
        let Value::Object(keys) = database else { return Err(wrong(name, "it is not a hash")) };
        let mut keys = keys.clone();
        let user = keys.remove("user");
        let user = user.as_ref().and_then(Value::as_str).unwrap_or(auth_user).to_owned();
        if let Some(password) = keys.remove("password").as_ref().and_then(Value::as_str) {
            users.insert(user.clone(), hash(password));
        }
        keys.entry("host").or_insert_with(|| json!("127.0.0.1"));
        keys.entry("port").or_insert_with(|| json!(5432));
        keys.insert("auth_user".to_owned(), json!(user));
        databases.insert(name.clone(), Value::Object(keys));
    }
    Ok(databases)
}

/// The settings of pgbouncer.ini: the package's own and over them what gitlab.rb says.
fn file(settings: &Settings) -> Vec<(String, String)> {
    let mut pairs: Vec<(String, String)> =
        OWN.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    let Some(Value::Object(given)) = settings.at(&["pgbouncer"]) else { return pairs };
    for (key, value) in given.iter().filter(|(key, _)| !NOT_OF_THE_FILE.contains(&key.as_str())) {
        let text = match value {
            Value::Array(items) => {
                let items: Vec<&str> = items.iter().filter_map(Value::as_str).collect();
                items.join(", ")
            }
            Value::String(text) => text.clone(),
            Value::Bool(flag) => u8::from(*flag).to_string(),
            Value::Number(number) => number.to_string(),
            Value::Null | Value::Object(_) => continue,
        };
        match pairs.iter_mut().find(|(name, _)| name == key) {
            Some((_, slot)) => *slot = text,
            None => pairs.push((key.clone(), text)),
        }
    }
    pairs
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::Version;

    fn pgbouncer(value: Value) -> Result<Pgbouncer, Error> {
        let Value::Object(map) = value else { panic!("not a hash") };
        Pgbouncer::from_settings(&Settings::new(map, Version::new(19, 3, 0)))
    }

    #[test]
    fn the_local_one_of_a_database_node_knows_its_database() {
        let set = json!({"pgbouncer": {"databases": {"gitlabhq_production":
            {"host": "127.0.0.1", "user": "pgbouncer", "password": "abc"}}}});
        let local = pgbouncer(set).expect("settings");
        assert_eq!(local.users["pgbouncer"], "md5abc");
        let ini = Pgbouncer::databases_ini(&local.databases, None);
        assert!(
            ini.contains("gitlabhq_production = auth_user=pgbouncer host=127.0.0.1 port=5432\n"),
            "{ini}"
        );
        assert!(!ini.contains("abc") && !local.follows_consul);
    }

    #[test]
    fn one_of_the_tier_is_led_to_the_leader() {
        let set = json!({"consul": {"watchers": ["postgresql"]}, "pgbouncer": {
            "admin_users": ["pgbouncer", "gitlab-consul"], "default_pool_size": 20,
            "users": {"gitlab-consul": {"password": "md51"}, "pgbouncer": {"password": "2"}}}});
        let tier = pgbouncer(set).expect("settings");
        assert!(tier.follows_consul);
        assert_eq!(tier.users["gitlab-consul"], "md51");
        let admins = ("admin_users".to_owned(), "pgbouncer, gitlab-consul".to_owned());
        assert!(tier.settings.contains(&admins));
        assert!(tier.settings.contains(&("default_pool_size".to_owned(), "20".to_owned())));
        let ini = Pgbouncer::databases_ini(&tier.databases, Some(("198.18.0.9", 5432)));
        assert!(ini.contains("host=198.18.0.9"), "{ini}");
    }

    #[test]
    fn a_user_without_a_password_is_refused() {
        let set = json!({"pgbouncer": {"users": {"pgbouncer": {"pasword": "x"}}}});
        assert!(matches!(pgbouncer(set), Err(Error::Setting { .. })));
    }
}
