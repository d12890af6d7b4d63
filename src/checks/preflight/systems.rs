//! Which operating systems have a gitlab-ee package, and on which of them this refarch installs it.

use serde::Deserialize;

use super::facts::System;
use crate::checks::Miss;
use crate::spec::{GitlabVersion, read_yaml};

const TABLE: &str = include_str!("../../../reference-architectures/systems.yml");
/// Oldest Python that a host may have. Source: docs.ansible.com, "Releases and maintenance", ansible-core 2.19.
const OLDEST_PYTHON: (u16, u16) = (3, 8);

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    systems: Vec<Row>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    ids: Vec<String>,
    version: String,
    first: String,
    #[serde(default)]
    until: Option<String>,
    installs: Installer,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Installer {
    Apt,
    Dnf,
}

/// The systems that this refarch installs on, in words.
#[must_use]
pub fn wanted() -> String {
    let rows = rows();
    let names: Vec<String> =
        rows.iter().filter(|row| row.installs == Installer::Apt).map(Row::name).collect();
    names.join(", ")
}

/// Is a host's system one that this GitLab has packages for, and that this refarch knows?
pub fn judge(system: &System, gitlab: GitlabVersion) -> Result<String, Miss> {
    let id = system.id.as_deref().unwrap_or("an unknown system");
    let version = system.version.as_deref().unwrap_or("without a version");
    let saw = format!("{id} {version} ({}), Python {}", system.architecture, system.python);
    let major = version.split('.').next().unwrap_or_default();
    let rows = rows();
    let is = |row: &&Row| {
        row.ids.iter().any(|known| known == id) && (row.version == version || row.version == major)
    };
    let Some(row) = rows.iter().find(is) else {
        if minor(&system.python).is_some_and(|python| python < OLDEST_PYTHON) {
            return Err(Miss::fail(saw, too_old(&format!("Python {}", system.python))));
        }
        return Err(Miss::fail(saw, format!("install one of these on the host: {}", wanted())));
    };
    if minor(&row.first).is_some_and(|first| gitlab.minor() < first) {
        let remedy = format!(
            "take GitLab {} or newer, whose packages are the first for it, or another system",
            row.first
        );
        return Err(Miss::fail(saw, remedy));
    }
    if let Some(until) =
        row.until.as_deref().filter(|until| minor(until).is_some_and(|it| gitlab.minor() >= it))
    {
        return Err(Miss::fail(
            saw,
            format!("take another system: GitLab {until} and newer have no package for it"),
        ));
    }
    if row.installs != Installer::Apt {
        let remedy = format!(
            "GitLab has packages for it, and this refarch can't install them yet; install one of these: {}",
            wanted()
        );
        return Err(Miss::fail(saw, remedy));
    }
    Ok(saw)
}

/// What to do with a host whose Python Ansible can't use, as on Enterprise Linux 8.
#[must_use]
pub fn too_old(what: &str) -> String {
    format!(
        "Enterprise Linux 8 and other hosts with {what} can't be configured: ansible-core 2.19 needs Python 3.8 or newer there. Install one of these: {}",
        wanted()
    )
}

fn rows() -> Vec<Row> {
    // A test reads it, so that it can't be of another shape.
    read_yaml::<Table>(TABLE).map(|table| table.systems).unwrap_or_default()
}

fn minor(text: &str) -> Option<(u16, u16)> {
    let mut parts = text.split('.').map(|part| part.parse().ok());
    Some((parts.next()??, parts.next()??))
}

impl Row {
    fn name(&self) -> String {
        format!("{} {}", self.ids.first().map_or("", String::as_str), self.version)
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::says;
    use super::*;

    fn on(id: &str, version: &str, python: &str, gitlab: (u16, u16)) -> String {
        let system = System {
            id: Some(id.into()),
            version: Some(version.into()),
            architecture: "amd64".into(),
            python: python.into(),
            uid: 0,
        };
        says(&judge(&system, GitlabVersion::new(gitlab.0, gitlab.1, 0)))
    }

    #[test]
    fn the_table_is_read_and_names_all_that_were_asked_for() {
        let known = |id: &str, version: &str| {
            rows().iter().any(|row| row.ids.iter().any(|it| it == id) && row.version == version)
        };
        for (id, version) in [
            ("debian", "12"),
            ("debian", "13"),
            ("ubuntu", "22.04"),
            ("ubuntu", "24.04"),
            ("rhel", "9"),
            ("rhel", "10"),
            ("almalinux", "9"),
            ("rocky", "10"),
            ("amzn", "2023"),
        ] {
            assert!(known(id, version), "{id} {version}");
        }
        assert!(!known("rhel", "8"));
    }

    #[test]
    fn what_roles_install_on_is_what_the_table_says() {
        for row in rows().iter().filter(|row| row.installs == Installer::Apt) {
            let file = format!("roles/gitlab_node/systems/{}-{}.yml", row.ids[0], row.version);
            assert!(
                camino::Utf8Path::new(env!("CARGO_MANIFEST_DIR")).join(&file).exists(),
                "there is no {file}"
            );
        }
    }

    #[test]
    fn a_system_passes_or_says_what_to_install() {
        assert!(on("debian", "13", "3.13.5", (18, 11)).starts_with("Pass"));
        assert!(on("ubuntu", "24.04", "3.12.3", (18, 11)).starts_with("Pass"));
        insta::assert_snapshot!(
            [
                on("debian", "11", "3.9.2", (18, 11)),
                on("rhel", "9.6", "3.9.21", (18, 11)),
                on("rhel", "10.0", "3.12.9", (18, 5)),
                on("amzn", "2023", "3.9.24", (19, 3)),
                on("almalinux", "8.10", "3.6.8", (18, 11)),
            ]
            .join("\n")
        );
    }
}
