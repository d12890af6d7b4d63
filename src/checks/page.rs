//! What the statuses of GitLab's pages mean, whichever page was asked.

use super::question::Miss;
use crate::process::MASK;

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

/// A text in which nothing stands after the words that announce credentials.
fn without_credentials(text: &str) -> String {
    const ANNOUNCE: [&str; 3] = ["Basic ", "Bearer ", "glpat-"];
    let mut shown = String::new();
    let mut rest = text;
    while let Some((at, word)) =
        ANNOUNCE.iter().filter_map(|word| Some((rest.find(word)?, *word))).min_by_key(|(at, _)| *at)
    {
        let (before, after) = rest.split_at(at + word.len());
        shown.push_str(before);
        shown.push_str(MASK);
        rest =
            after.trim_start_matches(|sign: char| sign.is_ascii_alphanumeric() || "+/=_-.~".contains(sign));
    }
    shown + rest
}

/// The start of a body, on one line, as evidence.
pub(super) fn excerpt(body: &str) -> String {
    const LONGEST: usize = 120;
    let line = body.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.is_empty() {
        return "an empty body".into();
    }
    // What is cut off can't be known again as a secret, and so a secret must not be cut.
    let line = without_credentials(&line);
    match line.char_indices().nth(LONGEST) {
        Some((at, _)) => format!("`{}…`", &line[..at]),
        None => format!("`{line}`"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_excerpt_holds_a_piece_of_a_credential() {
        let long = format!(
            r#"{{"Authorization":"Basic {}","next":"Bearer abc.def","t":"glpat-x1_y-z"}}"#,
            "QUJD".repeat(40)
        );
        let excerpt = excerpt(&long);
        assert_eq!(
            excerpt,
            format!(r#"`{{"Authorization":"Basic {MASK}","next":"Bearer {MASK}","t":"glpat-{MASK}"}}`"#)
        );
    }
}
