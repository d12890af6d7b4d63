//! Asks the HTTP APIs of this host's own programs (Consul, Patroni): one short request and its whole answer.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

const PATIENCE: Duration = Duration::from_secs(5);

/// An answer.
#[derive(Debug, PartialEq, Eq)]
pub struct Answer {
    /// Status code.
    pub status: u16,
    /// Body.
    pub body: String,
}

/// Asks for a path of the program that listens on a local port.
pub fn get(port: u16, path: &str) -> Result<Answer, String> {
    request(port, &format!("GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n"))
}

/// Asks for a path and takes the answer as JSON.
pub fn get_json(port: u16, path: &str) -> Result<Value, String> {
    let answer = get(port, path)?;
    serde_json::from_str(&answer.body)
        .map_err(|_| format!("status {}: {}", answer.status, answer.body.trim()))
}

/// Changes what a path holds, by name and password where the program asks for them.
pub fn patch(
    port: u16,
    path: &str,
    body: &Value,
    credentials: Option<&(String, String)>,
) -> Result<Answer, String> {
    let body = body.to_string();
    let authorization = credentials.map_or_else(String::new, |(name, password)| {
        format!("Authorization: Basic {}\r\n", STANDARD.encode(format!("{name}:{password}")))
    });
    let length = body.len();
    request(
        port,
        &format!(
            "PATCH {path} HTTP/1.0\r\nHost: localhost\r\n{authorization}Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
        ),
    )
}

fn request(port: u16, text: &str) -> Result<Answer, String> {
    let place = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let exchange = || -> std::io::Result<String> {
        let mut stream = TcpStream::connect_timeout(&place, PATIENCE)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        stream.write_all(text.as_bytes())?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer)?;
        Ok(String::from_utf8_lossy(&answer).into_owned())
    };
    let answer = exchange().map_err(|error| format!("{place}: {error}"))?;
    parse(&answer).ok_or_else(|| format!("{place}: no HTTP answer"))
}

fn parse(answer: &str) -> Option<Answer> {
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let status = head.split_whitespace().nth(1)?.parse().ok()?;
    Some(Answer { status, body: body.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn status_and_body_are_told_apart() {
        let answer = parse("HTTP/1.0 503 Service Unavailable\r\nA: b\r\n\r\n{\"state\":\"x\"}").expect("one");
        assert_eq!(answer, Answer { status: 503, body: "{\"state\":\"x\"}".to_owned() });
        assert_eq!(parse("nonsense"), None);
    }

    #[test]
    fn nobody_there_is_an_error() {
        let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = free.local_addr().expect("an address").port();
        drop(free);
        assert!(get(port, "/").is_err());
    }
}
