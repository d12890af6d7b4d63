//! What Praefect keeps of repositories, replicas and nodes, in a database of its own. The tables that its
//! documentation names have its names.

use std::collections::{BTreeMap, BTreeSet};

use super::routing::{Record, Refusal, Route};
use crate::database::{Client, Error, Pool};

/// Name and statements of each migration, oldest first.
pub const MIGRATIONS: [(&str, &str); 3] = [
    (
        "20260101000001_repositories",
        "CREATE TABLE repositories (
           repository_id bigserial PRIMARY KEY,
           virtual_storage text NOT NULL,
           relative_path text NOT NULL,
           generation bigint NOT NULL DEFAULT 0,
           \"primary\" text,
           UNIQUE (virtual_storage, relative_path))",
    ),
    (
        "20260101000002_storage_repositories",
        "CREATE TABLE storage_repositories (
           virtual_storage text NOT NULL,
           relative_path text NOT NULL,
           storage text NOT NULL,
           generation bigint NOT NULL,
           PRIMARY KEY (virtual_storage, relative_path, storage),
           FOREIGN KEY (virtual_storage, relative_path)
             REFERENCES repositories (virtual_storage, relative_path) ON DELETE CASCADE)",
    ),
    (
        "20260101000003_node_status",
        "CREATE TABLE node_status (
           praefect_name text NOT NULL,
           shard_name text NOT NULL,
           node_name text NOT NULL,
           last_contact_attempt_at timestamptz,
           last_seen_active_at timestamptz,
           PRIMARY KEY (praefect_name, shard_name, node_name));
         CREATE TABLE storage_identities (
           virtual_storage text NOT NULL,
           storage text NOT NULL,
           filesystem_id text NOT NULL,
           PRIMARY KEY (virtual_storage, storage))",
    ),
];

/// A migration and when it was applied, in PostgreSQL's words.
pub type Applied = (&'static str, Option<String>);

/// Every migration that this Praefect knows.
pub async fn migrations(client: &Client) -> Result<Vec<Applied>, Error> {
    let there = "SELECT to_regclass('public.schema_migrations')::text";
    let mut applied: BTreeMap<String, String> = BTreeMap::new();
    if client.query_one(there, &[]).await?.get::<_, Option<String>>(0).is_some() {
        let rows =
            client.query("SELECT id, (applied_at AT TIME ZONE 'UTC')::text FROM schema_migrations", &[]);
        applied = rows.await?.iter().map(|row| (row.get(0), row.get(1))).collect();
    }
    Ok(MIGRATIONS.iter().map(|(name, _)| (*name, applied.get(*name).cloned())).collect())
}

/// How many migrations are missing.
pub async fn pending(client: &Client) -> Result<usize, Error> {
    Ok(migrations(client).await?.iter().filter(|(_, applied)| applied.is_none()).count())
}

/// Applies what is missing; returns how much that was.
pub async fn migrate(client: &mut Client) -> Result<usize, Error> {
    let transaction = client.transaction().await?;
    transaction.batch_execute("SELECT pg_advisory_xact_lock(4611686018427387905)").await?;
    transaction
        .batch_execute(
            "CREATE TABLE IF NOT EXISTS schema_migrations (
               id text PRIMARY KEY, applied_at timestamptz NOT NULL DEFAULT now())",
        )
        .await?;
    let done = transaction.query("SELECT id FROM schema_migrations", &[]).await?;
    let done: Vec<String> = done.iter().map(|row| row.get(0)).collect();
    let mut count = 0;
    for (name, sql) in MIGRATIONS.iter().filter(|(name, _)| !done.iter().any(|done| done == name)) {
        transaction.batch_execute(sql).await?;
        transaction.execute("INSERT INTO schema_migrations (id) VALUES ($1)", &[name]).await?;
        count += 1;
    }
    transaction.commit().await?;
    Ok(count)
}

/// Praefect's records, over connections that are kept.
#[derive(Clone)]
pub struct Records {
    /// Connections.
    pub pool: Pool,
}

/// A write that has begun.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Begun {
    /// Where it goes.
    pub route: Route,
    /// Its number.
    pub generation: i64,
}

/// Why a write can't begin.
#[derive(Debug, thiserror::Error)]
pub enum CannotWrite {
    /// The database.
    #[error(transparent)]
    Database(#[from] Error),
    /// There is no such repository.
    #[error("there is no such repository")]
    Missing,
    /// The nodes.
    #[error(transparent)]
    Refused(#[from] Refusal),
}

impl From<tokio_postgres::Error> for CannotWrite {
    fn from(error: tokio_postgres::Error) -> Self {
        Self::Database(error.into())
    }
}

impl Records {
    /// What is known of a repository.
    pub async fn find(&self, storage: &str, path: &str) -> Result<Option<Record>, Error> {
        let sql = "SELECT r.generation, r.\"primary\", s.storage, s.generation
                   FROM repositories r LEFT JOIN storage_repositories s USING (virtual_storage, relative_path)
                   WHERE r.virtual_storage = $1 AND r.relative_path = $2";
        let client = self.pool.take().await?;
        let rows = client.query(sql, &[&storage, &path]).await?;
        let Some(first) = rows.first() else { return Ok(None) };
        let mut record =
            Record { generation: first.get(0), primary: first.get(1), replicas: BTreeMap::new() };
        for row in &rows {
            if let Some(name) = row.get::<_, Option<String>>(2) {
                record.replicas.insert(name, row.get(3));
            }
        }
        Ok(Some(record))
    }

    /// Every repository of a virtual storage.
    pub async fn all(&self, storage: &str) -> Result<Vec<(String, Record)>, Error> {
        let sql = "SELECT relative_path FROM repositories WHERE virtual_storage = $1 ORDER BY 1";
        let client = self.pool.take().await?;
        let paths: Vec<String> = client.query(sql, &[&storage]).await?.iter().map(|row| row.get(0)).collect();
        drop(client);
        let mut all = Vec::new();
        for path in paths {
            if let Some(record) = self.find(storage, &path).await? {
                all.push((path, record));
            }
        }
        Ok(all)
    }

    /// Writes a new repository down, with the storages that have it.
    pub async fn created(
        &self,
        storage: &str,
        path: &str,
        primary: &str,
        on: &[String],
    ) -> Result<(), Error> {
        let mut client = self.pool.take().await?;
        let transaction = client.transaction().await?;
        let sql = "INSERT INTO repositories (virtual_storage, relative_path, \"primary\") VALUES ($1, $2, $3)
                   ON CONFLICT DO NOTHING";
        transaction.execute(sql, &[&storage, &path, &primary]).await?;
        let replica = "INSERT INTO storage_repositories (virtual_storage, relative_path, storage, generation)
                       VALUES ($1, $2, $3, 0) ON CONFLICT DO NOTHING";
        for node in on {
            transaction.execute(replica, &[&storage, &path, node]).await?;
        }
        Ok(transaction.commit().await?)
    }

    /// Forgets a repository.
    pub async fn deleted(&self, storage: &str, path: &str) -> Result<(), Error> {
        let sql = "DELETE FROM repositories WHERE virtual_storage = $1 AND relative_path = $2";
        self.pool.take().await?.execute(sql, &[&storage, &path]).await?;
        Ok(())
    }

    /// Begins a write: the primary is ahead of all others from here on, whatever becomes of this Praefect, so that
    /// no other replica passes for current before it has the write.
    pub async fn begin(
        &self,
        storage: &str,
        path: &str,
        nodes: &[String],
        healthy: &BTreeSet<String>,
    ) -> Result<Begun, CannotWrite> {
        let mut client = self.pool.take().await?;
        let transaction = client.transaction().await?;
        let lock = "SELECT generation, \"primary\" FROM repositories
                    WHERE virtual_storage = $1 AND relative_path = $2 FOR UPDATE";
        let row = transaction.query_opt(lock, &[&storage, &path]).await?.ok_or(CannotWrite::Missing)?;
        let replicas = "SELECT storage, generation FROM storage_repositories
                        WHERE virtual_storage = $1 AND relative_path = $2";
        let replicas = transaction.query(replicas, &[&storage, &path]).await?;
        let record = Record {
            generation: row.get(0),
            primary: row.get(1),
            replicas: replicas.iter().map(|row| (row.get(0), row.get(1))).collect(),
        };
        let route = record.writable(nodes, healthy)?;
        let generation = record.generation + 1;
        let counted = "UPDATE repositories SET generation = $3, \"primary\" = $4
                       WHERE virtual_storage = $1 AND relative_path = $2";
        transaction.execute(counted, &[&storage, &path, &generation, &route.primary]).await?;
        let ahead = "UPDATE storage_repositories SET generation = $4
                     WHERE virtual_storage = $1 AND relative_path = $2 AND storage = $3";
        transaction.execute(ahead, &[&storage, &path, &route.primary, &generation]).await?;
        transaction.commit().await?;
        Ok(Begun { route, generation })
    }

    /// A replica has got everything up to a generation.
    pub async fn replicated(
        &self,
        storage: &str,
        path: &str,
        node: &str,
        generation: i64,
    ) -> Result<(), Error> {
        let sql = "INSERT INTO storage_repositories (virtual_storage, relative_path, storage, generation)
                   VALUES ($1, $2, $3, $4) ON CONFLICT (virtual_storage, relative_path, storage)
                   DO UPDATE SET generation = greatest(storage_repositories.generation, excluded.generation)";
        self.pool.take().await?.execute(sql, &[&storage, &path, &node, &generation]).await?;
        Ok(())
    }

    /// A storage has no replica of a repository, whatever was recorded.
    pub async fn missing(&self, storage: &str, path: &str, node: &str) -> Result<(), Error> {
        let sql = "DELETE FROM storage_repositories
                   WHERE virtual_storage = $1 AND relative_path = $2 AND storage = $3";
        self.pool.take().await?.execute(sql, &[&storage, &path, &node]).await?;
        Ok(())
    }

    /// Writes down that a node answered, or that it didn't.
    pub async fn seen(&self, praefect: &str, storage: &str, node: &str, active: bool) -> Result<(), Error> {
        let sql = "INSERT INTO node_status VALUES ($1, $2, $3, now(), CASE WHEN $4 THEN now() END)
                   ON CONFLICT (praefect_name, shard_name, node_name) DO UPDATE SET
                     last_contact_attempt_at = now(),
                     last_seen_active_at = coalesce(excluded.last_seen_active_at, node_status.last_seen_active_at)";
        self.pool.take().await?.execute(sql, &[&praefect, &storage, &node, &active]).await?;
        Ok(())
    }

    /// The nodes that some Praefect saw within the last ten seconds.
    pub async fn healthy(&self, storage: &str) -> Result<BTreeSet<String>, Error> {
        let sql = "SELECT DISTINCT node_name FROM node_status
                   WHERE shard_name = $1 AND last_seen_active_at > now() - interval '10 seconds'";
        let client = self.pool.take().await?;
        Ok(client.query(sql, &[&storage]).await?.iter().map(|row| row.get(0)).collect())
    }

    /// Compares a storage with the one that was there before. Another disk has none of what is recorded for it, so
    /// the records go. True when it was another one.
    pub async fn identify(&self, storage: &str, node: &str, filesystem: &str) -> Result<bool, Error> {
        let mut client = self.pool.take().await?;
        let known =
            "SELECT filesystem_id FROM storage_identities WHERE virtual_storage = $1 AND storage = $2";
        let before = client.query_opt(known, &[&storage, &node]).await?.map(|row| row.get::<_, String>(0));
        if before.as_deref() == Some(filesystem) {
            return Ok(false);
        }
        let transaction = client.transaction().await?;
        let sql = "INSERT INTO storage_identities VALUES ($1, $2, $3)
                   ON CONFLICT (virtual_storage, storage) DO UPDATE SET filesystem_id = excluded.filesystem_id
                   WHERE storage_identities.filesystem_id IS DISTINCT FROM excluded.filesystem_id";
        let changed = transaction.execute(sql, &[&storage, &node, &filesystem]).await? == 1;
        if changed {
            let forget = "DELETE FROM storage_repositories WHERE virtual_storage = $1 AND storage = $2";
            transaction.execute(forget, &[&storage, &node]).await?;
        }
        transaction.commit().await?;
        Ok(changed && before.is_some())
    }
}
