//! gitlab.rb as a value: each component contributes settings, which are merged, checked and written
//! as Ruby once. Quoting can't go wrong, because nothing is pasted into a text.
//!
//! Source of every component's settings, unless its file says another: the configuration steps of
//! <https://docs.gitlab.com/administration/reference_architectures/3k_users/> and its sister pages (read 2026-11).

mod all_in_one;
mod allowlist;
mod common;
mod consul;
mod database_client;
mod front;
mod git_client;
mod gitaly;
mod monitor;
mod object_storage;
mod pgbouncer;
mod postgres;
mod praefect;
mod praefect_postgres;
mod rails;
mod redis;
mod redis_client;
mod ruby;
mod settings;
mod sidekiq;
mod value;

pub use settings::{Conflict, Settings};
pub use value::{Address, Piece, Value};

use crate::architecture::Component;
use crate::deployment::{Deployment, Node, SecretName};
use crate::spec::Provider;

/// Where the node's file of named secrets lies; gitlab.rb begins by parsing it.
pub const SECRETS_PATH: &str = "/etc/gitlab/refarch-secrets.json";

/// The settings of one node. A node without the package has none, but may be given secrets for its role.
///
/// # Errors
/// When two contributions set the same key, which is a bug of refarch.
pub fn settings(deployment: &Deployment, node: &Node) -> Result<Settings, Conflict> {
    let component = match node.component {
        Component::AllInOne => all_in_one::settings(deployment, node)?,
        Component::Consul => consul::settings(deployment, node)?,
        Component::Postgres => postgres::settings(deployment, node)?,
        Component::Pgbouncer => pgbouncer::settings(deployment, node)?,
        Component::Redis | Component::RedisCache | Component::RedisPersistent => {
            redis::settings(deployment, node)?
        }
        Component::PraefectPostgres => praefect_postgres::settings(deployment, node)?,
        Component::Praefect => praefect::settings(deployment, node)?,
        Component::Gitaly => gitaly::settings(deployment, node)?,
        Component::Sidekiq => sidekiq::settings(deployment, node)?,
        Component::Rails => rails::settings(deployment, node)?,
        Component::Monitor => monitor::settings(deployment, node)?,
        Component::ObjectStorage => return Ok(object_storage::server()),
        Component::ExternalLb | Component::InternalLb => return Ok(Settings::default()),
    };
    component.merge(provider_settings(deployment)?)?.overlay(&node.settings)
}

/// What the place where a node runs asks of its gitlab.rb.
fn provider_settings(deployment: &Deployment) -> Result<Settings, Conflict> {
    match deployment.provider {
        // A lab host shares this machine's kernel and may not write its parameters (measured with
        // systemd-nspawn 252), so the package must not try.
        Provider::Lab(_) => Settings::default().with(&["package", "modify_kernel_parameters"], false),
    }
}

/// Writes the settings of a node as Ruby. `resolve` gives the text of an address.
#[must_use]
pub fn write(node: &Node, settings: &Settings, resolve: &dyn Fn(&Address) -> String) -> String {
    ruby::write(node, settings, resolve)
}

/// The named secrets that these settings refer to, which is what the node gets and no more.
#[must_use]
pub fn secrets(settings: &Settings) -> Vec<SecretName> {
    settings.secrets()
}

#[cfg(test)]
mod keys;
#[cfg(test)]
mod tests;
