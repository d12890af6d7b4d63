//! Watching the Gitalys: each is asked once a second whether it answers, knows its token and has its storage. A
//! storage on another disk than before has nothing of what is recorded for it, however healthy it is.

use std::sync::Arc;
use std::time::Duration;

use super::Cluster;
use crate::repositories::Repositories;
use crate::site::{Node, VirtualStorage};

const EVERY: Duration = Duration::from_secs(1);
const PATIENCE: Duration = Duration::from_secs(3);

/// Looks at every node again and again.
pub async fn forever(cluster: &Arc<Cluster>) {
    loop {
        tokio::time::sleep(EVERY).await;
        all(cluster).await;
    }
}

/// Looks at every node once.
pub async fn all(cluster: &Arc<Cluster>) {
    let praefect = format!("{}:{}", crate::hostname(), cluster.settings.listen_addr);
    for storage in &cluster.settings.virtual_storage {
        let looks = storage.node.iter().map(|node| one(cluster, &praefect, storage, node));
        futures_util::future::join_all(looks).await;
    }
}

async fn one(cluster: &Cluster, praefect: &str, storage: &VirtualStorage, node: &Node) {
    let address = node.reached();
    let repositories = Repositories::of(&node.storage, &address);
    let asked = tokio::time::timeout(PATIENCE, repositories.filesystem()).await;
    let answer = match asked {
        Ok(Ok(filesystem)) => identify(cluster, storage, node, &filesystem).await,
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err(format!("no answer within {} s", PATIENCE.as_secs())),
    };
    let healthy = answer.is_ok();
    if cluster.note(&storage.name, &node.storage, healthy) {
        let reason = answer.err().map_or_else(String::new, |reason| format!(": {reason}"));
        let state = if healthy { "healthy" } else { "unhealthy" };
        crate::terminal::complain(format!("{} is {state}{reason}", node.storage));
    }
    if let Err(error) = cluster.records.seen(praefect, &storage.name, &node.storage, healthy).await {
        crate::terminal::complain(format!("node_status: {error}"));
    }
}

async fn identify(
    cluster: &Cluster,
    storage: &VirtualStorage,
    node: &Node,
    filesystem: &str,
) -> Result<(), String> {
    let changed = cluster.records.identify(&storage.name, &node.storage, filesystem).await;
    if changed.map_err(|error| error.to_string())? {
        let words = "is on another disk than before: its replicas are made anew";
        crate::terminal::complain(format!("{} {words}", node.storage));
    }
    Ok(())
}
