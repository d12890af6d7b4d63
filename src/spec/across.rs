//! The rules that compare one key with another, or that depend on what a value is for.

use std::collections::BTreeMap;

use super::block::Placed;
use super::draft::Draft;
use super::problem::{Findings, Problem};
use super::rule;
use super::settings;
use super::sizing;
use super::source::word;
use super::types::Package;
use super::values::{Cidr, GitlabVersion};
use super::versions;

/// Checks a draft; what could not be read has been reported already and is passed over here.
pub(super) fn check(draft: &Draft, findings: &mut Findings) {
    if let Some(version) = &draft.version {
        versions::check(version, findings);
    }
    url_port(draft, findings);
    package_file(draft, findings);
    sizing::check(draft, findings);
    let version = draft.version.as_ref().map(|version| version.value);
    settings::check(draft.settings.iter().flat_map(|draft| &draft.seen), version, findings);
    settings::check(draft.nodes.iter().flat_map(|draft| &draft.settings), version, findings);
    allowlist(&draft.monitoring_allowlist, findings);
}

/// Ports of the address that the same node needs for something else.
fn url_port(draft: &Draft, findings: &mut Findings) {
    let Some(Placed { value: url, at }) = &draft.url else { return };
    let used_for = match url.port_or_default() {
        22 => "SSH",
        80 => "the redirect to https",
        _ => return,
    };
    let message = format!("port {} is needed for {used_for}", url.port_or_default());
    findings.add(Problem::new(&rule::URL_PORT, message).at(at.clone(), "this port"));
}

/// What the name of a package file says must fit the spec: it fails here, and not when half is installed.
fn package_file(draft: &Draft, findings: &mut Findings) {
    let Some(Placed { value: package, at }) = &draft.package else { return };
    let name = match package {
        Package::File { path } => path.file_name().unwrap_or_default(),
        Package::Url { url, .. } => match url.file_name() {
            Some(name) => name,
            None => return,
        },
        Package::Standin {} | Package::Repository { .. } => return,
    };
    let refuse = |message: String| Problem::new(&rule::PACKAGE_FILE, message).at(at.clone(), "this package");
    let is_file = matches!(package, Package::File { .. });
    let Some(stem) = name.strip_suffix(".deb") else {
        // Behind a URL, any name may serve the package; a file on this machine has its own.
        if is_file {
            findings.add(refuse("the file's name doesn't end in `.deb`".to_owned()));
        }
        return;
    };
    let parts: Vec<&str> = stem.split('_').collect();
    let &[program, version, architecture] = parts.as_slice() else { return };
    if program != "gitlab-ee" {
        findings.add(refuse(format!(
            "this is a package of `{}`, and refarch installs `gitlab-ee`",
            word(program)
        )));
    }
    if architecture != "amd64" {
        findings
            .add(refuse(format!("this package is for `{}`, and the nodes are `amd64`", word(architecture))));
    }
    let carried =
        version.split(['-', '+', '%']).next().and_then(|version| version.parse::<GitlabVersion>().ok());
    if let (Some(carried), Some(wanted)) = (carried, &draft.version)
        && carried != wanted.value
    {
        let message = format!("the package carries GitLab {carried}, and the spec asks for {}", wanted.value);
        findings.add(
            Problem::new(&rule::PACKAGE_VERSION, message)
                .at(at.clone(), format!("carries {carried}"))
                .at(wanted.at.clone(), format!("asks for {}", wanted.value)),
        );
    }
}

fn allowlist(networks: &[Placed<Cidr>], findings: &mut Findings) {
    let mut first: BTreeMap<Cidr, &Placed<Cidr>> = BTreeMap::new();
    for network in networks {
        if network.value.is_everyone() {
            let message = "everyone who reaches GitLab may ask for its health and metrics";
            findings.add(
                Problem::new(&rule::ALLOWLIST_EVERYONE, message).at(network.at.clone(), "every address"),
            );
        }
        if let Some(earlier) = first.get(&network.value) {
            let message = format!("`{}` stands in the allowlist more than once", network.value);
            findings.add(
                Problem::new(&rule::ALLOWLIST_REPEATED, message)
                    .at(network.at.clone(), "again here")
                    .at(earlier.at.clone(), "first here"),
            );
        } else {
            first.insert(network.value, network);
        }
    }
}
