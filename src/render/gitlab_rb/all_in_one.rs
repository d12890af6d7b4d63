//! The node of the 1k architecture, which runs everything.

use super::{Conflict, Settings};
use crate::deployment::{Deployment, SecretName};
use crate::spec::GitlabVersion;

/// The version from which the main application's NGINX keys stand under `gitlab_rails['nginx']`.
/// Source: omnibus-gitlab 19.2.0, deprecation of `nginx[...]` for the main application.
const NGINX_KEYS_MOVED: GitlabVersion = GitlabVersion::new(19, 2, 0);

pub(super) fn settings(deployment: &Deployment) -> Result<Settings, Conflict> {
    Settings::default()
        .with(&["external_url"], deployment.gitlab.url.as_str())?
        .with(&["gitlab_rails", "initial_root_password"], SecretName::RootPassword)?
        .with(&["gitlab_rails", "monitoring_whitelist"], deployment.monitoring_allowlist())?
        // The package switches Let's Encrypt on by itself for an https URL without certificates.
        .with(&["letsencrypt", "enable"], false)?
        .merge(front_tls(deployment)?)
}

/// NGINX with the certificate that every source of one delivers to the same place, and plain HTTP only as a redirect.
fn front_tls(deployment: &Deployment) -> Result<Settings, Conflict> {
    let host = deployment.gitlab.url.host();
    let root: &[&str] =
        if deployment.gitlab.version >= NGINX_KEYS_MOVED { &["gitlab_rails", "nginx"] } else { &["nginx"] };
    let key = |name| [root, &[name]].concat();
    Settings::default()
        .with(&key("redirect_http_to_https"), true)?
        .with(&key("ssl_certificate"), format!("/etc/gitlab/ssl/{host}.crt"))?
        .with(&key("ssl_certificate_key"), format!("/etc/gitlab/ssl/{host}.key"))
}
