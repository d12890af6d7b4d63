//! Asks Rails through its internal API, as GitLab Shell and Gitaly's hooks do: signed with the shell's secret, at
//! the address that gitlab.rb gives. <https://docs.gitlab.com/development/internal_api/>
//!
//! curl makes the request, because it is in the package and speaks to sockets, plain HTTP and TLS alike. What it
//! is told goes through its standard input, since the signature would let anyone sign who sees the arguments.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::{paths, token};

/// The header that carries the signed token.
pub const HEADER: &str = "gitlab-shell-api-request";
/// Seconds to wait for an answer.
const PATIENCE: u32 = 60;

/// Rails didn't answer.
#[derive(Debug, thiserror::Error)]
#[error("Internal API unreachable")]
pub struct Unreachable;

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// HTTP's status.
    pub status: u16,
    /// The body; null when it is no JSON.
    pub body: Value,
}

impl Answer {
    /// What went wrong, as a user is told: Rails' own words, or the status.
    #[must_use]
    pub fn reason(&self) -> String {
        let words = self.body["message"].as_str().filter(|words| !words.is_empty());
        words.map_or_else(|| format!("Internal API error ({})", self.status), str::to_owned)
    }
}

/// The internal API at one address.
#[derive(Debug, Clone)]
pub struct InternalApi {
    /// `http://…`, `https://…` or `http+unix://` with an encoded socket.
    pub url: String,
    /// What signs.
    pub secret: String,
}

impl InternalApi {
    /// Posts to an endpoint below `/api/v4/internal`.
    pub fn post(&self, endpoint: &str, body: &Value) -> Result<Answer, Unreachable> {
        self.ask(endpoint, Some(body))
    }

    /// Gets an endpoint below `/api/v4/internal`.
    pub fn get(&self, endpoint: &str) -> Result<Answer, Unreachable> {
        self.ask(endpoint, None)
    }

    fn ask(&self, endpoint: &str, body: Option<&Value>) -> Result<Answer, Unreachable> {
        let signature = token::sign(&self.secret, token::SHELL).unwrap_or_default();
        let mut child = Command::new(format!("{}/curl", paths::BIN))
            .args(["-q", "--config", "-"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|_| Unreachable)?;
        if let Some(mut input) = child.stdin.take() {
            // A curl that ends before it has read everything says so by its exit code.
            let _ = input.write_all(request(&self.url, endpoint, &signature, body).as_bytes());
        }
        let output = child.wait_with_output().map_err(|_| Unreachable)?;
        if !output.status.success() {
            return Err(Unreachable);
        }
        read(&String::from_utf8_lossy(&output.stdout)).ok_or(Unreachable)
    }
}

/// curl's instructions.
fn request(url: &str, endpoint: &str, signature: &str, body: Option<&Value>) -> String {
    let mut lines = vec![
        "silent".to_owned(),
        "noproxy = \"*\"".to_owned(),
        format!("max-time = {PATIENCE}"),
        "write-out = \"\\n%{http_code}\"".to_owned(),
        format!("header = {}", quoted(&format!("{HEADER}: {signature}"))),
    ];
    let base = match url.strip_prefix("http+unix://") {
        Some(place) => {
            // Nothing but the path's slashes has to be encoded in a socket's place.
            let (socket, path) = place.split_once('/').unwrap_or((place, ""));
            let socket = socket.replace("%2F", "/").replace("%2f", "/");
            lines.push(format!("unix-socket = {}", quoted(&socket)));
            format!("http://unix/{path}")
        }
        None => url.to_owned(),
    };
    if Path::new(paths::TRUSTED_BUNDLE).exists() {
        lines.push(format!("cacert = {}", quoted(paths::TRUSTED_BUNDLE)));
    }
    lines.push(format!(
        "url = {}",
        quoted(&format!("{}/api/v4/internal{endpoint}", base.trim_end_matches('/')))
    ));
    if let Some(body) = body {
        lines.push("header = \"Content-Type: application/json\"".to_owned());
        lines.push(format!("data-raw = {}", quoted(&body.to_string())));
    }
    lines.push(String::new());
    lines.join("\n")
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

fn read(output: &str) -> Option<Answer> {
    let (body, status) = output.rsplit_once('\n')?;
    Some(Answer { status: status.trim().parse().ok()?, body: serde_json::from_str(body).unwrap_or_default() })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_socket_and_a_body_reach_curl() {
        let body = json!({"project": "a/\"b\""});
        let text = request("http+unix://%2Fvar%2Fx%2Fsocket", "/allowed", "t", Some(&body));
        assert!(text.contains("unix-socket = \"/var/x/socket\"\n"), "{text}");
        assert!(text.contains("url = \"http://unix/api/v4/internal/allowed\"\n"));
        assert!(text.contains(r#"data-raw = "{\"project\":\"a/\\\"b\\\"\"}""#), "{text}");
        let plain = request("https://gitlab.example.com/", "/check", "t", None);
        assert!(plain.contains("url = \"https://gitlab.example.com/api/v4/internal/check\"\n"));
        assert!(!plain.contains("data-raw"));
    }

    #[test]
    fn an_answer_explains_itself() {
        let refused = read("{\"status\":false,\"message\":\"no\"}\n401").expect("an answer");
        assert_eq!((refused.status, refused.reason()), (401, "no".to_owned()));
        assert_eq!(read("<html>\n502").expect("an answer").reason(), "Internal API error (502)");
        assert_eq!(read(""), None);
    }
}
