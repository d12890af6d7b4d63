//! Preflight's checks by name, in the order in which a reader wants their answers.

use std::fmt;
use std::str::FromStr;

use crate::checks::level::quoted;

/// Whom a check asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Side {
    /// The machine that refarch runs on.
    Here,
    /// Each host by itself.
    Hosts,
    /// The hosts, about each other.
    Network,
}

impl Side {
    /// All of them, in the order of reports.
    pub const ALL: [Self; 3] = [Self::Here, Self::Hosts, Self::Network];

    /// Its name in reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Here => "here",
            Self::Hosts => "hosts",
            Self::Network => "network",
        }
    }

    /// What stands above its checks.
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Self::Here => "This machine, and what is given",
            Self::Hosts => "The hosts",
            Self::Network => "Between the hosts",
        }
    }
}

/// One question of preflight.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Check {
    /// Which nodes does the spec come to?
    Spec,
    /// Is Terraform or OpenTofu there, and new enough?
    Terraform,
    /// Is ansible-core there, and new enough?
    Ansible,
    /// Is the OpenSSH client there?
    Ssh,
    /// Are the parts of the lab there, and may they be used?
    Lab,
    /// Is there room for state, files and logs?
    Room,
    /// Is the deployment's name free, or this work directory's?
    Owner,
    /// Can the secrets be read that the spec refers to?
    Secrets,
    /// Does GitLab's name lead anywhere, and to the right place?
    Dns,
    /// Will the given certificate serve?
    Certificate,
    /// Is the package there, of this version and for these nodes?
    Package,
    /// Can the host be reached, with the right key, and be used as root?
    Reachable,
    /// Is its operating system one that GitLab and refarch install on?
    System,
    /// Is it as large as the architecture says?
    HostSize,
    /// Is its root disk large enough?
    RootDisk,
    /// Are its data disks there, and empty or this deployment's?
    DataDisk,
    /// Does its disk write fast enough?
    DiskSpeed,
    /// Does its clock stand right, and does somebody keep it so?
    HostClock,
    /// Has it a locale of UTF-8?
    Locale,
    /// Has it the time zone of the others?
    TimeZone,
    /// Is swap off?
    Swap,
    /// Can GitLab's package live with `SELinux`?
    AccessControl,
    /// Does a firewall of its own let everything through?
    Firewall,
    /// Do root's new files let others read them?
    Umask,
    /// Can programs run and data be written where GitLab needs it?
    Mounts,
    /// Are the node's ports free?
    Ports,
    /// Is it free of another GitLab?
    Leftovers,
    /// Can it reach the server of its packages?
    PackageSource,
    /// Can the hosts open every connection that they need?
    Flows,
}

/// What a check is about.
struct About {
    name: &'static str,
    side: Side,
    why: &'static str,
    prepare: &'static str,
}

impl Check {
    /// All checks, in the order of reports.
    pub const ALL: [Self; 29] = [
        Self::Spec,
        Self::Terraform,
        Self::Ansible,
        Self::Ssh,
        Self::Lab,
        Self::Room,
        Self::Owner,
        Self::Secrets,
        Self::Dns,
        Self::Certificate,
        Self::Package,
        Self::Reachable,
        Self::System,
        Self::HostSize,
        Self::RootDisk,
        Self::DataDisk,
        Self::DiskSpeed,
        Self::HostClock,
        Self::Locale,
        Self::TimeZone,
        Self::Swap,
        Self::AccessControl,
        Self::Firewall,
        Self::Umask,
        Self::Mounts,
        Self::Ports,
        Self::Leftovers,
        Self::PackageSource,
        Self::Flows,
    ];

    /// Its stable name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        self.about().name
    }

    /// Whom it asks.
    #[must_use]
    pub const fn side(self) -> Side {
        self.about().side
    }

    /// Whether a run can't do without it, so that it can't be left out.
    #[must_use]
    pub const fn is_needed(self) -> bool {
        matches!(
            self,
            Self::Spec
                | Self::Terraform
                | Self::Ansible
                | Self::Ssh
                | Self::Lab
                | Self::Owner
                | Self::Secrets
                | Self::Certificate
                | Self::Reachable
        )
    }

    /// Why its answer matters.
    #[must_use]
    pub const fn why(self) -> &'static str {
        self.about().why
    }

    /// What has to be prepared so that it passes.
    #[must_use]
    pub const fn prepare(self) -> &'static str {
        self.about().prepare
    }

    const fn about(self) -> &'static About {
        &ABOUT[self as usize]
    }
}

/// What each check is about, in the order of [`Check::ALL`].
const ABOUT: [About; 29] = [
    About {
        name: "spec",
        side: Side::Here,
        why: "everything that is made follows from it",
        prepare: "a spec that `refarch validate` accepts",
    },
    About {
        name: "terraform",
        side: Side::Here,
        why: "it makes the hosts",
        prepare: "Terraform or OpenTofu 1.11 or newer, where refarch makes the hosts",
    },
    About {
        name: "ansible",
        side: Side::Here,
        why: "it configures the hosts",
        prepare: "ansible-core 2.19 or newer; `refarch tools install` puts it there",
    },
    About {
        name: "ssh",
        side: Side::Here,
        why: "hosts are reached by SSH and by nothing else",
        prepare: "the OpenSSH client with `ssh-keygen` and `ssh-keyscan`",
    },
    About {
        name: "lab",
        side: Side::Here,
        why: "the lab's hosts are made from its parts, by root",
        prepare: "root, and what `make lab` builds, for `provider: {lab: {}}` only",
    },
    About {
        name: "room",
        side: Side::Here,
        why: "on a full disk it could not be written down what was made",
        prepare: "free space in the work directory beside the spec",
    },
    About {
        name: "owner",
        side: Side::Here,
        why: "two work directories with one name would overwrite each other's nodes",
        prepare: "a deployment name of its own for every spec on this machine",
    },
    About {
        name: "secrets",
        side: Side::Here,
        why: "what the spec refers to is needed on the nodes, and half of it can't be used",
        prepare: "each secret that the spec refers to, in its variable or its file",
    },
    About {
        name: "dns",
        side: Side::Here,
        why: "people and runners find GitLab by its name",
        prepare: "a DNS record of the URL's host that leads to the load balancer, or to the one node",
    },
    About {
        name: "certificate",
        side: Side::Here,
        why: "a node that can't start its NGINX says so half an hour later",
        prepare: "a certificate for the URL's host with its chain and its key, as PEM files, valid for 30 days or more",
    },
    About {
        name: "package",
        side: Side::Here,
        why: "every node installs it, and a package of another version or machine is refused there",
        prepare: "the gitlab-ee package of the spec's version for the nodes' operating system and processor",
    },
    About {
        name: "reachable",
        side: Side::Hosts,
        why: "a host that can't be reached can't be configured",
        prepare: "SSH from this machine with a key that the host knows, and `sudo` to root without a terminal",
    },
    About {
        name: "system",
        side: Side::Hosts,
        why: "GitLab's package exists for some systems only",
        prepare: "Debian 12 or 13, or Ubuntu 22.04 or 24.04",
    },
    About {
        name: "host_size",
        side: Side::Hosts,
        why: "a node smaller than its architecture says fails under load, not now",
        prepare: "processors and memory as docs/architectures says for the component",
    },
    About {
        name: "root_disk",
        side: Side::Hosts,
        why: "the package and its download need room before anything runs",
        prepare: "a root disk as large as the spec says, with 8 GB free below `/opt`",
    },
    About {
        name: "data_disk",
        side: Side::Hosts,
        why: "what lies on a disk that refarch doesn't know is never overwritten",
        prepare: "an empty disk for every component that keeps data, attached and not partitioned",
    },
    About {
        name: "disk_speed",
        side: Side::Hosts,
        why: "every commit of the database and every push waits for the disk",
        prepare: "SSDs: 8,000 reads and 2,000 writes a second where repositories lie",
    },
    About {
        name: "host_clock",
        side: Side::Hosts,
        why: "the services sign their requests with the time",
        prepare: "chrony or systemd-timesyncd, with one source for all hosts",
    },
    About {
        name: "locale",
        side: Side::Hosts,
        why: "names and paths hold more than ASCII",
        prepare: "a locale of UTF-8, such as `C.UTF-8`",
    },
    About {
        name: "time_zone",
        side: Side::Hosts,
        why: "logs of several hosts are read together",
        prepare: "one time zone on all hosts",
    },
    About {
        name: "swap",
        side: Side::Hosts,
        why: "a service that swaps answers too late to be healthy and too early to be replaced",
        prepare: "no swap",
    },
    About {
        name: "access_control",
        side: Side::Hosts,
        why: "what SELinux refuses fails without a word in GitLab's logs",
        prepare: "with SELinux enforcing: `policycoreutils`",
    },
    About {
        name: "firewall",
        side: Side::Hosts,
        why: "a host's own firewall closes ports that the network leaves open",
        prepare: "no firewall on the host, or one that lets the flows of its component through",
    },
    About {
        name: "umask",
        side: Side::Hosts,
        why: "GitLab's own users must read what root writes",
        prepare: "umask 0022 for root",
    },
    About {
        name: "mounts",
        side: Side::Hosts,
        why: "GitLab's programs lie below `/opt`, and some run copies of themselves from `/tmp`",
        prepare: "no `noexec` on `/opt`, `/var/opt`, `/tmp` and `/var/tmp`",
    },
    About {
        name: "ports",
        side: Side::Hosts,
        why: "a service can't start on a port that another one has",
        prepare: "nothing of your own on the ports of the component",
    },
    About {
        name: "leftovers",
        side: Side::Hosts,
        why: "another GitLab's data and keys would be mixed with the new one's",
        prepare: "a host on which no GitLab was installed",
    },
    About {
        name: "package_source",
        side: Side::Hosts,
        why: "each host fetches the package itself, where the spec names a URL or a repository",
        prepare: "a way from every host to that server",
    },
    About {
        name: "flows",
        side: Side::Network,
        why: "a flow that is closed shows itself only when the feature that needs it is used",
        prepare: "every flow of the port table let through between the hosts",
    },
];

impl fmt::Display for Check {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

/// A word that names no check of preflight.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{word}` is no check of preflight; its checks are {}", quoted(Check::ALL.map(Check::name)))]
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
        assert!(Check::ALL.iter().enumerate().all(|(index, check)| index == *check as usize));
        assert_eq!((Check::Package.name(), Check::Flows.name()), ("package", "flows"));
        assert!(Check::ALL.is_sorted_by_key(|check| check.side()), "a side's checks stand together");
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), Check::ALL.len());
    }

    #[test]
    fn checks_are_read_by_name() {
        for check in Check::ALL {
            assert_eq!(check.to_string().parse(), Ok(check));
        }
        let unknown = "swapp".parse::<Check>().unwrap_err().to_string();
        assert!(unknown.starts_with("`swapp` is no check of preflight; its checks are `spec`"), "{unknown}");
    }

    #[test]
    fn the_page_about_checks_names_them_all() {
        let page = include_str!("../../../docs/checks.md");
        for check in Check::ALL {
            let row =
                format!("| `{check}` | {} | {} | {} |", check.side().name(), check.prepare(), check.why());
            assert!(page.contains(&row), "docs/checks.md lacks the row {row}");
        }
    }
}
