//! Praefect: looks like one Gitaly to GitLab, and keeps each repository on several. The real one lets all replicas
//! vote on a write; here the primary takes it, and the secondaries get it from the primary before the answer ends.

mod proxy;
mod reconcile;
mod watch;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse as _, Response};

use super::metrics::{self, Sample};
use super::{Error, gitaly, listen};
use crate::config;
use crate::database::{self, Pool};
use crate::praefect::database::{Records, pending};
use crate::repositories::{Repositories, Source};
use crate::site::{Node, Praefect, VirtualStorage};

/// What every request has at hand.
pub struct Cluster {
    settings: Praefect,
    records: Records,
    /// Healthy nodes, as `(virtual storage, storage)`.
    healthy: Mutex<BTreeSet<(String, String)>>,
}

impl Cluster {
    fn storage(&self, name: &str) -> Option<&VirtualStorage> {
        self.settings.virtual_storage.iter().find(|storage| storage.name == name)
    }

    fn healthy(&self, storage: &str) -> BTreeSet<String> {
        let all = self.healthy.lock().unwrap_or_else(PoisonError::into_inner);
        all.iter().filter(|(name, _)| name == storage).map(|(_, node)| node.clone()).collect()
    }

    /// Notes whether a node is healthy; true when that is new.
    fn note(&self, storage: &str, node: &str, healthy: bool) -> bool {
        let mut all = self.healthy.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (storage.to_owned(), node.to_owned());
        if healthy { all.insert(key) } else { all.remove(&key) }
    }

    /// Brings replicas up to a generation from the node that has it; returns which of them have it now.
    async fn replicate(
        &self,
        storage: &VirtualStorage,
        path: &str,
        generation: i64,
        from: &Node,
        targets: &[String],
    ) -> Vec<String> {
        let source = Source { address: from.reached(), storage: from.storage.clone() };
        let nodes = storage.node.iter().filter(|node| targets.contains(&node.storage));
        let jobs = nodes.map(|node| {
            let source = &source;
            async move {
                let address = node.reached();
                let copied = Repositories::of(&node.storage, &address).replicate(path, source).await;
                let noted = match copied {
                    Ok(()) => {
                        let noted = self.records.replicated(&storage.name, path, &node.storage, generation);
                        noted.await.map_err(|error| error.to_string())
                    }
                    Err(error) => Err(error.to_string()),
                };
                match noted {
                    Ok(()) => Some(node.storage.clone()),
                    Err(reason) => {
                        crate::terminal::complain(format!(
                            "replication of {path} to {}: {reason}",
                            node.storage
                        ));
                        None
                    }
                }
            }
        });
        futures_util::future::join_all(jobs).await.into_iter().flatten().collect()
    }
}

fn names(storage: &VirtualStorage) -> Vec<String> {
    storage.node.iter().map(|node| node.storage.clone()).collect()
}

/// Serves until it is told to stop. A database that can't be reached or isn't migrated ends it.
pub async fn run() -> Result<(), Error> {
    let settings = config::praefect()?;
    let stopped = |reason: String| Error::Stopped(reason);
    let client = database::connect(&settings.database).await.map_err(|error| stopped(error.to_string()))?;
    let missing = pending(&client).await.map_err(|error| stopped(error.to_string()))?;
    if missing > 0 {
        let advice = "run `praefect -config /var/opt/gitlab/praefect/config.toml sql-migrate`";
        return Err(stopped(format!("{missing} database migrations are pending: {advice}")));
    }
    drop(client);
    let listener = listen::tcp(&settings.listen_addr).await?;
    let records = Records { pool: Pool::new(settings.database.clone()) };
    let cluster = Arc::new(Cluster { settings, records, healthy: Mutex::default() });
    watch::all(&cluster).await;
    let app = Router::new()
        .fallback(proxy::serve)
        .layer(from_fn_with_state(Arc::clone(&cluster), authenticate))
        .with_state(Arc::clone(&cluster));
    let place = cluster.settings.prometheus_listen_addr.clone();
    let of = Arc::clone(&cluster);
    tokio::select! {
        end = async { axum::serve(listener, app).await } => end.map_err(|error| stopped(error.to_string())),
        end = metrics::serve(&place, "praefect", move || samples(Arc::clone(&of))) => end,
        () = watch::forever(&cluster) => Ok(()),
        () = reconcile::forever(&cluster) => Ok(()),
        () = listen::told_to_stop() => Ok(()),
    }
}

async fn authenticate(State(cluster): State<Arc<Cluster>>, request: Request, next: Next) -> Response {
    let given = request.headers().get("authorization").and_then(|value| value.to_str().ok());
    if gitaly::known(given, &cluster.settings.auth.token) {
        next.run(request).await
    } else {
        (StatusCode::UNAUTHORIZED, "permission denied: the token is not this Praefect's").into_response()
    }
}

async fn samples(cluster: Arc<Cluster>) -> Vec<Sample> {
    let mut samples = Vec::new();
    for storage in &cluster.settings.virtual_storage {
        let healthy = cluster.healthy(&storage.name);
        let Ok(all) = cluster.records.all(&storage.name).await else { continue };
        let unavailable = all.iter().filter(|(_, record)| record.readable(&healthy).is_empty()).count();
        samples.push(Sample {
            name: "gitaly_praefect_unavailable_repositories",
            labels: format!("virtual_storage=\"{}\"", storage.name),
            value: i64::try_from(unavailable).unwrap_or(i64::MAX),
        });
    }
    samples
}
