//! `db:migrate:status`: the migrations that the package knows or the database has, and which of them ran.
//! <https://docs.gitlab.com/administration/raketasks/maintenance/#display-status-of-database-migrations>

use crate::config::Config;
use crate::database::{self, Migration};
use crate::terminal::say;

/// Prints a row for each.
pub async fn run(config: &Config) -> Result<u8, String> {
    let client = database::connect(&config.database).await.map_err(|error| error.to_string())?;
    let migrations = database::migrations(&client).await.map_err(|error| error.to_string())?;
    say("");
    say(format!("database: {}", config.database.name));
    say("");
    say(" Status   Migration ID    Migration Name");
    say("--------------------------------------------------");
    for migration in &migrations {
        say(row(migration));
    }
    say("");
    Ok(0)
}

fn row(migration: &Migration) -> String {
    let status = if migration.up { "up" } else { "down" };
    let name = migration.name.as_deref().unwrap_or("********** NO FILE **********");
    format!("  {status:^6}  {:<14}  {name}", migration.version)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_migration_is_up_or_down() {
        let mut migration =
            Migration { version: "20260101000001".into(), name: Some("Create users".into()), up: true };
        assert_eq!(row(&migration), "    up    20260101000001  Create users");
        migration.up = false;
        assert_eq!(row(&migration), "   down   20260101000001  Create users");
        migration.name = None;
        assert!(row(&migration).ends_with("NO FILE **********"));
    }
}
