//! Bringing replicas up to date that missed a write, or that aren't there at all. One Praefect does it at a time.

use std::sync::Arc;
use std::time::Duration;

use super::{Cluster, names};

/// Looks for outdated replicas again and again.
pub async fn forever(cluster: &Arc<Cluster>) {
    let every = cluster.settings.reconciliation_interval;
    if every == 0 {
        return std::future::pending().await;
    }
    loop {
        tokio::time::sleep(Duration::from_secs(every)).await;
        if let Err(reason) = once(cluster).await {
            crate::terminal::complain(format!("reconciliation: {reason}"));
        }
    }
}

async fn once(cluster: &Cluster) -> Result<(), String> {
    let failed = |error: crate::database::Error| error.to_string();
    let mut client = cluster.records.pool.take().await.map_err(failed)?;
    let statement = |error: tokio_postgres::Error| error.to_string();
    let transaction = client.transaction().await.map_err(statement)?;
    let lock = "SELECT pg_try_advisory_xact_lock(4611686018427387906)";
    if !transaction.query_one(lock, &[]).await.map_err(statement)?.get::<_, bool>(0) {
        return Ok(());
    }
    for storage in &cluster.settings.virtual_storage {
        let all = cluster.records.all(&storage.name).await.map_err(failed)?;
        for (path, record) in all {
            let found = record.outdated(&names(storage), &cluster.healthy(&storage.name));
            let Some((source, targets)) = found else { continue };
            let Some(from) = storage.node.iter().find(|node| node.storage == source) else { continue };
            let done = cluster.replicate(storage, &path, record.generation, from, &targets).await;
            if !done.is_empty() {
                crate::terminal::complain(format!("{path}: {} brought up to date", done.join(", ")));
            }
        }
    }
    transaction.commit().await.map_err(statement)
}
