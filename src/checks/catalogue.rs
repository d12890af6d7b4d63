//! The checks by name, in the order in which a reader wants their answers.

use std::fmt;
use std::str::FromStr;

use super::level::{Level, quoted};

/// One question.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Check {
    /// Does the name lead to the deployment?
    Dns,
    /// Does the port answer?
    Tcp,
    /// Is the certificate trusted, valid and made for the name?
    Tls,
    /// Does the sign-in page come?
    SignIn,
    /// Is it GitLab or the stand-in, and does the spec say the same?
    Standin,
    /// Does plain HTTP lead to HTTPS?
    Redirect,
    /// Is it ready, as seen from here?
    ReadinessOutside,
    /// Does the web server of a node answer?
    Health,
    /// Does Puma on a node say that it lives?
    Liveness,
    /// Do the things that Puma on a node depends on answer?
    Readiness,
    /// Does a node have the size that the architecture gives it?
    Size,
    /// Does every service of a node run?
    Services,
    /// Is the package of the spec installed on a node?
    PackageInstalled,
    /// Are gitlab.rb and the secrets on a node those that were delivered?
    Configuration,
    /// Is there room on a node's disks?
    DiskSpace,
    /// Is the certificate on a node the delivered one, and does it last?
    Certificate,
    /// Does a node's clock stand right?
    Clock,
    /// Whose token asks, and may it?
    Token,
    /// Is it the version and the edition that were wanted?
    Version,
    /// Do the metadata say the same?
    Metadata,
    /// Does GraphQL say the same?
    Graphql,
    /// Is there a group in which things may be made?
    Group,
    /// Can a project be made, and does it say where it is?
    Project,
    /// Is a push over HTTPS accepted?
    PushHttps,
    /// Is what was pushed what a clone over HTTPS holds?
    CloneHttps,
    /// Is a push over SSH accepted?
    PushSsh,
    /// Is what was pushed what a clone over SSH holds?
    CloneSsh,
    /// Does a large file come back as it was stored?
    Lfs,
    /// Does a package come back as it was stored?
    Package,
    /// Does an attachment come back as it was stored?
    Upload,
    /// Can an issue be made, read and closed?
    Issue,
    /// Is a merge request merged?
    MergeRequest,
    /// Does a runner do a job?
    Job,
    /// Is all that was made removed again?
    Cleanup,
    /// Do all nodes know each other, under one leader?
    Consul,
    /// Has the database one leader that replicas follow?
    Patroni,
    /// Do the connection pools lead to the leader?
    Pgbouncer,
    /// Does the database that Rails is configured with take writes?
    DatabaseEndpoint,
    /// Has each group of Redis one primary that the others follow?
    Redis,
    /// Do the Sentinels agree, and does Rails know them?
    Sentinel,
    /// Does Praefect reach its database and every Gitaly, and is every repository whole?
    Praefect,
    /// Does Rails reach every storage, and Gitaly the internal API?
    Gitaly,
    /// Can Rails use every bucket?
    ObjectStorage,
    /// Do all nodes hold the keys that they share?
    SharedSecrets,
    /// Have all Rails nodes the same SSH host keys?
    SshHostKeys,
    /// Is the same package installed everywhere?
    Versions,
    /// Do the load balancers know every node, and find it well?
    LoadBalancer,
    /// Do nodes let the load balancers ask for their health?
    Allowlist,
    /// Does Prometheus see every node?
    Prometheus,
    /// Can nodes open every connection that they need?
    OpenPorts,
    /// Are the ports closed that users must not reach?
    ClosedPorts,
    /// Which nodes have nobody to take over from them?
    SinglePoints,
    /// Are there as many nodes as the architecture says?
    Topology,
    /// Does a node run what it is for, and nothing else?
    Components,
}

impl Check {
    /// All checks, in the order of reports.
    pub const ALL: [Self; 54] = [
        Self::Dns,
        Self::Tcp,
        Self::Tls,
        Self::SignIn,
        Self::Standin,
        Self::Redirect,
        Self::ReadinessOutside,
        Self::Health,
        Self::Liveness,
        Self::Readiness,
        Self::Size,
        Self::Services,
        Self::PackageInstalled,
        Self::Configuration,
        Self::DiskSpace,
        Self::Certificate,
        Self::Clock,
        Self::Token,
        Self::Version,
        Self::Metadata,
        Self::Graphql,
        Self::Group,
        Self::Project,
        Self::PushHttps,
        Self::CloneHttps,
        Self::PushSsh,
        Self::CloneSsh,
        Self::Lfs,
        Self::Package,
        Self::Upload,
        Self::Issue,
        Self::MergeRequest,
        Self::Job,
        Self::Cleanup,
        Self::Consul,
        Self::Patroni,
        Self::Pgbouncer,
        Self::DatabaseEndpoint,
        Self::Redis,
        Self::Sentinel,
        Self::Praefect,
        Self::Gitaly,
        Self::ObjectStorage,
        Self::SharedSecrets,
        Self::SshHostKeys,
        Self::Versions,
        Self::LoadBalancer,
        Self::Allowlist,
        Self::Prometheus,
        Self::OpenPorts,
        Self::ClosedPorts,
        Self::SinglePoints,
        Self::Topology,
        Self::Components,
    ];

    /// Its stable name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Dns => "dns",
            Self::Tcp => "tcp",
            Self::Tls => "tls",
            Self::SignIn => "sign_in",
            Self::Standin => "standin",
            Self::Redirect => "redirect",
            Self::ReadinessOutside => "readiness_outside",
            Self::Health => "health",
            Self::Liveness => "liveness",
            Self::Readiness => "readiness",
            Self::Size => "size",
            Self::Services => "services",
            Self::PackageInstalled => "package_installed",
            Self::Configuration => "configuration",
            Self::DiskSpace => "disk_space",
            Self::Certificate => "certificate",
            Self::Clock => "clock",
            Self::Token => "token",
            Self::Version => "version",
            Self::Metadata => "metadata",
            Self::Graphql => "graphql",
            Self::Group => "group",
            Self::Project => "project",
            Self::PushHttps => "push_https",
            Self::CloneHttps => "clone_https",
            Self::PushSsh => "push_ssh",
            Self::CloneSsh => "clone_ssh",
            Self::Lfs => "lfs",
            Self::Package => "package",
            Self::Upload => "upload",
            Self::Issue => "issue",
            Self::MergeRequest => "merge_request",
            Self::Job => "job",
            Self::Cleanup => "cleanup",
            Self::Consul => "consul",
            Self::Patroni => "patroni",
            Self::Pgbouncer => "pgbouncer",
            Self::DatabaseEndpoint => "database_endpoint",
            Self::Redis => "redis",
            Self::Sentinel => "sentinel",
            Self::Praefect => "praefect",
            Self::Gitaly => "gitaly",
            Self::ObjectStorage => "object_storage",
            Self::SharedSecrets => "shared_secrets",
            Self::SshHostKeys => "ssh_host_keys",
            Self::Versions => "versions",
            Self::LoadBalancer => "load_balancer",
            Self::Allowlist => "allowlist",
            Self::Prometheus => "prometheus",
            Self::OpenPorts => "open_ports",
            Self::ClosedPorts => "closed_ports",
            Self::SinglePoints => "single_points",
            Self::Topology => "topology",
            Self::Components => "components",
        }
    }

    /// The shallowest level that asks it.
    #[must_use]
    pub const fn level(self) -> Level {
        match self {
            Self::Dns | Self::Tcp | Self::Tls => Level::Reach,
            Self::SignIn
            | Self::Standin
            | Self::Redirect
            | Self::ReadinessOutside
            | Self::Health
            | Self::Liveness
            | Self::Readiness
            | Self::Size
            | Self::Services
            | Self::PackageInstalled
            | Self::Configuration
            | Self::DiskSpace
            | Self::Certificate
            | Self::Clock => Level::Health,
            Self::Token | Self::Version | Self::Metadata | Self::Graphql => Level::Api,
            Self::Group
            | Self::Project
            | Self::PushHttps
            | Self::CloneHttps
            | Self::PushSsh
            | Self::CloneSsh
            | Self::Lfs
            | Self::Package
            | Self::Upload
            | Self::Issue
            | Self::MergeRequest
            | Self::Job
            | Self::Cleanup => Level::Function,
            Self::Consul
            | Self::Patroni
            | Self::Pgbouncer
            | Self::DatabaseEndpoint
            | Self::Redis
            | Self::Sentinel
            | Self::Praefect
            | Self::Gitaly
            | Self::ObjectStorage
            | Self::SharedSecrets
            | Self::SshHostKeys
            | Self::Versions
            | Self::LoadBalancer
            | Self::Allowlist
            | Self::Prometheus
            | Self::OpenPorts
            | Self::ClosedPorts => Level::Cluster,
            Self::SinglePoints | Self::Topology | Self::Components => Level::Conformance,
        }
    }

    /// The checks without whose answer it is not asked, or says less.
    const fn after(self) -> &'static [Self] {
        match self {
            Self::Dns
            | Self::Health
            | Self::Liveness
            | Self::Readiness
            | Self::Size
            | Self::Services
            | Self::PackageInstalled
            | Self::Configuration
            | Self::DiskSpace
            | Self::Certificate
            | Self::Clock
            | Self::Consul
            | Self::Patroni
            | Self::Pgbouncer
            | Self::DatabaseEndpoint
            | Self::Redis
            | Self::Sentinel
            | Self::Praefect
            | Self::Gitaly
            | Self::ObjectStorage
            | Self::SharedSecrets
            | Self::SshHostKeys
            | Self::Versions
            | Self::LoadBalancer
            | Self::Allowlist
            | Self::Prometheus
            | Self::OpenPorts
            | Self::ClosedPorts
            | Self::SinglePoints
            | Self::Topology
            | Self::Components => &[],
            Self::Tcp => &[Self::Dns],
            Self::Tls | Self::Redirect => &[Self::Tcp],
            Self::SignIn | Self::ReadinessOutside | Self::Token => &[Self::Tls],
            Self::Standin => &[Self::SignIn],
            Self::Version | Self::Group => &[Self::Token],
            // They pass only on agreement with what the version said.
            Self::Metadata | Self::Graphql => &[Self::Token, Self::Version],
            Self::Project | Self::Cleanup => &[Self::Group],
            Self::PushHttps | Self::PushSsh | Self::Lfs | Self::Package | Self::Upload | Self::Issue => {
                &[Self::Project]
            }
            Self::CloneHttps | Self::MergeRequest | Self::Job => &[Self::PushHttps],
            Self::CloneSsh => &[Self::PushSsh],
        }
    }

    /// Whether `other` is this check or one that it depends on, directly or not.
    #[must_use]
    pub fn needs(self, other: Self) -> bool {
        self == other || self.after().iter().any(|check| check.needs(other))
    }

    /// Whether it judges what was gathered of the nodes before.
    #[must_use]
    pub const fn needs_facts(self) -> bool {
        matches!(
            self,
            Self::Services
                | Self::PackageInstalled
                | Self::Configuration
                | Self::DiskSpace
                | Self::Certificate
                | Self::Clock
                | Self::Versions
                | Self::Topology
                | Self::Components
        )
    }

    /// Why its answer matters.
    #[must_use]
    pub const fn why(self) -> &'static str {
        match self {
            Self::Dns => "people and runners find GitLab by its name",
            Self::Tcp => "without an open port nobody reaches GitLab",
            Self::Tls => "browsers, git and runners refuse a certificate that they can't trust",
            Self::SignIn => "the sign-in page comes only when NGINX, Workhorse, Puma and the database work",
            Self::Standin => "a proof on the stand-in is a proof of the topology, not of GitLab",
            Self::Redirect => "people type the name without a scheme, and old links have none either",
            Self::ReadinessOutside => "a load balancer sends traffic only to what it sees ready",
            Self::Health => "a node that does not answer itself serves nobody",
            Self::Liveness => "a Puma that is not alive has to be restarted before anything else helps",
            Self::Readiness => "GitLab works only as well as the database, Redis and Gitaly behind it",
            Self::Size => "a node smaller than its architecture says fails under load, not now",
            Self::Services => "a page may come while a service that is down loses mails, jobs or backups",
            Self::PackageInstalled => "nodes of different versions corrupt what they share",
            Self::Configuration => {
                "what was changed by hand is undone by the next `refarch up`, or breaks it"
            }
            Self::DiskSpace => {
                "a full disk stops PostgreSQL and Gitaly, and is the one fault that restarts don't heal"
            }
            Self::Certificate => {
                "what a node serves after its next restart is what lies there, not what it shows now"
            }
            Self::Clock => {
                "the services sign their requests with the time, and two-factor codes last 30 seconds"
            }
            Self::Token => {
                "everything that is asked from here on is asked with this token and this user's rights"
            }
            Self::Version => "features, fixes and the upgrade path follow from the version",
            Self::Metadata => "two answers of different versions mean an upgrade that is half done",
            Self::Graphql => "GitLab's own pages and many integrations ask GraphQL and not REST",
            Self::Group => "everything else that is made lies in this group, and is removed with it",
            Self::Project => "people and runners clone from the address that the project says",
            Self::PushHttps => "a push passes Workhorse, the internal API, Gitaly and its hooks",
            Self::CloneHttps => "a repository that loses what was pushed is worse than one that refuses it",
            Self::PushSsh => "many people and most deployments push over SSH, which goes another way",
            Self::CloneSsh => {
                "a host key that changes between two connections stops everyone who cloned before"
            }
            Self::Lfs => "large files lie in a storage of their own",
            Self::Package => "builds depend on packages, which lie in a storage of their own",
            Self::Upload => "pictures in issues and comments are attachments",
            Self::Issue => "issues are rows in the database and little else: where they fail, all else does",
            Self::MergeRequest => "mergeability and the merge are Sidekiq's work in the background",
            Self::Job => "a pipeline needs runners, traces and artifacts",
            Self::Cleanup => "a verification leaves an instance as it found it",
            Self::Consul => "Patroni elects by what Consul keeps, and Prometheus finds the nodes by it",
            Self::Patroni => {
                "a database with two leaders loses data, and one without replicas can't outlive its leader"
            }
            Self::Pgbouncer => "a pool that leads to a replica takes no writes, and users see errors",
            Self::DatabaseEndpoint => {
                "a node that writes to a replica fails every request that changes something"
            }
            Self::Redis => {
                "a replica that is cut off can't take over, and two primaries lose jobs and sessions"
            }
            Self::Sentinel => {
                "without a quorum nobody takes over, and Rails finds Redis only by the name that Sentinels know"
            }
            Self::Praefect => "a repository with too few replicas is lost with the next disk",
            Self::Gitaly => {
                "a node that can't reach a storage fails the requests that land on it, and no others"
            }
            Self::ObjectStorage => {
                "artifacts, uploads and packages that one node can't store are lost to all"
            }
            Self::SharedSecrets => {
                "a node with another key reads nobody's tokens and variables, and writes what no other can read"
            }
            Self::SshHostKeys => "users are warned of an attack whenever they land on another node",
            Self::Versions => "a node of another version speaks another protocol to the rest",
            Self::LoadBalancer => {
                "a node that a load balancer does not know carries no load, and one too many takes requests that fail"
            }
            Self::Allowlist => {
                "a node that answers 404 to its load balancer gets no requests, however well it is"
            }
            Self::Prometheus => "what is not watched fails unseen",
            Self::OpenPorts => {
                "a flow that is closed shows itself only when the feature that needs it is used"
            }
            Self::ClosedPorts => {
                "what nodes say to each other is mostly neither encrypted nor asked for a password"
            }
            Self::SinglePoints => "whoever runs it has to know what stops it",
            Self::Topology => "sizes and limits of an architecture hold for its whole topology",
            Self::Components => {
                "a service in the wrong place takes what the node's own work needs, and hides what is missing elsewhere"
            }
        }
    }
}

impl fmt::Display for Check {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

/// A word that names no check.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{word}` is no check; the checks are {}", quoted(Check::ALL.map(Check::name)))]
pub struct UnknownCheck {
    word: String,
}

impl FromStr for Check {
    type Err = UnknownCheck;

    fn from_str(word: &str) -> Result<Self, Self::Err> {
        let found = Self::ALL.into_iter().find(|check| check.name() == word);
        found.ok_or_else(|| UnknownCheck { word: word.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_in_order() {
        let mut names: Vec<_> = Check::ALL.iter().map(|check| check.name()).collect();
        assert!(Check::ALL.is_sorted());
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), Check::ALL.len());
    }

    #[test]
    fn checks_are_read_by_name_and_know_what_they_need() {
        for check in Check::ALL {
            assert_eq!(check.to_string().parse(), Ok(check));
            assert!(check.needs(check));
            for other in Check::ALL.into_iter().filter(|other| check.needs(*other)) {
                assert!(other.level() <= check.level(), "`{check}` needs `{other}` of a deeper level");
            }
        }
        assert!(Check::Standin.needs(Check::Dns) && !Check::Dns.needs(Check::Standin));
        let unknown = "tcpp".parse::<Check>().unwrap_err().to_string();
        assert!(unknown.starts_with("`tcpp` is no check; the checks are `dns`, `tcp`"), "{unknown}");
    }

    #[test]
    fn the_page_about_checks_names_them_all() {
        let page = include_str!("../../docs/checks.md");
        for check in Check::ALL {
            let row = format!("| `{check}` | {} |", check.level());
            assert!(page.contains(&row), "docs/checks.md lacks a row that begins with {row}");
            assert!(
                page.contains(check.why()),
                "docs/checks.md doesn't say of `{check}` that {}",
                check.why()
            );
        }
    }
}
