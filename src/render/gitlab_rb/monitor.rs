//! The node with Prometheus.

use super::common::{self, Agent, everywhere};
use super::{Conflict, Settings, Value};
use crate::architecture::Component;
use crate::deployment::{Deployment, Node, Sidekiq};
use crate::render::ports;

pub(super) fn settings(deployment: &Deployment, node: &Node) -> Result<Settings, Conflict> {
    let mut roles = vec!["monitoring_role"];
    if deployment.has(Component::Consul) {
        roles.push("consul_role");
    }
    Settings::default()
        .with(&["roles"], roles)?
        .with(&["external_url"], deployment.gitlab.url.as_str())?
        .with(&["letsencrypt", "enable"], false)?
        .with(&["nginx", "enable"], false)?
        .suggest(node, &["prometheus", "listen_address"], everywhere(ports::PROMETHEUS))?
        .suggest(node, &["prometheus", "monitor_kubernetes"], false)?
        .suggest(node, &["prometheus", "scrape_configs"], Value::List(scraped(deployment)))?
        .merge(common::settings(deployment, node, Agent::ByRole)?)
}

/// What Prometheus asks: with Consul, what Consul doesn't know of; without, everything.
fn scraped(deployment: &Deployment) -> Vec<Value> {
    let mut jobs = if deployment.has(Component::Consul) { Vec::new() } else { every_job(deployment) };
    jobs.push(job(deployment, "pgbouncer", &[Component::Pgbouncer], ports::PGBOUNCER_EXPORTER));
    jobs.push(job(deployment, "praefect", &[Component::Praefect], ports::PRAEFECT_METRICS));
    jobs.into_iter().flatten().collect()
}

/// Source: <https://docs.gitlab.com/administration/reference_architectures/2k_users/#configure-prometheus> (read
/// 2026-11).
fn every_job(deployment: &Deployment) -> Vec<Option<Value>> {
    let sidekiq = match deployment.topology.sidekiq {
        Sidekiq::Own(_) => Component::Sidekiq,
        Sidekiq::OnRails => Component::Rails,
    };
    let rails = [Component::Rails];
    // The monitoring role has no node exporter.
    let exporting = |component: &Component| component.has_package() && *component != Component::Monitor;
    let exporting: Vec<Component> = Component::ALL.into_iter().filter(exporting).collect();
    let databases = [Component::Postgres, Component::PraefectPostgres];
    let redises = [Component::Redis, Component::RedisCache, Component::RedisPersistent];
    vec![
        job(deployment, "postgres", &databases, ports::POSTGRES_EXPORTER),
        job(deployment, "redis", &redises, ports::REDIS_EXPORTER),
        job(deployment, "gitaly", &[Component::Gitaly], ports::GITALY_METRICS),
        job(deployment, "gitlab-nginx", &rails, ports::NGINX_STATUS),
        job(deployment, "gitlab-workhorse", &rails, ports::WORKHORSE_METRICS),
        job(deployment, "gitlab-rails", &rails, ports::PUMA).map(rails_metrics),
        job(deployment, "gitlab-sidekiq", &[sidekiq], ports::SIDEKIQ_METRICS),
        job(deployment, "static-node", &exporting, ports::NODE_EXPORTER),
    ]
}

/// A job with the nodes of these components; none, where there are no such nodes.
fn job(deployment: &Deployment, name: &str, components: &[Component], port: u16) -> Option<Value> {
    let nodes = components.iter().flat_map(|component| deployment.nodes_of(*component));
    let targets: Vec<Value> = nodes.map(|node| Value::at("", &node.name, port)).collect();
    if targets.is_empty() {
        return None;
    }
    let configuration = Value::map([("targets", Value::List(targets))]);
    Some(Value::map([("job_name", name.into()), ("static_configs", Value::List(vec![configuration]))]))
}

/// Rails gives its metrics elsewhere than exporters do.
fn rails_metrics(job: Value) -> Value {
    match job {
        Value::Map(mut entries) => {
            entries.insert("metrics_path".to_owned(), "/-/metrics".into());
            Value::Map(entries)
        }
        other => other,
    }
}
