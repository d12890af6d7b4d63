//! `praefect -config FILE COMMAND`. <https://docs.gitlab.com/administration/gitaly/praefect/troubleshooting/> and
//! <https://docs.gitlab.com/administration/gitaly/praefect/recovery/>

use std::collections::BTreeSet;
use std::path::Path;

use axum::http::StatusCode;

use super::check;
use super::database::{Records, migrate, migrations};
use super::routing::Record;
use crate::config;
use crate::database::{Client, Pool, connect};
use crate::repositories::Error::Refused;
use crate::repositories::Repositories;
use crate::site::{Praefect, VirtualStorage};
use crate::terminal::{complain, say};

/// What is asked of praefect.
#[derive(Debug, PartialEq, Eq)]
enum Command {
    SqlPing,
    SqlMigrate,
    SqlMigrateStatus,
    DialNodes,
    Dataloss { storage: Option<String>, partially: bool },
    Metadata { storage: String, path: String },
    Check,
    Verify { storage: String, node: Option<String> },
}

fn parse(arguments: &[String]) -> Option<(String, Command)> {
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let (path, rest) = match words.as_slice() {
        ["-config" | "--config", path, rest @ ..] => ((*path).to_owned(), rest),
        _ => return None,
    };
    let (command, options) = rest.split_first()?;
    let value = |name: &str| {
        let after = options.iter().position(|word| word.trim_start_matches('-') == name)?;
        options.get(after + 1).map(|value| (*value).to_owned())
    };
    let command = match *command {
        "sql-ping" => Command::SqlPing,
        "sql-migrate" => Command::SqlMigrate,
        "sql-migrate-status" => Command::SqlMigrateStatus,
        "dial-nodes" => Command::DialNodes,
        "check" => Command::Check,
        "verify" => Command::Verify { storage: value("virtual-storage")?, node: value("storage") },
        "dataloss" => Command::Dataloss {
            storage: value("virtual-storage"),
            partially: options.iter().any(|word| word.trim_start_matches('-') == "partially-unavailable"),
        },
        "metadata" => Command::Metadata { storage: value("virtual-storage")?, path: value("relative-path")? },
        _ => return None,
    };
    Some((path, command))
}

/// Runs a command; returns its exit code.
#[must_use]
pub fn run(arguments: &[String]) -> u8 {
    let Some((path, command)) = parse(arguments) else {
        complain(
            "usage: praefect -config FILE sql-ping|sql-migrate|sql-migrate-status|dial-nodes|dataloss|metadata|check|verify",
        );
        return 2;
    };
    let settings = match config::praefect_at(Path::new(&path)) {
        Ok(settings) => settings,
        Err(error) => return failed("configuration", &error.to_string()),
    };
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else {
        return failed("start", "no runtime");
    };
    runtime.block_on(async {
        match command {
            Command::SqlPing => sql(&settings, "sql-ping", ping).await,
            Command::SqlMigrate => sql(&settings, "sql-migrate", apply).await,
            Command::SqlMigrateStatus => sql(&settings, "sql-migrate-status", status).await,
            Command::DialNodes => dial(&settings).await,
            Command::Dataloss { storage, partially } => {
                dataloss(&settings, storage.as_deref(), partially).await
            }
            Command::Metadata { storage, path } => metadata(&settings, &storage, &path).await,
            Command::Check => check::run(&settings).await,
            Command::Verify { storage, node } => verify(&settings, &storage, node.as_deref()).await,
        }
    })
}

fn failed(what: &str, reason: &str) -> u8 {
    complain(format!("praefect {what}: fail: {reason}"));
    1
}

async fn sql(
    settings: &Praefect,
    name: &str,
    command: impl AsyncFnOnce(&mut Client) -> Result<(), crate::database::Error>,
) -> u8 {
    let done = match connect(&settings.database).await {
        Ok(mut client) => command(&mut client).await,
        Err(error) => Err(error),
    };
    done.map_or_else(|error| failed(name, &error.to_string()), |()| 0)
}

async fn ping(client: &mut Client) -> Result<(), crate::database::Error> {
    client.query("SELECT 1", &[]).await?;
    say("praefect sql-ping: OK");
    Ok(())
}

async fn apply(client: &mut Client) -> Result<(), crate::database::Error> {
    let count = migrate(client).await?;
    say(format!("praefect sql-migrate: OK (applied {count} migrations)"));
    Ok(())
}

async fn status(client: &mut Client) -> Result<(), crate::database::Error> {
    let rows = migrations(client).await?;
    let line = format!("+{}+{}+", "-".repeat(40), "-".repeat(40));
    say(&line);
    say(format!("|{:^40}|{:^40}|", "MIGRATION", "APPLIED"));
    say(&line);
    for (name, applied) in rows {
        say(format!("| {name:<38} | {:<38} |", applied.unwrap_or_else(|| "no".to_owned())));
    }
    say(&line);
    Ok(())
}

/// Dials every node, and asks whether it serves the storage that Praefect expects of it.
async fn dial(settings: &Praefect) -> u8 {
    let mut code = 0;
    for storage in &settings.virtual_storage {
        for node in &storage.node {
            let log = |text: &str| say(format!("[{}]: {text}", node.address));
            log("dialing...");
            let address = node.reached();
            match Repositories::of(&node.storage, &address).disk().await {
                Ok(()) => {
                    log("dialed successfully!");
                    log("checking health...");
                    log("SUCCESS: node is healthy!");
                    log("checking consistency...");
                    let names = (&node.storage, &storage.name);
                    log(&format!(
                        "SUCCESS: confirmed Gitaly storage {:?} in virtual storages [{}] is served",
                        names.0, names.1
                    ));
                    log("SUCCESS: node configuration is consistent!");
                }
                Err(error) => {
                    code = 1;
                    log(&format!("ERROR: {error}"));
                }
            }
        }
    }
    code
}

async fn dataloss(settings: &Praefect, only: Option<&str>, partially: bool) -> u8 {
    let wanted = settings.virtual_storage.iter().filter(|one| only.is_none_or(|only| only == one.name));
    for storage in wanted {
        if let Err(error) = lost(settings, storage, partially).await {
            return failed("dataloss", &error.to_string());
        }
    }
    0
}

async fn lost(
    settings: &Praefect,
    storage: &VirtualStorage,
    partially: bool,
) -> Result<(), crate::database::Error> {
    let records = Records { pool: Pool::new(settings.database.clone()) };
    let healthy = records.healthy(&storage.name).await?;
    say(format!("Virtual storage: {}", storage.name));
    let mut met = false;
    for (path, record) in records.all(&storage.name).await? {
        let unavailable = record.readable(&healthy).is_empty();
        let whole = storage
            .node
            .iter()
            .all(|node| healthy.contains(&node.storage) && record.is_current(&node.storage));
        if !(unavailable || partially && !whole) {
            continue;
        }
        if !met {
            say("  Outdated repositories:");
            met = true;
        }
        for line in described(&path, &record, storage, &healthy, unavailable) {
            say(line);
        }
    }
    if !met {
        say(if partially {
            "  All repositories are fully available on all assigned storages!"
        } else {
            "  All repositories are available!"
        });
    }
    Ok(())
}

fn described(
    path: &str,
    record: &Record,
    storage: &VirtualStorage,
    healthy: &BTreeSet<String>,
    unavailable: bool,
) -> Vec<String> {
    let mark = if unavailable { " (unavailable)" } else { "" };
    let mut lines = vec![format!("    {path}{mark}:")];
    lines.push(format!("      Primary: {}", record.primary.as_deref().unwrap_or("No Primary")));
    let ill = |node: &str| if healthy.contains(node) { "" } else { ", unhealthy" };
    let (current, behind): (Vec<&str>, Vec<&str>) =
        storage.node.iter().map(|node| node.storage.as_str()).partition(|node| record.is_current(node));
    if !current.is_empty() {
        lines.push("      In-Sync Storages:".to_owned());
    }
    lines.extend(current.iter().map(|node| format!("        {node}, assigned host{}", ill(node))));
    if !behind.is_empty() {
        lines.push("      Outdated Storages:".to_owned());
    }
    lines.extend(behind.iter().map(|node| {
        let missed = record.generation - record.replicas.get(*node).copied().unwrap_or(-1);
        format!("        {node} is behind by {missed} changes or less, assigned host{}", ill(node))
    }));
    lines
}

async fn metadata(settings: &Praefect, name: &str, path: &str) -> u8 {
    let records = Records { pool: Pool::new(settings.database.clone()) };
    let found = match records.find(name, path).await {
        Ok(Some(record)) => records.healthy(name).await.map(|healthy| (record, healthy)),
        Ok(None) => {
            complain("get metadata: rpc error: code = NotFound desc = repository not found");
            return 1;
        }
        Err(error) => Err(error),
    };
    let (record, healthy) = match found {
        Ok(found) => found,
        Err(error) => return failed("metadata", &error.to_string()),
    };
    say(format!("Virtual Storage: {name:?}\nRelative Path: {path:?}\nReplica Path: {path:?}"));
    say(format!("Primary: {:?}", record.primary.as_deref().unwrap_or_default()));
    say(format!("Generation: {}\nReplicas:", record.generation));
    let nodes = settings.virtual_storage.iter().filter(|one| one.name == name).flat_map(|one| &one.node);
    for node in nodes {
        let generation = match record.replicas.get(&node.storage) {
            Some(own) if *own == record.generation => format!("{own}, fully up to date"),
            Some(own) => format!("{own}, behind by {} changes", record.generation - own),
            None => "replica not yet created".to_owned(),
        };
        let healthy = healthy.contains(&node.storage);
        say(format!("- Storage: {:?}\n  Assigned: true\n  Generation: {generation}", node.storage));
        say(format!(
            "  Healthy: {healthy}\n  Valid Primary: {}",
            healthy && record.is_current(&node.storage)
        ));
    }
    0
}

/// Looks whether the replicas of storages are there, and forgets those that aren't. One whose Gitaly doesn't answer now is
/// looked at when it is back: a disk that isn't the one of before has none.
async fn verify(settings: &Praefect, name: &str, only: Option<&str>) -> u8 {
    let records = Records { pool: Pool::new(settings.database.clone()) };
    let of_storage = settings.virtual_storage.iter().filter(|one| one.name == name);
    let nodes =
        of_storage.flat_map(|one| &one.node).filter(|node| only.is_none_or(|only| only == node.storage));
    let mut marked = 0;
    for node in nodes {
        let all = match records.all(name).await {
            Ok(all) => all,
            Err(error) => return failed("verify", &error.to_string()),
        };
        for (path, _) in all.iter().filter(|(_, record)| record.replicas.contains_key(&node.storage)) {
            marked += 1;
            let found = Repositories::of(&node.storage, &node.reached()).refs(path).await;
            if matches!(found, Err(Refused { status: StatusCode::NOT_FOUND, .. }))
                && let Err(error) = records.missing(name, path, &node.storage).await
            {
                return failed("verify", &error.to_string());
            }
        }
    }
    say(format!("{marked} replicas marked unverified"));
    0
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::site::Node;

    fn words(text: &str) -> Vec<String> {
        text.split(' ').map(str::to_owned).collect()
    }

    #[test]
    fn commands_are_understood() {
        let asked = |text: &str| parse(&words(text)).map(|(_, command)| command);
        assert_eq!(asked("-config /x sql-ping"), Some(Command::SqlPing));
        let loss = Command::Dataloss { storage: Some("default".into()), partially: true };
        assert_eq!(asked("-config /x dataloss -virtual-storage default -partially-unavailable"), Some(loss));
        let verify = Command::Verify { storage: "default".into(), node: Some("gitaly-2".into()) };
        assert_eq!(asked("-config /x verify -virtual-storage default -storage gitaly-2"), Some(verify));
        assert_eq!(asked("sql-ping"), None);
        assert_eq!(asked("-config /x serve"), None);
    }

    #[test]
    fn a_loss_is_described_as_documented() {
        let node = |name: &str| Node { storage: name.into(), address: "tcp://x:1".into(), token: "t".into() };
        let storage =
            VirtualStorage { name: "default".into(), node: vec![node("gitaly-1"), node("gitaly-2")] };
        let record = Record {
            generation: 3,
            primary: Some("gitaly-1".into()),
            replicas: BTreeMap::from([("gitaly-1".to_owned(), 0), ("gitaly-2".to_owned(), 3)]),
        };
        let healthy = BTreeSet::from(["gitaly-1".to_owned()]);
        let lines = described("a.git", &record, &storage, &healthy, true);
        assert_eq!(
            lines,
            [
                "    a.git (unavailable):",
                "      Primary: gitaly-1",
                "      In-Sync Storages:",
                "        gitaly-2, assigned host, unhealthy",
                "      Outdated Storages:",
                "        gitaly-1 is behind by 3 changes or less, assigned host",
            ]
        );
    }
}
