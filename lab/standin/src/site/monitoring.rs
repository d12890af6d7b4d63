//! Prometheus and the exporters of this node.

use serde_json::{Value, json};

use super::{Roles, Service};
use crate::settings::Settings;
use crate::targets;

/// An exporter and where it listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exporter {
    /// Its service.
    pub service: Service,
    /// `HOST:PORT`; an empty host is every address.
    pub listen: String,
    /// Flags that gitlab.rb adds, by name.
    pub flags: Vec<(String, String)>,
    /// Variables that gitlab.rb adds.
    pub variables: Vec<(String, String)>,
}

/// Each exporter, the section it belongs to and where it listens by itself.
const EXPORTERS: [(Service, Option<&str>, &str); 4] = [
    (Service::NodeExporter, None, "localhost:9100"),
    (Service::PostgresExporter, Some("postgresql"), "localhost:9187"),
    (Service::RedisExporter, Some("redis"), "localhost:9121"),
    (Service::PgbouncerExporter, Some("pgbouncer"), "localhost:9188"),
];

impl Exporter {
    /// The exporters that run on the node: each with what it looks at, unless monitoring or it is off.
    #[must_use]
    pub fn of_node(settings: &Settings, roles: &Roles) -> Vec<Self> {
        let monitoring = settings.flag(&["prometheus_monitoring", "enable"]).unwrap_or(true);
        EXPORTERS
            .into_iter()
            .filter(|(service, of, _)| {
                let by_itself = monitoring && of.is_none_or(|section| roles.switch_on(settings, section));
                settings.flag(&[service.section(), "enable"]).unwrap_or(by_itself)
            })
            .map(|(service, _, place)| {
                let listen = settings.text_or(&[service.section(), "listen_address"], place);
                let section = service.section();
                let (flags, variables) = (pairs(settings, section, "flags"), pairs(settings, section, "env"));
                Self { service, listen, flags, variables }
            })
            .collect()
    }
}

/// Where a Prometheus on the same host finds what listens at a place.
fn target(listen: &str) -> String {
    let (host, port) = listen.rsplit_once(':').unwrap_or(("", listen));
    let host = if matches!(host, "" | "0.0.0.0" | "[::]") { "localhost" } else { host };
    format!("{host}:{port}")
}

/// The Prometheus of this node.
#[derive(Debug, Clone, PartialEq)]
pub struct Prometheus {
    /// Where it listens.
    pub listen: String,
    /// prometheus.yml
    pub configuration: Value,
    /// More flags, by name.
    pub flags: Vec<(String, String)>,
}

/// The services that are found through Consul. The others, PgBouncer's exporter and Praefect, are listed by hand in the
/// documentation's examples.
pub const DISCOVERED: [Service; 6] = [
    Service::NodeExporter,
    Service::PostgresExporter,
    Service::RedisExporter,
    Service::Gitaly,
    Service::Workhorse,
    Service::Sidekiq,
];

/// What this node has of them, each with its port.
#[must_use]
pub fn discoverable(settings: &Settings, roles: &Roles) -> Vec<(Service, u16)> {
    let exporters = Exporter::of_node(settings, roles).into_iter().map(|one| (one.service, one.listen));
    let own = [Service::Gitaly, Service::Workhorse, Service::Sidekiq]
        .into_iter()
        .filter(|service| roles.switch_on(settings, service.section()))
        .filter_map(|service| Some((service, own_place(settings, service)?)));
    exporters
        .chain(own)
        .filter(|(service, _)| DISCOVERED.contains(service))
        .filter_map(|(service, listen)| Some((service, listen.rsplit_once(':')?.1.parse().ok()?)))
        .collect()
}

/// Where a service tells of itself, if it does.
fn own_place(settings: &Settings, service: Service) -> Option<String> {
    match service {
        Service::Gitaly => settings.text(&["gitaly", "configuration", "prometheus_listen_addr"]),
        Service::Workhorse => {
            Some(settings.text_or(&["gitlab_workhorse", "prometheus_listen_addr"], "localhost:9229"))
        }
        Service::Sidekiq if settings.flag(&["sidekiq", "metrics_enabled"]) != Some(false) => {
            Some(format!("localhost:{}", settings.text_or(&["sidekiq", "listen_port"], "8082")))
        }
        _ => None,
    }
}

impl Prometheus {
    /// The Prometheus that the settings describe.
    #[must_use]
    pub fn from_settings(settings: &Settings, roles: &Roles) -> Self {
        let listen = settings.text_or(&["prometheus", "listen_address"], "localhost:9090");
        let own = target(&listen);
        let mut jobs = vec![json!({"job_name": "prometheus", "static_configs": [{"targets": [own]}]})];
        if settings.flag(&["consul", "monitoring_service_discovery"]) == Some(true) {
            jobs.extend(DISCOVERED.iter().map(|service| discovered(settings, *service)));
        } else {
            jobs.extend(Exporter::of_node(settings, roles).iter().map(|exporter| {
                let job = job_name(exporter.service);
                json!({"job_name": job, "static_configs": [{"targets": [target(&exporter.listen)]}]})
            }));
        }
        if let Some(Value::Array(more)) = settings.at(&["prometheus", "scrape_configs"]) {
            jobs.extend(more.iter().cloned());
        }
        let second = |key: &str| {
            settings.text(&["prometheus", key]).map_or_else(
                || "15s".to_owned(),
                |text| if text.ends_with(char::is_numeric) { format!("{text}s") } else { text },
            )
        };
        let configuration = json!({
            "global": {
                "scrape_interval": second("scrape_interval"),
                "scrape_timeout": second("scrape_timeout"),
                "external_labels": settings.at(&["prometheus", "external_labels"]).cloned().unwrap_or(json!({})),
            },
            "scrape_configs": jobs,
        });
        Self { listen, configuration, flags: pairs(settings, "prometheus", "flags") }
    }
}

/// `SECTION['flags']` or `SECTION['env']`, which the package hands to the program.
fn pairs(settings: &Settings, section: &str, key: &str) -> Vec<(String, String)> {
    let Some(Value::Object(pairs)) = settings.at(&[section, key]) else { return Vec::new() };
    let shown = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    pairs.iter().map(|(name, value)| (name.clone(), shown(value))).collect()
}

fn discovered(settings: &Settings, service: Service) -> Value {
    let file = targets::file(&service_name(settings, service));
    json!({"job_name": job_name(service), "file_sd_configs": [{"files": [file]}]})
}

/// The name by which Consul knows a service that tells of itself.
#[must_use]
pub fn service_name(settings: &Settings, service: Service) -> String {
    let usual = if service == Service::Workhorse { "workhorse" } else { service.name() };
    settings.text_or(&[service.section(), "consul_service_name"], usual)
}

/// The package's names of the jobs.
const fn job_name(service: Service) -> &'static str {
    match service {
        Service::NodeExporter => "node",
        Service::PostgresExporter => "postgres",
        Service::RedisExporter => "redis",
        Service::PgbouncerExporter => "pgbouncer",
        Service::Sidekiq => "gitlab-sidekiq",
        other => other.name(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::site::roles::testing::node;

    fn exporters(value: Value) -> Vec<&'static str> {
        let (settings, roles) = node(value);
        Exporter::of_node(&settings, &roles).iter().map(|exporter| exporter.service.name()).collect()
    }

    #[test]
    fn an_exporter_goes_with_what_it_looks_at() {
        assert_eq!(exporters(json!({"roles": ["consul_role"]})), ["node-exporter"]);
        assert_eq!(
            exporters(json!({"roles": ["patroni_role", "pgbouncer_role"]})),
            ["node-exporter", "postgres-exporter", "pgbouncer-exporter"]
        );
        assert!(exporters(json!({"prometheus_monitoring": {"enable": false}})).is_empty());
        let one = json!({"prometheus_monitoring": {"enable": false}, "redis_exporter": {"enable": true}});
        assert_eq!(exporters(one), ["redis-exporter"]);
    }

    #[test]
    fn what_a_node_tells_of_itself_is_found_through_consul() {
        let found = |value: Value| {
            let (settings, roles) = node(value);
            let all = discoverable(&settings, &roles);
            all.into_iter().map(|(service, port)| (service.name(), port)).collect::<Vec<_>>()
        };
        let gitaly = json!({"roles": ["gitaly_role"],
            "gitaly": {"configuration": {"prometheus_listen_addr": "0.0.0.0:9236"}}});
        assert_eq!(found(gitaly), [("node-exporter", 9100), ("gitaly", 9236)]);
        assert_eq!(found(json!({"roles": ["sidekiq_role"]})), [("node-exporter", 9100), ("sidekiq", 8082)]);
        let rails =
            json!({"roles": ["application_role"], "gitaly": {"enable": false}, "sidekiq": {"enable": false}});
        assert_eq!(found(rails), [("node-exporter", 9100), ("gitlab-workhorse", 9229)]);
        assert_eq!(found(json!({"roles": ["pgbouncer_role"]})), [("node-exporter", 9100)]);
    }

    #[test]
    fn flags_and_variables_are_handed_on() {
        let (settings, roles) = node(json!({"roles": ["redis_master_role"], "redis_exporter":
            {"flags": {"redis.addr": "redis://198.18.0.5:6379"}, "env": {"REDIS_PASSWORD": "p"}}}));
        let exporters = Exporter::of_node(&settings, &roles);
        let redis = exporters.iter().find(|one| one.service == Service::RedisExporter).expect("one");
        assert_eq!(redis.flags, [("redis.addr".to_owned(), "redis://198.18.0.5:6379".to_owned())]);
        assert_eq!(redis.variables, [("REDIS_PASSWORD".to_owned(), "p".to_owned())]);
    }

    #[test]
    fn targets_come_from_consul_or_are_this_node_s() {
        let (settings, roles) = node(json!({"roles": ["monitoring_role", "consul_role"],
            "consul": {"monitoring_service_discovery": true},
            "prometheus": {"listen_address": "0.0.0.0:9090", "scrape_configs": [{"job_name": "praefect"}]}}));
        let prometheus = Prometheus::from_settings(&settings, &roles);
        let jobs = prometheus.configuration["scrape_configs"].as_array().expect("jobs");
        let names: Vec<&str> = jobs.iter().filter_map(|job| job["job_name"].as_str()).collect();
        assert_eq!(
            names,
            [
                "prometheus",
                "node",
                "postgres",
                "redis",
                "gitaly",
                "gitlab-workhorse",
                "gitlab-sidekiq",
                "praefect"
            ]
        );
        assert_eq!(jobs[0]["static_configs"][0]["targets"][0], "localhost:9090");
        let files = &jobs[1]["file_sd_configs"][0]["files"];
        assert_eq!(files[0], "/var/opt/gitlab/consul/targets/node-exporter.json");
        let (settings, roles) = node(json!({"roles": ["monitoring_role"]}));
        let jobs = Prometheus::from_settings(&settings, &roles).configuration;
        assert_eq!(jobs["scrape_configs"][1]["static_configs"][0]["targets"][0], "localhost:9100");
    }
}
