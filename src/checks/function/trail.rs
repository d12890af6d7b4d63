//! What a run made on the instance, so that it can be removed whatever happens.

use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::instance::Instance;

/// The run's subgroup and what has to be removed besides.
#[derive(Debug, Default)]
pub(in crate::checks) struct Trail(Mutex<Made>);

/// What is known of it.
#[derive(Clone, Debug, Default)]
pub(in crate::checks) struct Made {
    /// The instance on which something is being made.
    pub(super) instance: Option<Instance>,
    /// The subgroup's full path, once it is being made.
    pub(super) path: Option<String>,
    /// The subgroup, once the instance said that it is there.
    pub(super) group: Option<u64>,
    /// The project in it.
    pub(super) project: Option<u64>,
    /// A key that the project takes.
    pub(super) deploy_key: Option<u64>,
}

impl Made {
    /// Whether something is there, or may be.
    pub(in crate::checks) const fn is_something(&self) -> bool {
        self.path.is_some()
    }
}

impl Trail {
    fn made(&self) -> MutexGuard<'_, Made> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn begin(&self, instance: &Instance, path: &str) {
        let mut made = self.made();
        made.instance = Some(instance.clone());
        made.path = Some(path.to_owned());
    }

    pub(super) fn made_group(&self, id: u64) {
        self.made().group = Some(id);
    }

    pub(super) fn made_project(&self, id: u64) {
        self.made().project = Some(id);
    }

    pub(super) fn made_deploy_key(&self, id: u64) {
        self.made().deploy_key = Some(id);
    }

    /// All that is known.
    pub(in crate::checks) fn known(&self) -> Made {
        self.made().clone()
    }

    /// Nothing of it is there any more.
    pub(super) fn forget(&self) {
        *self.made() = Made::default();
    }
}
