//! `praefect check`, and `gitlab-ctl praefect check`: what has to be right for a cluster to work. A check that fails
//! fatally makes the exit code 1. <https://docs.gitlab.com/administration/gitaly/praefect/troubleshooting/>

use std::time::{Duration, Instant};

use super::database::{Records, pending};
use crate::database::{Pool, connect};
use crate::repositories::Repositories;
use crate::site::Praefect;
use crate::terminal::say;

/// How long everything may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// Runs every check.
pub async fn run(settings: &Praefect) -> u8 {
    let began = Instant::now();
    let mut report = Report::default();
    report.line("praefect migrations", true, migrated(settings).await);
    report.line("gitaly node connectivity & disk access", true, nodes(settings).await);
    report.line("database read/write", true, database(settings).await);
    report.line("unavailable repositories", false, repositories(settings).await);
    report.line("clock synchronization", true, clock(settings).await);
    if began.elapsed() > PATIENCE {
        say(format!("the checks took {} s", began.elapsed().as_secs()));
    }
    report.end()
}

#[derive(Default)]
struct Report {
    failed: usize,
    fatal: bool,
}

impl Report {
    fn line(&mut self, name: &str, fatal: bool, outcome: Result<(), String>) {
        match outcome {
            Ok(()) => say(format!("Checking {name}...Passed")),
            Err(reason) => {
                let kind = if fatal { "fatal" } else { "warning" };
                say(format!("Checking {name}...Failed ({kind}) error: {reason}"));
                self.failed += 1;
                self.fatal |= fatal;
            }
        }
    }

    fn end(&self) -> u8 {
        say("");
        match (self.failed, self.fatal) {
            (0, _) => say("All checks passed."),
            (count, true) => say(format!("{count} check(s) failed, at least one was fatal.")),
            (count, false) => say(format!("{count} check(s) failed, but none are fatal.")),
        }
        u8::from(self.fatal)
    }
}

async fn migrated(settings: &Praefect) -> Result<(), String> {
    let client = connect(&settings.database).await.map_err(|error| error.to_string())?;
    match pending(&client).await.map_err(|error| error.to_string())? {
        0 => Ok(()),
        count => Err(format!("{count} migrations have not been run")),
    }
}

async fn nodes(settings: &Praefect) -> Result<(), String> {
    let mut reasons = Vec::new();
    for node in settings.virtual_storage.iter().flat_map(|storage| &storage.node) {
        let address = node.reached();
        if let Err(error) = Repositories::of(&node.storage, &address).disk().await {
            reasons.push(format!("{} ({}): {error}", node.storage, node.address));
        }
    }
    if reasons.is_empty() { Ok(()) } else { Err(reasons.join("; ")) }
}

async fn database(settings: &Praefect) -> Result<(), String> {
    let mut client = connect(&settings.database).await.map_err(|error| error.to_string())?;
    client.query("SELECT 1", &[]).await.map_err(|error| error.to_string())?;
    say("successfully read from database");
    let transaction = client.transaction().await.map_err(|error| error.to_string())?;
    let probe = "CREATE TEMPORARY TABLE probe (id int) ON COMMIT DROP";
    transaction.batch_execute(probe).await.map_err(|error| error.to_string())?;
    let recovery = transaction.query_one("SELECT pg_is_in_recovery()", &[]).await;
    if recovery.map_err(|error| error.to_string())?.get(0) {
        return Err("the database is in recovery mode".to_owned());
    }
    transaction.commit().await.map_err(|error| error.to_string())?;
    say("successfully wrote to database");
    Ok(())
}

async fn repositories(settings: &Praefect) -> Result<(), String> {
    let records = Records { pool: Pool::new(settings.database.clone()) };
    let mut count = 0;
    for storage in &settings.virtual_storage {
        let healthy = records.healthy(&storage.name).await.map_err(|error| error.to_string())?;
        let all = records.all(&storage.name).await.map_err(|error| error.to_string())?;
        count += all.iter().filter(|(_, record)| record.readable(&healthy).is_empty()).count();
    }
    if count == 0 { Ok(()) } else { Err(format!("{count} repositories are unavailable")) }
}

/// The database's clock is the one that all of a cluster share; the real check asks a time server.
async fn clock(settings: &Praefect) -> Result<(), String> {
    let client = connect(&settings.database).await.map_err(|error| error.to_string())?;
    let sql = "SELECT extract(epoch FROM clock_timestamp())::float8";
    let row = client.query_one(sql, &[]).await.map_err(|error| error.to_string())?;
    let here = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let apart = (row.get::<_, f64>(0) - here.map_or(0.0, |since| since.as_secs_f64())).abs();
    if apart < 60.0 { Ok(()) } else { Err(format!("the clocks are {apart:.0} s apart")) }
}
