//! Does every service of the node run, and has it for a while?

use super::NodeFacts;
use crate::checks::question::Miss;
use crate::rollout::{Service, ServiceState};

/// A service that began less than so many seconds ago, though nobody configured the node, may be one that runit starts
/// again and again: runsv waits a second between two starts.
const YOUNG_S: u64 = 5;

pub(super) fn judge(facts: &NodeFacts) -> Result<String, Miss> {
    let found = &facts.state.services;
    if found.is_empty() {
        let saw = "runit keeps no service";
        return Err(Miss::fail(
            saw,
            "see `gitlab-ctl status` on the node, and configure it with `refarch up`",
        ));
    }
    let down: Vec<&str> = found
        .iter()
        .filter(|service| service.state == ServiceState::Down)
        .map(|it| it.name.as_str())
        .collect();
    let missing: Vec<&str> = facts
        .services
        .iter()
        .copied()
        .filter(|name| !found.iter().any(|service| service.name == *name))
        .collect();
    if let Some(name) = down.first() {
        let remedy = format!("see `gitlab-ctl tail {name}` on the node, then `gitlab-ctl start {name}`");
        return Err(Miss::fail(format!("down: {}", down.join(", ")), remedy));
    }
    if !missing.is_empty() {
        let saw = format!("not there: {}", missing.join(", "));
        return Err(Miss::fail(saw, "configure the node again with `refarch up`"));
    }
    let young: Vec<&Service> =
        found.iter().filter(|service| service.since_s.is_some_and(|since| since < YOUNG_S)).collect();
    match young.first() {
        Some(first) if !facts.just_configured => {
            let told: Vec<String> = young
                .iter()
                .map(|service| format!("{} ({} s)", service.name, service.since_s.unwrap_or_default()))
                .collect();
            let remedy = format!(
                "nobody configured the node just now: see with `gitlab-ctl tail {}` on it whether the service starts again and again",
                first.name
            );
            Err(Miss::warn(format!("only just started: {}", told.join(", ")), remedy))
        }
        _ => Ok(format!("all {} run", found.len())),
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::facts;
    use super::*;
    use crate::events::Status;

    #[test]
    fn passes_when_all_run() {
        assert_eq!(judge(&facts()).unwrap(), "all 2 run");
    }

    #[test]
    fn fails_when_one_is_down_missing_or_none_is_there() {
        let mut facts = facts();
        facts.state.services[1].state = ServiceState::Down;
        let miss = judge(&facts).unwrap_err();
        assert_eq!((miss.status, miss.saw.as_str()), (Status::Fail, "down: puma"));
        assert!(miss.remedy.contains("gitlab-ctl tail puma"));
        facts.state.services.pop();
        let miss = judge(&facts).unwrap_err();
        assert_eq!((miss.status, miss.saw.as_str()), (Status::Fail, "not there: puma"));
        facts.state.services.clear();
        assert_eq!(judge(&facts).unwrap_err().status, Status::Fail);
    }

    #[test]
    fn warns_of_one_that_only_just_began_unless_this_run_configured_the_node() {
        let mut facts = facts();
        facts.state.services[0].since_s = Some(1);
        let miss = judge(&facts).unwrap_err();
        assert_eq!((miss.status, miss.saw.as_str()), (Status::Warn, "only just started: nginx (1 s)"));
        facts.just_configured = true;
        assert!(judge(&facts).is_ok());
    }
}
