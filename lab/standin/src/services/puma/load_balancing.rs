//! The hosts of database load balancing: asked every now and then whether they answer, as Rails does, which tells a
//! host that doesn't in its log and goes on without it.
//! <https://docs.gitlab.com/administration/postgresql/database_load_balancing/>

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crate::config::Config;
use crate::database;
use crate::services::metrics::Sample;
use crate::site::Database;

const EVERY: Duration = Duration::from_secs(30);

/// How many hosts answer.
#[derive(Debug, Clone, Default)]
pub struct Hosts(Arc<AtomicUsize>);

impl Hosts {
    /// The number, as Prometheus gets it.
    #[must_use]
    pub fn sample(&self) -> Sample {
        let value = i64::try_from(self.0.load(Ordering::Relaxed)).unwrap_or(i64::MAX);
        Sample { name: "db_load_balancing_hosts", labels: String::new(), value }
    }

    /// Asks them again and again.
    pub async fn watch(&self, config: &Config) {
        let listed = &config.application.load_balancing_hosts;
        if listed.is_empty() {
            return std::future::pending().await;
        }
        let mut offline = BTreeSet::new();
        loop {
            for host in listed {
                let there = Database { host: host.clone(), ..config.database.clone() };
                match answers(&there).await {
                    Ok(()) if offline.remove(host) => {
                        crate::terminal::complain(format!("load balancing: host_online: {host}"));
                    }
                    Ok(()) => {}
                    Err(reason) => {
                        if offline.insert(host.clone()) {
                            crate::terminal::complain(format!(
                                "load balancing: host_offline: {host}: {reason}"
                            ));
                        }
                    }
                }
            }
            self.0.store(listed.len() - offline.len(), Ordering::Relaxed);
            tokio::time::sleep(EVERY).await;
        }
    }
}

async fn answers(host: &Database) -> Result<(), String> {
    let client = database::connect(host).await.map_err(|error| error.to_string())?;
    client.query("SELECT 1", &[]).await.map(drop).map_err(|error| error.to_string())
}
