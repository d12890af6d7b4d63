//! Asks what Rails depends on: the database, Redis in each of its roles, Gitaly for each storage. Used by
//! the readiness endpoint and by `gitlab-rake gitlab:check`, so that both say the same.

use std::future::Future;
use std::time::Duration;

use redis::{Client as RedisClient, ConnectionInfo, IntoConnectionInfo as _};
use url::Url;

use crate::config::Config;
use crate::database;
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
        let mut client = redis_connection(connection).await?;
        let answer: String =
            redis::cmd("PING").query_async(&mut client).await.map_err(|error| error.to_string())?;
        if answer == "PONG" { Ok(()) } else { Err(format!("unexpected answer to PING: {answer}")) }
    })
    .await
}

/// A connection to a Redis.
pub async fn redis_connection(connection: &Connection) -> Result<redis::aio::MultiplexedConnection, String> {
    let client = RedisClient::open(redis_address(connection)?).map_err(|error| error.to_string())?;
    client.get_multiplexed_async_connection().await.map_err(|error| format!("{}: {error}", connection.url))
}

/// The crate's form of an address. `unix:PATH` is how the package writes a socket.
fn redis_address(connection: &Connection) -> Result<ConnectionInfo, String> {
    let text = connection
        .url
        .strip_prefix("unix:")
        .map_or_else(|| connection.url.clone(), |path| format!("redis+unix://{path}"));
    let mut url = Url::parse(&text).map_err(|error| format!("{}: {error}", connection.url))?;
    if let Some(password) = &connection.password {
        if text.starts_with("redis+unix") {
            url.query_pairs_mut().append_pair("pass", password);
        } else if url.password().is_none() {
            url.set_password(Some(password)).map_err(|()| "the URL takes no password".to_owned())?;
        }
    }
    url.as_str().into_connection_info().map_err(|error| error.to_string())
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

#[cfg(test)]
mod tests {
    use super::*;

    fn address(url: &str, password: Option<&str>) -> ConnectionInfo {
        let connection = Connection { url: url.to_owned(), password: password.map(str::to_owned) };
        redis_address(&connection).expect("an address")
    }

    #[test]
    fn a_socket_and_its_password_are_understood() {
        let info = address("unix:/var/opt/gitlab/redis/redis.socket", Some("p@ss word"));
        assert_eq!(info.addr().to_string(), "/var/opt/gitlab/redis/redis.socket");
        assert_eq!(info.redis_settings().password(), Some("p@ss word"));
    }

    #[test]
    fn a_password_in_the_url_stands() {
        let info = address("redis://:one@127.0.0.1:6379", Some("two"));
        assert_eq!(info.redis_settings().password(), Some("one"));
    }
}
