//! Connections to Redis: straight to an address, or to the primary that the first answering Sentinel names, which
//! has to be one. Nothing remembers where the primary was, so that a failover needs no restart.

use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{Client, ConnectionInfo, IntoConnectionInfo as _};
use url::Url;

use crate::site::{Connection, Sentinel};

/// How long one Sentinel or the primary may take to accept a connection.
const PATIENCE: Duration = Duration::from_secs(2);

/// A connection to a Redis.
pub async fn open(connection: &Connection) -> Result<MultiplexedConnection, String> {
    if connection.sentinels.is_empty() {
        return link(address(connection)?, &place(connection)).await;
    }
    let name = master_name(connection)?;
    let (host, port) = primary(connection, &name).await?;
    let mut direct = Url::parse(&format!("redis://{host}:{port}")).map_err(|error| error.to_string())?;
    if let Some(password) = password(connection) {
        direct.set_password(Some(&password)).map_err(|()| "the URL takes no password".to_owned())?;
    }
    let info = direct.as_str().into_connection_info().map_err(|error| error.to_string())?;
    let mut redis = link(info, &format!("{name} at {host}:{port}")).await?;
    let role: Vec<redis::Value> =
        redis::cmd("ROLE").query_async(&mut redis).await.map_err(|error| format!("{name}: {error}"))?;
    let role: String =
        role.first().and_then(|role| redis::from_redis_value_ref(role).ok()).unwrap_or_default();
    if role == "master" {
        Ok(redis)
    } else {
        Err(format!("{name}: the Sentinels name {host}:{port}, which is a {role}"))
    }
}

async fn link(info: ConnectionInfo, place: &str) -> Result<MultiplexedConnection, String> {
    let client = Client::open(info).map_err(|error| error.to_string())?;
    match tokio::time::timeout(PATIENCE, client.get_multiplexed_async_connection()).await {
        Ok(linked) => linked.map_err(|error| format!("{place}: {error}")),
        Err(_) => Err(format!("{place}: no connection within {} s", PATIENCE.as_secs())),
    }
}

/// Asks one Sentinel after the other.
async fn primary(connection: &Connection, name: &str) -> Result<(String, u16), String> {
    let mut reasons = Vec::new();
    for sentinel in &connection.sentinels {
        match ask(sentinel, connection.sentinels_password.as_deref(), name).await {
            Ok(Some(found)) => return Ok(found),
            Ok(None) => {
                reasons.push(format!("{}:{} knows no primary of that name", sentinel.host, sentinel.port));
            }
            Err(reason) => reasons.push(reason),
        }
    }
    Err(format!("No sentinels available for `{name}`: {}", reasons.join("; ")))
}

async fn ask(
    sentinel: &Sentinel,
    password: Option<&str>,
    name: &str,
) -> Result<Option<(String, u16)>, String> {
    let Sentinel { host, port } = sentinel;
    let mut url = Url::parse(&format!("redis://{host}:{port}")).map_err(|error| error.to_string())?;
    if let Some(password) = password {
        url.set_password(Some(password)).map_err(|()| "the URL takes no password".to_owned())?;
    }
    let info = url.as_str().into_connection_info().map_err(|error| error.to_string())?;
    let place = format!("{host}:{port}");
    let mut link = link(info, &place).await?;
    let mut command = redis::cmd("SENTINEL");
    command.arg("get-master-addr-by-name").arg(name);
    let found = tokio::time::timeout(PATIENCE, command.query_async(&mut link)).await;
    found
        .map_err(|_| format!("{place}: no answer within {} s", PATIENCE.as_secs()))?
        .map_err(|error| format!("{place}: {error}"))
}

fn master_name(connection: &Connection) -> Result<String, String> {
    let name = Url::parse(&connection.url).ok().and_then(|url| url.host_str().map(str::to_owned));
    name.ok_or_else(|| "the URL names no primary".to_owned())
}

/// The password in the URL, or the one beside it.
fn password(connection: &Connection) -> Option<String> {
    let url = Url::parse(&connection.url).ok();
    let inside = url.as_ref().and_then(Url::password).map(|password| {
        let pair = format!("p={}", password.replace('+', "%2B"));
        url::form_urlencoded::parse(pair.as_bytes())
            .next()
            .map_or_else(String::new, |(_, value)| value.into_owned())
    });
    inside.or_else(|| connection.password.clone())
}

/// The address without anything secret, for messages.
fn place(connection: &Connection) -> String {
    match Url::parse(&connection.url) {
        Ok(mut url) if url.password().is_some() => {
            let _ = url.set_password(None);
            url.to_string()
        }
        _ => connection.url.clone(),
    }
}

/// The crate's form of an address. `unix:PATH` is how the package writes a socket.
fn address(connection: &Connection) -> Result<ConnectionInfo, String> {
    let text = connection
        .url
        .strip_prefix("unix:")
        .map_or_else(|| connection.url.clone(), |path| format!("redis+unix://{path}"));
    let mut url = Url::parse(&text).map_err(|error| format!("{}: {error}", place(connection)))?;
    if let Some(password) = &connection.password {
        if text.starts_with("redis+unix") {
            url.query_pairs_mut().append_pair("pass", password);
        } else if url.password().is_none() {
            url.set_password(Some(password)).map_err(|()| "the URL takes no password".to_owned())?;
        }
    }
    url.as_str().into_connection_info().map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn connection(url: &str, password: Option<&str>) -> Connection {
        Connection { url: url.to_owned(), password: password.map(str::to_owned), ..Connection::default() }
    }

    #[test]
    fn a_socket_and_its_password_are_understood() {
        let socket = connection("unix:/var/opt/gitlab/redis/redis.socket", Some("p@ss word"));
        let info = address(&socket).expect("an address");
        assert_eq!(info.addr().to_string(), "/var/opt/gitlab/redis/redis.socket");
        assert_eq!(info.redis_settings().password(), Some("p@ss word"));
    }

    #[test]
    fn a_password_in_the_url_stands_and_is_not_shown() {
        let both = connection("redis://:one@127.0.0.1:6379", Some("two"));
        assert_eq!(address(&both).expect("an address").redis_settings().password(), Some("one"));
        assert!(!place(&both).contains("one"));
        assert_eq!(password(&connection("redis://:a%40b@gitlab-redis-cache", None)).as_deref(), Some("a@b"));
    }

    #[tokio::test]
    async fn sentinels_that_do_not_answer_are_named() {
        // Nothing listens on a port that was just given back.
        let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("bound");
        let mut nowhere = connection("redis://gitlab-redis", None);
        nowhere.sentinels = vec![Sentinel { host: "127.0.0.1".into(), port: free.port() }];
        let reason = open(&nowhere).await.expect_err("nobody answers");
        assert!(reason.starts_with("No sentinels available for `gitlab-redis`: 127.0.0.1:"), "{reason}");
    }
}
