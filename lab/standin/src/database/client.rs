//! A connection as Rails uses one: behind PgBouncer in transaction mode, the next statement may go to another
//! server connection, so nothing is prepared beforehand and nothing is kept in the session. Every statement is
//! unnamed and carries the types of its parameters; only a transaction belongs together.
//! <https://www.pgbouncer.org/features.html>

use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Error, Row};

/// A Rust type that PostgreSQL has one type for.
pub trait Kind {
    /// That type.
    const KIND: Type;
}

macro_rules! kinds {
    ($($rust:ty => $kind:ident),*) => { $(impl Kind for $rust { const KIND: Type = Type::$kind; })* };
}

kinds!(
    bool => BOOL, i32 => INT4, i64 => INT8, f64 => FLOAT8, str => TEXT, String => TEXT, serde_json::Value => JSONB,
    Vec<String> => TEXT_ARRAY, Vec<&str> => TEXT_ARRAY, [&str] => TEXT_ARRAY, [String] => TEXT_ARRAY, Vec<i64> => INT8_ARRAY,
    [i64] => INT8_ARRAY
);

impl<T: Kind> Kind for Option<T> {
    const KIND: Type = T::KIND;
}

impl<T: Kind + ?Sized> Kind for &T {
    const KIND: Type = T::KIND;
}

/// A parameter of a statement.
pub trait Value: ToSql + Sync {
    /// Its type, which nobody has to ask the server for.
    fn kind(&self) -> Type;
}

impl<T: ToSql + Sync + Kind> Value for T {
    fn kind(&self) -> Type {
        T::KIND
    }
}

fn typed<'a>(values: &'a [&'a dyn Value]) -> Vec<(&'a (dyn ToSql + Sync), Type)> {
    values.iter().map(|value| (*value as &(dyn ToSql + Sync), value.kind())).collect()
}

/// A connection to the database.
pub struct Client(tokio_postgres::Client);

/// A transaction: all of it goes over one connection, wherever that leads.
pub struct Transaction<'a>(tokio_postgres::Transaction<'a>);

/// A connection or a transaction.
pub trait GenericClient {
    /// The rows that a statement returns.
    fn query(&self, sql: &str, values: &[&dyn Value])
    -> impl Future<Output = Result<Vec<Row>, Error>> + Send;
    /// The one row that a statement returns.
    fn query_one(&self, sql: &str, values: &[&dyn Value]) -> impl Future<Output = Result<Row, Error>> + Send;
    /// The row that a statement returns, if it does.
    fn query_opt(
        &self,
        sql: &str,
        values: &[&dyn Value],
    ) -> impl Future<Output = Result<Option<Row>, Error>> + Send;
    /// How many rows a statement changed.
    fn execute(&self, sql: &str, values: &[&dyn Value]) -> impl Future<Output = Result<u64, Error>> + Send;
}

macro_rules! statements {
    ($name:ty) => {
        impl $name {
            /// The rows that a statement returns.
            pub async fn query(&self, sql: &str, values: &[&dyn Value]) -> Result<Vec<Row>, Error> {
                self.0.query_typed(sql, &typed(values)).await
            }

            /// The one row that a statement returns.
            pub async fn query_one(&self, sql: &str, values: &[&dyn Value]) -> Result<Row, Error> {
                self.0.query_typed_one(sql, &typed(values)).await
            }

            /// The row that a statement returns, if it does.
            pub async fn query_opt(&self, sql: &str, values: &[&dyn Value]) -> Result<Option<Row>, Error> {
                self.0.query_typed_opt(sql, &typed(values)).await
            }

            /// How many rows a statement changed.
            pub async fn execute(&self, sql: &str, values: &[&dyn Value]) -> Result<u64, Error> {
                self.0.execute_typed(sql, &typed(values)).await
            }
        }

        impl GenericClient for $name {
            async fn query(&self, sql: &str, values: &[&dyn Value]) -> Result<Vec<Row>, Error> {
                Self::query(self, sql, values).await
            }

            async fn query_one(&self, sql: &str, values: &[&dyn Value]) -> Result<Row, Error> {
                Self::query_one(self, sql, values).await
            }

            async fn query_opt(&self, sql: &str, values: &[&dyn Value]) -> Result<Option<Row>, Error> {
                Self::query_opt(self, sql, values).await
            }

            async fn execute(&self, sql: &str, values: &[&dyn Value]) -> Result<u64, Error> {
                Self::execute(self, sql, values).await
            }
        }
    };
}

statements!(Client);
statements!(Transaction<'_>);

impl Client {
    /// A connection that is there.
    #[must_use]
    pub fn new(client: tokio_postgres::Client) -> Self {
        Self(client)
    }

    /// Whether the connection has ended.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.0.is_closed()
    }

    /// Begins a transaction.
    pub async fn transaction(&mut self) -> Result<Transaction<'_>, Error> {
        Ok(Transaction(self.0.transaction().await?))
    }
}

impl Transaction<'_> {
    /// Runs statements without parameters.
    pub async fn batch_execute(&self, sql: &str) -> Result<(), Error> {
        self.0.batch_execute(sql).await
    }

    /// Ends the transaction with its changes.
    pub async fn commit(self) -> Result<(), Error> {
        self.0.commit().await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parameter_knows_its_type() {
        let kind = |value: &dyn Value| value.kind();
        assert_eq!(kind(&1_i64), Type::INT8);
        assert_eq!(kind(&"text"), Type::TEXT);
        assert_eq!(kind(&None::<String>), Type::TEXT);
        assert_eq!(kind(&vec!["a".to_owned()]), Type::TEXT_ARRAY);
    }
}
