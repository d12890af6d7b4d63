//! The spec's keys, one function a block. What can be read is kept with its place, for the rules that compare
//! one key with another.

use camino::Utf8PathBuf;

use super::block::{Block, Field, Placed, refused};
use super::demand;
use super::managed::{self, ManagedDraft};
use super::modifications::{self, ModificationsDraft};
use super::nodes::{self, NodesDraft};
use super::parse::{Node, Value};
use super::problem::{Findings, Problem};
use super::refusal::Refusal;
use super::rule;
use super::settings::{self, SettingsDraft};
use super::tls::{self, Tls};
use super::types::{FORMAT, Gitlab, Lab, Package, Provider, Size, Spec};
use super::values::{Cidr, DeploymentName, ExternalUrl, GitlabVersion, PackageUrl, Sha256};
use crate::architecture::Choice;

/// Keys of inner blocks that are easily written one level too far out.
pub(super) const NESTED: &[(&str, &str)] = &[
    ("version", "gitlab"),
    ("url", "gitlab"),
    ("package", "gitlab"),
    ("monitoring_allowlist", "gitlab"),
    ("lab", "provider"),
    ("private_ca", "tls"),
    ("files", "tls"),
    ("certificate", "tls.files"),
    ("key", "tls.files"),
    ("ca", "tls.files"),
    ("sharded_gitaly", "modifications"),
    ("sidekiq_on_rails", "modifications"),
    ("api", "rps"),
    ("web", "rps"),
    ("pull", "rps"),
    ("push", "rps"),
];

/// A spec as far as it could be read.
#[derive(Default)]
pub(super) struct Draft {
    pub(super) name: Option<Placed<DeploymentName>>,
    /// The size, and where it, or the demand that chose it, stands.
    pub(super) architecture: Option<Placed<Size>>,
    pub(super) choice: Option<Choice>,
    pub(super) version: Option<Placed<GitlabVersion>>,
    pub(super) url: Option<Placed<ExternalUrl>>,
    pub(super) package: Option<Placed<Package>>,
    pub(super) monitoring_allowlist: Vec<Placed<Cidr>>,
    pub(super) provider: Option<Provider>,
    pub(super) tls: Option<Tls>,
    pub(super) modifications: Option<ModificationsDraft>,
    pub(super) managed: Option<ManagedDraft>,
    pub(super) nodes: Option<NodesDraft>,
    pub(super) settings: Option<SettingsDraft>,
}

impl Draft {
    /// The spec, if nothing that it needs is missing.
    pub(super) fn into_spec(self) -> Option<Spec> {
        Some(Spec {
            name: self.name?.value,
            architecture: self.architecture?.value,
            choice: self.choice,
            gitlab: Gitlab {
                version: self.version?.value,
                url: self.url?.value,
                package: self.package?.value,
                monitoring_allowlist: self.monitoring_allowlist.into_iter().map(|cidr| cidr.value).collect(),
            },
            provider: self.provider?,
            tls: self.tls?,
            modifications: self.modifications?.modifications,
            managed: self.managed?.managed,
            nodes: self.nodes?.nodes,
            settings: self.settings?.settings,
        })
    }
}

/// Reads what the tree says.
pub(super) fn read(tree: &Node, text: &str, findings: &mut Findings) -> Draft {
    let mut draft = Draft::default();
    let Some(mut block) = Block::root(tree, findings) else { return draft };
    if let Some(field) = block.required("refarch", "`refarch: 1`")
        && !is_our_format(&field, findings)
    {
        // A spec of another format has other keys: to report each of them would hide what is wrong.
        return draft;
    }
    let example = "`name: acme-prod`";
    if let Some(field) = block.required("name", example) {
        draft.name = field.value(example, findings);
    }
    demand::read(&mut block, &mut draft, findings);
    let example = "`gitlab: {version: \"18.11.2\", url: https://gitlab.example.com, package: {…}}`";
    if let Some(field) = block.required("gitlab", example) {
        gitlab(&field, text, &mut draft, findings);
    }
    let example = "`provider: {lab: {}}`";
    if let Some(field) = block.required("provider", example) {
        draft.provider = provider(&field, example, findings);
    }
    draft.tls = match block.optional("tls") {
        Some(field) => tls::read(&field, text, findings),
        None => Some(Tls::default()),
    };
    draft.modifications = match block.optional("modifications") {
        Some(field) => modifications::read(&field, findings),
        None => Some(ModificationsDraft::default()),
    };
    draft.managed = match block.optional("managed") {
        Some(field) => managed::read(&field, text, findings),
        None => Some(ManagedDraft::default()),
    };
    draft.nodes = match block.optional("nodes") {
        Some(field) => nodes::read(&field, text, findings),
        None => Some(NodesDraft::default()),
    };
    draft.settings = match block.optional("settings") {
        Some(field) => settings::read(&field, text, findings),
        None => Some(SettingsDraft::default()),
    };
    block.close(NESTED, findings);
    draft
}

/// Whether the spec is of the format that this refarch reads; anything else is noted.
fn is_our_format(field: &Field<'_>, findings: &mut Findings) -> bool {
    match field.node.value {
        Value::Integer(number) if number == i128::from(FORMAT) => true,
        Value::Integer(number) => {
            let message = format!("the spec is of format {number}, and this refarch reads format {FORMAT}");
            findings.add(Problem::new(&rule::FORMAT, message).at(field.at(), "another format"));
            false
        }
        _ => {
            field.has_wrong_type("the number of the format", "`refarch: 1`", findings);
            true
        }
    }
}

fn gitlab(field: &Field<'_>, text: &str, draft: &mut Draft, findings: &mut Findings) {
    let example = "`gitlab: {version: \"18.11.2\", url: https://gitlab.example.com, package: {…}}`";
    let Some(mut block) = Block::of(field, example, findings) else { return };
    if let Some(field) = block.required("version", "`version: \"18.11.2\"`") {
        draft.version = version(&field, text, findings);
    }
    let example = "`url: https://gitlab.example.com`";
    if let Some(field) = block.required("url", example) {
        draft.url = field.value(example, findings);
    }
    let example = "`package: {file: {path: gitlab-ee_18.11.2-ee.0_amd64.deb}}`; \
                   the choices are `standin`, which is not GitLab, `file`, `url` and `repository`";
    if let Some(field) = block.required("package", example) {
        draft.package = package(&field, findings);
    }
    if let Some(field) = block.optional("monitoring_allowlist") {
        let example = "`monitoring_allowlist: [10.20.0.0/24]`";
        let items = field.texts(example, findings).unwrap_or_default();
        draft.monitoring_allowlist = items.iter().filter_map(|item| item.value(example, findings)).collect();
    }
    block.close(&[], findings);
}

/// The version, which must stand in quotes: YAML reads `18.10` as the number 18.1.
fn version(field: &Field<'_>, text: &str, findings: &mut Findings) -> Option<Placed<GitlabVersion>> {
    let written = text.get(field.node.written.clone()).unwrap_or_default();
    let is_plain = written.starts_with(|c: char| c.is_ascii_digit());
    match &field.node.value {
        Value::Integer(_) | Value::Float(_) => {
            let message =
                "YAML reads this version as a number, and a number loses digits: 18.10 becomes 18.1";
            findings.add(unquoted(field, message, written));
            None
        }
        Value::Text(_) if is_plain => {
            let message =
                "the version has no quotes, and without them YAML reads a version like 18.10 as 18.1";
            findings.add(unquoted(field, message, written));
            None
        }
        _ => {
            let version: Placed<GitlabVersion> = field.value("`version: \"18.11.2\"`", findings)?;
            if version.value.is_supported() {
                return Some(version);
            }
            let message = format!("refarch can't configure GitLab {} yet", version.value);
            let help = "choose a version from GitLab 18.5 to 18.11, or of GitLab 19";
            findings.add(refused(Refusal::new(&rule::VERSION_UNSUPPORTED, message, help), field.node));
            None
        }
    }
}

fn unquoted(field: &Field<'_>, message: &str, written: &str) -> Problem {
    let help = if written.parse::<GitlabVersion>().is_ok() {
        format!("put it in quotes: `version: \"{written}\"`")
    } else {
        "write all three numbers in quotes, as in `version: \"18.11.2\"`".to_owned()
    };
    refused(Refusal::new(&rule::VERSION_UNQUOTED, message, help), field.node)
}

fn package(field: &Field<'_>, findings: &mut Findings) -> Option<Placed<Package>> {
    let example = "`package: {file: {path: gitlab-ee_18.11.2-ee.0_amd64.deb}}`";
    let (source, chosen) = field.choice(Package::SOURCES, example, findings)?;
    match source {
        "standin" => {
            let block = Block::of(&chosen, "`package: {standin: {}}`", findings)?;
            block.close(&[], findings);
            Some(Placed { value: Package::Standin {}, at: chosen.key_at })
        }
        "file" => {
            let mut block = Block::of(&chosen, example, findings)?;
            let example = "`path: gitlab-ee_18.11.2-ee.0_amd64.deb`";
            let path = block.required("path", example).and_then(|field| field.text(example, findings));
            block.close(&[], findings);
            let Placed { value, at } = path?;
            Some(Placed { value: Package::File { path: Utf8PathBuf::from(value) }, at })
        }
        "url" => package_url(&chosen, findings),
        _ => package_repository(&chosen, findings),
    }
}

fn package_url(chosen: &Field<'_>, findings: &mut Findings) -> Option<Placed<Package>> {
    let mut block =
        Block::of(chosen, "`url: {url: https://packages.example.com/gitlab-ee.deb, sha256: …}`", findings)?;
    let example = "`url: https://packages.example.com/gitlab-ee.deb`";
    let url: Option<Placed<PackageUrl>> =
        block.required("url", example).and_then(|field| field.value(example, findings));
    let example = "`sha256:` with the digits that `sha256sum FILE` prints";
    let sha256: Option<Placed<Sha256>> =
        block.required("sha256", example).and_then(|field| field.value(example, findings));
    block.close(&[], findings);
    let Placed { value: url, at } = url?;
    Some(Placed { value: Package::Url { url, sha256: sha256?.value }, at })
}

fn package_repository(chosen: &Field<'_>, findings: &mut Findings) -> Option<Placed<Package>> {
    let example = "`repository: {url: https://packages.example.com/debian, distribution: trixie, components: [main], \
         key_file: packages.asc}`";
    let mut block = Block::of(chosen, example, findings)?;
    let example = "`url: https://packages.example.com/debian`";
    let url: Option<Placed<PackageUrl>> =
        block.required("url", example).and_then(|field| field.value(example, findings));
    let example = "`distribution: trixie`";
    let distribution =
        block.required("distribution", example).and_then(|field| apt_word(&field, example, findings));
    let example = "`components: [main]`";
    let components = block.required("components", example).and_then(|field| {
        let items = field.texts(example, findings)?;
        if items.is_empty() {
            let problem = Problem::new(&rule::PACKAGE_REPOSITORY, "the repository has no components");
            findings.add(problem.at(field.at(), "an empty list").help(format!("name them, as in {example}")));
            return None;
        }
        let words = items.iter().map(|item| apt_word(item, example, findings)).collect::<Vec<_>>();
        words.into_iter().collect::<Option<Vec<String>>>()
    });
    let example = "`key_file: packages.asc`";
    let key_file = block.required("key_file", example).and_then(|field| field.text(example, findings));
    block.close(&[], findings);
    let package = Package::Repository {
        url: url?.value,
        distribution: distribution?,
        components: components?,
        key_file: Utf8PathBuf::from(key_file?.value),
    };
    Some(Placed { value: package, at: chosen.key_at.clone() })
}

/// A word of an apt source: nothing that could end it or begin another.
fn apt_word(field: &Field<'_>, example: &str, findings: &mut Findings) -> Option<String> {
    let Placed { value, .. } = field.text(example, findings)?;
    let allowed = |c: char| c.is_ascii_alphanumeric() || "._+~/-".contains(c);
    if value.chars().all(allowed) && !value.starts_with(['-', '+', '~']) {
        return Some(value.to_owned());
    }
    let message = format!("`{}` can't be a word of an apt source", field.path);
    let help = format!("write it as in {example}");
    findings.add(refused(Refusal::new(&rule::PACKAGE_REPOSITORY, message, help), field.node));
    None
}

fn provider(field: &Field<'_>, example: &str, findings: &mut Findings) -> Option<Provider> {
    let (_, chosen) = field.choice(Provider::NAMES, example, findings)?;
    Block::of(&chosen, example, findings)?.close(&[], findings);
    Some(Provider::Lab(Lab {}))
}
