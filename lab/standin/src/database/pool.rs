//! Connections that are kept for the next request.

use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex, PoisonError};

use super::Client;

use super::{Error, connect};
use crate::site::Database;

/// How many idle connections are kept.
const KEPT: usize = 8;

/// Connections to one database.
#[derive(Clone)]
pub struct Pool {
    database: Database,
    idle: Arc<Mutex<Vec<Client>>>,
}

impl Pool {
    /// An empty pool: a connection is made when it is asked for.
    #[must_use]
    pub fn new(database: Database) -> Self {
        Self { database, idle: Arc::default() }
    }

    /// A connection that lives: an idle one, or a new one.
    pub async fn take(&self) -> Result<Lent, Error> {
        let kept = self.kept();
        let client = match kept {
            Some(client) => client,
            None => connect(&self.database).await?,
        };
        Ok(Lent { client: Some(client), idle: Arc::clone(&self.idle) })
    }

    fn kept(&self) -> Option<Client> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        while let Some(client) = idle.pop() {
            if !client.is_closed() {
                return Some(client);
            }
        }
        None
    }
}

/// A connection that goes back to its pool.
pub struct Lent {
    client: Option<Client>,
    idle: Arc<Mutex<Vec<Client>>>,
}

/// Only `drop` empties the option.
const THERE: &str = "a lent connection is there until it is given back";

impl Deref for Lent {
    type Target = Client;

    fn deref(&self) -> &Client {
        let Some(client) = &self.client else { unreachable!("{THERE}") };
        client
    }
}

impl DerefMut for Lent {
    fn deref_mut(&mut self) -> &mut Client {
        let Some(client) = &mut self.client else { unreachable!("{THERE}") };
        client
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        let Some(client) = self.client.take() else { return };
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if !client.is_closed() && idle.len() < KEPT {
            idle.push(client);
        }
    }
}
