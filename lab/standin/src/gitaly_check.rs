//! `gitaly check CONFIG`: whether this Gitaly's hooks reach Rails, and Rails its Redis.
//! <https://docs.gitlab.com/administration/gitaly/configure_gitaly/>

use std::path::Path;

use crate::config;
use crate::internal_api::InternalApi;
use crate::terminal::{complain, say};

/// Runs the check; the exit code says whether a push would be answered.
#[must_use]
pub fn run(arguments: &[String]) -> u8 {
    let [command, path] = arguments else { return usage() };
    if command != "check" {
        return usage();
    }
    let gitaly = match config::gitaly_at(Path::new(path)) {
        Ok(gitaly) => gitaly,
        Err(error) => {
            complain(error.to_string());
            return 1;
        }
    };
    let api = InternalApi { url: gitaly.gitlab.url, secret: gitaly.gitlab.secret };
    let answer = match api.get("/check") {
        Ok(answer) if answer.status == 200 => answer.body,
        Ok(answer) => return failed(&answer.reason()),
        Err(error) => return failed(&error.to_string()),
    };
    say("Checking GitLab API access: OK");
    for (name, key) in
        [("version", "gitlab_version"), ("revision", "gitlab_rev"), ("Api version", "api_version")]
    {
        say(format!("GitLab {name}: {}", answer[key].as_str().unwrap_or_default()));
    }
    let redis = answer["redis"] == true;
    say(format!("Redis reachable for GitLab: {redis}"));
    say(if redis { "OK" } else { "FAILED" });
    u8::from(!redis)
}

fn failed(reason: &str) -> u8 {
    say("Checking GitLab API access: FAILED");
    complain(reason);
    1
}

fn usage() -> u8 {
    complain("usage: gitaly check CONFIG");
    2
}
