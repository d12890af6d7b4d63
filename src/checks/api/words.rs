//! What an instance's refusals mean, in words that someone can act on.

use serde_json::Value;

use crate::checks::page;
use crate::checks::question::Miss;
use crate::instance::{Answer, Fault, Instance};

/// Why there was no answer to `asked`.
pub(super) fn unanswered(asked: &str, fault: &Fault) -> Miss {
    let remedy = match fault {
        Fault::Redirect(_) => "see where GitLab keeps its files: the object storage settings in gitlab.rb",
        _ => "see `gitlab-ctl status` and `gitlab-ctl tail` on the nodes, and what stands before them",
    };
    Miss::fail(format!("{asked}: {fault}"), remedy)
}

/// What an answer means that is none of those that were wanted.
pub(in crate::checks) fn refused(instance: &Instance, asked: &str, answer: &Answer) -> Miss {
    let (status, said) = (answer.status, said(answer));
    let saw = match &said {
        Some(said) => format!("{asked}: {status}, {said}"),
        None => format!("{asked}: {status}, {}", page::excerpt(&answer.text())),
    };
    let words = said.unwrap_or_default().to_ascii_lowercase();
    if words.contains("read-only") || words.contains("maintenance") {
        return Miss::fail(saw, READ_ONLY);
    }
    if words.contains("no space left") {
        return Miss::fail(saw, "a disk is full: see `df -h` on the node that stores this, Gitaly's first");
    }
    match status {
        300..=399 => redirected(instance, asked, answer),
        400 | 409 | 422 => Miss::fail(
            saw,
            "see what the message names; the settings of the instance or of the group forbid it",
        ),
        401 => Miss::fail(saw, "make another token: this one is unknown, over, or revoked"),
        403 => Miss::fail(saw, FORBIDDEN),
        404 => Miss::fail(
            saw,
            "GitLab hides what the token's user may not see: check the user's role, or whether this feature is off",
        ),
        413 => {
            Miss::fail(saw, "raise `nginx['client_max_body_size']`, or the limit of what stands before NGINX")
        }
        429 => Miss::skip(
            format!("{asked}: 429, the instance refuses further requests for now"),
            "ask again in a few minutes, or raise the rate limit in GitLab's settings",
        ),
        500..=599 => {
            let miss = page::unexpected(status, asked, None);
            Miss::fail(format!("{asked}: {}", miss.saw), miss.remedy)
        }
        _ => Miss::fail(saw, "see whether GitLab answers at this address, or another server in its place"),
    }
}

pub(in crate::checks) const READ_ONLY: &str = "the instance takes no writes: end maintenance mode, or ask the primary where this is a secondary; \
     on a node, see whether PostgreSQL is a standby or its disk is full";
const FORBIDDEN: &str = "give the token's user the right that the message names, or another token";

fn redirected(instance: &Instance, asked: &str, answer: &Answer) -> Miss {
    let status = answer.status;
    let Some(location) = &answer.location else {
        let saw = format!("{asked}: {status}, a redirect to nowhere");
        return Miss::fail(saw, "see whether GitLab answers at this address, or another server in its place");
    };
    let base = instance.url();
    let to = base.join(location).ok();
    let shown = location.split(['?', '#']).next().unwrap_or_default();
    let saw = format!("{asked}: {status}, a redirect to `{shown}`");
    let Some(to) = to else { return Miss::fail(saw, "compare the URL with the `external_url` in gitlab.rb") };
    if to.path().ends_with("/users/sign_in") {
        return Miss::fail(
            format!("{saw}, the sign-in page"),
            "the token did not reach GitLab: see whether a proxy before it drops the header `PRIVATE-TOKEN`",
        );
    }
    if base.scheme() == "http" && to.scheme() == "https" {
        return Miss::fail(
            format!("{saw}, from HTTP to HTTPS"),
            "use the `https` URL: a token sent over plain HTTP can be read by others",
        );
    }
    if to.host_str() != base.host_str() {
        return Miss::fail(
            saw,
            "use that URL if it is GitLab's, or compare it with the `external_url` in gitlab.rb",
        );
    }
    Miss::fail(
        saw,
        "the API never redirects: see what stands before GitLab, and the `external_url` in gitlab.rb",
    )
}

/// What GitLab says of a refusal. Its shapes: a text, a list, or lists by attribute in `message`; OAuth's `error` and
/// `error_description` (docs.gitlab.com, api/rest/troubleshooting).
pub(in crate::checks) fn said(answer: &Answer) -> Option<String> {
    let body = answer.json()?;
    let words = |value: &Value| match value {
        Value::String(text) => Some(text.clone()),
        Value::Array(texts) => Some(texts.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(", ")),
        _ => None,
    };
    let by_attribute = |message: &Value| {
        let attributes = message.as_object()?.iter();
        let said = attributes.filter_map(|(name, value)| Some(format!("{name} {}", words(value)?)));
        Some(said.collect::<Vec<_>>().join("; "))
    };
    let of = |name: &str| body.get(name).and_then(|value| words(value).or_else(|| by_attribute(value)));
    let said = of("error_description").or_else(|| of("message")).or_else(|| of("error"))?;
    Some(page::excerpt(&said)).filter(|_| !said.is_empty())
}

#[cfg(test)]
mod tests {
    use url::Url;

    use super::*;
    use crate::instance::Trust;
    use crate::instance::testing::Authority;

    fn answer(status: u16, body: &str, location: Option<&str>) -> Answer {
        Answer {
            status,
            content_type: None,
            location: location.map(ToOwned::to_owned),
            standin: None,
            retry_after: None,
            body: body.as_bytes().to_vec(),
        }
    }

    #[test]
    fn every_shape_of_gitlabs_errors_is_read() {
        let said = |body: &str| said(&answer(400, body, None)).unwrap();
        assert_eq!(said(r#"{"message":"401 Unauthorized"}"#), "`401 Unauthorized`");
        assert_eq!(
            said(r#"{"message":{"path":["has already been taken"],"name":["is odd"]}}"#),
            "`name is odd; path has already been taken`"
        );
        assert_eq!(
            said(r#"{"error":"invalid_token","error_description":"Token was revoked."}"#),
            "`Token was revoked.`"
        );
        assert_eq!(said(r#"{"error":"name is missing"}"#), "`name is missing`");
        assert_eq!(said(r#"{"message":["a","b"]}"#), "`a, b`");
    }

    #[test]
    fn each_refusal_has_its_own_remedy() {
        let ca = Authority::new("Acme CA").pem();
        let url = Url::parse("http://gitlab.acme.example").unwrap();
        let instance = Instance::new(url, &[], &Trust::new(Some(&ca)).unwrap()).unwrap();
        let cases = [
            (answer(401, "{}", None), "another token"),
            (answer(403, r#"{"message":"403 Forbidden"}"#, None), "the right"),
            (
                answer(
                    403,
                    r#"{"message":"You cannot perform write operations on a read-only instance"}"#,
                    None,
                ),
                "maintenance",
            ),
            (answer(500, r#"{"message":"No space left on device"}"#, None), "disk is full"),
            (answer(502, "", None), "puma"),
            (answer(413, "", None), "client_max_body_size"),
            (answer(302, "", Some("https://gitlab.acme.example/api")), "`https` URL"),
            (answer(302, "", Some("/users/sign_in")), "PRIVATE-TOKEN"),
            (answer(302, "", Some("http://other.example/")), "external_url"),
            (answer(301, "", Some("/api/v4/x")), "never redirects"),
        ];
        for (answer, remedy) in cases {
            let miss = refused(&instance, "GET /x", &answer);
            assert!(miss.remedy.contains(remedy), "{miss:?} lacks {remedy:?}");
            assert!(miss.saw.contains(&answer.status.to_string()), "{miss:?}");
        }
    }
}
