//! What a user calls the things that tools name in their own way.

use crate::events::{Changes, Phase};
use crate::terraform::Tool;

/// A resource by its type and its key: the modules it lies in say nothing to a user.
pub(super) fn resource(address: &str) -> String {
    let own = split_outside_brackets(address);
    let [.., kind, name] = own.as_slice() else { return address.to_owned() };
    match name.split_once('[') {
        Some((_, key)) => format!("{kind} {}", key.trim_end_matches(']').trim_matches('"')),
        None => format!("{kind} {name}"),
    }
}

/// Work on a resource, which Terraform's client names as `ACTION ADDRESS`; other tools' words stay as they are.
pub(super) fn at_resource(task: &str) -> String {
    match task.split_once(' ') {
        Some((verb, address)) if !address.contains(' ') && action(verb).1 != verb => {
            format!("{} {}", action(verb).1, resource(address))
        }
        _ => task.to_owned(),
    }
}

/// The parts of an address; a dot within brackets belongs to a key.
fn split_outside_brackets(address: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let (mut start, mut depth) = (0, 0_usize);
    for (at, character) in address.char_indices() {
        match character {
            '[' => depth += 1,
            ']' => depth = depth.saturating_sub(1),
            '.' if depth == 0 => {
                parts.push(&address[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&address[start..]);
    parts
}

/// What was done to a resource, and what is still being done to it.
pub(super) fn action(action: &str) -> (&str, &str) {
    match action {
        "create" => ("made", "making"),
        "update" => ("changed", "changing"),
        "delete" => ("removed", "removing"),
        "replace" => ("replaced", "replacing"),
        "read" => ("read", "reading"),
        other => (other, other),
    }
}

/// The step of a role that a task belongs to: the file it is written in, in words.
pub(super) fn step(path: &str) -> Option<String> {
    let file = path.split(':').next()?.rsplit('/').next()?;
    let stem = file.strip_suffix(".yml").or_else(|| file.strip_suffix(".yaml"))?;
    Some(match stem.split('_').next()? {
        "disk" => "data disk".into(),
        "package" => "package".into(),
        "os" => "operating system".into(),
        _ => stem.replace('_', " "),
    })
}

pub(super) fn changes(changes: Changes) -> String {
    if changes.is_empty() {
        return "no changes".into();
    }
    format!("{} to make, {} to change, {} to remove", changes.add, changes.change, changes.remove)
}

pub(super) fn applied(changes: Changes) -> String {
    if changes.is_empty() {
        return "nothing was changed".into();
    }
    format!("{} made, {} changed, {} removed", changes.add, changes.change, changes.remove)
}

/// What a phase is at, for those that take their time.
pub(super) fn at_work(phase: Phase, tool: Tool) -> String {
    let work = match phase {
        Phase::Preflight => "asking whether all is there",
        Phase::Render => "writing the files",
        Phase::Plan => return format!("asking {tool} what would change"),
        Phase::Provision => "making the nodes",
        Phase::Bind => "filling in the addresses",
        Phase::Configure => "configuring the nodes",
        Phase::Verify => "asking the instance",
        Phase::Destroy => "removing everything",
    };
    work.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resources_are_called_by_type_and_key() {
        assert_eq!(resource(r#"module.environment.lab_host.node["acme-rails-1"]"#), "lab_host acme-rails-1");
        assert_eq!(resource(r#"module.a.lab_disk.data["acme-1.data"]"#), "lab_disk acme-1.data");
        assert_eq!(resource("lab_network.this"), "lab_network this");
        assert_eq!(resource("odd"), "odd");
    }

    #[test]
    fn work_is_told_in_words() {
        assert_eq!(at_resource(r#"create module.a.lab_host.node["a-1"]"#), "making lab_host a-1");
        assert_eq!(at_resource("a-1: Write gitlab.rb"), "a-1: Write gitlab.rb");
        assert_eq!(at_resource("read gitlab.rb of a-1"), "read gitlab.rb of a-1");
    }

    #[test]
    fn steps_are_called_by_their_file() {
        assert_eq!(step("roles/gitlab_node/tasks/package_apt_file.yml:3").as_deref(), Some("package"));
        assert_eq!(step("roles/gitlab_node/tasks/disk_mount.yml:3").as_deref(), Some("data disk"));
        assert_eq!(step("/x/roles/gitlab_node/tasks/reconfigure.yml:12").as_deref(), Some("reconfigure"));
        assert_eq!(step("roles/gitlab_node/tasks/gitlab_secrets.yml:12").as_deref(), Some("gitlab secrets"));
        assert_eq!(step(""), None);
    }
}
