//! What can be switched to go wrong, and what a healthy instance may do one way or another.

use std::collections::BTreeMap;

use serde_json::Value;

use super::route::Endpoint;

/// What goes wrong at one endpoint.
#[derive(Clone, Debug, PartialEq)]
pub enum Fault {
    /// Takes the request and never answers.
    Slow,
    /// Answers with this status, as GitLab or the NGINX before it would; nothing is done.
    Status(u16),
    /// Answers with this status and this JSON; nothing is done.
    Says(u16, Value),
    /// Answers 200 with a page for people.
    Html,
    /// Does what was asked, and its JSON ends in the middle.
    Truncated,
    /// Does what was asked and answers with JSON that holds nothing of it.
    OtherShape,
    /// Sends the client back to where it came from.
    RedirectLoop,
    /// Does what was asked and hangs up in the middle of the answer.
    Cut,
    /// 429 with `Retry-After: 0`, this many times, then fine.
    RateLimited(u32),
    /// 503 with `Retry-After: 1`, this many times, then fine.
    Busy(u32),
    /// The token is not taken.
    Unauthorized,
    /// The token's scopes are not enough.
    Forbidden,
}

/// What is answered as done and was not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Lie {
    /// A push is accepted, and the repository stays empty.
    PushForgotten,
    /// A push is accepted, and the branch holds another commit.
    PushReplaced,
    /// A package comes back with other bytes.
    PackageOtherBytes,
    /// An upload is accepted and is gone.
    UploadVanishes,
    /// An upload comes back with other bytes.
    UploadOtherBytes,
    /// An LFS object comes back with other bytes.
    LfsOtherBytes,
    /// An LFS object is accepted and is gone.
    LfsVanishes,
    /// An issue is made under another title.
    IssueOtherTitle,
    /// A merge is answered with 200, and the merge request stays open.
    MergeIgnored,
    /// A merge request says that it is merged, and the branch has not moved.
    MergeWithoutCommit,
    /// The mergeability of a merge request is never found out.
    MergeabilityStuck,
    /// The deletion of a group is accepted, and it stays.
    GroupStays,
    /// GraphQL knows another version than REST.
    GraphqlOtherVersion,
    /// A job that a runner took ends in failure.
    JobFails,
    /// A job is done, and its trace is empty.
    TraceEmpty,
    /// A job is done, and its artifact holds other bytes.
    ArtifactOtherBytes,
    /// A runner is online and takes no job.
    JobNeverTaken,
}

/// What goes wrong with SSH.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SshDoor {
    /// Nothing goes wrong.
    #[default]
    Open,
    /// Takes the connection and never says a word.
    Silent,
    /// Hangs up at once.
    Cut,
    /// Shows another host key each time.
    KeyChanges,
    /// No deploy key ever gets in.
    RefusesKeys,
    /// A deploy key gets in from the second connection on, as when Sidekiq writes it a little later.
    LateKeys,
}

/// What becomes of writes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Writes {
    #[default]
    Taken,
    /// Every one is refused, as in maintenance mode or on a database that only reads.
    Refused,
    /// There is room for rows and none for files.
    DiskFull,
}

/// Everything that is switched.
#[derive(Debug)]
pub struct Switches {
    faults: BTreeMap<Endpoint, Fault>,
    pub lies: Vec<Lie>,
    pub ssh: SshDoor,
    pub writes: Writes,
    /// A runner is online and takes jobs.
    pub runner: bool,
    /// What is marked for deletion gets another path, as newer versions do.
    pub renames_what_is_marked: bool,
    /// How often a merge request is asked before its mergeability is known, and again before it is merged.
    pub polls: u32,
    /// The version as the API gives it, with its edition.
    pub version: String,
}

impl Default for Switches {
    fn default() -> Self {
        Self {
            faults: BTreeMap::new(),
            lies: Vec::new(),
            ssh: SshDoor::Open,
            writes: Writes::Taken,
            runner: false,
            renames_what_is_marked: true,
            polls: 2,
            version: "18.11.2-ee".to_owned(),
        }
    }
}

impl Switches {
    pub fn lies(&self, lie: Lie) -> bool {
        self.lies.contains(&lie)
    }

    pub fn set(&mut self, endpoint: Endpoint, fault: Fault) {
        self.faults.insert(endpoint, fault);
    }

    /// The fault of an endpoint for one request; what passes by itself is used up.
    pub fn take(&mut self, endpoint: Endpoint) -> Option<Fault> {
        match self.faults.get_mut(&endpoint)? {
            Fault::RateLimited(left) | Fault::Busy(left) if *left == 0 => None,
            Fault::RateLimited(left) => {
                *left -= 1;
                Some(Fault::RateLimited(*left))
            }
            Fault::Busy(left) => {
                *left -= 1;
                Some(Fault::Busy(*left))
            }
            fault => Some(fault.clone()),
        }
    }
}
