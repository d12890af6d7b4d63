//! Does Praefect reach its database and every Gitaly, and is every repository whole?
//!
//! Sources: <https://docs.gitlab.com/administration/gitaly/praefect/configure/>,
//! <https://docs.gitlab.com/administration/gitaly/praefect/recovery/> and
//! <https://docs.gitlab.com/administration/gitaly/troubleshooting_gitaly_cluster/> (read 2026-11).

use super::facts::{Praefect, Words};
use super::member::{Cluster, Member};
use super::seen::{Seen, last_words};
use crate::architecture::Component;
use crate::checks::question::Miss;

const REMEDY: &str = "see `gitlab-ctl praefect check` and `gitlab-ctl tail praefect` on the node; wrong tokens and names stand in `praefect['configuration']` there or in `gitaly['configuration']` of the Gitaly that is named";
/// What `dataloss` says of a virtual storage that lacks nothing.
const WHOLE: &str = "fully available";
/// How many words a finding quotes of a command.
const QUOTED: usize = 400;

pub fn applies(_: &Cluster, member: &Member) -> bool {
    member.component == Component::Praefect
}

pub fn judge(cluster: &Cluster, member: &Member) -> Result<String, Miss> {
    let mut seen = Seen::default();
    if let Some(told) = seen.take(member.about(|state| state.praefect.as_ref())) {
        judge_told(cluster, member, told, &mut seen);
    }
    let replicas = cluster.of(Component::Gitaly).count();
    seen.answer(
        format!("its database is migrated, all {replicas} Gitalys answer, and no replica is missing"),
        REMEDY,
    )
}

fn judge_told(cluster: &Cluster, member: &Member, told: &Praefect, seen: &mut Seen) {
    if told.sql_ping.rc != 0 {
        seen.wrong(format!(
            "Praefect on {} can't use its database: {}",
            member.name,
            last_words(&told.sql_ping.out)
        ));
    }
    if told.dial_nodes.rc != 0 {
        seen.wrong(format!(
            "Praefect on {} is not taken by every Gitaly: {}",
            member.name,
            quoted(cluster, &told.dial_nodes)
        ));
    }
    if let Some(migrations) = &told.migrations {
        judge_migrations(member, migrations, seen);
    }
    let Some(dataloss) = &told.dataloss else { return };
    if dataloss.rc != 0 {
        seen.unseen(format!(
            "{}: `praefect dataloss` ended with {}: {}",
            member.name,
            dataloss.rc,
            last_words(&dataloss.out)
        ));
        return;
    }
    let storages = dataloss.out.matches("Virtual storage:").count();
    if storages == 0 || dataloss.out.matches(WHOLE).count() < storages {
        seen.wrong(format!(
            "repositories are not on every Gitaly in the eyes of {}: {}",
            member.name,
            quoted(cluster, dataloss)
        ));
    }
}

/// The table of `sql-migrate-status` has a row a migration, with the time when it was applied or `no`.
fn judge_migrations(member: &Member, told: &Words, seen: &mut Seen) {
    let cells = told.out.lines().map(|line| line.split('|').map(str::trim).filter(|cell| !cell.is_empty()));
    let open: Vec<&str> = cells
        .filter_map(|mut cells| match (cells.next(), cells.next()) {
            (Some(name), Some("no")) => Some(name),
            _ => None,
        })
        .collect();
    if told.rc != 0 {
        seen.wrong(format!(
            "{} can't tell the migrations of Praefect's database: {}",
            member.name,
            last_words(&told.out)
        ));
    } else if let Some(first) = open.first() {
        seen.wrong(format!("Praefect's database is not migrated in the eyes of {}: {} of its migrations are missing, as {first}", member.name, open.len()));
    }
}

/// What a command said, with the names of nodes beside their addresses. Where a line tells of an error, only such lines: what
/// went well says nothing about what did not.
fn quoted(cluster: &Cluster, words: &Words) -> String {
    let lines = || words.out.lines().map(str::trim).filter(|line| !line.is_empty());
    let is_error = |line: &&str| line.to_lowercase().contains("error") || line.contains("FAIL");
    let errors: Vec<_> = lines().filter(is_error).collect();
    let told = if errors.is_empty() { lines().collect() } else { errors }.join(" / ");
    let named = cluster.of(Component::Gitaly).fold(told, |told, member| {
        told.replace(&format!("{}:", member.address), &format!("{} ({}):", member.name, member.address))
    });
    let mut short: String = named.chars().take(QUOTED).collect();
    if short.len() < named.len() {
        short.push('…');
    }
    short
}

#[cfg(test)]
mod tests {
    use super::super::facts::Asked;
    use super::super::tests::{healthy, told};
    use super::*;
    use crate::events::Status;

    const NODE: &str = "acme-praefect-2";

    fn changed(change: impl Fn(&Cluster, &mut Praefect)) -> Miss {
        let (mut cluster, before) = (healthy(), healthy());
        let Some(Asked::Told(view)) = &mut told(&mut cluster, NODE).praefect else { panic!() };
        change(&before, view);
        judge(&cluster, cluster.named(NODE).unwrap()).unwrap_err()
    }

    #[test]
    fn passes_when_all_commands_are_content() {
        let cluster = healthy();
        assert!(judge(&cluster, cluster.named(NODE).unwrap()).unwrap().contains("all 3 Gitalys answer"));
    }

    #[test]
    fn fails_on_a_wrong_token_and_names_the_gitaly() {
        let miss = changed(|cluster, told| {
            let address = &cluster.named("acme-gitaly-3").unwrap().address;
            told.dial_nodes = Words {
                rc: 1,
                out: format!(
                    "tcp://{address}:8075: rpc error: code = PermissionDenied desc = permission denied\n"
                ),
            };
        });
        assert_eq!(miss.status, Status::Fail);
        assert!(
            miss.saw.contains("acme-gitaly-3 (") && miss.saw.contains("PermissionDenied"),
            "{}",
            miss.saw
        );
    }

    #[test]
    fn fails_on_a_database_that_is_gone_or_not_migrated_and_on_lost_replicas() {
        let miss = changed(|_, told| {
            told.sql_ping =
                Words { rc: 1, out: "praefect sql-ping: fail: dial tcp: connection refused".into() };
            (told.migrations, told.dataloss) = (None, None);
        });
        assert!(miss.saw.contains("can't use its database: praefect sql-ping: fail"), "{}", miss.saw);
        let miss = changed(|_, told| {
            let out =
                "| MIGRATION | APPLIED |\n| 20200109161404_hello | 2026-11-23 |\n| 20231024_more | no |\n";
            told.migrations = Some(Words { rc: 0, out: out.into() });
        });
        assert!(miss.saw.contains("not migrated in the eyes of acme-praefect-2: 1 of its migrations are missing, as 20231024_more"), "{}", miss.saw);
        let miss = changed(|_, told| {
            let out = "Virtual storage: default\n  Repositories:\n    @hashed/aa/bb.git:\n      Assigned, outdated: gitaly-3\n";
            told.dataloss = Some(Words { rc: 0, out: out.into() });
        });
        assert!(miss.saw.contains("repositories are not on every Gitaly"), "{}", miss.saw);
    }

    #[test]
    fn skips_when_it_could_not_be_asked() {
        let mut cluster = healthy();
        told(&mut cluster, NODE).praefect = Some(Asked::Unasked("gave no answer within 15 s".into()));
        assert_eq!(judge(&cluster, cluster.named(NODE).unwrap()).unwrap_err().status, Status::Skip);
    }
}
