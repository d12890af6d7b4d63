//! Level function: GitLab is used as people use it. Everything is made in one subgroup of this run, with random content,
//! and removed at the end.

mod cleanup;
mod content;
mod git;
mod group;
mod https;
mod issue;
mod job;
mod lfs;
mod merge_request;
mod package;
mod project;
mod ssh;
#[cfg(test)]
mod tests;
mod trail;
mod upload;

use camino::{Utf8Path, Utf8PathBuf};
use tokio::sync::watch;

use super::api::{Identity, Obstacle};
use super::catalogue::Check;
use super::question::{Miss, Patience};
use super::target::{Options, Target};
use super::verify::{Desk, when};
use crate::events::Finding;
use crate::instance::Instance;
use crate::process::Runner;
use git::Git;
use project::Project;

pub(super) use cleanup::after_interrupt;
pub(super) use trail::Trail;

/// What everything inside the project needs.
struct Ground<'a> {
    instance: &'a Instance,
    project: Project,
    patience: Patience,
}

/// Who asks, and with what.
pub(super) struct Work<'a> {
    pub(super) target: &'a Target,
    pub(super) options: &'a Options,
    pub(super) desk: &'a Desk<'a>,
    pub(super) runner: &'a Runner,
    pub(super) trail: &'a Trail,
}

/// Asks the whole level, and removes what was made.
pub(super) async fn check(
    work: &Work<'_>,
    instance: Option<&Instance>,
    identity: Result<Identity, Obstacle>,
) -> Vec<Finding> {
    let Work { target, options, desk, trail, .. } = *work;
    let identity = if options.read_only { Err(Obstacle::ReadOnly) } else { identity };
    let asked = identity.as_ref().map_err(Clone::clone).and_then(|identity| {
        instance.map(|instance| (instance, identity)).ok_or(Obstacle::Check(Check::Tls))
    });
    let instance = asked.clone().map(|(instance, _)| instance);
    let patience = options.patience;
    let (group, place) = group::check(instance.clone(), &target.group, patience, trail).await;
    let mut findings = vec![desk.say(group)];
    let place = place.as_ref().map_err(Clone::clone);
    let sweep = cleanup::sweep(instance.clone(), place.clone(), patience);
    let (used, swept) = tokio::join!(use_project(work, asked, place), sweep);
    findings.extend(used);
    findings.push(desk.say(cleanup::check(instance, trail, swept, patience).await));
    findings
}

async fn use_project(
    work: &Work<'_>,
    asked: Result<(&Instance, &Identity), Obstacle>,
    place: Result<&group::Place, Obstacle>,
) -> Vec<Finding> {
    let Work { target, options, desk, trail, runner } = *work;
    let asks = |check| options.asks(check);
    if !asks(Check::Project) {
        return Vec::new();
    }
    let say = |finding| desk.say(finding);
    let instance = asked.clone().map(|(instance, _)| instance);
    let (finding, project) = project::check(instance, place, options.patience, trail).await;
    let finding = say(finding);
    let ground = asked.clone().and_then(|(instance, _)| {
        project.map(|project| Ground { instance, project, patience: options.patience })
    });
    let ground = ground.as_ref();
    let scratch = Scratch::new(&options.scratch);
    let git = asked.map_err(|_| Miss::skip("", "")).and_then(|(instance, identity)| {
        Git::new(runner, target, instance, &scratch.0, identity.email.as_deref())
    });
    let (by_git, lfs, package, upload, issue) = tokio::join!(
        Box::pin(use_repository(work, ground, &git)),
        when(asks(Check::Lfs), async { say(lfs::check(ground).await) }),
        when(asks(Check::Package), async { say(package::check(ground).await) }),
        when(asks(Check::Upload), async { say(upload::check(ground).await) }),
        when(asks(Check::Issue), async { say(issue::check(ground).await) }),
    );
    [finding].into_iter().chain(by_git).chain([lfs, package, upload, issue].into_iter().flatten()).collect()
}

/// What is done with git, and what needs what it pushed.
async fn use_repository(
    work: &Work<'_>,
    ground: Result<&Ground<'_>, &Obstacle>,
    git: &Result<Git<'_>, Miss>,
) -> Vec<Finding> {
    let Work { target, options, desk, trail, .. } = *work;
    let asks = |check| options.asks(check);
    let say = |finding| desk.say(finding);
    let (pushing, pushed) = watch::channel(false);
    let over_https = async {
        let (push, pushed) = https::push(ground, git).await;
        pushing.send_replace(true);
        let push = say(push);
        let pushed = pushed.as_ref();
        let (clone, merge, job) = tokio::join!(
            when(asks(Check::CloneHttps), async { say(https::clone(ground, git, pushed).await) }),
            when(asks(Check::MergeRequest), async { say(merge_request::check(ground, pushed).await) }),
            when(asks(Check::Job), async { say(job::check(ground, git, pushed).await) }),
        );
        [Some(push), clone, merge, job]
    };
    let over_https = async {
        let some = when(asks(Check::PushHttps), Box::pin(over_https)).await;
        // Whoever waits for its turn waits for nothing more.
        pushing.send_replace(true);
        some
    };
    let turn = async {
        let mut pushed = pushed;
        // It can't fail: the sender lives as long as this.
        let _ = pushed.wait_for(|pushed| *pushed).await;
    };
    let over_ssh = async {
        let (push, pushed) = ssh::push(target, ground, git, trail, turn).await;
        let push = say(push);
        let clone =
            when(asks(Check::CloneSsh), async { say(ssh::clone(ground, git, pushed.as_ref()).await) }).await;
        [Some(push), clone]
    };
    let (by_https, by_ssh) = tokio::join!(over_https, when(asks(Check::PushSsh), Box::pin(over_ssh)));
    by_https.into_iter().flatten().chain(by_ssh.into_iter().flatten()).flatten().collect()
}

/// The folder for clones and keys, for the owner alone; it goes when this goes.
struct Scratch(Utf8PathBuf);

impl Scratch {
    fn new(path: &Utf8Path) -> Self {
        use std::os::unix::fs::DirBuilderExt as _;
        // What can't be made is found out and told by who writes into it.
        let _ = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path);
        Self(path.to_owned())
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs_err::remove_dir_all(&self.0);
    }
}
