//! What is known of single GitLab versions: from where on their keys are unread, and which patches have a fault.

use super::block::Placed;
use super::problem::{Findings, Problem};
use super::rule;
use super::values::GitlabVersion;

/// Patches of one minor version with a fault that a later one mended.
struct Fault {
    minor: (u16, u16),
    /// The first and the last patch that have it.
    patches: (u16, u16),
    what: &'static str,
    source: &'static str,
}

/// Faults that matter to a deployment of that version; what only an upgrade to it or away from it meets is left out.
/// Sources as they were read in 2026-08.
const FAULTS: &[Fault] = &[
    Fault {
        minor: (18, 5),
        patches: (0, 1),
        what: "NGINX answers 404 to whoever asks for GitLab by another name than its URL's, such as a load balancer's \
               health check",
        source: "https://docs.gitlab.com/update/versions/gitlab_18_changes/",
    },
    Fault {
        minor: (18, 11),
        patches: (7, 7),
        what: "the package takes stale secrets of Mattermost for its settings and stops",
        source: "https://docs.gitlab.com/update/versions/gitlab_19_changes/",
    },
    Fault {
        minor: (19, 0),
        patches: (0, 1),
        what: "the container registry's API answers 500 where its metadata database is not yet set up",
        source: "https://docs.gitlab.com/update/versions/gitlab_19_changes/",
    },
    Fault {
        minor: (19, 2),
        patches: (0, 0),
        what: "it clears the addresses of a self-hosted AI gateway",
        source: "https://docs.gitlab.com/update/versions/gitlab_19_changes/",
    },
];

/// Notes what is worth a warning about a version that can be configured.
pub(super) fn check(version: &Placed<GitlabVersion>, findings: &mut Findings) {
    let Placed { value: version, at } = version;
    if version.minor() > GitlabVersion::KNOWN_TO {
        let (major, minor) = GitlabVersion::KNOWN_TO;
        let message = format!(
            "the gitlab.rb keys of GitLab {version} have not been read, only those up to {major}.{minor}"
        );
        let help = format!(
            "read {}.{}'s upgrade notes for keys that changed, or choose {major}.{minor}",
            version.major, version.minor
        );
        findings.add(Problem::new(&rule::VERSION_NEWER, message).at(at.clone(), "newer").help(help));
    }
    let is_meant = |fault: &&Fault| {
        fault.minor == version.minor() && (fault.patches.0..=fault.patches.1).contains(&version.patch)
    };
    for fault in FAULTS.iter().filter(is_meant) {
        let message = format!("GitLab {version} has a fault: {}", fault.what);
        let mended = GitlabVersion::new(version.major, version.minor, fault.patches.1 + 1);
        let help = format!("choose {mended} or a later patch of it; see {}", fault.source);
        findings.add(Problem::new(&rule::VERSION_FAULTY, message).at(at.clone(), "this patch").help(help));
    }
}
