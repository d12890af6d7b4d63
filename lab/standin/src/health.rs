//! Asks what Rails depends on: the database, Redis in each of its roles, Gitaly for each storage. Used by
//! the readiness endpoint and by `gitlab-rake gitlab:check`, so that both say the same.

use std::future::Future;
use std::time::Duration;

use crate::config::Config;
use crate::database;
use crate::redis_link;
use crate::repositories::Repositories;
use crate::site::{Connection, StorageAddress};

const PATIENCE: Duration = Duration::from_secs(5);

/// The database answers, and the secrets belong to it.
pub async fn database(config: &Config) -> Result<(), String> {
    patiently(async {
        let client = database::connect(&config.database).await.map_err(|error| error.to_string())?;
        client.query("SELECT 1", &[]).await.map_err(|error| error.to_string())?;
        database::secrets_fit(&client, config).await.map_err(|error| error.to_string())
    })
    .await
}

/// A Redis answers.
pub async fn redis(connection: &Connection) -> Result<(), String> {
    patiently(async {
        let mut client = redis_link::open(connection).await?;
        let answer: String =
            redis::cmd("PING").query_async(&mut client).await.map_err(|error| error.to_string())?;
        if answer == "PONG" { Ok(()) } else { Err(format!("unexpected answer to PING: {answer}")) }
    })
    .await
}

/// The Gitaly of a storage answers, knows the token and has the storage.
pub async fn gitaly(name: &str, storage: &StorageAddress) -> Result<(), String> {
    patiently(async { Repositories::of(name, storage).answers().await.map_err(|error| error.to_string()) })
        .await
}

async fn patiently(check: impl Future<Output = Result<(), String>>) -> Result<(), String> {
    tokio::time::timeout(PATIENCE, check)
        .await
        .unwrap_or_else(|_| Err(format!("no answer within {} s", PATIENCE.as_secs())))
}

/// Runs a check from code that isn't asynchronous.
pub fn blocking(check: impl Future<Output = Result<(), String>>) -> Result<(), String> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| error.to_string())?
        .block_on(check)
}
