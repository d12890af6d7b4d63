//! Reads GitLab's readiness answer: which of the things behind it work.

use serde_json::{Map, Value};

use super::page;
use super::question::Miss;

/// What `all=1` has to name; an answer without one of them proves nothing about it.
pub(super) const BEHIND_PUMA: [&str; 5] =
    ["db_check", "cache_check", "queues_check", "shared_state_check", "gitaly_check"];

/// One thing that the answer names as failed.
#[derive(Debug, PartialEq, Eq)]
struct Failed {
    name: String,
    shard: Option<String>,
    message: String,
}

/// Judges status and body together: neither alone says that all is well.
pub(super) fn judge(status: u16, body: &str, required: &[&str]) -> Result<String, Miss> {
    let parsed: Option<Map<String, Value>> = serde_json::from_str(body).ok();
    match (status, parsed) {
        (404, _) => Err(Miss::skip(
            page::NOT_LISTED,
            "add the address that asks to `gitlab.monitoring_allowlist` if it may see this",
        )),
        (200, Some(answer)) => judge_answer("200", &answer, required),
        (503, Some(answer)) => Err(judge_answer("503", &answer, &[]).err().unwrap_or_else(|| {
            let saw = format!("503, though it names nothing that failed: {}", page::excerpt(body));
            Miss::fail(saw, "see `gitlab-ctl tail puma` on the node").passing(true)
        })),
        (200, None) => Err(Miss::fail(
            format!("200, but no JSON: {}", page::excerpt(body)),
            "see whether GitLab answers at this address, or another server in its place",
        )),
        (status, _) => Err(page::unexpected(status, "/-/readiness", None)),
    }
}

fn judge_answer(status: &str, answer: &Map<String, Value>, required: &[&str]) -> Result<String, Miss> {
    let failed = failures(answer);
    if !failed.is_empty() {
        let named = failed.iter().map(Failed::to_string).collect::<Vec<_>>().join("; ");
        let remedy = remedy(&failed);
        return Err(Miss::fail(format!("{status}, {named}"), remedy).passing(true));
    }
    if answer.get("status").and_then(Value::as_str) != Some("ok") {
        let saw = format!("{status}, without `status: ok`");
        return Err(Miss::fail(saw, "see `gitlab-ctl tail puma` on the node").passing(true));
    }
    let missing: Vec<_> = required.iter().filter(|name| entries(answer, name).is_empty()).copied().collect();
    if !missing.is_empty() {
        let saw = format!("{status} and `status: ok`, but nothing said about {}", missing.join(", "));
        return Err(Miss::warn(
            saw,
            "ask again by hand with `?all=1`; an answer without them proves nothing of them",
        ));
    }
    let count = answer.values().map(|value| value.as_array().map_or(0, Vec::len)).sum::<usize>();
    Ok(match count {
        0 => format!("{status}, `status: ok`"),
        1 => format!("{status}, 1 part answers ok"),
        count => format!("{status}, {count} parts answer ok"),
    })
}

fn entries<'a>(answer: &'a Map<String, Value>, name: &str) -> &'a [Value] {
    answer.get(name).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn failures(answer: &Map<String, Value>) -> Vec<Failed> {
    let names = answer.iter().filter(|(_, value)| value.is_array());
    names
        .flat_map(|(name, _)| entries(answer, name).iter().map(move |entry| (name, entry)))
        .filter(|(_, entry)| entry["status"].as_str() != Some("ok"))
        .map(|(name, entry)| Failed {
            name: name.clone(),
            shard: entry["labels"]["shard"].as_str().map(ToOwned::to_owned),
            message: entry["message"].as_str().unwrap_or("no message").to_owned(),
        })
        .collect()
}

impl std::fmt::Display for Failed {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let shard = self.shard.as_ref().map(|shard| format!(" of `{shard}`")).unwrap_or_default();
        write!(formatter, "{}{shard} failed: {}", self.name, self.message)
    }
}

fn remedy(failed: &[Failed]) -> String {
    let mut services: Vec<_> = failed.iter().map(|failed| service(&failed.name)).collect();
    services.sort_unstable();
    services.dedup();
    let words = services.iter().map(|service| format!("`gitlab-ctl tail {service}`")).collect::<Vec<_>>();
    format!("see `gitlab-ctl status` and {} on the node", words.join(", "))
}

/// The service behind a part of the answer; whatever is no database, no Gitaly and no Puma is kept in Redis.
fn service(name: &str) -> &'static str {
    match name {
        "db_check" => "postgresql",
        "gitaly_check" => "gitaly",
        "master_check" => "puma",
        _ => "redis",
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::events::Status;

    /// What GitLab answers to `?all=1` when all is well.
    pub(in crate::checks) const ALL_OK: &str = r#"{"status":"ok","master_check":[{"status":"ok"}],
        "db_check":[{"status":"ok"}],"cache_check":[{"status":"ok"}],"queues_check":[{"status":"ok"}],
        "shared_state_check":[{"status":"ok"}],"gitaly_check":[{"status":"ok","labels":{"shard":"default"}}]}"#;

    fn missed(status: u16, body: &str) -> (Status, String, String) {
        let miss = judge(status, body, &BEHIND_PUMA).unwrap_err();
        (miss.status, miss.saw, miss.remedy)
    }

    #[test]
    fn all_parts_ok_is_ok() {
        assert_eq!(judge(200, ALL_OK, &BEHIND_PUMA).unwrap(), "200, 6 parts answer ok");
        assert_eq!(judge(200, r#"{"status":"ok"}"#, &[]).unwrap(), "200, `status: ok`");
    }

    #[test]
    fn each_failed_part_is_named_with_its_message() {
        let body = r#"{"status":"failed","db_check":[{"status":"failed","message":"could not connect"}],
            "cache_check":[{"status":"ok"}],
            "gitaly_check":[{"status":"failed","message":"14: unavailable","labels":{"shard":"default"}}]}"#;
        let (status, saw, remedy) = missed(503, body);
        assert_eq!(status, Status::Fail);
        assert_eq!(
            saw,
            "503, db_check failed: could not connect; gitaly_check of `default` failed: 14: unavailable"
        );
        assert!(remedy.contains("tail gitaly") && remedy.contains("tail postgresql"), "{remedy}");
        assert_eq!(missed(200, body).0, Status::Fail, "the status alone is no proof");
    }

    #[test]
    fn what_is_not_named_is_not_proven() {
        let (status, saw, _) = missed(200, r#"{"status":"ok","master_check":[{"status":"ok"}]}"#);
        assert_eq!(status, Status::Warn);
        assert!(saw.contains("db_check"), "{saw}");
    }

    #[test]
    fn a_404_says_nothing_about_readiness() {
        let (status, saw, _) = missed(404, ALL_OK);
        assert_eq!((status, saw.as_str()), (Status::Skip, "address not in the allowlist"));
    }

    #[test]
    fn other_answers_fail() {
        for (code, body) in
            [(200, "GitLab OK"), (200, "[]"), (200, "{}"), (503, "{}"), (503, ""), (502, ALL_OK)]
        {
            assert_eq!(missed(code, body).0, Status::Fail, "{code} {body}");
        }
    }
}
