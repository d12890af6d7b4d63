//! What a node is for, in GitLab's terms.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What a node is for. Variants exist from the day refarch can build them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Component {
    /// Everything on one node: the 1k architecture.
    AllInOne,
}

impl Component {
    /// The name in specs, inventories and events.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::AllInOne => "all_in_one",
        }
    }

    /// What has to be configured before a node of this component can be configured.
    /// What it needs to *serve* is another question, which the checks ask.
    #[must_use]
    pub const fn configure_needs(self) -> &'static [Self] {
        match self {
            Self::AllInOne => &[],
        }
    }

    /// The services without which a node can't do what it is for, as `gitlab-ctl` names them.
    ///
    /// Source: <https://docs.gitlab.com/omnibus/maintenance/> "Get service status" (read 2026-11).
    #[must_use]
    pub const fn services(self) -> &'static [&'static str] {
        match self {
            Self::AllInOne => {
                &["gitaly", "gitlab-workhorse", "nginx", "postgresql", "puma", "redis", "sidekiq"]
            }
        }
    }

    /// Where the data disk is mounted, for components that keep data.
    ///
    /// The Linux package keeps repositories, database and uploads under `/var/opt/gitlab`.
    /// Source: <https://docs.gitlab.com/omnibus/settings/configuration/> (read 2026-08).
    #[must_use]
    pub const fn data_mount(self) -> Option<&'static str> {
        match self {
            Self::AllInOne => Some("/var/opt/gitlab"),
        }
    }
}

impl fmt::Display for Component {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
