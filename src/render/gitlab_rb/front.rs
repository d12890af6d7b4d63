//! NGINX as the front of a node that serves the web interface.

use super::{Conflict, Settings, Value, allowlist};
use crate::architecture::Component;
use crate::deployment::{Deployment, Node};
use crate::spec::GitlabVersion;

/// The version from which the main application's NGINX keys stand under `gitlab_rails['nginx']`.
/// Source: omnibus-gitlab 19.2.0, deprecation of `nginx[...]` for the main application.
const NGINX_KEYS_MOVED: GitlabVersion = GitlabVersion::new(19, 2, 0);

/// Where the main application's NGINX keys stand.
fn root(deployment: &Deployment) -> &'static [&'static str] {
    if deployment.gitlab.version >= NGINX_KEYS_MOVED { &["gitlab_rails", "nginx"] } else { &["nginx"] }
}

/// The certificate, which every source of one delivers to the same place, and plain HTTP only as a redirect.
pub(super) fn tls(deployment: &Deployment) -> Result<Settings, Conflict> {
    let host = deployment.gitlab.url.host();
    let key = |name| [root(deployment), &[name]].concat();
    Settings::default()
        .with(&key("redirect_http_to_https"), true)?
        .with(&key("ssl_certificate"), format!("/etc/gitlab/ssl/{host}.crt"))?
        .with(&key("ssl_certificate_key"), format!("/etc/gitlab/ssl/{host}.key"))?
        // The package switches Let's Encrypt on by itself for an https URL without certificates.
        .with(&["letsencrypt", "enable"], false)
}

/// What stands between users and this node: whom NGINX believes about the user's address, and who may see its status.
///
/// The load balancer's own health checks carry no `X-Forwarded-For` and so count as the load balancer.
/// Source: <https://docs.gitlab.com/omnibus/settings/nginx/> "Configure GitLab trusted proxies and NGINX `real_ip`
/// module" (read 2026-11).
pub(super) fn behind_load_balancer(deployment: &Deployment, node: &Node) -> Result<Settings, Conflict> {
    let balancers = deployment.nodes_of(Component::ExternalLb).map(|node| Value::cidr(&node.name)).collect();
    let key = |name| [root(deployment), &[name]].concat();
    Settings::default()
        .suggest(node, &key("real_ip_trusted_addresses"), Value::List(balancers))?
        .suggest(node, &key("real_ip_header"), "X-Forwarded-For")?
        .suggest(node, &key("real_ip_recursive"), "on")?
        .suggest(node, &["nginx", "status", "options", "allow"], allowlist::addresses(deployment))
}
