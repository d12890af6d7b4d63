//! `settings`: gitlab.rb values as YAML, per component.
//!
//! `value` is what can stand there, `read` makes it of the tree, `check` asks each key's rules: `keys` knows which
//! keys a version has, `owned` which ones follow from the rest of the spec, `secrets` which ones hold secrets.

mod check;
mod keys;
mod owned;
mod read;
mod secrets;
mod value;

pub use keys::{Standing, standing};
pub use owned::owner;
pub use value::{SettingTree, SettingValue, Settings, merged};

pub(super) use check::check;
pub(super) use read::{Seen, SettingsDraft, read, tree};
pub(super) use secrets::is_named_so;
