//! `gitlab:tcp_check[HOST,PORT]`: whether this node reaches a port.
//! <https://docs.gitlab.com/administration/raketasks/maintenance/#check-tcp-connectivity-to-a-remote-site>

use std::time::Duration;

use tokio::net::TcpStream;

use super::Task;
use crate::terminal::say;

const PATIENCE: Duration = Duration::from_secs(10);

/// Reads the task's arguments.
pub fn parse(task: &str) -> Result<Task, String> {
    let inside = task.strip_prefix("gitlab:tcp_check[").and_then(|rest| rest.strip_suffix(']'));
    let pair = inside.and_then(|inside| inside.split_once(','));
    let read = pair.and_then(|(host, port)| Some((host.trim().to_owned(), port.trim().parse().ok()?)));
    match read {
        Some((host, port)) if !host.is_empty() => Ok(Task::TcpCheck { host, port }),
        _ => Err("Usage: rake gitlab:tcp_check[hostname,port]".to_owned()),
    }
}

/// Connects, and says from where to where.
pub async fn run(host: &str, port: u16) -> u8 {
    let connected = match tokio::time::timeout(PATIENCE, TcpStream::connect((host, port))).await {
        Ok(connected) => connected.map_err(|error| error.to_string()),
        Err(_) => Err(format!("no answer within {} s", PATIENCE.as_secs())),
    };
    match connected {
        Ok(stream) => {
            let from = stream.local_addr().map_or_else(|_| "here".to_owned(), |from| from.to_string());
            say(format!("TCP connection from {from} to {host}:{port} succeeded"));
            0
        }
        Err(reason) => {
            say(format!("TCP connection to {host}:{port} failed: {reason}"));
            1
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn host_and_port_are_both_needed() {
        for wrong in
            ["gitlab:tcp_check[]", "gitlab:tcp_check[a]", "gitlab:tcp_check[,1]", "gitlab:tcp_check[a,x]"]
        {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
