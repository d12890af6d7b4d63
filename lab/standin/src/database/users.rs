//! Users: finding, making and blocking them.

use tokio_postgres::Row;

use super::{Client, GenericClient};

use super::Error;

/// A user, as the API shows one.
#[derive(Debug, Clone)]
pub struct User {
    /// The id.
    pub id: i64,
    /// The login.
    pub username: String,
    /// The name.
    pub name: String,
    /// The address.
    pub email: String,
    /// Whether the user is an administrator.
    pub admin: bool,
    /// `active` or `blocked`.
    pub state: String,
    /// Since when, in ISO 8601.
    pub created_at: String,
}

const SELECT: &str =
    "SELECT id, username, name, email, admin, state, iso8601(created_at) AS created_at FROM users";

fn from_row(row: &Row) -> User {
    User {
        id: row.get("id"),
        username: row.get("username"),
        name: row.get("name"),
        email: row.get("email"),
        admin: row.get("admin"),
        state: row.get("state"),
        created_at: row.get("created_at"),
    }
}

/// The user of an id.
pub async fn by_id(client: &impl GenericClient, id: i64) -> Result<Option<User>, Error> {
    let row = client.query_opt(&format!("{SELECT} WHERE id = $1"), &[&id]).await?;
    Ok(row.as_ref().map(from_row))
}

/// A page of the users, newest first, of one login where it is given; and how many there are.
pub async fn list(
    client: &impl GenericClient,
    username: Option<&str>,
    limits: (i64, i64),
) -> Result<(Vec<User>, i64), Error> {
    let condition = "$1::varchar IS NULL OR lower(username) = lower($1)";
    let count = format!("SELECT count(*) FROM users WHERE {condition}");
    let total = client.query_one(&count, &[&username]).await?.get(0);
    let sql = format!("{SELECT} WHERE {condition} ORDER BY id DESC LIMIT $2 OFFSET $3");
    let rows = client.query(&sql, &[&username, &limits.0, &limits.1]).await?;
    Ok((rows.iter().map(from_row).collect(), total))
}

/// What a new user is made of.
#[derive(Debug)]
pub struct New<'a> {
    /// The login.
    pub username: &'a str,
    /// The name.
    pub name: &'a str,
    /// The address.
    pub email: &'a str,
    /// Whether the user is an administrator.
    pub admin: bool,
    /// The password's hash.
    pub encrypted_password: &'a str,
}

/// Makes a user with a namespace of the same name; says what is taken where something is.
pub async fn create(client: &mut Client, new: &New<'_>) -> Result<Result<User, &'static str>, Error> {
    let transaction = client.transaction().await?;
    let taken = "SELECT EXISTS (SELECT 1 FROM users WHERE lower(email) = lower($1)),
                        EXISTS (SELECT 1 FROM routes WHERE lower(path) = lower($2))";
    let row = transaction.query_one(taken, &[&new.email, &new.username]).await?;
    match (row.get(0), row.get(1)) {
        (true, _) => return Ok(Err("Email has already been taken")),
        (false, true) => return Ok(Err("Username has already been taken")),
        (false, false) => {}
    }
    let sql = "INSERT INTO users (username, name, email, admin, encrypted_password)
               VALUES ($1, $2, $3, $4, $5) RETURNING id";
    let values: [&dyn crate::database::Value; 5] =
        [&new.username, &new.name, &new.email, &new.admin, &new.encrypted_password];
    let id = transaction.query_one(sql, &values).await?.get(0);
    super::give_users_namespaces(&transaction).await?;
    let user = by_id(&transaction, id).await?;
    transaction.commit().await?;
    user.map(Ok).ok_or_else(|| Error::Statement("the user is gone".to_owned()))
}

/// Blocks a user, or lets one in again; false when there is no such user.
pub async fn block(client: &impl GenericClient, id: i64, blocked: bool) -> Result<bool, Error> {
    let state = if blocked { "blocked" } else { "active" };
    let sql = "UPDATE users SET state = $2 WHERE id = $1";
    Ok(client.execute(sql, &[&id, &state]).await? == 1)
}
