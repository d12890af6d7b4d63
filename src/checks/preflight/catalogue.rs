//! Preflight's checks by name, in the order in which a reader wants their answers.

use std::fmt;
use std::str::FromStr;

use crate::checks::level::quoted;

/// Whom a check asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Side {
    /// The machine that refarch runs on.
    Here,
}

impl Side {
    /// All of them, in the order of reports.
    pub const ALL: [Self; 1] = [Self::Here];

    /// Its name in reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Here => "here",
        }
    }

    /// What stands above its checks.
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Self::Here => "This machine, and what is given",
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
    pub const ALL: [Self; 11] = [
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

    const fn about(self) -> About {
        match self {
            Self::Spec => About {
                name: "spec",
                side: Side::Here,
                why: "everything that is made follows from it",
                prepare: "a spec that `refarch validate` accepts",
            },
            Self::Terraform => About {
                name: "terraform",
                side: Side::Here,
                why: "it makes the hosts",
                prepare: "Terraform or OpenTofu 1.11 or newer, where refarch makes the hosts",
            },
            Self::Ansible => About {
                name: "ansible",
                side: Side::Here,
                why: "it configures the hosts",
                prepare: "ansible-core 2.19 or newer; `refarch tools install` puts it there",
            },
            Self::Ssh => About {
                name: "ssh",
                side: Side::Here,
                why: "hosts are reached by SSH and by nothing else",
                prepare: "the OpenSSH client with `ssh-keygen` and `ssh-keyscan`",
            },
            Self::Lab => About {
                name: "lab",
                side: Side::Here,
                why: "the lab's hosts are made from its parts, by root",
                prepare: "root, and what `make lab` builds, for `provider: {lab: {}}` only",
            },
            Self::Room => About {
                name: "room",
                side: Side::Here,
                why: "on a full disk it could not be written down what was made",
                prepare: "free space in the work directory beside the spec",
            },
            Self::Owner => About {
                name: "owner",
                side: Side::Here,
                why: "two work directories with one name would overwrite each other's nodes",
                prepare: "a deployment name of its own for every spec on this machine",
            },
            Self::Secrets => About {
                name: "secrets",
                side: Side::Here,
                why: "what the spec refers to is needed on the nodes, and half of it can't be used",
                prepare: "each secret that the spec refers to, in its variable or its file",
            },
            Self::Dns => About {
                name: "dns",
                side: Side::Here,
                why: "people and runners find GitLab by its name",
                prepare: "a DNS record of the URL's host that leads to the load balancer, or to the one node",
            },
            Self::Certificate => About {
                name: "certificate",
                side: Side::Here,
                why: "a node that can't start its NGINX says so half an hour later",
                prepare: "a certificate for the URL's host with its chain and its key, as PEM files, valid for 30 days or more",
            },
            Self::Package => About {
                name: "package",
                side: Side::Here,
                why: "every node installs it, and a package of another version or machine is refused there",
                prepare: "the gitlab-ee package of the spec's version for the nodes' operating system and processor",
            },
        }
    }
}

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
