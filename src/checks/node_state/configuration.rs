//! Are gitlab.rb and the secrets on the node the ones that refarch delivered, and were they configured?

use super::NodeFacts;
use crate::checks::question::Miss;
use crate::rollout::Files;

const AGAIN: &str = "see what differs with `refarch plan`, and bring the node back with `refarch up`";

pub(super) fn judge(facts: &NodeFacts) -> Result<String, Miss> {
    let (files, wanted) = (&facts.state.files, &facts.wanted);
    let of = |files: &Files| {
        [
            ("gitlab.rb", files.gitlab_rb.clone()),
            ("refarch-secrets.json", files.refarch_secrets.clone()),
            ("gitlab-secrets.json", files.gitlab_secrets.clone()),
            ("the node's data", files.data.clone()),
            ("what was made of it", files.rendered.clone()),
        ]
    };
    let found = of(files);
    let wanted_of = [&wanted.gitlab_rb, &wanted.refarch_secrets, &wanted.gitlab_secrets, &wanted.data, &None];
    // gitlab-secrets.json is the node's own work: it must be there also where there is no copy to compare it with.
    let is_needed = |name: &str| name == "gitlab-secrets.json" && wanted.package.is_some();
    let wrong: Vec<String> = found
        .iter()
        .zip(wanted_of)
        .filter_map(|((name, found), wanted)| {
            difference(name, found.as_ref(), wanted.as_ref(), is_needed(name))
        })
        .collect();
    if !wrong.is_empty() {
        return Err(Miss::fail(wrong.join("; "), AGAIN));
    }
    let Some(stamp) = &facts.state.stamp else {
        return Err(Miss::fail(
            "the last configuration did not come to its end",
            "finish it with `refarch up`",
        ));
    };
    let stamped = of(&stamp.files);
    let pairs = stamped.iter().zip(&found);
    let stale: Vec<&str> =
        pairs.filter(|((_, stamped), (_, found))| stamped != found).map(|((name, _), _)| *name).collect();
    if !stale.is_empty() {
        let saw = format!("delivered but not configured since: {}", stale.join(", "));
        return Err(Miss::fail(saw, "finish it with `refarch up`"));
    }
    if wanted.package.is_none() {
        return Ok("its data is as delivered and configured".into());
    }
    if wanted.gitlab_secrets.is_none() {
        return Err(Miss::skip(
            "the work directory has no copy of the node's gitlab-secrets.json to compare it with",
            "`refarch up` reads the node's file anew and compares it key by key",
        ));
    }
    Ok("gitlab.rb and the secrets are as delivered and configured".into())
}

fn difference(
    name: &str,
    found: Option<&String>,
    wanted: Option<&String>,
    is_needed: bool,
) -> Option<String> {
    match (found, wanted) {
        (None, Some(_)) => Some(format!("{name} is missing")),
        (None, None) if is_needed => Some(format!("{name} is missing")),
        (Some(found), Some(wanted)) if found != wanted => Some(format!("{name} is not what was delivered")),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::facts;
    use super::*;
    use crate::events::Status;

    #[test]
    fn passes_when_all_is_as_delivered() {
        assert!(judge(&facts()).is_ok());
    }

    #[test]
    fn fails_on_each_file_that_is_not() {
        let mut changed = facts();
        changed.state.files.gitlab_rb = Some("x".into());
        changed.state.files.refarch_secrets = None;
        let miss = judge(&changed).unwrap_err();
        assert_eq!(miss.status, Status::Fail);
        assert_eq!(miss.saw, "gitlab.rb is not what was delivered; refarch-secrets.json is missing");
        let mut changed = facts();
        changed.state.files.gitlab_secrets = Some("x".into());
        assert_eq!(judge(&changed).unwrap_err().saw, "gitlab-secrets.json is not what was delivered");
    }

    #[test]
    fn fails_when_it_was_not_configured() {
        let mut unfinished = facts();
        unfinished.state.stamp = None;
        assert_eq!(judge(&unfinished).unwrap_err().status, Status::Fail);
        let mut stale = facts();
        stale.state.stamp.as_mut().unwrap().files.gitlab_rb = Some("old".into());
        let miss = judge(&stale).unwrap_err();
        assert_eq!(
            (miss.status, miss.saw.as_str()),
            (Status::Fail, "delivered but not configured since: gitlab.rb")
        );
    }

    #[test]
    fn skips_when_there_is_nothing_to_compare_with() {
        let mut facts = facts();
        facts.wanted.gitlab_secrets = None;
        assert_eq!(judge(&facts).unwrap_err().status, Status::Skip);
    }
}
