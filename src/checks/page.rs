//! What the statuses of GitLab's pages mean, whichever page was asked.

use super::question::Miss;

/// The reason for a 404 on a monitoring page. It proves nothing about the page, so it is never more than a skip.
pub(super) const NOT_LISTED: &str = "address not in the allowlist";

/// What a status means that no page of GitLab answers with when it works.
pub(super) fn unexpected(status: u16, page: &str, location: Option<&str>) -> Miss {
    match status {
        300..=399 => {
            let to = location.map(|location| format!(" to `{location}`")).unwrap_or_default();
            let remedy = "compare `gitlab.url` with the `external_url` in the node's gitlab.rb; redirects are not followed";
            Miss::fail(format!("{status}, a redirect{to}"), remedy)
        }
        404 => Miss::fail(
            format!("404, there is no `{page}`"),
            "see whether GitLab answers at this address, or another server in its place",
        ),
        429 => Miss::skip(
            "429, the instance refuses further requests for now",
            "ask again in a few minutes, or raise the rate limit in GitLab's settings",
        ),
        502 => Miss::fail(
            "502, NGINX works but Workhorse or Puma behind it does not answer",
            "Puma may still be starting; see `gitlab-ctl status` and `gitlab-ctl tail puma` on the node",
        )
        .passing(true),
        503 => Miss::fail(
            "503, GitLab says that it can't serve now",
            "see whether maintenance mode or a deploy page is on, and `gitlab-ctl tail gitlab-rails` on the node",
        )
        .passing(true),
        500..=599 => Miss::fail(
            format!("{status}, GitLab failed while making the page"),
            "see `/var/log/gitlab/gitlab-rails/production.log` and `exceptions_json.log` on the node",
        )
        .passing(true),
        _ => Miss::fail(
            format!("{status}, which GitLab does not answer here"),
            "see whether GitLab answers at this address, or another server in its place",
        ),
    }
}

/// The start of a body, on one line, as evidence.
pub(super) fn excerpt(body: &str) -> String {
    const LONGEST: usize = 120;
    let line = body.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.is_empty() {
        return "an empty body".into();
    }
    match line.char_indices().nth(LONGEST) {
        Some((at, _)) => format!("`{}…`", &line[..at]),
        None => format!("`{line}`"),
    }
}
