//! gitlab.rb: evaluated in the real Ruby, its keys checked against what the version registers.

mod evaluate;
mod keys;
mod removed;
mod tree;

pub use evaluate::{Error as EvaluateError, ruby};
pub use keys::Catalogue;
pub use tree::Settings;

use std::path::Path;

use crate::manifest::Version;

/// Why gitlab.rb is refused.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It could not be evaluated.
    #[error(transparent)]
    Evaluate(#[from] EvaluateError),
    /// It uses settings that this version removed.
    #[error("{}", removed::sentence(.0))]
    Removed(Vec<String>),
}

/// Settings, and what the operator should hear about them.
#[derive(Debug)]
pub struct Loaded {
    /// The settings.
    pub settings: Settings,
    /// Sentences for the operator.
    pub warnings: Vec<String>,
}

/// Evaluates gitlab.rb for a version.
pub fn load(path: &Path, version: Version) -> Result<Loaded, Error> {
    let catalogue = Catalogue::for_version(version);
    let values = evaluate::evaluate(path, &catalogue)?;
    let settings = Settings::new(values, version);
    let removed = removed::used(&settings, version);
    if !removed.is_empty() {
        return Err(Error::Removed(removed));
    }
    let mut warnings = catalogue.unknown_keys(&settings);
    warnings.extend(removed::deprecated(&settings));
    Ok(Loaded { settings, warnings })
}

/// What a later version removed of what gitlab.rb sets, as sentences.
pub fn removals(path: &Path, installed: Version, later: Version) -> Result<Vec<String>, Error> {
    let values = evaluate::evaluate(path, &Catalogue::for_version(installed))?;
    Ok(removed::used(&Settings::new(values, installed), later))
}
