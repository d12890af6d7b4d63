//! `gitlab:doctor:secrets`: whether `db_key_base` decrypts what the database holds, row by row. It finds and
//! reports; like the package's, it ends with 0 either way.
//! <https://docs.gitlab.com/administration/raketasks/check/#verify-database-values-can-be-decrypted-using-the-current-secrets>

use crate::database::Client;

use crate::config::Config;
use crate::terminal::say;
use crate::{database, seal};

/// A column that is encrypted: model, table and column, as a person and the database name them.
struct Column {
    model: &'static str,
    table: &'static str,
    attribute: &'static str,
    stored: &'static str,
}

const ENCRYPTED: [Column; 1] = [Column {
    model: "ApplicationSetting",
    table: "application_settings",
    attribute: "runners_registration_token",
    stored: "runners_registration_token_encrypted",
}];

/// Checks every encrypted column.
pub async fn run(config: &Config, verbose: bool) -> Result<u8, String> {
    let client = database::connect(&config.database).await.map_err(|error| error.to_string())?;
    let log = Log { client: &client };
    log.line("INFO", "Checking encrypted values in the database").await?;
    let mut total = 0;
    for column in &ENCRYPTED {
        let failed = failures(&client, column, &config.secrets.db_key_base).await?;
        log.line("INFO", &format!("- {} failures: {}", column.model, failed.len())).await?;
        for id in failed.iter().filter(|_| verbose) {
            log.line("DEBUG", &format!("  - {}[{id}]: {}", column.model, column.attribute)).await?;
        }
        total += failed.len();
    }
    log.line("INFO", &format!("Total: {total} row(s) affected")).await?;
    log.line("INFO", "Done!").await?;
    Ok(0)
}

/// The rows that can't be decrypted.
async fn failures(client: &Client, column: &Column, key: &str) -> Result<Vec<i64>, String> {
    let sql = format!("SELECT id, {} FROM {} ORDER BY id", column.stored, column.table);
    let rows = client.query(&sql, &[]).await.map_err(|error| error.to_string())?;
    let broken = |row: &&tokio_postgres::Row| seal::open(key, row.get(1)).is_none();
    Ok(rows.iter().filter(broken).map(|row| row.get(0)).collect())
}

/// Ruby's log, with PostgreSQL's clock.
struct Log<'a> {
    client: &'a Client,
}

impl Log<'_> {
    async fn line(&self, level: &str, text: &str) -> Result<(), String> {
        let sql = "SELECT to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US')";
        let row = self.client.query_one(sql, &[]).await.map_err(|error| error.to_string())?;
        let (time, process): (String, u32) = (row.get(0), std::process::id());
        say(format!("{}, [{time} #{process}] {level:>5} -- : {text}", &level[..1]));
        Ok(())
    }
}
