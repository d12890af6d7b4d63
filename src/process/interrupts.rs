//! How often the user asked the run to stop.

use std::sync::Arc;

use tokio::sync::watch;

/// Counts interrupts; clones share the count. `main` counts signals, runners react.
#[derive(Clone, Debug)]
pub struct Interrupts(Arc<watch::Sender<u8>>);

impl Default for Interrupts {
    fn default() -> Self {
        Self(Arc::new(watch::Sender::new(0)))
    }
}

impl Interrupts {
    /// Counts one more.
    pub fn interrupt(&self) {
        self.0.send_modify(|count| *count = count.saturating_add(1));
    }

    /// How many there were.
    #[must_use]
    pub fn count(&self) -> u8 {
        *self.0.borrow()
    }

    /// Waits until there were more than `seen`, and says how many.
    pub async fn beyond(&self, seen: u8) -> u8 {
        let mut counter = self.0.subscribe();
        loop {
            let count = *counter.borrow_and_update();
            if count > seen {
                return count;
            }
            if counter.changed().await.is_err() {
                // The count lives as long as `self`; without it nobody can interrupt any more.
                std::future::pending::<()>().await;
            }
        }
    }
}
