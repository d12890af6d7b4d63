//! A project to push to, and whether it says that it is where it was made.

use serde_json::json;
use url::Url;

use super::group::Place;
use super::trail::Trail;
use crate::checks::api::{Api, Obstacle, number, text};
use crate::checks::catalogue::Check;
use crate::checks::question::{Miss, Patience, Question};
use crate::events::Finding;
use crate::instance::Instance;

/// The project of this run.
#[derive(Clone, Debug)]
pub(super) struct Project {
    pub(super) id: u64,
    /// Where Git finds it over HTTP.
    pub(super) http: Url,
    /// Where Git finds it over SSH.
    pub(super) ssh: SshUrl,
}

/// An address for Git over SSH, as GitLab gives it: `git@host:path.git`, or a URL where the port is not 22.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SshUrl {
    pub(super) text: String,
    pub(super) host: String,
    pub(super) port: u16,
}

impl SshUrl {
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (host, port) = match text.strip_prefix("ssh://") {
            Some(_) => {
                let url = Url::parse(text).ok()?;
                (url.host_str()?.trim_matches(['[', ']']).to_owned(), url.port().unwrap_or(22))
            }
            None => (text.split_once('@')?.1.split_once(':')?.0.to_owned(), 22),
        };
        Some(Self { text: text.to_owned(), host, port }).filter(|url| !url.host.is_empty())
    }
}

pub(super) async fn check(
    instance: Result<&Instance, Obstacle>,
    place: Result<&Place, Obstacle>,
    patience: Patience,
    trail: &Trail,
) -> (Finding, Result<Project, Obstacle>) {
    let wanted = "a private project whose clone address lies on the URL that is verified";
    let question = Question::new(Check::Project, "POST /api/v4/projects in the run's subgroup", wanted);
    let (instance, place) = match instance.and_then(|instance| place.map(|place| (instance, place))) {
        Ok(both) => both,
        Err(obstacle) => return (question.obstructed(&obstacle), Err(obstacle)),
    };
    let (finding, project) =
        question.work(patience, async |limits| make(&Api { instance, limits }, place, trail).await).await;
    (finding, project.ok_or(Obstacle::Check(Check::Project)))
}

async fn make(api: &Api<'_>, place: &Place, trail: &Trail) -> Result<(String, Project), Miss> {
    let body = json!({
        "name": "probe",
        "path": "probe",
        "namespace_id": place.id,
        "visibility": "private",
        "lfs_enabled": true,
    });
    let asked = "POST /api/v4/projects";
    let made = api.post("projects", &body).await?;
    let id = number(&made, "id", asked)?;
    trail.made_project(id);
    let http = text(&made, "http_url_to_repo", asked)?;
    let ssh = text(&made, "ssh_url_to_repo", asked)?;
    let parsed = Url::parse(http).ok().filter(|url| api.instance.holds(url));
    let Some(parsed) = parsed else {
        return Err(Miss::fail(
            format!(
                "the project says that it is cloned from `{http}`, which is not below `{}`",
                api.instance.url()
            ),
            "let `external_url` in gitlab.rb be the URL that people use, and reconfigure",
        ));
    };
    let Some(ssh) = SshUrl::parse(ssh) else {
        return Err(Miss::fail(
            format!("the project says that it is cloned over SSH from `{ssh}`, which is no address"),
            "see `gitlab_rails['gitlab_ssh_host']` and `gitlab_rails['gitlab_shell_ssh_port']` in gitlab.rb",
        ));
    };
    let saw = format!("made; cloned from `{http}` and `{}`", ssh.text);
    Ok((saw, Project { id, http: parsed, ssh }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_of_an_ssh_address_are_read() {
        let read = |text: &str| SshUrl::parse(text).map(|url| (url.host, url.port));
        assert_eq!(read("git@gitlab.acme.example:a/b.git"), Some(("gitlab.acme.example".into(), 22)));
        assert_eq!(
            read("ssh://git@gitlab.acme.example:2222/a/b.git"),
            Some(("gitlab.acme.example".into(), 2222))
        );
        assert_eq!(read("ssh://git@[::1]:2222/a/b.git"), Some(("::1".into(), 2222)));
        for text in ["", "https://x/y", "git@", "git@:a/b"] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
