//! gitlab.rb as a value: each component contributes settings, which are merged, checked and written
//! as Ruby once. Quoting can't go wrong, because nothing is pasted into a text.

mod all_in_one;
mod ruby;
mod settings;
mod value;

pub use settings::{Conflict, Settings};
pub use value::{Address, Piece, Value};

use crate::architecture::Component;
use crate::deployment::{Deployment, Node, SecretName};
use crate::spec::Provider;

/// Where the node's file of named secrets lies; gitlab.rb begins by parsing it.
pub const SECRETS_PATH: &str = "/etc/gitlab/refarch-secrets.json";

/// The settings of one node.
///
/// # Errors
/// When two contributions set the same key, which is a bug of refarch.
pub fn settings(deployment: &Deployment, node: &Node) -> Result<Settings, Conflict> {
    let component = match node.component {
        Component::AllInOne => all_in_one::settings(deployment)?,
        _ => Settings::default(),
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
mod tests;
