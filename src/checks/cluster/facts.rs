//! What the module `cluster_state` tells of one node. Its documentation says where each answer comes from.

use std::collections::BTreeMap;

use serde::Deserialize;

/// The version of the module's format that is understood here.
pub const VERSION: u32 = 1;

/// An answer, or why there is none.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Asked<T> {
    /// What was answered.
    Told(T),
    /// Why nothing was.
    Unasked(String),
}

/// What one node sees of its cluster. What it was not asked is absent.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
pub struct ClusterState {
    /// Of the format.
    pub version: u32,
    /// The keys of gitlab-secrets.json, each as a salted hash.
    pub secrets: Option<Asked<Keys>>,
    /// The SSH host keys, each by its kind and fingerprint.
    pub host_keys: Option<Asked<Keys>>,
    /// What the Consul agent on the node says.
    pub consul: Option<Asked<Consul>>,
    /// What the Patroni on the node says.
    pub patroni: Option<Asked<Patroni>>,
    /// What the `PgBouncer` on the node says.
    pub pgbouncer: Option<Asked<Pgbouncer>>,
    /// What the Redis on the node says.
    pub redis: Option<Asked<Redis>>,
    /// What the Sentinel on the node says.
    pub sentinel: Option<Asked<Sentinel>>,
    /// What Praefect's own commands say.
    pub praefect: Option<Asked<Praefect>>,
    /// What Gitaly's own check says.
    pub gitaly: Option<Asked<Words>>,
    /// What GitLab's check of its storages says.
    pub storages: Option<Asked<Words>>,
    /// The server behind Rails' database connection.
    pub database: Option<Asked<Database>>,
    /// Where Rails looks for its Redis instances.
    pub redis_clients: Option<Asked<RedisClients>>,
    /// What the object storage answers with Rails' own credentials.
    pub object_storage: Option<Asked<ObjectStorage>>,
    /// What `HAProxy` sees.
    pub load_balancer: Option<Asked<LoadBalancer>>,
    /// What Prometheus sees.
    pub prometheus: Option<Asked<Prometheus>>,
    /// Which connections could be opened from the node.
    pub flows: Option<Asked<Flows>>,
}

/// Named values that are only compared.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Keys {
    /// By name.
    pub keys: BTreeMap<String, String>,
}

/// A Consul agent's view.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Consul {
    /// `ADDRESS:PORT` of the leader; empty where none is known.
    pub leader: String,
    /// All whom the agent knows.
    pub members: Vec<ConsulMember>,
}

/// A member as a Consul agent sees it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct ConsulMember {
    /// Its name.
    pub name: String,
    /// Its address.
    pub address: String,
    /// `alive`, `failed`, `leaving`, `left` or `unknown`.
    pub status: String,
    /// Whether it is a server.
    pub server: bool,
}

/// A Patroni's view.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Patroni {
    /// All members.
    pub members: Vec<PatroniMember>,
    /// Whether somebody told Patroni to leave all as it is.
    pub paused: bool,
}

/// A member as Patroni sees it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct PatroniMember {
    /// Its name.
    pub name: String,
    /// Its address; absent while it is not known.
    pub address: Option<String>,
    /// `leader`, `replica` and kinds of it.
    pub role: Option<String>,
    /// `running`, `streaming` and others.
    pub state: Option<String>,
    /// The history that it follows.
    pub timeline: Option<u64>,
    /// How many bytes it is behind; absent where nobody knows.
    pub lag: Option<u64>,
    /// Whether PostgreSQL has to be restarted to take its settings.
    pub pending_restart: bool,
}

/// A `PgBouncer`'s databases.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Pgbouncer {
    /// As `show databases` names them.
    pub databases: Vec<PgbouncerDatabase>,
}

/// One database of a `PgBouncer`; the words are those of its console.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct PgbouncerDatabase {
    /// Its name.
    pub name: String,
    /// Where it leads.
    pub host: String,
    /// On which port.
    pub port: String,
    /// `1` where it was paused.
    pub paused: String,
    /// `1` where it was disabled.
    pub disabled: String,
}

/// A Redis' part in replication.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Redis {
    /// `master` or `slave`.
    pub role: Option<String>,
    /// The primary that a replica follows.
    pub master: Option<String>,
    /// `up` or `down`, of a replica.
    pub link: Option<String>,
    /// The replicas that a primary knows.
    pub replicas: Vec<RedisReplica>,
}

/// A replica as its primary sees it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct RedisReplica {
    /// Its address.
    pub address: Option<String>,
    /// `online` and others.
    pub state: Option<String>,
}

/// A Sentinel's view.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Sentinel {
    /// The primaries that it watches.
    pub masters: Vec<SentinelMaster>,
}

/// A primary as a Sentinel sees it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct SentinelMaster {
    /// The name of the group.
    pub name: Option<String>,
    /// Who is the primary.
    pub address: Option<String>,
    /// `master`, and `s_down` or `o_down` where it is taken for gone.
    pub flags: Vec<String>,
    /// How many other Sentinels it knows.
    pub other_sentinels: usize,
    /// Whether enough Sentinels are there to choose another primary.
    pub quorum: bool,
    /// What it said to that.
    pub quorum_words: String,
}

/// What a command said.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Words {
    /// Its exit code.
    pub rc: i32,
    /// The end of what it said.
    pub out: String,
}

/// What Praefect's commands said.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Praefect {
    /// Of `sql-ping`.
    pub sql_ping: Words,
    /// Of `dial-nodes`.
    pub dial_nodes: Words,
    /// Of `sql-migrate-status`; absent where the database could not be reached.
    pub migrations: Option<Words>,
    /// Of `dataloss -partially-unavailable`; absent where the database could not be reached.
    pub dataloss: Option<Words>,
    /// Of `dataloss`, which lists only what nobody can read; absent where the database could not be reached.
    pub unavailable: Option<Words>,
}

/// The server behind a database connection.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Database {
    /// Where Rails connects to.
    pub host: String,
    /// On which port.
    pub port: u16,
    /// Whether it is a replica; absent where it did not say.
    pub in_recovery: Option<bool>,
    /// Why it did not.
    pub error: Option<String>,
}

/// Rails' connections to Redis.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct RedisClients {
    /// By the name of the file without its ending, as `resque` or `redis.cache`.
    pub clients: BTreeMap<String, RedisClient>,
}

/// One connection of Rails to Redis.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct RedisClient {
    /// Its host, which is the name of the group where Sentinels are asked.
    pub host: Option<String>,
    /// The Sentinels, as `ADDRESS:PORT`.
    pub sentinels: Vec<String>,
}

/// Rails' buckets.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct ObjectStorage {
    /// By name.
    pub buckets: BTreeMap<String, Bucket>,
}

/// What came of the use of a bucket.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Bucket {
    /// The status; absent where nothing answered.
    pub status: Option<u16>,
    /// What was said besides.
    pub error: Option<String>,
}

/// An `HAProxy`'s view.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct LoadBalancer {
    /// Those that have servers.
    pub backends: Vec<Backend>,
}

/// A backend of an `HAProxy`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Backend {
    /// Its name.
    pub name: String,
    /// How it chooses among its servers.
    pub algorithm: Option<String>,
    /// Its servers.
    pub servers: Vec<Server>,
}

/// A server of a backend.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Server {
    /// Its name.
    pub name: String,
    /// `ADDRESS:PORT`.
    pub address: Option<String>,
    /// `UP`, `DOWN`, `MAINT`, `no check` and others.
    pub status: Option<String>,
    /// How the last check ended, as `L7OK` or `L4TOUT`.
    pub check: Option<String>,
    /// The code that it ended with, such as an HTTP status.
    pub code: Option<u16>,
    /// What it said.
    pub reason: Option<String>,
}

/// A Prometheus' targets.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Prometheus {
    /// `ADDRESS:PORT` of those that answer.
    pub up: Vec<String>,
    /// Those that don't.
    pub down: Vec<PrometheusTarget>,
}

/// A target that does not answer Prometheus.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct PrometheusTarget {
    /// The job that it belongs to.
    pub job: Option<String>,
    /// `ADDRESS:PORT`.
    pub asked: String,
    /// Why it does not.
    pub error: Option<String>,
}

/// What came of opening connections.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Flows {
    /// How many were tried.
    pub count: usize,
    /// Those that failed.
    pub closed: Vec<ClosedFlow>,
}

/// A connection that could not be opened.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct ClosedFlow {
    /// The node that it should lead to.
    pub to: String,
    /// The port there.
    pub port: u16,
    /// `tcp` or `udp`.
    pub protocol: String,
    /// Why it failed.
    pub error: String,
}
