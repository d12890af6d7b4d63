//! Does a node that runs Rails reach every storage, and does a Gitaly reach the internal API?
//!
//! Sources: <https://docs.gitlab.com/administration/gitaly/configure_gitaly/> and
//! <https://docs.gitlab.com/administration/gitaly/praefect/configure/> (read 2026-11).

use super::facts::Words;
use super::member::{Cluster, Member};
use super::seen::{Seen, last_words};
use crate::architecture::Component;
use crate::checks::question::Miss;

const REMEDY: &str = "compare address and token in `gitlab_rails['repositories_storages']` of the node with those of the Praefect or Gitaly that it asks, and `gitlab_rails['internal_api_url']` of a Gitaly with the address of Rails";

pub fn applies(cluster: &Cluster, member: &Member) -> bool {
    let several = cluster.members.len() > 1;
    several && (member.component == Component::Gitaly || member.runs_rails())
}

pub fn judge(_: &Cluster, member: &Member) -> Result<String, Miss> {
    let mut seen = Seen::default();
    if member.component == Component::Gitaly {
        if let Some(told) = seen.take(member.about(|state| state.gitaly.as_ref())) {
            judge_internal_api(member, told, &mut seen);
        }
        return seen.answer("the internal API answers it", REMEDY);
    }
    if let Some(told) = seen.take(member.about(|state| state.storages.as_ref())) {
        judge_storages(member, told, &mut seen);
    }
    seen.answer("every storage answers it", REMEDY)
}

fn judge_internal_api(member: &Member, told: &Words, seen: &mut Seen) {
    if told.rc != 0 {
        seen.wrong(format!(
            "Gitaly on {} can't use the internal API: {}",
            member.name,
            last_words(&told.out)
        ));
    }
}

/// The rake task ends with 0 whatever it finds, so that its words count: one line a storage, which ends in `OK` or begins
/// its reason with `FAIL`.
fn judge_storages(member: &Member, told: &Words, seen: &mut Seen) {
    let lines = || told.out.lines().map(str::trim);
    let failed: Vec<_> = lines().filter(|line| line.contains("FAIL")).collect();
    if let Some(first) = failed.first() {
        seen.wrong(format!("{} can't use a storage: {first}", member.name));
    } else if told.rc != 0 {
        seen.wrong(format!(
            "`gitlab-rake gitlab:gitaly:check` on {} ended with {}: {}",
            member.name,
            told.rc,
            last_words(&told.out)
        ));
    } else if !lines().any(|line| line.ends_with("OK")) {
        seen.unseen(format!("{}: `gitlab-rake gitlab:gitaly:check` names no storage", member.name));
    }
}

#[cfg(test)]
mod tests {
    use super::super::facts::Asked;
    use super::super::tests::{healthy, told};
    use super::*;
    use crate::events::Status;

    fn storages(node: &str, rc: i32, out: &str) -> Miss {
        let mut cluster = healthy();
        told(&mut cluster, node).storages = Some(Asked::Told(Words { rc, out: out.into() }));
        judge(&cluster, cluster.named(node).unwrap()).unwrap_err()
    }

    #[test]
    fn passes_when_both_ways_are_open() {
        let cluster = healthy();
        for node in ["acme-rails-1", "acme-sidekiq-1", "acme-gitaly-1"] {
            let member = cluster.named(node).unwrap();
            assert!(applies(&cluster, member) && judge(&cluster, member).is_ok(), "{node}");
        }
        assert!(!applies(&cluster, cluster.named("acme-redis-1").unwrap()));
    }

    #[test]
    fn fails_on_a_wrong_token_of_a_sidekiq_node() {
        let out = "Checking Gitaly ...\n\nGitaly: ... default ... FAIL: 7:permission denied\n\nChecking Gitaly ... Finished\n";
        let miss = storages("acme-sidekiq-1", 0, out);
        assert_eq!(miss.status, Status::Fail);
        assert_eq!(
            miss.saw,
            "acme-sidekiq-1 can't use a storage: Gitaly: ... default ... FAIL: 7:permission denied"
        );
        assert_eq!(storages("acme-rails-1", 1, "rake aborted!\nPG::ConnectionBad\n").status, Status::Fail);
    }

    #[test]
    fn fails_on_a_gitaly_that_the_internal_api_refuses() {
        let mut cluster = healthy();
        let out = "Checking GitLab API access: FAILED\nInternal API error (401)";
        told(&mut cluster, "acme-gitaly-2").gitaly = Some(Asked::Told(Words { rc: 1, out: out.into() }));
        let miss = judge(&cluster, cluster.named("acme-gitaly-2").unwrap()).unwrap_err();
        assert_eq!(miss.saw, "Gitaly on acme-gitaly-2 can't use the internal API: Internal API error (401)");
    }

    #[test]
    fn skips_when_it_could_not_be_asked_or_says_nothing() {
        assert_eq!(
            storages("acme-rails-1", 0, "Checking Gitaly ...\nChecking Gitaly ... Finished\n").status,
            Status::Skip
        );
        let mut cluster = healthy();
        told(&mut cluster, "acme-rails-2").storages =
            Some(Asked::Unasked("gave no answer within 180 s".into()));
        assert_eq!(judge(&cluster, cluster.named("acme-rails-2").unwrap()).unwrap_err().status, Status::Skip);
    }
}
