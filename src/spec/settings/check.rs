//! The rules that every key of `settings` must keep.

use super::super::problem::{Findings, Problem};
use super::super::rule;
use super::super::source::word;
use super::keys::{self, Standing, standing};
use super::read::{Kind, Seen};
use super::{owned, secrets};
use crate::spec::GitlabVersion;

/// Checks every key that was set; which keys there are is asked only where the version is known.
pub(in super::super) fn check<'s>(
    seen: impl IntoIterator<Item = &'s Seen>,
    version: Option<GitlabVersion>,
    findings: &mut Findings,
) {
    for key in seen {
        if let Some(problem) = of(key, version) {
            findings.add(problem);
        }
    }
}

fn of(key: &Seen, version: Option<GitlabVersion>) -> Option<Problem> {
    if let Some(instead) = owned::owner(&key.path) {
        let message = format!("{} is not yours to set", shown(key));
        return Some(Problem::new(&rule::SETTING_OWNED, message).at(key.at.clone(), "owned").help(instead));
    }
    let known =
        version.filter(|_| key.path.len() <= 2).map(|version| (standing(&key.path, version), version));
    if let Some(problem) = known.and_then(|(standing, version)| stands(key, standing, version)) {
        return Some(problem);
    }
    shape(key).or_else(|| literal_secret(key))
}

fn stands(key: &Seen, standing: Standing, version: GitlabVersion) -> Option<Problem> {
    let path = key.path.join(".");
    let released = |(major, minor): (u16, u16)| format!("{major}.{minor}");
    match standing {
        Standing::Known => None,
        Standing::Unknown { meant } => {
            let message = format!("gitlab.rb of GitLab {version} has no {}", shown(key));
            let problem = Problem::new(&rule::SETTING_UNKNOWN, message).at(key.at.clone(), "unknown");
            Some(match meant {
                Some(meant) => problem.help(format!("write `{meant}`, if that is what you meant")),
                None => problem,
            })
        }
        Standing::Later { since } => {
            let message =
                format!("{} came with GitLab {}, and this is {version}", shown(key), released(since));
            let help = if path.starts_with("gitlab_rails.nginx") {
                "write its keys under `nginx`".to_owned()
            } else {
                format!("remove it, or choose GitLab {} or later", released(since))
            };
            Some(Problem::new(&rule::SETTING_LATER, message).at(key.at.clone(), "not yet").help(help))
        }
        Standing::Gone { since } => {
            let message =
                format!("{} is gone since GitLab {}, and this is {version}", shown(key), released(since));
            let problem = Problem::new(&rule::SETTING_GONE, message).at(key.at.clone(), "gone");
            Some(match keys::instead(&path) {
                Some(instead) => problem.help(instead),
                None => problem,
            })
        }
    }
}

/// A first name holds keys, except those few that take a value.
fn shape(key: &Seen) -> Option<Problem> {
    let [name] = key.path.as_slice() else { return None };
    let takes_value = keys::takes_value(name);
    if takes_value == (key.kind != Kind::Map) {
        return None;
    }
    let (message, help) = if takes_value {
        (format!("{} takes a value, and this is a block", shown(key)), format!("write `{name}: …`"))
    } else {
        (format!("{} holds keys, and this is a value", shown(key)), format!("write `{name}: {{KEY: VALUE}}`"))
    };
    Some(Problem::new(&rule::SETTING_VALUE, message).at(key.value_at.clone(), "this value").help(help))
}

fn literal_secret(key: &Seen) -> Option<Problem> {
    let name = key.path.last()?;
    let is_text = matches!(key.kind, Kind::Text | Kind::Path);
    if key.path.len() < 2 || !is_text || !secrets::is_named_so(name, key.kind == Kind::Path) {
        return None;
    }
    let message = format!("{} is a secret, and a spec is no place for one", shown(key));
    let help = format!(
        "write `{}: {{secret: {{env: NAME}}}}` or `{{secret: {{file: PATH}}}}`, and change the secret, because it has been \
         written down",
        word(name)
    );
    Some(Problem::new(&rule::SETTING_SECRET, message).at(key.at.clone(), "this key").help(help))
}

fn shown(key: &Seen) -> String {
    format!("`{}`", word(&key.path.join(".")))
}
