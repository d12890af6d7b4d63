//! Asks GitLab on a node itself: which command is run there, and what its reply means.

use std::time::Duration;

use super::question::Miss;
use super::target::{NodeHealth, NodeTarget};

/// The curl that comes with GitLab, so that a node needs no other.
const CURL: &str = "/opt/gitlab/embedded/bin/curl";
/// How much of an attempt the way to the node and back may take; the rest is curl's.
const WAY: Duration = Duration::from_secs(3);

/// What a command on a node ended with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Reply {
    /// Its exit code; absent where a signal ended it.
    pub(super) code: Option<i32>,
    pub(super) stdout: String,
    pub(super) stderr: String,
}

/// Why a command could not be run at all, in words that fit after "the node can't be asked:".
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Unasked(pub(super) String);

/// A page as a node itself gave it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Page {
    pub(super) status: u16,
    pub(super) body: String,
}

/// The command that asks for one page on the node, past DNS and load balancers.
pub(super) fn curl(health: &NodeHealth, page: &str, limit: Duration) -> Vec<String> {
    let url = health.url.join(page).map_or_else(|_| health.url.to_string(), |url| url.to_string());
    let seconds = limit.saturating_sub(WAY).as_secs().max(1).to_string();
    let trusted = health.ca.iter().flat_map(|ca| ["--cacert", ca.as_str()]);
    let asked = [
        CURL,
        "--silent",
        "--show-error",
        "--noproxy",
        "*",
        "--max-time",
        &seconds,
        "--resolve",
        &health.resolve,
    ];
    let shown = ["--write-out", "\\n%{http_code}", &url];
    asked.into_iter().chain(trusted).chain(shown).map(ToOwned::to_owned).collect()
}

/// Reads what curl replied.
pub(super) fn page(node: &NodeTarget, reply: Result<Reply, Unasked>) -> Result<Page, Miss> {
    let reply = ran(node, reply)?;
    let words = last_line(&reply.stderr);
    match reply.code {
        Some(0) => read(&reply.stdout),
        Some(7) => Err(Miss::fail(
            "nothing on the node itself takes the connection",
            "start NGINX there with `gitlab-ctl start nginx`",
        )
        .passing(true)),
        Some(28) => Err(Miss::fail(
            "the node took the connection and gave no answer in time",
            "see `gitlab-ctl status` and `gitlab-ctl tail puma` on the node",
        )
        .passing(true)),
        Some(52 | 56) => {
            let saw = format!("the connection was cut: {words}");
            Err(Miss::fail(saw, "see `gitlab-ctl tail nginx` on the node").passing(true))
        }
        Some(60) => Err(Miss::fail(
            format!("the node's own certificate is refused: {words}"),
            "deliver the deployment's certificate again with `refarch up`",
        )),
        Some(77) => Err(Miss::skip(
            format!("the CA can't be read on the node: {words}"),
            "deliver the deployment's files again with `refarch up`",
        )),
        Some(126 | 127) => Err(Miss::skip(
            format!("GitLab's own curl can't be run on the node: {words}"),
            "see whether the package is installed there: `dpkg -l gitlab-ee`",
        )),
        code => Err(Miss::fail(
            format!("curl ended with {} on the node: {words}", ended(code)),
            "run the same command on the node by hand",
        )),
    }
}

/// Takes apart what can't be asked from what was answered.
pub(super) fn ran(node: &NodeTarget, reply: Result<Reply, Unasked>) -> Result<Reply, Miss> {
    let unreachable = |why: &str| {
        let remedy = format!("see whether the host runs, and try `ssh -F {} {}`", node.ssh_config, node.name);
        Miss::skip(format!("the node can't be asked: {why}"), remedy)
    };
    match reply {
        Err(Unasked(why)) => Err(unreachable(&why)),
        // ssh answers 255 for itself, and no command that is run here does.
        Ok(Reply { code: Some(255), stderr, .. }) => Err(unreachable(last_line(&stderr))),
        Ok(reply) => Ok(reply),
    }
}

fn read(stdout: &str) -> Result<Page, Miss> {
    let (body, status) = stdout.rsplit_once('\n').unwrap_or(("", stdout));
    match status.trim().parse() {
        Ok(status) => Ok(Page { status, body: body.to_owned() }),
        Err(_) => Err(Miss::skip(
            "curl on the node did not say which status came",
            "run the same command on the node by hand",
        )),
    }
}

pub(super) fn last_line(text: &str) -> &str {
    text.lines().rev().map(str::trim).find(|line| !line.is_empty()).unwrap_or("no message")
}

pub(super) fn ended(code: Option<i32>) -> String {
    code.map_or_else(|| "a signal".into(), |code| format!("exit {code}"))
}

#[cfg(test)]
mod tests {
    use super::super::verify::tests::node;
    use super::*;
    use crate::events::Status;

    fn reply(code: i32, stdout: &str, stderr: &str) -> Reply {
        Reply { code: Some(code), stdout: stdout.into(), stderr: stderr.into() }
    }

    #[test]
    fn curl_asks_the_node_itself_under_gitlabs_name() {
        let node = node("acme-all-in-one-1");
        let argv = curl(node.health.as_ref().unwrap(), "/-/health", Duration::from_secs(10)).join(" ");
        assert_eq!(
            argv,
            "/opt/gitlab/embedded/bin/curl --silent --show-error --noproxy * --max-time 7 \
             --resolve gitlab.acme.example:443:127.0.0.1 --cacert /etc/gitlab/ssl/ca.crt \
             --write-out \\n%{http_code} https://gitlab.acme.example/-/health"
        );
    }

    #[test]
    fn body_and_status_are_taken_apart() {
        let node = node("acme-all-in-one-1");
        let read = |stdout: &str| page(&node, Ok(reply(0, stdout, "")));
        assert_eq!(read("GitLab OK\n200"), Ok(Page { status: 200, body: "GitLab OK".into() }));
        assert_eq!(read("two\nlines\n\n404"), Ok(Page { status: 404, body: "two\nlines\n".into() }));
        assert_eq!(read("\n502"), Ok(Page { status: 502, body: String::new() }));
        assert_eq!(read("garbage").unwrap_err().status, Status::Skip);
        assert_eq!(read("").unwrap_err().status, Status::Skip);
    }

    #[test]
    fn what_could_not_be_asked_is_never_a_failure_of_gitlab() {
        let node = node("acme-all-in-one-1");
        let refused = "ssh: connect to host 198.18.4.2 port 22: Connection refused";
        let miss = page(&node, Ok(reply(255, "", refused))).unwrap_err();
        assert_eq!(miss.status, Status::Skip);
        assert_eq!(miss.saw, format!("the node can't be asked: {refused}"));
        for code in [77, 126, 127] {
            assert_eq!(page(&node, Ok(reply(code, "", ""))).unwrap_err().status, Status::Skip, "{code}");
        }
        let miss = page(&node, Err(Unasked("ssh is not installed".into()))).unwrap_err();
        assert_eq!((miss.status, miss.saw.contains("ssh is not installed")), (Status::Skip, true));
    }

    #[test]
    fn what_was_asked_and_not_answered_is_a_failure() {
        let node = node("acme-all-in-one-1");
        for code in [7, 28, 35, 52, 56, 60] {
            assert_eq!(
                page(&node, Ok(reply(code, "", "curl: words"))).unwrap_err().status,
                Status::Fail,
                "{code}"
            );
        }
        let killed = Ok(Reply { code: None, stdout: String::new(), stderr: String::new() });
        assert_eq!(page(&node, killed).unwrap_err().status, Status::Fail);
    }
}
