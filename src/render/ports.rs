//! The ports that GitLab's parts listen on, where the documentation doesn't change the package's defaults.
//!
//! Source: <https://docs.gitlab.com/administration/package_information/defaults/> (read 2026-11).

pub(super) const SSH: u16 = 22;
pub(super) const HTTP: u16 = 80;
pub(super) const PRAEFECT: u16 = 2305;
pub(super) const POSTGRES: u16 = 5432;
pub(super) const REDIS: u16 = 6379;
pub(super) const PGBOUNCER: u16 = 6432;
pub(super) const PATRONI: u16 = 8008;
pub(super) const NGINX_STATUS: u16 = 8060;
pub(super) const GITALY: u16 = 8075;
pub(super) const PUMA: u16 = 8080;
pub(super) const SIDEKIQ_METRICS: u16 = 8082;
pub(super) const SIDEKIQ_HEALTH: u16 = 8092;
pub(super) const CONSUL_RPC: u16 = 8300;
pub(super) const OBJECT_STORAGE: u16 = 9000;
pub(super) const PROMETHEUS: u16 = 9090;
pub(super) const NODE_EXPORTER: u16 = 9100;
pub(super) const REDIS_EXPORTER: u16 = 9121;
pub(super) const POSTGRES_EXPORTER: u16 = 9187;
pub(super) const PGBOUNCER_EXPORTER: u16 = 9188;
pub(super) const WORKHORSE_METRICS: u16 = 9229;
pub(super) const GITALY_METRICS: u16 = 9236;
pub(super) const PRAEFECT_METRICS: u16 = 9652;
pub(super) const SENTINEL: u16 = 26379;

/// The port of administrative SSH where Git's SSH has the usual one.
pub(super) const ADMIN_SSH_BESIDE_GIT: u16 = 2222;
